//! The registry of personal fields, which are sealed before an event is stored.
//!
//! A sealed text is `sealed:<person>:<base64url>`, encrypted with that person's own key. Folds pass it on
//! unchanged; the server opens it in its answers, and shows [`ERASED`] if the key was destroyed. Keys and
//! ciphers belong to the server; this module has only the form of the text.

use uuid::Uuid;

use super::DomainEvent;
use crate::{
    aggregate::{
        order::OrderEvent,
        prediction::PredictionEvent,
        user::{DisplayNameChanged, EmailChanged, UserEvent, UserRegistered},
    },
    id::StreamName,
};

/// The prefix of a sealed text.
pub const MARKER: &str = "sealed:";

/// The text shown in place of an erased person's data.
pub const ERASED: &str = "erased";

/// The paths of personal fields in the payloads of their event types: what [`of`] seals.
pub const PATHS: [(&str, &str); 6] = [
    ("DisplayNameChanged", "display_name"),
    ("EmailChanged", "email"),
    ("OrderCreated", "customer.name"),
    ("PredictionMade", "name"),
    ("UserRegistered", "display_name"),
    ("UserRegistered", "email"),
];

/// The personal fields of an event, with the person.
#[derive(Debug)]
pub struct PersonalFields<'a> {
    /// The person.
    pub person: Uuid,
    /// The fields to seal.
    pub fields: Vec<&'a mut String>,
}

/// The personal fields of an event; `None` if it has none. An event has the data of at most one person.
pub fn of<'a>(event: &'a mut DomainEvent, stream: &StreamName) -> Option<PersonalFields<'a>> {
    let user = || stream.id().parse().ok();
    match event {
        DomainEvent::User(UserEvent::UserRegistered(UserRegistered {
            email, display_name, ..
        })) => Some(PersonalFields {
            person: user()?,
            fields: vec![email, display_name],
        }),
        DomainEvent::User(UserEvent::DisplayNameChanged(DisplayNameChanged { display_name })) => {
            Some(PersonalFields {
                person: user()?,
                fields: vec![display_name],
            })
        }
        DomainEvent::User(UserEvent::EmailChanged(EmailChanged { email })) => Some(PersonalFields {
            person: user()?,
            fields: vec![email],
        }),
        DomainEvent::Order(OrderEvent::OrderCreated(created)) => Some(PersonalFields {
            person: created.customer.id,
            fields: vec![&mut created.customer.name],
        }),
        DomainEvent::Prediction(PredictionEvent::PredictionMade(made)) => Some(PersonalFields {
            person: made.person,
            fields: vec![&mut made.name],
        }),
        _ => None,
    }
}

/// The person and the cipher text of a sealed text; `None` if the text is not sealed.
pub fn parts(text: &str) -> Option<(Uuid, &str)> {
    let (person, sealed) = text.strip_prefix(MARKER)?.split_once(':')?;
    let is_base64url = sealed
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    Some((person.parse().ok()?, sealed)).filter(|_| is_base64url)
}

/// Whether a JSON value contains a sealed text. Clients must not send one, because answers would show it
/// opened.
pub fn is_in(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => parts(text).is_some(),
        serde_json::Value::Array(items) => items.iter().any(is_in),
        serde_json::Value::Object(members) => members
            .iter()
            .any(|(name, member)| parts(name).is_some() || is_in(member)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sealed_text_is_recognised_by_its_form() {
        let person = Uuid::from_u128(7);
        let text = format!("sealed:{person}:abc-_9");
        assert_eq!(parts(&text), Some((person, "abc-_9")));
        for other in [
            "sealed: keep dry",
            "sealed:7:abc",
            "unsealed",
            &format!("{text} "),
            &format!(" {text}"),
        ] {
            assert_eq!(parts(other), None, "{other}");
        }
        assert!(is_in(&json!({"lines": [{"sku": text}]})));
        assert!(!is_in(&json!({"lines": ["sealed: keep dry", 1, null]})));
    }
}
