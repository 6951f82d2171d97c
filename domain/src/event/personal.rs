//! Which fields of which events are personal: the registry by which they are sealed before they are stored.
//!
//! A sealed text is `sealed:<person>:<base64url>`, encrypted with a key of that person's own. Folds pass it on as it is;
//! whoever shows it to people opens it, and shows [`ERASED`] where the key was destroyed. Keys and ciphers are the
//! server's; here is only what the text looks like.

use uuid::Uuid;

use super::DomainEvent;
use crate::{
    aggregate::{
        order::OrderEvent,
        user::{DisplayNameChanged, EmailChanged, UserEvent, UserRegistered},
    },
    id::StreamName,
};

/// What a sealed text begins with.
pub const MARKER: &str = "sealed:";

/// What is shown of a person who was erased.
pub const ERASED: &str = "erased";

/// Whose personal data an event holds, and in which fields.
#[derive(Debug)]
pub struct Personal<'a> {
    /// Whose.
    pub person: Uuid,
    /// What is to be sealed.
    pub fields: Vec<&'a mut String>,
}

/// The personal fields of an event of a stream. An event has those of one person, or none.
pub fn of<'a>(event: &'a mut DomainEvent, stream: &StreamName) -> Option<Personal<'a>> {
    let user = || stream.id().parse().ok();
    match event {
        DomainEvent::User(UserEvent::UserRegistered(UserRegistered {
            email, display_name, ..
        })) => Some(Personal {
            person: user()?,
            fields: vec![email, display_name],
        }),
        DomainEvent::User(UserEvent::DisplayNameChanged(DisplayNameChanged { display_name })) => {
            Some(Personal {
                person: user()?,
                fields: vec![display_name],
            })
        }
        DomainEvent::User(UserEvent::EmailChanged(EmailChanged { email })) => Some(Personal {
            person: user()?,
            fields: vec![email],
        }),
        DomainEvent::Order(OrderEvent::OrderCreated(created)) => Some(Personal {
            person: created.customer.id,
            fields: vec![&mut created.customer.name],
        }),
        _ => None,
    }
}

/// The person and the cipher text of a sealed text; `None` where it is not one.
pub fn parts(text: &str) -> Option<(Uuid, &str)> {
    let (person, sealed) = text.strip_prefix(MARKER)?.split_once(':')?;
    let is_base64url = sealed
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    Some((person.parse().ok()?, sealed)).filter(|_| is_base64url)
}

/// Whether any text in a JSON value is a sealed one. Nobody may send one: it would be opened where it is shown.
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
    fn a_sealed_text_is_known_by_its_shape() {
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
