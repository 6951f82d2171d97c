//! Documents as of any moment, for a page of the lab. The module that folds is loaded when a document is
//! first wanted; until then, and on the server, there are none.

use leptos::prelude::*;

use crate::{
    components::explain,
    erase::{Erase, View},
    erased_signals::RwSignal,
    lab::{
        event_log::EventLog,
        folding::{DocumentStep, FoldedDocument},
    },
};
use domain::{event::StoredEvent, token::ConsistencyToken, wire::Problem};

/// The folds of one page's events.
#[derive(Clone, Copy)]
pub(super) struct Folds {
    /// Whether documents are wanted.
    is_wanted: RwSignal<bool>,
    /// Whether the module that folds is there.
    is_ready: RwSignal<bool>,
    /// Why it is not.
    problem: RwSignal<Option<Problem>>,
    /// What the module knows of the log; `None` before the first event.
    known: StoredValue<Option<ConsistencyToken>>,
    /// How many events of the page's stream the module knows.
    #[cfg(not(feature = "ssr"))]
    known_of_stream: StoredValue<usize>,
}

impl Folds {
    /// Folds of which none is wanted yet.
    pub(super) fn new() -> Self {
        let folds = Self {
            is_wanted: RwSignal::new(false),
            is_ready: RwSignal::new(false),
            problem: RwSignal::new(None),
            known: StoredValue::new(None),
            #[cfg(not(feature = "ssr"))]
            known_of_stream: StoredValue::new(0),
        };
        #[cfg(not(feature = "ssr"))]
        module::load_when_wanted(folds);
        folds
    }

    /// From now on documents are shown.
    pub(super) fn want(self) {
        if !self.is_wanted.get_untracked() {
            self.is_wanted.set(true);
        }
    }

    /// There is another log.
    pub(super) fn restart(self) {
        self.known.set_value(None);
    }

    /// What the newest of `count` events did. Tracks whether the module is there.
    pub(super) fn step(self, log: &EventLog, count: usize) -> Vec<DocumentStep> {
        if count == 0 || !self.is_ready.get() {
            return Vec::new();
        }
        module::step(self, log, count).unwrap_or_default()
    }

    /// The documents of a view that were touched last: of this view, after so many events, at most so many,
    /// and with their content or without. Tracks whether the module is there.
    pub(super) fn documents(self, log: &EventLog, query: (&str, usize, usize, bool)) -> Vec<FoldedDocument> {
        if !self.is_ready.get() {
            return Vec::new();
        }
        module::documents(self, log, query).unwrap_or_default()
    }

    /// The aggregate of a stream before and after the event with this version; `events` are those of the
    /// stream, from the first one on. Tracks whether the module is there.
    pub(super) fn state(self, events: &[StoredEvent], version: u64) -> Option<DocumentStep> {
        if !self.is_ready.get() {
            return None;
        }
        module::state(self, events, version)
    }

    /// The documents that the events of a stream touch, at a version and at the one before: of this stream,
    /// at this version, at most so many. `None` if the log does not have it. Tracks whether the module is
    /// there.
    pub(super) fn stream_documents(
        self,
        log: &EventLog,
        query: (&str, u64, usize),
    ) -> Option<Vec<DocumentStep>> {
        if !self.is_ready.get() {
            return None;
        }
        module::stream_documents(self, log, query)
    }

    /// Why no document can be shown.
    pub(super) fn status(self) -> View {
        let words = move || {
            let words = self.problem.with(|problem| problem.as_ref().map(explain));
            words.map(|words| view! { <p class="notice notice--danger">{words}</p> }.erase())
        };
        view! { <div role="alert">{words}</div> }.erase()
    }
}

/// Answers the questions of a page about its documents, as the module that folds.
#[cfg(not(feature = "ssr"))]
pub fn answer_folds() {
    use js_sys::Reflect;
    use wasm_bindgen::closure::Closure;

    use crate::{FOLD, lab::folding::Folding};

    let mut folding = Folding::default();
    let answer = move |question: String, argument: String| folding.answer(&question, &argument);
    let answer = Closure::<dyn FnMut(String, String) -> Option<String>>::new(answer);
    // A page that cannot be told shows no documents.
    let _ = Reflect::set(&window(), &FOLD.into(), &answer.into_js_value());
}

#[cfg(not(feature = "ssr"))]
mod module {
    //! The module that folds, as the page loads and asks it. It is another WebAssembly module with a memory
    //! of its own, so that both meet as functions of the page.

    use js_sys::{Array, Function, Promise, Reflect};
    use leptos::prelude::*;
    use serde::de::DeserializeOwned;
    use serde_json::json;
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    use super::{DocumentStep, EventLog, FoldedDocument, Folds, StoredEvent};
    use crate::{
        FOLD, LOAD_FOLDS,
        api::unreachable_server,
        erased_effects::{effect, spawn},
        lab::{
            event_log::covers,
            folding::{BEGIN, DOCUMENTS, EXTEND, STATE, STEP, STREAM, STREAM_DOCUMENTS},
        },
    };

    pub(super) fn load_when_wanted(folds: Folds) {
        effect(move || {
            if !folds.is_wanted.get() || folds.is_ready.get_untracked() {
                return;
            }
            spawn(async move {
                let loaded =
                    call(LOAD_FOLDS, &Array::new()).and_then(|loads| loads.dyn_into::<Promise>().ok());
                let is_loaded = match loaded {
                    Some(loading) => JsFuture::from(loading).await.is_ok(),
                    None => false,
                };
                // The next wish tries again.
                let problem = (!is_loaded).then(|| unreachable_server(String::new()));
                let _ = folds.is_wanted.try_set(is_loaded);
                let _ = folds.is_ready.try_set(is_loaded);
                let _ = folds.problem.try_set(problem);
            });
        });
    }

    pub(super) fn step(folds: Folds, log: &EventLog, count: usize) -> Option<Vec<DocumentStep>> {
        folds.tell(log)?;
        ask(STEP, &count.to_string())
    }

    pub(super) fn documents(
        folds: Folds,
        log: &EventLog,
        query: (&str, usize, usize, bool),
    ) -> Option<Vec<FoldedDocument>> {
        folds.tell(log)?;
        ask(DOCUMENTS, &json!(query).to_string())
    }

    pub(super) fn state(folds: Folds, events: &[StoredEvent], version: u64) -> Option<DocumentStep> {
        let known = folds.known_of_stream.get_value();
        if let Some(new) = events.get(known..).filter(|new| !new.is_empty()) {
            question(STREAM, &serde_json::to_string(new).ok()?)?;
            folds.known_of_stream.set_value(events.len());
        }
        ask::<Option<DocumentStep>>(STATE, &version.to_string())?
    }

    pub(super) fn stream_documents(
        folds: Folds,
        log: &EventLog,
        query: (&str, u64, usize),
    ) -> Option<Vec<DocumentStep>> {
        folds.tell(log)?;
        ask::<Option<Vec<DocumentStep>>>(STREAM_DOCUMENTS, &json!(query).to_string())?
    }

    impl Folds {
        /// Tells the module the events that it does not know.
        fn tell(self, log: &EventLog) -> Option<()> {
            let known = self.known.with_value(Option::clone);
            let known = if let Some(known) = known {
                known
            } else {
                question(BEGIN, &log.from().to_string())?;
                log.from().clone()
            };
            if known != *log.token() {
                let new: Vec<_> = log.events().filter(|event| !covers(&known, event)).collect();
                question(EXTEND, &serde_json::to_string(&new).ok()?)?;
            }
            self.known.set_value(Some(log.token().clone()));
            Some(())
        }
    }

    fn ask<T: DeserializeOwned>(name: &str, argument: &str) -> Option<T> {
        serde_json::from_str(&question(name, argument)?).ok()
    }

    fn question(name: &str, argument: &str) -> Option<String> {
        call(FOLD, &Array::of2(&name.into(), &argument.into()))?.as_string()
    }

    /// Calls a function of the page.
    fn call(name: &str, arguments: &Array) -> Option<JsValue> {
        let function = Reflect::get(&window(), &name.into()).ok()?;
        let function: Function = function.dyn_into().ok()?;
        function.apply(&JsValue::NULL, arguments).ok()
    }
}

#[cfg(feature = "ssr")]
mod module {
    //! Only browsers load the module.

    use super::{DocumentStep, EventLog, FoldedDocument, Folds, StoredEvent};

    pub(super) fn step(_: Folds, _: &EventLog, _: usize) -> Option<Vec<DocumentStep>> {
        None
    }

    pub(super) fn documents(
        _: Folds,
        _: &EventLog,
        _: (&str, usize, usize, bool),
    ) -> Option<Vec<FoldedDocument>> {
        None
    }

    pub(super) fn state(_: Folds, _: &[StoredEvent], _: u64) -> Option<DocumentStep> {
        None
    }

    pub(super) fn stream_documents(
        _: Folds,
        _: &EventLog,
        _: (&str, u64, usize),
    ) -> Option<Vec<DocumentStep>> {
        None
    }
}
