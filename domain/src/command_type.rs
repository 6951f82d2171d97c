//! The declaration of an aggregate's commands: their names, and the parsing of their data. It is below the
//! aggregates and knows none of them; the registry of all commands is [`Command`](crate::aggregate::Command).

use serde_json::Value;

use crate::{parse_error::without_input, rejection::Violation};

/// The commands of one aggregate. Implemented by [`command_types!`](crate::command_types).
pub trait CommandPayload: Sized {
    /// The names of all commands.
    const NAMES: &'static [&'static str];

    /// Parses a command's data; `None` if the aggregate has no command with this name.
    fn parse(name: &str, data: &Value) -> Option<Result<Self, Violation>>;

    /// The JSON Schemas of the commands' data, by name.
    #[cfg(feature = "schema")]
    fn schemas() -> Vec<(&'static str, Value)>;
}

/// Parses a command's data; an error names the invalid field.
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
            message: without_input(error.inner()),
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

            fn parse(
                name: &str,
                data: &serde_json::Value,
            ) -> Option<Result<Self, $crate::rejection::Violation>> {
                match name {
                    $(stringify!($command) => {
                        Some($crate::command_type::parse_data(data).map(Self::$command))
                    })*
                    _ => None,
                }
            }

            #[cfg(feature = "schema")]
            fn schemas() -> Vec<(&'static str, serde_json::Value)> {
                vec![$((stringify!($command), schemars::schema_for!($command).to_value())),*]
            }
        }
    };
}
