//! The initial content of a workspace. A template is a list of commands, sent through the command service
//! like those of a client: none of its events bypasses the rules.

mod customers;
pub(super) mod history;
mod shop;
mod texts;

pub(super) use texts::texts;

use domain::{
    language::Language,
    wire::{CommandRequest, ExpectedVersion, NamedExpectation, Template},
};
use serde_json::Value;

/// The commands that fill a workspace in a language, in order.
pub(super) fn commands(template: Template, language: Language) -> Vec<CommandRequest> {
    match template {
        Template::Empty => Vec::new(),
        Template::Shop => [shop::commands(texts(language)), customers::commands(language)].concat(),
    }
}

/// A command for a stream that does not exist yet.
fn first(command_type: &str, stream: String, data: Value) -> CommandRequest {
    CommandRequest {
        command_type: command_type.to_owned(),
        stream,
        data,
        expected_version: ExpectedVersion::Named(NamedExpectation::NoStream),
        correlation_id: None,
    }
}
