//! The aggregates: one file each, with its commands, its events, its state and its rules. A new aggregate is
//! a new file, a line in `domain_commands!` below and a line in the event registry of [`crate::event`].
//! Aggregates use the modules below them (actors, the decider, the declarations of commands and events), and
//! of each other only what a decision needs.

pub mod email;
pub mod inbox;
pub mod inventory;
pub mod order;
pub mod payment;
pub mod prediction;
pub mod product;
pub mod question;
pub mod user;

use serde_json::Value;

use crate::{command_type::CommandPayload, decider::Decider, id::StreamName, rejection::Violation};
use email::Email;
use inbox::Inbox;
use inventory::Inventory;
use order::Order;
use payment::Payment;
use prediction::Prediction;
use product::Product;
use question::Question;
use user::User;

/// Fields of commands that are not stored, not even as a digest: the command, and the field in its data.
pub const SECRETS: &[(&str, &str)] = &[
    ("RegisterUser", "password"),
    ("ChangeEmail", "password"),
    ("EraseUser", "password"),
];

/// The reason why a command cannot be parsed, before any rule is checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No aggregate has a command with this name.
    #[error("there is no command {0}")]
    UnknownType(String),
    /// The command belongs to another category of streams.
    #[error("{command} goes to a stream {expected}-<id>, not to {stream}")]
    WrongStream {
        /// The command's name.
        command: String,
        /// The category of the command.
        expected: &'static str,
        /// The stream of the request.
        stream: StreamName,
    },
    /// `data` does not have the command's shape.
    #[error("{}: {}", .0.field, .0.message)]
    Malformed(Violation),
}

/// Declares the registry of aggregates' commands: one line for each aggregate.
macro_rules! domain_commands {
    ($($family:ident),* $(,)?) => {
        /// Any command of the domain.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Command {
            $(
                #[doc = concat!("A command of the aggregate [`", stringify!($family), "`].")]
                $family(<$family as Decider>::Command),
            )*
        }

        impl Command {
            /// The names of all commands.
            pub fn names() -> impl Iterator<Item = &'static str> {
                [$(<<$family as Decider>::Command as CommandPayload>::NAMES),*].into_iter().flatten().copied()
            }

            /// The JSON Schemas of all commands' data, by name.
            #[cfg(feature = "schema")]
            pub fn schemas() -> Vec<(&'static str, Value)> {
                [$(<<$family as Decider>::Command as CommandPayload>::schemas()),*].concat()
            }

            /// Parses a command for a stream.
            pub fn parse(name: &str, stream: &StreamName, data: &Value) -> Result<Self, CommandError> {
                $(
                    if let Some(command) =
                        <<$family as Decider>::Command as CommandPayload>::parse(name, data)
                    {
                        if stream.category() != <$family as Decider>::CATEGORY {
                            return Err(CommandError::WrongStream {
                                command: name.to_owned(),
                                expected: <$family as Decider>::CATEGORY,
                                stream: stream.clone(),
                            });
                        }
                        return command.map(Self::$family).map_err(CommandError::Malformed);
                    }
                )*
                Err(CommandError::UnknownType(name.to_owned()))
            }
        }
    };
}

domain_commands! {
    Email,
    Inbox,
    Inventory,
    Order,
    Payment,
    Prediction,
    Product,
    Question,
    User,
}

#[cfg(test)]
#[cfg(feature = "schema")]
mod bounds;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(name: &str, stream: &str, data: &Value) -> Result<Command, CommandError> {
        Command::parse(name, &stream.parse().unwrap(), data)
    }

    #[test]
    fn a_malformed_field_is_named() {
        let data = json!({"lines": [{"sku": "mug-01", "quantity": "two"}], "payment_method": "tok_ok"});
        let Err(CommandError::Malformed(violation)) = parse("PlaceOrder", "order-1", &data) else {
            panic!("a quantity that is a text was accepted");
        };
        assert_eq!(violation.field, "data.lines[0].quantity");
    }

    #[test]
    fn a_command_is_accepted_only_for_streams_of_its_category() {
        let result = parse("CancelOrder", "product-1", &json!({"reason": "no"}));
        assert!(matches!(
            result,
            Err(CommandError::WrongStream {
                expected: "order",
                ..
            })
        ));
    }

    #[test]
    fn an_unknown_command_is_named() {
        let result = parse("Explode", "order-1", &json!({}));
        assert_eq!(result, Err(CommandError::UnknownType("Explode".into())));
    }
}
