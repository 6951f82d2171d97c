//! The form that keeps a run.

use domain::{
    token::ConsistencyToken,
    wire::{KeepRecording, Problem},
};
use leptos::prelude::*;

use crate::{
    components::{explain, only_if, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    language::language,
    text,
};

/// The numbers of newest events among which a person chooses; a recording has no more than the last.
const NEWEST: [u64; 4] = [20, 100, 500, 2_000];

/// The choice of everything since the page was opened.
const SINCE_OPENED: &str = "opened";

/// The form; `head` is the newest event when the page was opened.
pub(super) fn form(head: ConsistencyToken) -> View {
    let language = language();
    let title = RwSignal::new(String::new());
    let part = RwSignal::new(SINCE_OPENED.to_owned());
    let is_sending = RwSignal::new(false);
    let problem = RwSignal::new(None::<Problem>);
    let head = StoredValue::new(head);
    let keep = move || {
        let wanted = KeepRecording {
            title: Some(title.get_untracked()).filter(|title| !title.trim().is_empty()),
            from: head.with_value(|head| begin(head, &part.get_untracked())),
            to: None,
        };
        send(wanted, is_sending, problem);
    };
    let newest = NEWEST.map(|count| {
        view! { <option value=count.to_string()>{text::lab::run_newest(language, count)}</option> }.erase()
    });
    let refusal = move || {
        let words = problem.with(|problem| problem.as_ref().map(words_of));
        view! { <p class="field__error">{words}</p> }.erase()
    };
    view! {
        <form
            class="panel form needs-script"
            data-testid="run-keep"
            on:submit=move |event| {
                event.prevent_default();
                keep();
            }
        >
            <h2>{text::lab::run_keep_title(language)}</h2>
            <p class="muted">{text::lab::run_keep_lead(language)}</p>
            <div class="field">
                <label for="run-title">{text::lab::run_title(language)}</label>
                <input
                    id="run-title"
                    maxlength="80"
                    prop:value=move || title.get()
                    on:input=move |event| title.set(event_target_value(&event))
                />
            </div>
            <div class="field">
                <label for="run-part">{text::lab::run_part(language)}</label>
                <select
                    id="run-part"
                    prop:value=move || part.get()
                    on:change=move |event| part.set(event_target_value(&event))
                >
                    <option value=SINCE_OPENED>{text::lab::run_since_opened(language)}</option>
                    {newest.into_iter().collect::<Vec<_>>()}
                </select>
            </div>
            <div role="alert">{only_if(move || problem.with(Option::is_some), refusal)}</div>
            <button
                class="button button--primary"
                class:button--pending=move || is_sending.get()
                aria-disabled=text(move || is_sending.get().to_string())
            >
                {text::lab::run_keep(language)}
            </button>
        </form>
    }
    .erase()
}

/// Why a run was not kept.
fn words_of(problem: &Problem) -> String {
    let language = language();
    match problem.rule.as_deref() {
        Some("recording-has-events") => text::lab::run_nothing(language).to_owned(),
        Some("recording-is-short" | "recording-is-small") => text::lab::run_too_long(language).to_owned(),
        _ if problem.kind.ends_with("/quota-exceeded") => text::lab::run_full(language).to_owned(),
        _ => explain(problem),
    }
}

/// Where a part of the log begins: the newest events are those before the page was opened, and what came
/// since. `None` for the most that the server keeps, which it counts by itself.
fn begin(opened_at: &ConsistencyToken, part: &str) -> Option<ConsistencyToken> {
    let Ok(count) = part.parse::<u64>() else {
        return Some(opened_at.clone());
    };
    if NEWEST.last() == Some(&count) {
        return None;
    }
    let partitions = opened_at.iter().count().max(1) as u64;
    let before = |(partition, position): (u32, u64)| (partition, position.saturating_sub(count / partitions));
    Some(opened_at.iter().map(before).collect())
}

#[cfg(feature = "ssr")]
fn send(wanted: KeepRecording, _: RwSignal<bool>, _: RwSignal<Option<Problem>>) {
    // No form is sent from the island while a page is rendered.
    drop(wanted);
}

/// Keeps the run, and goes to the page that plays it.
#[cfg(not(feature = "ssr"))]
fn send(wanted: KeepRecording, is_sending: RwSignal<bool>, problem: RwSignal<Option<Problem>>) {
    if is_sending.get_untracked() {
        return;
    }
    is_sending.set(true);
    crate::erased_effects::spawn(async move {
        match crate::api::lab::keep_recording(&wanted).await {
            Ok(kept) => {
                let _ = window().location().set_href(&kept.link);
            }
            Err(refused) => {
                problem.set(Some(refused));
                is_sending.set(false);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_log_begins_at_the_opening_or_so_many_events_before_it() {
        let head: ConsistencyToken = "0:130,1:70".parse().unwrap();
        let begins = |part: &str| begin(&head, part).map(|token| token.to_string());
        assert_eq!(begins(SINCE_OPENED).as_deref(), Some("0:130,1:70"));
        assert_eq!(begins("20").as_deref(), Some("0:120,1:60"));
        assert_eq!(begins("500").as_deref(), Some("0:0,1:0"));
        assert_eq!(begins("2000"), None);
        let nothing = ConsistencyToken::default();
        assert_eq!(begin(&nothing, "20"), Some(ConsistencyToken::default()));
    }
}
