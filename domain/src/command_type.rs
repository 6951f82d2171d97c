//! What an aggregate declares of its commands: their names, and how their data is read. It lies below the aggregates and
//! knows none of them; the registry of all their commands is [`Command`](crate::aggregate::Command).

use serde_json::Value;

use crate::rejection::Violation;

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
                #[doc = concat!("The command [`", stringify!($command), "`].")]
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

        impl $crate::command_type::CommandPayload for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($command)),*];

            fn parse(name: &str, data: &serde_json::Value) -> Option<Result<Self, $crate::rejection::Violation>> {
                match name {
                    $(stringify!($command) => Some($crate::command_type::parse_data(data).map(Self::$command)),)*
                    _ => None,
                }
            }
        }
    };
}
