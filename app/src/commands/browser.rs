//! The browser's adapter: drives the [`CommandQueue`] with local storage, HTTP requests and a clock. It has
//! no rules of its own.
//!
//! Each command is its own entry in local storage, so that tabs never overwrite each other's commands.

use domain::{access::Actor, id::WorkspaceId, timestamp::Timestamp};
use gloo_storage::{LocalStorage as BrowserStorage, Storage};
use gloo_timers::callback::Timeout;
use leptos::{ev, prelude::*};
use serde_json::Value;
use uuid::Uuid;

use super::{Commands, NewCommand};
use crate::{
    api::{self, LastWrite},
    erased_effects::{effect, spawn},
    id::new_id,
    live::{
        command_queue::{Action, Answer, CommandQueue, Pending, Stage},
        socket::now,
        store::use_link,
    },
};

/// The queue's connections to the browser.
pub(crate) struct Adapter {
    /// The prefix of the storage keys; `None` without a workspace and a person.
    prefix: Option<String>,
    written: Option<LastWrite>,
    timer: Option<Timeout>,
}

/// Provides the islands with the command queue. Each person has one queue per workspace.
pub(crate) fn provide_commands(workspace: Option<WorkspaceId>, person: Option<&Actor>) -> Commands {
    let prefix = workspace
        .zip(person)
        .map(|(workspace, person)| format!("foldline.outbox.{workspace}.{}.", person.id));
    let commands = Commands {
        queue: RwSignal::new(CommandQueue::default()),
        adapter: StoredValue::new_local(Adapter {
            prefix,
            written: use_context::<LastWrite>(),
            timer: None,
        }),
    };
    provide_context(commands);
    commands
}

impl Commands {
    /// Restores the commands of an earlier page and resumes sending. Call it after hydration.
    pub(crate) fn resume(self) {
        let Some(prefix) = self.adapter.with_value(|adapter| adapter.prefix.clone()) else {
            return;
        };
        self.step(&mut |queue| queue.restore(persisted(&prefix)));
        let link = use_link();
        effect(move || {
            let link = link.get();
            self.step(&mut |queue| queue.link(link));
        });
        // Follows the other tabs' changes to the storage while the page is open.
        std::mem::forget(window_event_listener(ev::storage, move |event| {
            let Some(key) = event.key() else { return };
            let Some(key) = key.strip_prefix(&prefix) else {
                return;
            };
            match event.new_value() {
                Some(text) => {
                    let restored = read(&text);
                    self.step(&mut |queue| queue.restore(restored.clone().into_iter().collect()));
                }
                None => self.step(&mut |queue| {
                    if let Ok(key) = key.parse() {
                        queue.deleted_elsewhere(key);
                    }
                    Vec::new()
                }),
            }
        }));
    }

    /// Builds the pending form of a new command, with its key and time.
    #[expect(
        clippy::unused_self,
        reason = "only a holder of the queue may prepare commands for it"
    )]
    pub(crate) fn prepare(self, new: NewCommand) -> Pending {
        let key = new_id();
        Pending {
            key,
            command: new.command.to_owned(),
            stream: new.stream,
            data: new.data,
            expected: new.expected,
            made_at: Timestamp::from_micros(i64::try_from(now()).unwrap_or_default() * 1_000),
            preview: new.preview,
            was_sent: false,
            stage: Stage::Waiting,
        }
    }

    /// Adds a command to the queue; it shows at once, and is sent as soon as possible.
    pub(crate) fn enqueue(self, pending: &Pending) {
        self.step(&mut |queue| queue.enqueue(pending.clone()));
    }

    pub(super) fn remove(self, key: Uuid) {
        self.step(&mut |queue| queue.discard(key));
    }

    fn step(self, change: &mut dyn FnMut(&mut CommandQueue) -> Vec<Action>) {
        let actions = self.queue.try_update(|queue| change(queue)).unwrap_or_default();
        for action in actions {
            self.act(action);
        }
        let wake = self.queue.with_untracked(CommandQueue::wake_at);
        let timer = wake.map(|wake| {
            let wait = u32::try_from(wake.saturating_sub(now())).unwrap_or(u32::MAX);
            Timeout::new(wait, move || self.step(&mut |queue| queue.tick(now())))
        });
        self.adapter.update_value(|adapter| adapter.timer = timer);
    }

    fn act(self, action: Action) {
        let name = |key: Uuid| {
            let prefix = self.adapter.with_value(|adapter| adapter.prefix.clone());
            prefix.map(|prefix| prefix + &key.to_string())
        };
        match action {
            // A browser that refuses to store anything has a command queue for as long as the page is open.
            Action::Persist(pending) => {
                if let Some(name) = name(pending.key) {
                    let _ = BrowserStorage::raw().set_item(&name, &pending.to_json().to_string());
                }
            }
            Action::Delete(key) => {
                if let Some(name) = name(key) {
                    BrowserStorage::delete(name);
                }
            }
            Action::Send(pending) => spawn(async move {
                let key = pending.key;
                let answer = match api::send(pending.request(), key).await {
                    Ok(answer) => {
                        if let Some(written) = self.adapter.with_value(|adapter| adapter.written) {
                            written.note(&answer.token);
                        }
                        Answer::Accepted(answer.token)
                    }
                    Err(problem) => Answer::Problem(problem),
                };
                self.step(&mut |queue| queue.answered(key, answer.clone(), now(), js_sys::Math::random()));
            }),
        }
    }
}

fn read(text: &str) -> Option<Pending> {
    Pending::from_json(serde_json::from_str::<Value>(text).ok()?)
}

/// All persisted commands.
fn persisted(prefix: &str) -> Vec<Pending> {
    let storage = BrowserStorage::raw();
    let names = (0..BrowserStorage::length()).filter_map(|index| storage.key(index).ok()?);
    let names = names.filter(|name| name.starts_with(prefix));
    let texts = names.filter_map(|name| storage.get_item(&name).ok()?);
    texts.filter_map(|text| read(&text)).collect()
}
