//! Money, and sums of it.

use domain::money::{Money, Sums};
use fuzz::{Just, Strategy, any, bounded, bytes, check, prop_assert, prop_oneof, same, texts};

const AMOUNTS: &[&str] = &[
    r#"{"amount":1250,"currency":"EUR"}"#,
    r#"{"amount":-9223372036854775808,"currency":"KWD"}"#,
    r#"{"amount":9223372036854775807,"currency":""}"#,
];

fn amounts() -> impl Strategy<Value = Money> {
    let currency = prop_oneof![Just("EUR".to_owned()), Just("JPY".to_owned()), texts()];
    let amount = prop_oneof![Just(i64::MIN), Just(i64::MAX), -3_i64..3, any::<i64>()];
    (amount, currency).prop_map(|(amount, currency)| Money::new(amount, &currency))
}

#[test]
fn hostile_money_is_the_same_when_it_is_written_and_read_again() {
    check(&bytes(AMOUNTS), |json| {
        match serde_json::from_slice::<Money>(&json) {
            Ok(money) => {
                let written = serde_json::to_vec(&money).unwrap();
                same(&money, &serde_json::from_slice(&written).unwrap())
            }
            Err(error) => bounded(&error.to_string(), json.len()),
        }
    });
}

#[test]
fn hostile_money_is_added_and_multiplied_without_an_overflow() {
    check(&(amounts(), amounts(), any::<u32>()), |(one, other, times)| {
        if let Some(sum) = one.plus(&other) {
            prop_assert!(one.currency == other.currency);
            same(&Some(sum), &other.plus(&one))?;
        }
        let _ = one.times(times);
        let mut sums = Sums::default();
        for money in [&one, &other, &one] {
            sums.add(money);
        }
        prop_assert!(sums.as_slice().len() <= 2);
        let written = serde_json::to_vec(&sums).unwrap();
        same(&sums, &serde_json::from_slice(&written).unwrap())
    });
}
