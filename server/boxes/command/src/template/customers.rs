//! The customers of the template `shop`: three people for the back office to show. They never sign in, have
//! no passwords, and have addresses in a reserved domain (RFC 2606).

use domain::{language::Language, wire::CommandRequest};
use serde_json::json;
use uuid::Uuid;

use super::first;

/// A customer of the template. Ids are the same in every workspace; workspaces do not share data.
pub(super) struct Customer {
    pub(super) id: Uuid,
    pub(super) display_name: &'static str,
    email: &'static str,
}

pub(super) const CUSTOMERS: [Customer; 3] = [
    Customer {
        id: Uuid::from_u128(0x0198_c1a0_0001_7000_8000_0000_0000_0001),
        display_name: "Noor Haddad",
        email: "noor@example.org",
    },
    Customer {
        id: Uuid::from_u128(0x0198_c1a0_0001_7000_8000_0000_0000_0002),
        display_name: "Mateo Rossi",
        email: "mateo@example.org",
    },
    Customer {
        id: Uuid::from_u128(0x0198_c1a0_0001_7000_8000_0000_0000_0003),
        display_name: "Yuki Tanaka",
        email: "yuki@example.org",
    },
];

/// The commands that register them, as readers of a language.
pub(super) fn commands(language: Language) -> Vec<CommandRequest> {
    CUSTOMERS
        .iter()
        .map(|customer| {
            first(
                "RegisterUser",
                format!("user-{}", customer.id),
                json!({
                    "email": customer.email,
                    "display_name": customer.display_name,
                    "language": language,
                }),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use domain::aggregate::Command;

    use super::*;

    #[test]
    fn every_registration_can_be_read() {
        for request in commands(Language::De) {
            let stream = request.stream.parse().unwrap();
            Command::parse(&request.command_type, &stream, &request.data).unwrap();
        }
    }
}
