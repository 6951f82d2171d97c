//! Sends one command at a time, and keeps what is said to it beside the place it was sent from. What can be foreseen goes
//! through the tab's outbox: it shows at once, and waits for the connection. The rest, as the forms whose fields the server
//! judges, is sent at once; the same command again, while its answer is not known, has the same idempotency key.

use domain::wire::{CommandRequest, ExpectedVersion, Problem};
use leptos::prelude::*;
use serde_json::Value;

use crate::{
    commands::{Commands, NewCommand, is_pending, use_commands},
    components::explain,
    live::foresee::Foreseen,
};

/// Where a command of a row, or of a form, is on its way.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    sending: RwSignal<bool>,
    /// Whether something for the stream is under way in the outbox, where that is used.
    under_way: Option<Signal<bool>>,
    problem: RwSignal<Option<Problem>>,
    commands: Option<Commands>,
    #[cfg(not(feature = "ssr"))]
    attempt: StoredValue<Option<(CommandRequest, uuid::Uuid)>>,
    #[cfg(not(feature = "ssr"))]
    written: Option<crate::api::Written>,
}

impl Sender {
    /// Nothing has been sent.
    pub(super) fn new() -> Self {
        Self {
            sending: RwSignal::new(false),
            under_way: None,
            problem: RwSignal::new(None),
            commands: use_commands(),
            #[cfg(not(feature = "ssr"))]
            attempt: StoredValue::new(None),
            #[cfg(not(feature = "ssr"))]
            written: use_context(),
        }
    }

    /// For commands to a stream that go through the outbox.
    pub(super) fn through_outbox(stream: &str) -> Self {
        Self {
            under_way: Some(Signal::derive(is_pending(stream.to_owned()))),
            ..Self::new()
        }
    }

    /// Whether a command is on its way.
    pub(super) fn is_sending(self) -> bool {
        self.under_way
            .map_or_else(|| self.sending.get(), |under_way| under_way.get())
    }

    /// Gives a command of which `document` shows the effect. False where the rules refuse it at once.
    pub(super) fn give<D: Foreseen>(self, document: D, command: NewCommand) -> bool {
        let Some(commands) = self.commands else {
            return false;
        };
        let refused = commands.give(document, command).err().map(|rejection| Problem {
            kind: String::new(),
            title: String::new(),
            status: 422,
            detail: rejection.detail,
            violations: rejection.violations,
            current_version: None,
            rule: None,
            waiting_for: Vec::new(),
        });
        let is_given = refused.is_none();
        self.problem.set(refused);
        is_given
    }

    /// What was refused, in a sentence; empty where nothing was.
    pub(super) fn refusal(self) -> String {
        self.problem
            .with(|problem| problem.as_ref().map(explain).unwrap_or_default())
    }

    /// What is wrong with a field, as in `data.reason`.
    pub(super) fn violation(self, field: &str) -> String {
        self.problem.with(|problem| {
            let violations = problem.iter().flat_map(|problem| &problem.violations);
            let of_field = violations.filter(|violation| violation.field == field);
            of_field.map(|violation| violation.message.clone()).collect()
        })
    }

    /// Forgets what was refused.
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
    #[expect(clippy::unused_self, reason = "only a browser does it")]
    fn post(self, command: CommandRequest, done: Box<dyn Fn()>) {
        // Nobody presses a button on the server.
        drop((command, done));
    }

    #[cfg(not(feature = "ssr"))]
    fn post(self, command: CommandRequest, done: Box<dyn Fn()>) {
        use crate::{api, boxed::spawn, id::new_id};

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
            // A row may be gone by the time its command is answered; then there is nobody to tell.
            let is_known = match &answer {
                Ok(_) => true,
                Err(refused) => refused.status != 0 && refused.status < 500,
            };
            if is_known {
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
