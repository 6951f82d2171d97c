//! What the parts of the page share: the newest dead letters, what waits behind them, and what a person does.

use domain::wire::{DeadLetterInfo, WaitingEvent};
#[cfg(not(feature = "ssr"))]
use leptos::prelude::*;
use uuid::Uuid;

use super::LabDeadLetters;
use crate::{erased_signals::RwSignal, lab::dials::BentValue, sorted::SortedMap};

/// The state of the page.
#[derive(Clone, Copy)]
pub(super) struct LetterSession {
    /// The dead letters that are shown.
    pub(super) letters: RwSignal<Vec<DeadLetterInfo>>,
    /// What waits behind those of which a person wants to see it.
    pub(super) waiting: RwSignal<SortedMap<Uuid, Vec<WaitingEvent>>>,
    /// The dead letter of which a person is asked whether it is to be discarded.
    pub(super) asked: RwSignal<Option<Uuid>>,
    /// What is bent.
    pub(super) bent: RwSignal<Vec<BentValue>>,
    /// What came of the last thing that was done; empty if nothing was.
    pub(super) outcome: RwSignal<String>,
    /// Why it was refused; empty if it was not.
    pub(super) refusal: RwSignal<String>,
    /// Whether something is being done.
    pub(super) is_busy: RwSignal<bool>,
    /// Whether the person may change the pipeline.
    pub(super) may_control: bool,
    #[cfg(not(feature = "ssr"))]
    shown: StoredValue<browser::Shown>,
}

impl LetterSession {
    pub(super) fn new(page: LabDeadLetters) -> Self {
        let LabDeadLetters {
            letters,
            view,
            cursor,
            bent,
            may_control,
        } = page;
        #[cfg(feature = "ssr")]
        let _ = (view, cursor);
        Self {
            letters: RwSignal::new(letters.data),
            waiting: RwSignal::new(SortedMap::default()),
            asked: RwSignal::new(None),
            bent: RwSignal::new(bent),
            outcome: RwSignal::new(String::new()),
            refusal: RwSignal::new(String::new()),
            is_busy: RwSignal::new(false),
            may_control,
            #[cfg(not(feature = "ssr"))]
            shown: StoredValue::new(browser::Shown::new(view, cursor)),
        }
    }

    /// A dead letter. Tracked.
    pub(super) fn letter(self, id: &str) -> Option<DeadLetterInfo> {
        self.letters.with(|letters| {
            let mut letters = letters.iter();
            letters.find(|letter| letter.id.to_string() == id).cloned()
        })
    }

    /// Retries a dead letter, or discards it.
    pub(super) fn settle(self, id: Uuid, retries: bool) {
        self.asked.set(None);
        #[cfg(not(feature = "ssr"))]
        browser::settle(self, id, retries);
        #[cfg(feature = "ssr")]
        let _ = (id, retries);
    }

    /// Retries all dead letters of the page's handler, or of all handlers.
    pub(super) fn retry_all(self) {
        #[cfg(not(feature = "ssr"))]
        browser::retry_all(self);
        #[cfg(feature = "ssr")]
        let _ = self;
    }

    /// Shows what waits behind a dead letter, or hides it.
    pub(super) fn toggle_waiting(self, id: Uuid) {
        #[cfg(not(feature = "ssr"))]
        browser::toggle_waiting(self, id);
        #[cfg(feature = "ssr")]
        let _ = (self, id);
    }

    /// Follows the dead letters and the dials while the page is open.
    #[cfg(not(feature = "ssr"))]
    pub(super) fn follow(self) {
        browser::follow(self);
    }
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The requests.

    use std::time::Duration;

    use domain::wire::{DeadLetterOutcome, LabTopic, Problem, RetriedDeadLetters, ServerFrame};
    use leptos::prelude::*;
    use uuid::Uuid;

    use super::LetterSession;
    use crate::{
        api,
        components::explain,
        erased_effects::{effect, spawn},
        lab::dials::bent,
        language::language,
        live::store::follow_lab,
        text,
    };

    /// How often the dead letters are read while the page is visible.
    const PATIENCE: Duration = Duration::from_secs(2);

    /// Which page of the dead letters is shown, and how often it was asked for: a late answer is not shown.
    #[derive(Debug, Clone, Default)]
    pub(super) struct Shown {
        view: Option<String>,
        cursor: Option<String>,
        requests: u64,
    }

    impl Shown {
        pub(super) fn new(view: Option<String>, cursor: Option<String>) -> Self {
            Self {
                view,
                cursor,
                requests: 0,
            }
        }
    }

    pub(super) fn follow(session: LetterSession) {
        effect(move || {
            // It runs as long as the page is open.
            let _ = set_interval_with_handle(
                move || {
                    if !document().hidden() && !session.is_busy.get_untracked() {
                        read(session);
                    }
                },
                PATIENCE,
            );
        });
        follow_lab(LabTopic::Dials, move |frame| {
            if let ServerFrame::Dials { data, .. } = frame {
                session.bent.set(bent(&data));
            }
        });
    }

    /// Reads the dead letters. What cannot be read now is read with the next attempt.
    fn read(session: LetterSession) {
        session.shown.update_value(|shown| shown.requests += 1);
        let shown = session.shown.get_value();
        spawn(async move {
            let page = api::lab::dead_letters(shown.view.as_deref(), shown.cursor.as_deref()).await;
            let is_newest = session.shown.with_value(|now| now.requests == shown.requests);
            if let Ok(page) = page
                && is_newest
                && session.letters.with_untracked(|letters| *letters != page.data)
            {
                session.waiting.update(|waiting| {
                    waiting.retain(|id, _| page.data.iter().any(|letter| letter.id == *id));
                });
                session.letters.set(page.data);
            }
        });
    }

    /// Begins to do something; `false` while something else is being done.
    fn begin(session: LetterSession) -> bool {
        if session.is_busy.get_untracked() {
            return false;
        }
        session.is_busy.set(true);
        session.refusal.set(String::new());
        session.outcome.set(String::new());
        true
    }

    /// Says what came of it, and shows what is left.
    fn end(session: LetterSession, answered: Result<String, Problem>) {
        match answered {
            Ok(words) => session.outcome.set(words),
            Err(problem) => session.refusal.set(explain(&problem)),
        }
        session.is_busy.set(false);
        read(session);
    }

    pub(super) fn settle(session: LetterSession, id: Uuid, retries: bool) {
        if !begin(session) {
            return;
        }
        spawn(async move {
            let answered = api::lab::settle_dead_letter(id, retries).await;
            end(session, answered.map(|outcome| outcome_words(&outcome, retries)));
        });
    }

    fn outcome_words(outcome: &DeadLetterOutcome, retries: bool) -> String {
        let language = language();
        let done = if retries && outcome.applied == 0 && outcome.dead_letter.is_none() {
            // No event was to be applied: it was a command.
            text::lab_handlers::resent(language).to_owned()
        } else if retries {
            text::lab_handlers::retried(language, outcome.applied)
        } else {
            text::lab_handlers::discarded(language, outcome.applied)
        };
        if outcome.dead_letter.is_some() {
            [done.as_str(), " ", text::lab_handlers::still_held(language)].concat()
        } else {
            done
        }
    }

    pub(super) fn retry_all(session: LetterSession) {
        if !begin(session) {
            return;
        }
        let view = session.shown.with_value(|shown| shown.view.clone());
        spawn(async move {
            let answered = retry_pages(view.as_deref()).await;
            end(session, answered.map(|all| all_words(&all)));
        });
    }

    /// Retries page after page, each once.
    async fn retry_pages(view: Option<&str>) -> Result<RetriedDeadLetters, Problem> {
        let mut all = RetriedDeadLetters::default();
        let mut cursor: Option<String> = None;
        loop {
            let page = api::lab::retry_dead_letters(view, cursor.as_deref()).await?;
            all.retried += page.retried;
            all.applied += page.applied;
            all.left += page.left;
            if page.next.is_none() {
                return Ok(all);
            }
            cursor = page.next;
        }
    }

    fn all_words(all: &RetriedDeadLetters) -> String {
        let language = language();
        let applied = text::lab_handlers::retried(language, all.applied);
        match all.left {
            0 => applied,
            left => [
                applied.as_str(),
                " ",
                &text::lab_handlers::retried_left(language, left),
            ]
            .concat(),
        }
    }

    pub(super) fn toggle_waiting(session: LetterSession, id: Uuid) {
        let is_shown = session
            .waiting
            .with_untracked(|waiting| waiting.contains_key(&id));
        if is_shown {
            session.waiting.update(|waiting| {
                waiting.remove(&id);
            });
            return;
        }
        session.refusal.set(String::new());
        spawn(async move {
            match api::lab::waiting_events(id).await {
                Ok(page) => session.waiting.update(|waiting| {
                    waiting.insert(id, page.data);
                }),
                Err(problem) => session.refusal.set(explain(&problem)),
            }
        });
    }
}
