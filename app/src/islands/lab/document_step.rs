//! A document or a state before and after a step: what the step has changed, and the whole of it. Personal
//! texts that the log has sealed are shown as sealed, with the reason.

use leptos::prelude::*;
use serde_json::Value;

use crate::{
    components::Id,
    erase::{Erase, View},
    lab::{
        difference::{Change, Difference, difference},
        folding::DocumentStep,
        sealed::{Sealed, masked},
    },
    language::language,
    text,
};

/// How many characters of a value are shown.
const MOST_CHARACTERS: usize = 120;

/// A document, with what has changed in it.
pub(super) fn document_step(step: &DocumentStep) -> View {
    let language = language();
    let newest = step.after.as_ref().or(step.before.as_ref());
    let (_, sealed) = newest.map(|value| masked(value, "")).unwrap_or_default();
    // Two cipher texts of one text differ, so both are compared as they are.
    let Difference { changes, left_out } = difference(step.before.as_ref(), step.after.as_ref());
    let is_open = !changes.is_empty();
    let rows: Vec<View> = changes.iter().map(change).collect();
    let table = is_open.then(|| {
        view! {
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{text::lab::run_path(language)}</th>
                        <th scope="col">{text::lab::run_before(language)}</th>
                        <th scope="col">{text::lab::run_after(language)}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        }
        .erase()
    });
    let unchanged =
        (!is_open).then(|| view! { <p class="muted">{text::lab::document_unchanged(language)}</p> }.erase());
    let more = (left_out > 0)
        .then(|| view! { <p class="muted">{text::lab::more_changes(language, left_out)}</p> }.erase());
    let mark = text::lab::sealed(language);
    let json = step
        .after
        .as_ref()
        .map(|after| json_block(step.key.clone(), &masked(after, mark).0));
    view! {
        <details
            class="lab-recording__document"
            data-view=step.view.clone()
            data-key=step.key.clone()
            data-changed=is_open.to_string()
            open=is_open
        >
            <summary><code>{step.view.clone()}</code>" "<code>{step.key.clone()}</code></summary>
            {table}
            {unchanged}
            {more}
            {json}
            {sealed_reasons(&sealed)}
        </details>
    }
    .erase()
}

/// A value as indented JSON, with sealed texts marked and explained.
pub(crate) fn sealed_json(name: String, value: &Value) -> View {
    let (shown, sealed) = masked(value, text::lab::sealed(language()));
    view! {
        {json_block(name, &shown)}
        {sealed_reasons(&sealed)}
    }
    .erase()
}

/// A value as indented JSON, which the keyboard can scroll.
fn json_block(name: String, value: &Value) -> View {
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    view! { <pre class="code" tabindex="0" aria-label=name><code>{json}</code></pre> }.erase()
}

/// Why texts are sealed: a sentence for each of them, and one for all.
fn sealed_reasons(sealed: &[Sealed]) -> View {
    if sealed.is_empty() {
        return ().erase();
    }
    let language = language();
    let items = sealed.iter().map(|Sealed { path, person }| {
        let path = if path.is_empty() { "$" } else { path };
        view! { <li><code>{path.to_owned()}</code>" · "<Id id=person.to_string() /></li> }.erase()
    });
    let items: Vec<View> = items.collect();
    view! {
        <div class="notice" data-testid="sealed">
            <p>{text::lab::sealed_reason(language)}</p>
            <ul>{items}</ul>
        </div>
    }
    .erase()
}

fn change(change: &Change) -> View {
    let language = language();
    // The whole document, which came or went.
    let path = if change.path.is_empty() { "$" } else { &change.path };
    view! {
        <tr>
            <th scope="row" class="mono" data-label=text::lab::run_path(language)>{path.to_owned()}</th>
            <td class="mono" data-label=text::lab::run_before(language)>
                {in_short(change.before.as_ref())}
            </td>
            <td class="mono" data-label=text::lab::run_after(language)>
                {in_short(change.after.as_ref())}
            </td>
        </tr>
    }
    .erase()
}

/// A value on one line, cut if it is long.
fn in_short(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    let json = masked(value, text::lab::sealed(language())).0.to_string();
    match json.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => [json.get(..end).unwrap_or_default(), "…"].concat(),
        None => json,
    }
}
