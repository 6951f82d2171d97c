//! What the parts of the page share: the views with their first documents, what is entered in the form, and
//! what a person does. The views are read every two seconds, as others define and delete them too; their
//! documents come over the live connection.

use domain::wire::{OfferedFields, OwnView, ProjectionStatus};
use leptos::prelude::*;

use super::LabViews;
use crate::{
    erased_signals::RwSignal,
    lab::own_views::{Draft, Entry, faults, key_of},
    live::store::InitialListing,
};

/// The id of the element that says what came of the last thing that a person did.
pub(super) const OUTCOME: &str = "own-views-outcome";

/// The id of the button that adds a fold.
pub(super) const ADD_FOLD: &str = "own-fold-add";

/// What a person does with a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Deletes it.
    Delete,
    /// Folds it again.
    Rebuild,
    /// Ends that.
    CancelRebuild,
}

/// The state of the page.
#[derive(Clone, Copy)]
pub(super) struct ViewsSession {
    /// The views.
    pub(super) views: RwSignal<Vec<OwnView>>,
    /// The most that the workspace may have.
    pub(super) limit: u32,
    /// The event types, and the fields that they offer.
    pub(super) offered: StoredValue<OfferedFields>,
    /// The first documents of each view, by its key on the page.
    pub(super) first_pages: RwSignal<Vec<(String, InitialListing)>>,
    /// What is entered in the form.
    pub(super) draft: RwSignal<Draft>,
    /// The entries that were wrong when the form was last sent.
    pub(super) faults: RwSignal<Vec<Entry>>,
    /// Why the form was refused for another reason; empty if it was not.
    pub(super) problem: RwSignal<String>,
    /// Counts what was refused: then the summary takes the focus.
    pub(super) refused: RwSignal<u32>,
    /// Whether the form is being sent.
    pub(super) is_sending: RwSignal<bool>,
    /// The name of the view that was made last; empty if none was.
    pub(super) created: RwSignal<String>,
    /// What came of the last thing that was done; empty if nothing was.
    pub(super) outcome: RwSignal<String>,
    /// Why it was refused; empty if it was not.
    pub(super) refusal: RwSignal<String>,
    /// Whether the newest views could not be read.
    pub(super) is_lost: RwSignal<bool>,
    /// Whether the person may change the pipeline.
    pub(super) may_control: bool,
    #[cfg(not(feature = "ssr"))]
    requests: StoredValue<browser::Requests>,
}

impl ViewsSession {
    pub(super) fn new(page: LabViews) -> Self {
        let LabViews {
            answer,
            offered,
            documents,
            may_control,
        } = page;
        let with_key = documents.into_iter().filter_map(|initial| {
            let view = answer.data.iter().find(|view| view.name == initial.query.view)?;
            Some((key_of(view), initial))
        });
        let first_pages: Vec<_> = with_key.collect();
        Self {
            views: RwSignal::new(answer.data),
            limit: answer.limit,
            offered: StoredValue::new(offered),
            first_pages: RwSignal::new(first_pages),
            draft: RwSignal::new(Draft::default()),
            faults: RwSignal::new(Vec::new()),
            problem: RwSignal::new(String::new()),
            refused: RwSignal::new(0),
            is_sending: RwSignal::new(false),
            created: RwSignal::new(String::new()),
            outcome: RwSignal::new(String::new()),
            refusal: RwSignal::new(String::new()),
            is_lost: RwSignal::new(false),
            may_control,
            #[cfg(not(feature = "ssr"))]
            requests: StoredValue::new(browser::Requests::default()),
        }
    }

    /// The names of the views. Tracked.
    pub(super) fn names(self) -> Vec<String> {
        self.views
            .with(|views| views.iter().map(|view| view.name.clone()).collect())
    }

    /// The view with this key on the page; `None` if it is about to be removed from it.
    pub(super) fn view(self, key: &str) -> Option<OwnView> {
        self.views.with_untracked(|views| {
            let mut views = views.iter();
            views.find(|view| key_of(view) == key).cloned()
        })
    }

    /// Where a view is. Tracked.
    pub(super) fn status(self, key: &str) -> Option<ProjectionStatus> {
        self.views.with(|views| {
            let mut views = views.iter();
            views
                .find(|view| key_of(view) == key)
                .map(|view| view.status.clone())
        })
    }

    /// Whether the workspace has as many views as it may have. Tracked.
    pub(super) fn is_full(self) -> bool {
        let count = self.views.with(Vec::len);
        u32::try_from(count).is_ok_and(|count| count >= self.limit)
    }

    /// Sends the form, if each entry can be as it is.
    pub(super) fn create(self) {
        let names = untrack(|| self.names());
        let found = self
            .draft
            .with_untracked(|draft| self.offered.with_value(|offered| faults(draft, offered, &names)));
        if !found.is_empty() {
            self.refuse(found, String::new());
            return;
        }
        self.faults.set(found);
        self.problem.set(String::new());
        #[cfg(not(feature = "ssr"))]
        browser::create(self);
    }

    /// Shows why the form was not taken. What is entered stays.
    fn refuse(self, faults: Vec<Entry>, problem: String) {
        self.outcome.set(String::new());
        self.faults.set(faults);
        self.problem.set(problem);
        self.refused.update(|count| *count = count.wrapping_add(1));
    }

    /// Adds a row for a fold, and goes to it.
    pub(super) fn add_fold(self) {
        let mut added = None;
        self.draft.update(|draft| added = draft.add_fold());
        if let Some(row) = added {
            focus(Entry::FoldName(row).id());
        }
    }

    /// Removes the row of a fold, and goes to the button that adds one.
    pub(super) fn remove_fold(self, id: u32) {
        self.draft.update(|draft| draft.remove_fold(id));
        focus(ADD_FOLD.to_owned());
    }

    /// Does something with a view.
    pub(super) fn act(self, name: &str, deed: Deed) {
        #[cfg(not(feature = "ssr"))]
        browser::act(self, name.to_owned(), deed);
        #[cfg(feature = "ssr")]
        let _ = (self, name, deed);
    }

    /// Reads the views while the page is open.
    #[cfg(not(feature = "ssr"))]
    pub(super) fn follow(self) {
        browser::follow(self);
    }
}

/// Moves the focus to the element with this id, once it is shown.
pub(super) fn focus(id: String) {
    #[cfg(not(feature = "ssr"))]
    browser::focus_next_frame(id);
    #[cfg(feature = "ssr")]
    drop(id);
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The requests.

    use std::time::Duration;

    use domain::wire::{OwnViewsAnswer, Problem};
    use leptos::{prelude::*, web_sys::HtmlElement};
    use wasm_bindgen::JsCast;

    use super::{Deed, OUTCOME, ViewsSession};
    use crate::{
        api,
        components::explain,
        erased_effects::{effect, spawn},
        islands::lab::views::documents::query_of,
        lab::own_views::{Draft, Entry, key_of},
        language::language,
        live::store::InitialListing,
        text,
    };

    /// How often the views are read while the page is visible.
    const PATIENCE: Duration = Duration::from_secs(2);

    /// The requests for the views: an answer that was asked for before the shown one is not shown.
    #[derive(Debug, Clone, Copy, Default)]
    pub(super) struct Requests {
        sent: u64,
        shown: u64,
        is_polling: bool,
    }

    pub(super) fn follow(session: ViewsSession) {
        effect(move || {
            // It runs as long as the page is open.
            let _ = set_interval_with_handle(
                move || {
                    if !document().hidden() {
                        poll(session);
                    }
                },
                PATIENCE,
            );
        });
    }

    /// Reads the views, one request at a time.
    fn poll(session: ViewsSession) {
        if session.requests.get_value().is_polling {
            return;
        }
        session
            .requests
            .update_value(|requests| requests.is_polling = true);
        spawn(async move {
            load(session).await;
            session
                .requests
                .update_value(|requests| requests.is_polling = false);
        });
    }

    /// Reads the views, and shows them unless newer ones are shown.
    async fn load(session: ViewsSession) {
        session.requests.update_value(|requests| requests.sent += 1);
        let number = session.requests.get_value().sent;
        let answer = api::lab::own_views().await;
        session.is_lost.set(answer.is_err());
        if let Ok(answer) = answer
            && session.requests.get_value().shown < number
        {
            session.requests.update_value(|requests| requests.shown = number);
            take(session, answer).await;
        }
    }

    /// Shows the views, and reads the first documents of those that are new here. What cannot be read now is
    /// read with the next request.
    async fn take(session: ViewsSession, answer: OwnViewsAnswer) {
        let views = answer.data.iter();
        let keyed: Vec<(String, String)> = views.map(|view| (key_of(view), view.name.clone())).collect();
        let is_gone = |key: &str| keyed.iter().all(|(known, _)| known != key);
        let has_gone = session
            .first_pages
            .with_untracked(|pages| pages.iter().any(|(key, _)| is_gone(key)));
        if has_gone {
            session
                .first_pages
                .update(|pages| pages.retain(|(key, _)| !is_gone(key)));
        }
        session.views.set(answer.data);
        for (key, name) in keyed {
            let is_known = session
                .first_pages
                .with_untracked(|pages| pages.iter().any(|(known, _)| *known == key));
            if is_known {
                continue;
            }
            let query = query_of(&name);
            let Ok(answer) = api::listing(&query).await else {
                continue;
            };
            session.first_pages.update(|pages| {
                if pages.iter().all(|(known, _)| *known != key) {
                    pages.push((key, InitialListing { query, answer }));
                }
            });
        }
    }

    pub(super) fn create(session: ViewsSession) {
        if session.is_sending.get_untracked() {
            return;
        }
        session.is_sending.set(true);
        spawn(async move {
            let draft = session.draft.get_untracked();
            let definition = draft.definition();
            match api::lab::create_own_view(&definition).await {
                Ok(_view) => {
                    session.refusal.set(String::new());
                    session.draft.set(Draft::default());
                    load(session).await;
                    let words = text::lab_views::created(language(), &definition.name);
                    session.created.set(definition.name);
                    session.outcome.set(words);
                    focus_next_frame(OUTCOME.to_owned());
                }
                Err(problem) => {
                    // What others have defined meanwhile may be the reason.
                    load(session).await;
                    let (entries, words) = reasons(session, &draft, &problem);
                    session.refuse(entries, words);
                }
            }
            session.is_sending.set(false);
        });
    }

    /// The entries that the server has refused, or the words for another reason.
    fn reasons(session: ViewsSession, draft: &Draft, problem: &Problem) -> (Vec<Entry>, String) {
        let mut entries: Vec<Entry> = Vec::new();
        for violation in &problem.violations {
            if let Some(entry) = Entry::of_violation(&violation.field, draft)
                && !entries.contains(&entry)
            {
                entries.push(entry);
            }
        }
        // Another person was faster with the name.
        if problem.status == 409 && session.names().iter().any(|name| name == draft.name.trim()) {
            entries.push(Entry::Name);
        }
        let words = if !entries.is_empty() {
            String::new()
        } else if problem.kind.ends_with("/quota-exceeded") && session.is_full() {
            text::lab_views::full(language(), session.limit)
        } else {
            explain(problem)
        };
        (entries, words)
    }

    pub(super) fn act(session: ViewsSession, name: String, deed: Deed) {
        session.refusal.set(String::new());
        session.outcome.set(String::new());
        spawn(async move {
            match carry_out(&name, deed).await {
                Ok(words) => session.outcome.set(words),
                Err(problem) => session.refusal.set(explain(&problem)),
            }
            load(session).await;
            if deed == Deed::Delete {
                // The button is gone with the view.
                focus_next_frame(OUTCOME.to_owned());
            }
        });
    }

    /// Does it, and says what came of it.
    async fn carry_out(name: &str, deed: Deed) -> Result<String, Problem> {
        let language = language();
        match deed {
            Deed::Delete => match api::lab::delete_own_view(name).await {
                // Another person may have deleted it: it is gone in either case.
                Err(problem) if problem.status != 404 => Err(problem),
                _ => Ok(text::lab_views::deleted(language, name)),
            },
            Deed::Rebuild => {
                api::lab::rebuild(name).await?;
                Ok(text::lab_handlers::rebuild_begun(language).to_owned())
            }
            Deed::CancelRebuild => {
                api::lab::cancel_rebuild(name).await?;
                Ok(String::new())
            }
        }
    }

    /// Moves the focus to an element that the change of this moment brings.
    pub(super) fn focus_next_frame(id: String) {
        request_animation_frame(move || {
            let element = document().get_element_by_id(&id);
            if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
                let _ = element.focus();
            }
        });
    }
}
