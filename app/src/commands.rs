//! The commands of islands. A command enters the tab's queue, shows at once, and is sent as soon as the
//! server is reachable; its stage can be observed. The rules are those of [`CommandQueue`]; `browser.rs`
//! persists the queue in local storage, which the tabs of a browser share, and sends the commands.

use domain::rejection::Rejection;
use leptos::prelude::*;
use uuid::Uuid;

use crate::live::{
    command_queue::{CommandQueue, Pending, Stage},
    prediction::Predict,
};

#[cfg(not(feature = "ssr"))]
mod browser;
#[cfg(not(feature = "ssr"))]
pub(crate) use browser::provide_commands;

/// The tab's command queue, provided by context. Empty on the server.
#[derive(Clone, Copy)]
pub(crate) struct Commands {
    queue: RwSignal<CommandQueue>,
    #[cfg(not(feature = "ssr"))]
    adapter: StoredValue<browser::Adapter, LocalStorage>,
}

/// A command before it enters the queue.
#[derive(Debug, Clone, Default)]
#[cfg_attr(
    feature = "ssr",
    expect(dead_code, reason = "commands are submitted in the browser")
)]
pub(crate) struct NewCommand {
    /// Its name, as in `CancelOrder`.
    pub(crate) command: &'static str,
    /// The stream that it is sent to.
    pub(crate) stream: String,
    /// Its own fields.
    pub(crate) data: serde_json::Value,
    /// The expected version of the stream; `None` if any version will do.
    pub(crate) expected: Option<u64>,
    /// The document that it creates, if any.
    pub(crate) preview: Option<serde_json::Value>,
}

/// The tab's command queue.
pub(crate) fn use_commands() -> Option<Commands> {
    use_context()
}

impl Commands {
    /// Submits a command that is predicted over `document`, and returns its key. A command that the domain's
    /// rules reject is not sent, because the server would reject it for the same state.
    #[cfg_attr(
        feature = "ssr",
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "the server has no queue"
        )
    )]
    pub(crate) fn submit<D: Predict>(self, document: D, new: NewCommand) -> Result<Uuid, Rejection> {
        #[cfg(not(feature = "ssr"))]
        {
            let pending = self.prepare(new);
            if let Some(person) = crate::person::use_person() {
                document.predict(&pending, &person).transpose()?;
            }
            self.enqueue(&pending);
            Ok(pending.key)
        }
        #[cfg(feature = "ssr")]
        {
            // A page has no commands while it is rendered.
            drop((document, new));
            Ok(Uuid::nil())
        }
    }

    /// Submits a command without a prediction.
    #[cfg_attr(
        feature = "ssr",
        expect(clippy::unused_self, reason = "the server has no queue")
    )]
    pub(crate) fn submit_unpredicted(self, new: NewCommand) {
        #[cfg(not(feature = "ssr"))]
        self.enqueue(&self.prepare(new));
        #[cfg(feature = "ssr")]
        drop(new);
    }

    /// Whether a command with this name, other than a refused one, names this event.
    pub(crate) fn names_event(self, command: &str, event: &str) -> bool {
        let names = |pending: &Pending| {
            let events = pending.data.get("events").and_then(serde_json::Value::as_array);
            events.is_some_and(|events| events.iter().any(|named| named.as_str() == Some(event)))
        };
        self.with(|queue| {
            let mut all = queue.all().iter();
            all.any(|pending| pending.command == command && pending.problem().is_none() && names(pending))
        })
    }

    /// Removes a command that has never been sent, or a refusal.
    #[cfg_attr(
        feature = "ssr",
        expect(clippy::unused_self, reason = "the server has no queue")
    )]
    pub(crate) fn discard(self, key: Uuid) {
        #[cfg(not(feature = "ssr"))]
        self.remove(key);
        #[cfg(feature = "ssr")]
        let _ = key;
    }

    /// The stage of a command; `None` if the queue does not have it.
    pub(crate) fn stage(self, key: Uuid) -> Option<Stage> {
        self.queue.with(|queue| queue.stage(key).cloned())
    }

    /// Reads the queue, and tracks its changes.
    pub(crate) fn with<T>(self, read: impl FnOnce(&CommandQueue) -> T) -> T {
        self.queue.with(read)
    }

    /// The commands for a stream that are unanswered, or whose refusal has not been dismissed.
    pub(crate) fn open_for(self, stream: &str) -> Vec<Pending> {
        self.queue.with(|queue| {
            let open = queue
                .of(stream)
                .filter(|pending| !matches!(pending.stage, Stage::Accepted(_)));
            open.cloned().collect()
        })
    }
}

/// Whether a command for this stream is waiting or unanswered.
pub(crate) fn is_pending(stream: String) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
    let commands = use_commands();
    move || {
        commands.is_some_and(|commands| {
            commands.with(|queue| {
                queue
                    .of(&stream)
                    .any(|pending| matches!(pending.stage, Stage::Waiting | Stage::Sending))
            })
        })
    }
}
