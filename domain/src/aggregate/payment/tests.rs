//! The rules of payments, given-when-then.

use super::*;
use crate::{
    access::Role,
    decider::testing::{actor, context, decide},
};

fn eur(amount: i64) -> Money {
    Money::new(amount, "EUR")
}

fn charge_25() -> ProcessPayment {
    ProcessPayment {
        order: "1".into(),
        amount: eur(2_500),
        method: "tok_ok".into(),
        customer: Some(Uuid::from_u128(7)),
    }
}

fn refund() -> RefundPayment {
    RefundPayment {
        reason: "the order was cancelled".into(),
    }
}

fn charged() -> ProviderAnswer {
    ProviderAnswer::Charged {
        charge: "ch_1".into(),
    }
}

fn refused() -> ProviderAnswer {
    ProviderAnswer::Refused {
        reason: "the card was declined".into(),
    }
}

fn processed() -> PaymentEvent {
    PaymentProcessed {
        order: "1".into(),
        customer: Uuid::from_u128(7),
        amount: eur(2_500),
        method: "tok_ok".into(),
        charge: "ch_1".into(),
    }
    .into()
}

fn failed() -> PaymentEvent {
    PaymentFailed {
        order: "1".into(),
        customer: Uuid::from_u128(7),
        amount: eur(2_500),
        method: "tok_ok".into(),
        reason: "the card was declined".into(),
    }
    .into()
}

fn refunded() -> PaymentEvent {
    PaymentRefunded {
        order: "1".into(),
        customer: Uuid::from_u128(7),
        amount: eur(2_500),
        reason: "the order was cancelled".into(),
    }
    .into()
}

fn when(
    given: &[PaymentEvent],
    command: impl Into<PaymentCommand>,
    provider: Option<ProviderAnswer>,
) -> Result<Vec<PaymentEvent>, Rejection> {
    let context = context("payment-1", actor(Role::System, 1)).with_evidence(provider);
    decide::<Payment>(given, command.into(), &context)
}

fn asked(given: &[PaymentEvent], command: impl Into<PaymentCommand>) -> Option<ProviderRequest> {
    let state = given.iter().fold(PaymentState::default(), Payment::evolve);
    state.provider_request(&command.into(), &"payment-1".parse().unwrap())
}

#[test]
fn a_charge_follows_the_answer_of_the_provider() {
    assert_eq!(when(&[], charge_25(), Some(charged())), Ok(vec![processed()]));
    assert_eq!(when(&[], charge_25(), Some(refused())), Ok(vec![failed()]));
}

#[test]
fn the_sender_pays_where_the_command_names_no_payer() {
    let payment = ProcessPayment {
        customer: None,
        ..charge_25()
    };
    let events = when(&[], payment, Some(charged())).unwrap();
    let [PaymentEvent::PaymentProcessed(paid)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(paid.customer, actor(Role::System, 1).id);
}

#[test]
fn an_order_is_charged_once_and_asked_for_once() {
    for given in [vec![processed()], vec![failed()], vec![processed(), refunded()]] {
        assert_eq!(when(&given, charge_25(), Some(charged())), Ok(vec![]));
        assert_eq!(asked(&given, charge_25()), None);
    }
}

#[test]
fn a_refund_needs_a_charge() {
    for given in [vec![], vec![failed()]] {
        let refusal = when(&given, refund(), Some(ProviderAnswer::Refunded)).unwrap_err();
        assert_eq!(refusal.rule, "nothing-to-refund");
        assert_eq!(asked(&given, refund()), None);
    }
}

#[test]
fn a_charge_is_given_back_whole_and_once() {
    let request = ProviderRequest::Refund {
        charge: "ch_1".into(),
        amount: eur(2_500),
    };
    assert_eq!(asked(&[processed()], refund()), Some(request));
    assert_eq!(
        when(&[processed()], refund(), Some(ProviderAnswer::Refunded)),
        Ok(vec![refunded()])
    );
    assert_eq!(when(&[processed(), refunded()], refund(), None), Ok(vec![]));
}

#[test]
fn a_refund_that_the_provider_refuses_changes_nothing() {
    let refusal = when(&[processed()], refund(), Some(refused())).unwrap_err();
    assert_eq!(
        (refusal.rule.as_str(), refusal.detail.as_str()),
        ("refund-refused", "the card was declined")
    );
}

#[test]
fn nothing_is_decided_before_the_provider_was_asked() {
    assert_eq!(when(&[], charge_25(), None).unwrap_err().rule, NOT_ASKED);
    assert_eq!(when(&[processed()], refund(), None).unwrap_err().rule, NOT_ASKED);
    // An answer to another request does not count.
    let other = when(&[], charge_25(), Some(ProviderAnswer::Refunded));
    assert_eq!(other.unwrap_err().rule, NOT_ASKED);
    let other = when(&[processed()], refund(), Some(charged()));
    assert_eq!(other.unwrap_err().rule, NOT_ASKED);
}

#[test]
fn every_field_that_is_wrong_is_named_and_the_provider_is_not_asked() {
    let payment = ProcessPayment {
        order: "2".into(),
        amount: Money::new(0, "euro"),
        method: "cash".into(),
        customer: None,
    };
    assert_eq!(asked(&[], payment.clone()), None);
    let rejection = when(&[], payment, None).unwrap_err();
    let fields: Vec<_> = rejection
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "data.order",
            "data.amount.amount",
            "data.amount.currency",
            "data.method"
        ]
    );
    let silent = RefundPayment { reason: " ".into() };
    assert_eq!(asked(&[processed()], silent.clone()), None);
    let rejection = when(&[processed()], silent, None).unwrap_err();
    assert_eq!(rejection.violations[0].field, "data.reason");
}

#[test]
fn a_refund_with_a_hostile_reason_is_refused_before_the_provider_is_asked() {
    for hostile in ["no\0", "\u{202e}on"] {
        let command = RefundPayment {
            reason: hostile.into(),
        };
        assert_eq!(asked(&[processed()], command), None, "{hostile:?}");
    }
}
