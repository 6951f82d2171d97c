//! The initial content of a workspace. A template is a list of commands. Their events are decided once for
//! each language, by the deciders of a client's commands, and every workspace gets a copy: none of its events
//! bypasses the rules, and no workspace waits for the decisions.
//!
//! | module | what it holds |
//! |---|---|
//! | `shop`, `customers`, `history`, `texts` | the commands, and their texts |
//! | `recorder` | decides them in memory, with those that the fulfilment policy sends |
//! | `prepared` | the decided events, and their copy for a workspace |

mod customers;
mod history;
mod prepared;
mod recorder;
mod shop;
#[cfg(test)]
mod tests;
mod texts;

pub(super) use prepared::{PreparedTemplate, PreparedTemplates};
pub(super) use texts::texts;

use domain::{
    language::Language,
    wire::{CommandRequest, ExpectedVersion, NamedExpectation},
};
use serde_json::Value;

use crate::failure::CommandFailure;
use recorder::Recorder;

/// Decides the template `shop` in a language.
fn prepare_shop(language: Language) -> Result<PreparedTemplate, CommandFailure> {
    let mut recorder = Recorder::default();
    recorder.opening(&opening_commands(language))?;
    history::record(&mut recorder, texts(language))?;
    Ok(recorder.finish())
}

/// The commands that open the shop, before its history. Each is for a stream that does not exist yet.
fn opening_commands(language: Language) -> Vec<CommandRequest> {
    [shop::commands(texts(language)), customers::commands(language)].concat()
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
