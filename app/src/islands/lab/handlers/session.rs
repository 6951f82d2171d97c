//! What the parts of the page share: the newest figures of all handlers, and what a person does with one.

use domain::wire::{HandledAnswer, HandledBy, HandlerStatus, HandlersAnswer};
#[cfg(not(feature = "ssr"))]
use leptos::prelude::*;

use super::LabHandlers;
use crate::{
    erased_signals::RwSignal,
    lab::{dials::BentValue, handlers::History},
};

/// What a person does with a handler; only a view is folded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Holds its lanes.
    Pause,
    /// Lets them go on.
    Resume,
    /// Makes them panic.
    Crash,
    /// Folds it again.
    Rebuild,
    /// Ends that.
    CancelRebuild,
}

/// The state of the page.
#[derive(Clone, Copy)]
pub(super) struct HandlerSession {
    /// Where the handlers are.
    pub(super) answer: RwSignal<HandlersAnswer>,
    /// Where they were in the last minute.
    pub(super) history: RwSignal<History>,
    /// What is bent.
    pub(super) bent: RwSignal<Vec<BentValue>>,
    /// What they have done with the event that the person asked about.
    pub(super) handled: RwSignal<Option<HandledAnswer>>,
    /// Whether the newest figures could not be read.
    pub(super) is_lost: RwSignal<bool>,
    /// Why the last thing that was done was refused; empty if it was not.
    pub(super) refusal: RwSignal<String>,
    /// Whether the person may change the pipeline.
    pub(super) may_control: bool,
    #[cfg(not(feature = "ssr"))]
    is_reading: StoredValue<bool>,
}

impl HandlerSession {
    pub(super) fn new(page: LabHandlers) -> Self {
        let LabHandlers {
            answer,
            bent,
            handled,
            may_control,
            ..
        } = page;
        Self {
            answer: RwSignal::new(answer),
            history: RwSignal::new(History::default()),
            bent: RwSignal::new(bent),
            handled: RwSignal::new(handled),
            is_lost: RwSignal::new(false),
            refusal: RwSignal::new(String::new()),
            may_control,
            #[cfg(not(feature = "ssr"))]
            is_reading: StoredValue::new(false),
        }
    }

    /// The status of a handler. Tracked.
    pub(super) fn status(self, name: &str) -> Option<HandlerStatus> {
        self.answer.with(|answer| {
            let mut handlers = answer.data.iter();
            handlers.find(|handler| handler.status.view == name).cloned()
        })
    }

    /// What a handler has done with the event that the person asked about. Tracked.
    pub(super) fn handled_by(self, name: &str) -> Option<HandledBy> {
        self.handled.with(|handled| {
            let mut handlers = handled.as_ref()?.data.iter();
            handlers.find(|handler| handler.name == name).cloned()
        })
    }

    /// Does something with a handler; what it says comes to `outcome`.
    pub(super) fn act(self, view: &str, deed: Deed, outcome: RwSignal<String>) {
        #[cfg(not(feature = "ssr"))]
        browser::act(self, view.to_owned(), deed, outcome);
        #[cfg(feature = "ssr")]
        let _ = (self, view, deed, outcome);
    }

    /// Follows the handlers and the dials while the page is open.
    #[cfg(not(feature = "ssr"))]
    pub(super) fn follow(self) {
        browser::follow(self);
    }
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The requests.

    use std::time::Duration;

    use domain::wire::{LabTopic, Problem, ServerFrame};
    use leptos::prelude::*;

    use super::{Deed, HandlerSession};
    use crate::{
        api,
        components::explain,
        erased_effects::{effect, spawn},
        erased_signals::RwSignal,
        lab::dials::bent,
        language::language,
        live::{socket::now, store::follow_lab},
        text,
    };

    /// How often the figures are read while the page is visible.
    const PATIENCE: Duration = Duration::from_secs(2);

    pub(super) fn follow(session: HandlerSession) {
        effect(move || {
            session.history.update(|history| {
                session
                    .answer
                    .with_untracked(|answer| history.take(now(), answer));
            });
            // It runs as long as the page is open.
            let _ = set_interval_with_handle(
                move || {
                    if !document().hidden() {
                        read(session);
                    }
                },
                PATIENCE,
            );
        });
        follow_lab(LabTopic::Dials, move |frame| {
            if let ServerFrame::Dials { data, .. } = frame {
                session.bent.set(bent(&data));
                read(session);
            }
        });
    }

    /// Reads the figures, one request at a time.
    fn read(session: HandlerSession) {
        if session.is_reading.get_value() {
            return;
        }
        session.is_reading.set_value(true);
        spawn(async move {
            match api::lab::handlers().await {
                Ok(answer) => {
                    session.history.update(|history| history.take(now(), &answer));
                    session.answer.set(answer);
                    session.is_lost.set(false);
                }
                Err(_unreadable) => session.is_lost.set(true),
            }
            let place = session.handled.with_untracked(|handled| {
                let event = handled.as_ref()?;
                Some(format!("{}:{}", event.partition, event.position))
            });
            if let Some(place) = place
                && let Ok(handled) = api::lab::handled(&place).await
            {
                session.handled.set(Some(handled));
            }
            session.is_reading.set_value(false);
        });
    }

    pub(super) fn act(session: HandlerSession, view: String, deed: Deed, outcome: RwSignal<String>) {
        session.refusal.set(String::new());
        outcome.set(String::new());
        spawn(async move {
            match carry_out(&view, deed).await {
                Ok(words) => outcome.set(words),
                Err(problem) => session.refusal.set(explain(&problem)),
            }
            read(session);
        });
    }

    /// Does it, and says what is not seen in the figures.
    async fn carry_out(view: &str, deed: Deed) -> Result<String, Problem> {
        let words = match deed {
            Deed::Pause | Deed::Resume => {
                api::lab::hold(view, deed == Deed::Pause).await?;
                String::new()
            }
            Deed::Crash => {
                let status = api::lab::crash(view).await?;
                text::lab_dials::crashed(language(), status.panics)
            }
            Deed::Rebuild => {
                api::lab::rebuild(view).await?;
                text::lab_handlers::rebuild_begun(language()).to_owned()
            }
            Deed::CancelRebuild => {
                api::lab::cancel_rebuild(view).await?;
                String::new()
            }
        };
        Ok(words)
    }
}
