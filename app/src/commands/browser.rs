//! The browser's half: drives the [`Outbox`] with real storage, real requests and real time. It holds no rules.
//!
//! Each command is an entry of its own in the local storage, so that tabs never overwrite each other's.

use domain::{access::Actor, id::WorkspaceId, timestamp::Timestamp};
use gloo_storage::{LocalStorage as Kept, Storage};
use gloo_timers::callback::Timeout;
use leptos::{ev, prelude::*};
use serde_json::Value;
use uuid::Uuid;

use super::{Commands, NewCommand};
use crate::{
    api::{self, Written},
    boxed::{effect, spawn},
    id::new_id,
    live::{
        outbox::{Action, Answer, Outbox, Pending, Stage},
        socket::now,
        store::use_link,
    },
};

/// What the outbox is tied to.
pub(crate) struct Wire {
    /// What the names of the entries begin with; `None` where there is nobody to send for.
    prefix: Option<String>,
    written: Option<Written>,
    timer: Option<Timeout>,
}

/// Gives the islands their outbox. Each person in each workspace has their own.
pub(crate) fn provide_commands(workspace: Option<WorkspaceId>, person: Option<&Actor>) -> Commands {
    let prefix = workspace
        .zip(person)
        .map(|(workspace, person)| format!("foldline.outbox.{workspace}.{}.", person.id));
    let commands = Commands {
        outbox: RwSignal::new(Outbox::default()),
        wire: StoredValue::new_local(Wire {
            prefix,
            written: use_context::<Written>(),
            timer: None,
        }),
    };
    provide_context(commands);
    commands
}

impl Commands {
    /// Finds what an earlier page has left, and goes on with it. To be called when the page has hydrated.
    pub(crate) fn begin(self) {
        let Some(prefix) = self.wire.with_value(|wire| wire.prefix.clone()) else {
            return;
        };
        self.step(&mut |outbox| outbox.found(kept(&prefix)));
        let link = use_link();
        effect(move || {
            let link = link.get();
            self.step(&mut |outbox| outbox.link(link));
        });
        // Until the page is left: what other tabs put into the storage, and take out of it.
        std::mem::forget(window_event_listener(ev::storage, move |event| {
            let Some(key) = event.key() else { return };
            let Some(key) = key.strip_prefix(&prefix) else {
                return;
            };
            match event.new_value() {
                Some(text) => {
                    let found = read(&text);
                    self.step(&mut |outbox| outbox.found(found.clone().into_iter().collect()));
                }
                None => self.step(&mut |outbox| {
                    if let Ok(key) = key.parse() {
                        outbox.forgotten(key);
                    }
                    Vec::new()
                }),
            }
        }));
    }

    /// A command as it is before it is sent.
    #[expect(clippy::unused_self, reason = "who may give commands may prepare them")]
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

    /// Takes a command; it shows at once, and is sent as soon as that is possible.
    pub(crate) fn put(self, pending: &Pending) {
        self.step(&mut |outbox| outbox.put(pending.clone()));
    }

    pub(super) fn take_back(self, key: Uuid) {
        self.step(&mut |outbox| outbox.discard(key));
    }

    fn step(self, change: &mut dyn FnMut(&mut Outbox) -> Vec<Action>) {
        let actions = self
            .outbox
            .try_update(|outbox| change(outbox))
            .unwrap_or_default();
        for action in actions {
            self.act(action);
        }
        let wake = self.outbox.with_untracked(Outbox::wake_at);
        let timer = wake.map(|wake| {
            let wait = u32::try_from(wake.saturating_sub(now())).unwrap_or(u32::MAX);
            Timeout::new(wait, move || self.step(&mut |outbox| outbox.tick(now())))
        });
        self.wire.update_value(|wire| wire.timer = timer);
    }

    fn act(self, action: Action) {
        let name = |key: Uuid| {
            let prefix = self.wire.with_value(|wire| wire.prefix.clone());
            prefix.map(|prefix| prefix + &key.to_string())
        };
        match action {
            // A browser that refuses to store anything has an outbox for as long as the page is open.
            Action::Keep(pending) => {
                if let Some(name) = name(pending.key) {
                    let _ = Kept::raw().set_item(&name, &pending.to_json().to_string());
                }
            }
            Action::Forget(key) => {
                if let Some(name) = name(key) {
                    Kept::delete(name);
                }
            }
            Action::Send(pending) => spawn(async move {
                let key = pending.key;
                let answer = match api::send(pending.request(), key).await {
                    Ok(answer) => {
                        if let Some(written) = self.wire.with_value(|wire| wire.written) {
                            written.note(&answer.token);
                        }
                        Answer::Accepted(answer.token)
                    }
                    Err(problem) => Answer::Problem(problem),
                };
                self.step(&mut |outbox| outbox.answered(key, answer.clone(), now(), js_sys::Math::random()));
            }),
        }
    }
}

fn read(text: &str) -> Option<Pending> {
    Pending::from_json(serde_json::from_str::<Value>(text).ok()?)
}

/// Everything that is kept.
fn kept(prefix: &str) -> Vec<Pending> {
    let storage = Kept::raw();
    let names = (0..Kept::length()).filter_map(|index| storage.key(index).ok()?);
    let names = names.filter(|name| name.starts_with(prefix));
    let texts = names.filter_map(|name| storage.get_item(&name).ok()?);
    texts.filter_map(|text| read(&text)).collect()
}
