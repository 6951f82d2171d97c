//! What the parts of the page share: the present dials and lights, and what a person does with them.
//!
//! What is done is sent one after the other, each upon the newest dials that are known here and with their
//! version. If another person was faster, nothing is changed, and the page says what they changed.

use domain::wire::{Invariant, InvariantStatus};
use leptos::prelude::*;
use serde_json::Value;

use super::LabDials;
use crate::{
    erased_signals::RwSignal,
    lab::dials::{BentValue, bent, value_at, whole_dials},
};

/// The state of the page.
#[derive(Clone, Copy)]
pub(super) struct DialSession {
    /// The newest answer of the server about the dials.
    pub(super) answer: RwSignal<Value>,
    /// The lights.
    pub(super) lights: RwSignal<Vec<InvariantStatus>>,
    /// The types of events.
    pub(super) event_types: StoredValue<Vec<String>>,
    /// The names of the views of one's own when the page was rendered.
    pub(super) own_views: StoredValue<Vec<String>>,
    /// Whether the person may change the pipeline.
    pub(super) may_control: bool,
    /// The dials that the person was handed, as the page shows them.
    pub(super) handed: RwSignal<Vec<String>>,
    /// Why the last thing that was done was refused; empty if it was not.
    pub(super) refusal: RwSignal<String>,
    /// Counts what was refused: then the controls show again what holds.
    pub(super) refused: RwSignal<u32>,
    /// The dials before everything was put to rest, until something else is changed.
    pub(super) before_reset: RwSignal<Option<Value>>,
    /// The light whose sequence is drawn.
    pub(super) drawn: RwSignal<Option<Invariant>>,
    #[cfg(not(feature = "ssr"))]
    queue: StoredValue<browser::Queue>,
}

impl DialSession {
    pub(super) fn new(page: LabDials) -> Self {
        let LabDials {
            answer,
            lights,
            event_types,
            own_views,
            may_control,
            handed,
        } = page;
        let first_red = lights.data.iter().find(|light| !light.holds);
        Self {
            drawn: RwSignal::new(first_red.map(|light| light.name)),
            answer: RwSignal::new(answer),
            lights: RwSignal::new(lights.data),
            event_types: StoredValue::new(event_types),
            own_views: StoredValue::new(own_views),
            may_control,
            handed: RwSignal::new(whole_dials(handed)),
            refusal: RwSignal::new(String::new()),
            refused: RwSignal::new(0),
            before_reset: RwSignal::new(None),
            #[cfg(not(feature = "ssr"))]
            queue: StoredValue::new(browser::Queue::default()),
        }
    }

    /// Whether the person may set a dial. Tracked.
    pub(super) fn may_set(self, path: &str) -> bool {
        self.may_control || self.handed.with(|handed| handed.iter().any(|dial| dial == path))
    }

    /// The value of a dial; `None` where the dials do not have it, so that it is at rest.
    pub(super) fn value(self, path: &str) -> Option<Value> {
        self.answer.with(|answer| value_at(answer.get("dials")?, path))
    }

    /// The dial as it is bent; `None` at rest.
    pub(super) fn bent(self, path: &str) -> Option<BentValue> {
        let bent = self.answer.with(bent);
        bent.into_iter().find(|bent| bent.dial == path)
    }

    /// Sets a dial; null puts it to rest.
    pub(super) fn set(self, path: &str, value: Value) {
        #[cfg(not(feature = "ssr"))]
        browser::act(self, browser::Deed::Set(path.to_owned(), value));
        #[cfg(feature = "ssr")]
        let _ = (self, path, value);
    }

    /// Puts a dial to rest, or every dial.
    pub(super) fn rest(self, path: Option<&str>) {
        #[cfg(not(feature = "ssr"))]
        browser::act(self, browser::Deed::Rest(path.map(str::to_owned)));
        #[cfg(feature = "ssr")]
        let _ = (self, path);
    }

    /// Bends again what was bent before everything was put to rest.
    pub(super) fn undo(self) {
        #[cfg(not(feature = "ssr"))]
        if let Some(dials) = self.before_reset.get_untracked() {
            browser::act(self, browser::Deed::Restore(dials));
        }
        #[cfg(feature = "ssr")]
        let _ = self;
    }

    /// Makes the lanes of a view panic, and says so.
    pub(super) fn crash(self, view: &str, outcome: RwSignal<String>) {
        #[cfg(not(feature = "ssr"))]
        browser::crash(self, view.to_owned(), outcome);
        #[cfg(feature = "ssr")]
        let _ = (self, view, outcome);
    }

    /// Does what a broken invariant names as its cure.
    pub(super) fn cure(self, invariant: Invariant) {
        #[cfg(not(feature = "ssr"))]
        browser::act(self, browser::Deed::Cure(invariant));
        #[cfg(feature = "ssr")]
        let _ = (self, invariant);
    }

    /// Says why something is not done.
    pub(super) fn refuse(self, words: String) {
        self.refusal.set(words);
        self.refused.update(|count| *count = count.wrapping_add(1));
    }

    /// Follows dials and lights while the page is open.
    #[cfg(not(feature = "ssr"))]
    pub(super) fn follow(self) {
        browser::follow(self);
    }
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The requests, and the live connection.

    use std::collections::VecDeque;

    use domain::wire::{Invariant, InvariantStatus, InvariantsAnswer, LabTopic, Problem, ServerFrame};
    use leptos::prelude::*;
    use serde_json::Value;

    use super::DialSession;
    use crate::{
        api,
        components::{bent_words, explain},
        erased_effects::spawn,
        erased_signals::RwSignal,
        lab::{
            class::dials_of,
            dials::{BentValue, bent, changed, changes, is_frequency, names_in_api, version, whole_dials},
        },
        language::language,
        live::store::{follow_lab, typed},
        person::use_person,
        text,
    };

    /// What a person does.
    #[derive(Debug)]
    pub(super) enum Deed {
        /// Sets a dial.
        Set(String, Value),
        /// Puts a dial to rest, or every dial.
        Rest(Option<String>),
        /// Sets every dial to what it was.
        Restore(Value),
        /// Cures an invariant.
        Cure(Invariant),
    }

    /// What is to be sent, in its order.
    #[derive(Debug, Default)]
    pub(super) struct Queue {
        deeds: VecDeque<Deed>,
        is_running: bool,
    }

    pub(super) fn follow(session: DialSession) {
        follow_lab(LabTopic::Dials, move |frame| {
            if let ServerFrame::Dials { data, .. } = frame {
                take(session, data);
            }
        });
        follow_lab(LabTopic::Invariants, move |frame| {
            if let ServerFrame::Invariants { data, .. } = frame
                && let Some(InvariantsAnswer { data, .. }) = typed(&data)
            {
                session.lights.set(data);
            }
        });
        let person = use_person().filter(|_| !session.may_control);
        if let Some(person) = person.map(|person| person.id.to_string()) {
            follow_lab(LabTopic::Class, move |frame| {
                if let ServerFrame::Class { data, .. } = frame {
                    let handed = whole_dials(dials_of(&data, &person));
                    if session.handed.with_untracked(|known| *known != handed) {
                        session.handed.set(handed);
                    }
                }
            });
        }
    }

    /// Does what a person wants after what they wanted before.
    pub(super) fn act(session: DialSession, deed: Deed) {
        let was_running = session.queue.try_update_value(|queue| {
            queue.deeds.push_back(deed);
            std::mem::replace(&mut queue.is_running, true)
        });
        if was_running.unwrap_or(true) {
            return;
        }
        session.refusal.set(String::new());
        spawn(async move {
            while let Some(deed) = next(session) {
                if !carry_out(session, deed).await {
                    // What follows was meant for dials that are others now.
                    session.queue.update_value(|queue| queue.deeds.clear());
                }
            }
        });
    }

    /// The next thing to do; none ends the run.
    fn next(session: DialSession) -> Option<Deed> {
        let next = session.queue.try_update_value(|queue| {
            let next = queue.deeds.pop_front();
            queue.is_running = next.is_some();
            next
        });
        next.flatten()
    }

    /// True if it was done.
    async fn carry_out(session: DialSession, deed: Deed) -> bool {
        if !session.may_control {
            return carry_out_handed(session, deed).await;
        }
        let (before, bent_before) = session
            .answer
            .with_untracked(|answer| (answer.clone(), bent(answer)));
        let dials = before.get("dials").cloned().unwrap_or_default();
        let version = version(&before);
        let mut undo = None;
        let answered = match deed {
            Deed::Set(path, value) => {
                let dials = changed(&dials, &path, value);
                api::lab::set_dials(version, &dials).await
            }
            Deed::Restore(dials) => api::lab::set_dials(version, &dials).await,
            // A frequency is three dials, which are put to rest together.
            Deed::Rest(Some(dial)) if is_frequency(&dial) => {
                let dials = changed(&dials, &dial, Value::Null);
                api::lab::set_dials(version, &dials).await
            }
            Deed::Rest(Some(dial)) => api::lab::rest_dials(Some(&dial)).await,
            Deed::Rest(None) => {
                undo = Some(dials);
                api::lab::rest_dials(None).await
            }
            Deed::Cure(invariant) => return cure(session, invariant).await,
        };
        match answered {
            Ok(answer) => {
                take(session, answer);
                session.before_reset.set(undo);
                true
            }
            Err(problem) if problem.status == 412 => {
                reload(session, &bent_before).await;
                false
            }
            Err(problem) => {
                session.refuse(explain(&problem));
                false
            }
        }
    }

    /// A person who was handed a dial sets this one, and leaves the others as they are.
    async fn carry_out_handed(session: DialSession, deed: Deed) -> bool {
        let answered = match deed {
            Deed::Set(path, value) if !value.is_null() => {
                api::lab::patch_dials(&changed(&Value::Null, &path, value)).await
            }
            Deed::Set(path, _) | Deed::Rest(Some(path)) => rest_each(names_in_api(&path)).await,
            Deed::Rest(None) | Deed::Restore(_) | Deed::Cure(_) => return false,
        };
        match answered {
            Ok(answer) => {
                take(session, answer);
                true
            }
            Err(problem) => {
                session.refuse(explain(&problem));
                false
            }
        }
    }

    /// Puts each of these to rest, and reads the dials anew.
    async fn rest_each(names: Vec<String>) -> Result<Value, Problem> {
        for name in names {
            api::lab::rest_dials(Some(&name)).await?;
        }
        api::lab::dials().await
    }

    async fn cure(session: DialSession, invariant: Invariant) -> bool {
        match api::lab::cure(invariant.as_str()).await {
            Ok(status) => {
                take_light(session, status);
                true
            }
            Err(problem) => {
                session.refuse(explain(&problem));
                false
            }
        }
    }

    /// Shows one light anew.
    fn take_light(session: DialSession, status: InvariantStatus) {
        session.lights.update(|lights| {
            if let Some(light) = lights.iter_mut().find(|light| light.name == status.name) {
                *light = status;
            }
        });
    }

    /// Shows an answer, unless a newer one is shown.
    fn take(session: DialSession, answer: Value) {
        let is_late = session
            .answer
            .with_untracked(|shown| version(&answer) < version(shown));
        if !is_late {
            session.answer.set(answer);
        }
    }

    /// Shows what another person has changed, and says so.
    async fn reload(session: DialSession, before: &[BentValue]) {
        match api::lab::dials().await {
            Ok(answer) => {
                let words = conflict(before, &bent(&answer));
                take(session, answer);
                session.refuse(words);
            }
            Err(problem) => session.refuse(explain(&problem)),
        }
    }

    /// What another person has changed, in words.
    fn conflict(before: &[BentValue], now: &[BentValue]) -> String {
        let language = language();
        let changes = changes(before, now);
        if changes.is_empty() {
            return text::lab_dials::conflict(language).to_owned();
        }
        let words = changes.iter().map(|change| {
            let words = bent_words(change);
            if change.name.is_empty() {
                words
            } else {
                text::layout::pair(language, &change.name, words)
            }
        });
        let words: Vec<String> = words.collect();
        text::lab_dials::conflict_with(language, words.join("; "))
    }

    pub(super) fn crash(session: DialSession, view: String, outcome: RwSignal<String>) {
        outcome.set(String::new());
        spawn(async move {
            match api::lab::crash(&view).await {
                Ok(status) => outcome.set(text::lab_dials::crashed(language(), status.panics)),
                Err(problem) => session.refuse(explain(&problem)),
            }
        });
    }
}
