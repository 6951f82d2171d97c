//! What islands tell the server. A command is put into the tab's outbox, shows at once, and is sent as soon as the server
//! can be reached; where it stands can be watched. The rules of that are the [`Outbox`]'s; `browser.rs` keeps it in the
//! local storage, which the tabs of a browser share, and sends it.

use domain::rejection::Rejection;
use leptos::prelude::*;
use uuid::Uuid;

use crate::live::{
    foresee::Foreseen,
    outbox::{Outbox, Pending, Stage},
};

#[cfg(not(feature = "ssr"))]
mod browser;
#[cfg(not(feature = "ssr"))]
pub(crate) use browser::provide_commands;

/// The tab's outbox, by context. Empty on the server.
#[derive(Clone, Copy)]
pub(crate) struct Commands {
    outbox: RwSignal<Outbox>,
    #[cfg(not(feature = "ssr"))]
    wire: StoredValue<browser::Wire, LocalStorage>,
}

/// A command that somebody gives.
#[derive(Debug, Clone, Default)]
#[cfg_attr(
    feature = "ssr",
    expect(dead_code, reason = "commands are given in the browser")
)]
pub(crate) struct NewCommand {
    /// Its name, as in `CancelOrder`.
    pub(crate) command: &'static str,
    /// The stream it is for.
    pub(crate) stream: String,
    /// Its own fields.
    pub(crate) data: serde_json::Value,
    /// The version that the sender has seen, where the command only holds for that.
    pub(crate) expected: Option<u64>,
    /// What it makes, where it makes a document.
    pub(crate) preview: Option<serde_json::Value>,
}

/// The tab's outbox.
pub(crate) fn use_commands() -> Option<Commands> {
    use_context()
}

impl Commands {
    /// Gives a command that `document` shows the effect of, and answers its key. One that the rules refuse is not even
    /// sent: the server, asked with the same document, would refuse it too.
    #[cfg_attr(
        feature = "ssr",
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "only a browser does it"
        )
    )]
    pub(crate) fn give<D: Foreseen>(self, document: D, new: NewCommand) -> Result<Uuid, Rejection> {
        #[cfg(not(feature = "ssr"))]
        {
            let pending = self.prepare(new);
            if let Some(person) = crate::person::use_person() {
                document.foresee(&pending, &person).transpose()?;
            }
            self.put(&pending);
            Ok(pending.key)
        }
        #[cfg(feature = "ssr")]
        {
            // Nobody gives a command to a page that is being rendered.
            drop((document, new));
            Ok(Uuid::nil())
        }
    }

    /// Gives a command that nothing has to be foreseen of.
    #[cfg_attr(
        feature = "ssr",
        expect(clippy::unused_self, reason = "only a browser does it")
    )]
    pub(crate) fn tell(self, new: NewCommand) {
        #[cfg(not(feature = "ssr"))]
        self.put(&self.prepare(new));
        #[cfg(feature = "ssr")]
        drop(new);
    }

    /// Whether a command of this name that was not refused names this event.
    pub(crate) fn is_naming(self, command: &str, event: &str) -> bool {
        let names = |pending: &Pending| {
            let events = pending.data.get("events").and_then(serde_json::Value::as_array);
            events.is_some_and(|events| events.iter().any(|named| named.as_str() == Some(event)))
        };
        self.with(|outbox| {
            let mut all = outbox.all().iter();
            all.any(|pending| pending.command == command && pending.problem().is_none() && names(pending))
        })
    }

    /// Takes a command back that has not left this browser, or puts a refusal away.
    #[cfg_attr(
        feature = "ssr",
        expect(clippy::unused_self, reason = "only a browser does it")
    )]
    pub(crate) fn discard(self, key: Uuid) {
        #[cfg(not(feature = "ssr"))]
        self.take_back(key);
        #[cfg(feature = "ssr")]
        let _ = key;
    }

    /// Where a command stands; `None` where it is not known any more.
    pub(crate) fn stage(self, key: Uuid) -> Option<Stage> {
        self.outbox.with(|outbox| outbox.stage(key).cloned())
    }

    /// Looks at the outbox, and is told of its changes.
    pub(crate) fn with<T>(self, look: impl FnOnce(&Outbox) -> T) -> T {
        self.outbox.with(look)
    }

    /// The commands for a stream whose answer is not known or has not been read.
    pub(crate) fn of(self, stream: &str) -> Vec<Pending> {
        self.outbox.with(|outbox| {
            let open = outbox
                .of(stream)
                .filter(|pending| !matches!(pending.stage, Stage::Accepted(_)));
            open.cloned().collect()
        })
    }
}

/// Whether a command for this stream is under way.
pub(crate) fn is_pending(stream: String) -> impl Fn() -> bool + Clone + Send + Sync + 'static {
    let commands = use_commands();
    move || {
        commands.is_some_and(|commands| {
            commands.with(|outbox| {
                outbox
                    .of(&stream)
                    .any(|pending| matches!(pending.stage, Stage::Waiting | Stage::Sending))
            })
        })
    }
}
