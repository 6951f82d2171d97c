//! The aggregates: one file each, with its commands, its events, its state and its rules. A new aggregate is a new file,
//! a line in `domain_commands!` below and a line in the event registry of [`crate::event`].

pub mod email;
pub mod inbox;
pub mod inventory;
pub mod order;
pub mod payment;
pub mod product;
pub mod user;

use serde_json::Value;

use crate::{
    decider::Decider,
    event::{DomainEvent, EventPayload},
    id::StreamName,
    rejection::Violation,
};
use email::{Email, EmailCommand};
use inbox::{Inbox, InboxCommand};
use inventory::{Inventory, InventoryCommand};
use order::{Order, OrderCommand};
use payment::{Payment, PaymentCommand};
use product::{Product, ProductCommand};
use user::{User, UserCommand};

/// Fields of commands that nobody keeps, also not as a digest: the command, and the field in its data.
pub const SECRETS: &[(&str, &str)] = &[
    ("RegisterUser", "password"),
    ("ChangeEmail", "password"),
    ("EraseUser", "password"),
];

/// Why a command could not even be read. The rules come later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No aggregate knows a command of this name.
    #[error("there is no command {0}")]
    UnknownType(String),
    /// The command is known, and belongs to another kind of stream.
    #[error("{command} goes to a stream {expected}-<id>, not to {stream}")]
    WrongStream {
        /// The command's name.
        command: String,
        /// The category it belongs to.
        expected: &'static str,
        /// The stream that was named.
        stream: StreamName,
    },
    /// `data` does not have the command's shape.
    #[error("{}: {}", .0.field, .0.message)]
    Malformed(Violation),
}

/// The commands of one aggregate. Implemented by [`command_types!`](crate::command_types).
pub trait CommandPayload: Sized {
    /// Every command's name.
    const NAMES: &'static [&'static str];

    /// A command's data, typed; `None` where the name is not one of these.
    fn parse(name: &str, data: &Value) -> Option<Result<Self, Violation>>;
}

/// Reads a command's data and names the field that does not fit.
#[doc(hidden)]
pub fn parse_data<T: serde::de::DeserializeOwned>(data: &Value) -> Result<T, Violation> {
    serde_path_to_error::deserialize(data).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." {
            "data".to_owned()
        } else {
            format!("data.{path}")
        };
        Violation {
            field,
            message: error.into_inner().to_string(),
        }
    })
}

/// Declares the enum of an aggregate's commands; each variant wraps the struct of the same name.
#[macro_export]
macro_rules! command_types {
    ($(#[$meta:meta])* pub enum $name:ident { $($command:ident),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $(
                #[doc = concat!("See [`", stringify!($command), "`].")]
                $command($command),
            )*
        }

        $(
            impl From<$command> for $name {
                fn from(command: $command) -> Self {
                    Self::$command(command)
                }
            }
        )*

        impl $crate::aggregate::CommandPayload for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($command)),*];

            fn parse(name: &str, data: &serde_json::Value) -> Option<Result<Self, $crate::rejection::Violation>> {
                match name {
                    $(stringify!($command) => Some($crate::aggregate::parse_data(data).map(Self::$command)),)*
                    _ => None,
                }
            }
        }
    };
}

/// An aggregate of any kind, event by event: for those who look at states and decide nothing.
pub trait Evolving: Send {
    /// Moves on. An event of another kind of aggregate changes nothing.
    fn evolve(&mut self, event: &DomainEvent);
    /// The state by now.
    fn state(&self) -> serde_json::Result<Value>;
}

struct Evolved<D: Decider>(D::State);

impl<D: Decider> Evolving for Evolved<D> {
    fn evolve(&mut self, event: &DomainEvent) {
        if let Some(event) = D::Event::from_domain(event) {
            self.0 = D::evolve(std::mem::take(&mut self.0), event);
        }
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.0)
    }
}

/// Declares the registry of aggregates' commands: one line an aggregate.
macro_rules! domain_commands {
    ($($family:ident($commands:ident)),* $(,)?) => {
        /// Any command of the domain.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Command {
            $(
                #[doc = concat!("See [`", stringify!($commands), "`].")]
                $family($commands),
            )*
        }

        /// The aggregate of a category before its first event; `None` where there is no such category.
        pub fn before_first_event(category: &str) -> Option<Box<dyn Evolving>> {
            $(
                if category == <$family as Decider>::CATEGORY {
                    return Some(Box::new(Evolved::<$family>(Default::default())));
                }
            )*
            None
        }

        impl Command {
            /// The name of every command.
            pub fn names() -> impl Iterator<Item = &'static str> {
                [$(<$commands as CommandPayload>::NAMES),*].into_iter().flatten().copied()
            }

            /// Reads a command for a stream.
            pub fn parse(name: &str, stream: &StreamName, data: &Value) -> Result<Self, CommandError> {
                $(
                    if let Some(command) = <$commands as CommandPayload>::parse(name, data) {
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
    Email(EmailCommand),
    Inbox(InboxCommand),
    Inventory(InventoryCommand),
    Order(OrderCommand),
    Payment(PaymentCommand),
    Product(ProductCommand),
    User(UserCommand),
}

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
    fn a_command_goes_to_its_own_kind_of_stream() {
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
