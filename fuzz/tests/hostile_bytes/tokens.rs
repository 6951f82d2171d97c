//! Consistency tokens, in queries and in frames.

use domain::token::{ConsistencyToken, MAX_PARTITIONS};
use fuzz::{TestCaseError, check, prop_assert, prop_assert_eq, same, texts_like};

const TOKENS: &[&str] = &[
    "0:0",
    "3:128",
    "0:12,3:128",
    "63:18446744073709551615,0:1",
    "4294967295:1",
];

fn holds(text: &str) -> Result<(), TestCaseError> {
    let Ok(token) = text.parse::<ConsistencyToken>() else {
        return Ok(());
    };
    same(&token, &token.to_string().parse().unwrap())?;
    prop_assert!(token.iter().count() <= MAX_PARTITIONS);
    prop_assert!(token.covers(&token));
    prop_assert_eq!(token.behind(&token), 0);
    Ok(())
}

#[test]
fn hostile_tokens_are_the_same_when_they_are_written_and_read_again() {
    check(&texts_like(TOKENS), |text| holds(&text));
}

#[test]
fn hostile_tokens_in_json_are_those_of_their_text() {
    check(&texts_like(TOKENS), |text| {
        let json = serde_json::to_vec(&text).unwrap();
        let in_json = serde_json::from_slice::<ConsistencyToken>(&json).ok();
        same(&in_json, &text.parse().ok())
    });
}

/// Positions may be as large as their type.
#[test]
fn hostile_tokens_have_a_distance() {
    check(&(texts_like(TOKENS), texts_like(TOKENS)), |(one, other)| {
        let parsed = one.parse::<ConsistencyToken>().ok().zip(other.parse().ok());
        if let Some((one, other)) = parsed {
            prop_assert_eq!(one.covers(&other), one.behind(&other) == 0);
        }
        Ok(())
    });
}
