//! The recordings that the workspace keeps, each with its link. The person who kept one may delete it, and
//! every educator.

use domain::wire::RecordingInfo;
use leptos::prelude::*;
use uuid::Uuid;

use crate::{
    components::{When, either, for_each},
    erase::{Erase, View},
    erased_signals::RwSignal,
    language::language,
    person::use_person,
    text,
};

/// The list, as its rows share it.
#[derive(Clone, Copy)]
struct Kept {
    recordings: RwSignal<Vec<RecordingInfo>>,
    /// The recording whose deletion waits for a confirmation.
    asked: RwSignal<Option<Uuid>>,
    refusal: RwSignal<String>,
}

/// The list.
pub(super) fn table(kept: Vec<RecordingInfo>, may_control: bool) -> View {
    let language = language();
    let kept = Kept {
        recordings: RwSignal::new(kept),
        asked: RwSignal::new(None),
        refusal: RwSignal::new(String::new()),
    };
    let person = use_person().map(|person| person.id);
    let keys = move || {
        let recordings = kept.recordings;
        recordings.with(|all| all.iter().map(|recording| recording.id.to_string()).collect())
    };
    let nothing = move || view! { <p class="muted">{text::lab::run_list_empty(language)}</p> }.erase();
    let rows = move || {
        view! {
            <ul class="lab-recording__list">
                {for_each(keys, move |key| row(kept, &key, person, may_control))}
            </ul>
        }
        .erase()
    };
    view! {
        <section class="panel" data-testid="run-list">
            <h2>{text::lab::run_list(language)}</h2>
            <p class="field__error" role="alert">{move || kept.refusal.get()}</p>
            {either(move || kept.recordings.with(Vec::is_empty), nothing, rows)}
        </section>
    }
    .erase()
}

fn row(kept: Kept, key: &str, person: Option<Uuid>, may_control: bool) -> View {
    let language = language();
    let found = kept.recordings.with_untracked(|all| {
        let mut all = all.iter();
        all.find(|recording| recording.id.to_string() == key).cloned()
    });
    // A row without a recording is about to be removed.
    let Some(recording) = found else {
        return ().erase();
    };
    let id = recording.id;
    let may_delete = may_control || person == Some(recording.made_by);
    let title = if recording.title.is_empty() {
        text::lab::run_untitled(language).to_owned()
    } else {
        recording.title
    };
    let name = title.clone();
    let deletion = may_delete.then(|| {
        let ask = move || {
            view! {
                <button
                    type="button"
                    class="button button--quiet needs-script"
                    on:click=move |_| kept.asked.set(Some(id))
                >
                    {text::lab::run_delete(language)}
                </button>
            }
            .erase()
        };
        let confirm = move || {
            view! {
                <span>{text::lab::run_delete_ask(language, &name)}</span>
                <button type="button" class="button button--danger" on:click=move |_| delete(kept, id)>
                    {text::lab::run_delete(language)}
                </button>
                <button type="button" class="button" on:click=move |_| kept.asked.set(None)>
                    {text::lab::run_delete_no(language)}
                </button>
            }
            .erase()
        };
        either(move || kept.asked.get() == Some(id), confirm, ask)
    });
    let href = ["/lab/recording/", &id.to_string()].concat();
    view! {
        <li data-recording=id.to_string()>
            <a href=href>{title}</a>
            <span class="muted">
                <When at=recording.made_at />
                " · "
                {text::lab::events(language, recording.events)}
                " · "
                {text::lab::run_hops(language, recording.hops)}
            </span>
            <span class="lab-recording__acts">{deletion}</span>
        </li>
    }
    .erase()
}

#[cfg(feature = "ssr")]
fn delete(_: Kept, _: Uuid) {}

#[cfg(not(feature = "ssr"))]
fn delete(kept: Kept, id: Uuid) {
    kept.asked.set(None);
    crate::erased_effects::spawn(async move {
        match crate::api::lab::delete_recording(id).await {
            // Another person may have deleted it: it is gone in either case.
            Ok(()) => {}
            Err(problem) if problem.status == 404 => {}
            Err(problem) => return kept.refusal.set(crate::components::explain(&problem)),
        }
        kept.refusal.set(String::new());
        kept.recordings
            .update(|all| all.retain(|recording| recording.id != id));
    });
}
