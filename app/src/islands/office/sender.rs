//! Sends one command at a time, and holds the server's refusal for a place beside the button. Commands with a
//! prediction go through the tab's command queue: they show at once, and wait for the connection. Others,
//! such as forms that the server validates, are sent directly; the same command has the same idempotency key
//! until its answer arrives.

use domain::{
    rejection::Violation,
    wire::{CommandRequest, ExpectedVersion, Problem},
};
use leptos::prelude::*;
use serde_json::Value;

use crate::{
    commands::{Commands, NewCommand, is_pending, use_commands},
    components::{explain, explain_field, predicted_problem},
    live::prediction::Predict,
};

/// The sender of a row's or a form's commands.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    sending: RwSignal<bool>,
    /// Whether the queue has a pending command for the stream; `None` for commands that are sent directly.
    pending: Option<Signal<bool>>,
    problem: RwSignal<Option<Problem>>,
    commands: Option<Commands>,
    #[cfg(not(feature = "ssr"))]
    attempt: StoredValue<Option<(CommandRequest, uuid::Uuid)>>,
    #[cfg(not(feature = "ssr"))]
    written: Option<crate::api::LastWrite>,
}

impl Sender {
    /// A sender of direct commands.
    pub(super) fn new() -> Self {
        Self {
            sending: RwSignal::new(false),
            pending: None,
            problem: RwSignal::new(None),
            commands: use_commands(),
            #[cfg(not(feature = "ssr"))]
            attempt: StoredValue::new(None),
            #[cfg(not(feature = "ssr"))]
            written: use_context(),
        }
    }

    /// A sender of commands to `stream` through the command queue.
    pub(super) fn through_queue(stream: &str) -> Self {
        Self {
            pending: Some(Signal::derive(is_pending(stream.to_owned()))),
            ..Self::new()
        }
    }

    /// Whether a command is unanswered.
    pub(super) fn is_sending(self) -> bool {
        self.pending
            .map_or_else(|| self.sending.get(), |pending| pending.get())
    }

    /// Submits a command that is predicted over `document`. False if the domain's rules reject it.
    pub(super) fn submit<D: Predict>(self, document: D, command: NewCommand) -> bool {
        let Some(commands) = self.commands else {
            return false;
        };
        let refused = commands.submit(document, command).err().map(predicted_problem);
        let is_submitted = refused.is_none();
        self.problem.set(refused);
        is_submitted
    }

    /// The refusal as a sentence; empty without one.
    pub(super) fn refusal(self) -> String {
        self.problem
            .with(|problem| problem.as_ref().map(explain).unwrap_or_default())
    }

    /// The detail of a rejection by this rule; `None` without one.
    pub(super) fn rejection(self, rule: &str) -> Option<String> {
        self.problem.with(|problem| {
            let problem = problem.as_ref()?;
            (problem.rule.as_deref() == Some(rule)).then(|| problem.detail.clone())
        })
    }

    /// The error of a field such as `data.reason` or `data.price`, or of a part of it; empty without one.
    pub(super) fn violation(self, field: &str) -> String {
        let is_of_field = |violation: &&Violation| {
            let part = violation.field.strip_prefix(field);
            part.is_some_and(|part| part.is_empty() || part.starts_with(['.', '[']))
        };
        self.problem.with(|problem| {
            let Some(problem) = problem else {
                return String::new();
            };
            let rule = problem.rule.as_deref().unwrap_or_default();
            let violation = problem.violations.iter().find(is_of_field);
            violation
                .map(|violation| explain_field(violation, &problem.kind, rule))
                .unwrap_or_default()
        })
    }

    /// Clears the refusal.
    pub(super) fn clear(self) {
        self.problem.set(None);
    }

    /// Sends a command, and calls `done` once it is stored.
    pub(super) fn send(self, command_type: &str, stream: String, data: Value, done: impl Fn() + 'static) {
        let command = CommandRequest {
            command_type: command_type.to_owned(),
            stream,
            data,
            expected_version: ExpectedVersion::Any,
            correlation_id: None,
        };
        self.post(command, Box::new(done));
    }

    #[cfg(feature = "ssr")]
    #[expect(clippy::unused_self, reason = "only browsers send commands")]
    fn post(self, command: CommandRequest, done: Box<dyn Fn()>) {
        // No button is pressed on the server.
        drop((command, done));
    }

    #[cfg(not(feature = "ssr"))]
    fn post(self, command: CommandRequest, done: Box<dyn Fn()>) {
        use crate::{api, erased_effects::spawn, id::new_id};

        if self.sending.get_untracked() {
            return;
        }
        let key = match self.attempt.get_value() {
            Some((sent, key)) if sent == command => key,
            _ => new_id(),
        };
        self.attempt.set_value(Some((command.clone(), key)));
        self.sending.set(true);
        self.clear();
        spawn(async move {
            let answer = api::send(command, key).await;
            // The row may have been removed before its command is answered; then its signals are gone.
            let is_final = match &answer {
                Ok(_) => true,
                Err(refused) => refused.status != 0 && refused.status < 500,
            };
            if is_final {
                let _ = self.attempt.try_set_value(None);
            }
            let _ = self.sending.try_set(false);
            match answer {
                Ok(answer) => {
                    if let Some(written) = self.written {
                        written.note(&answer.token);
                    }
                    done();
                }
                Err(refused) => {
                    let _ = self.problem.try_set(Some(refused));
                }
            }
        });
    }
}
