//! What the newest event of the shown moment changed: every document that it touches, before and after.

use leptos::prelude::*;
use serde_json::Value;

use super::player::Player;
use crate::{
    components::text,
    erase::{Erase, View},
    erased_effects::effect,
    lab::{
        difference::{Change, Difference, difference},
        folding::DocumentStep,
    },
    language::language,
    text,
};

/// How many characters of a value are shown.
const MOST_CHARACTERS: usize = 120;

/// The panel.
pub(super) fn panel(player: Player) -> View {
    let language = language();
    let newest = move || {
        let count = player.count.get();
        let event = player.playable.with_value(|playable| {
            let event = playable.events.event(count.checked_sub(1)?)?;
            Some(event.event_type.clone())
        });
        event.unwrap_or_else(|| text::lab::before_events(language).to_owned())
    };
    // The first step on is the first moment that has documents.
    effect(move || {
        if player.count.get() > 0 {
            player.folds.want();
        }
    });
    let steps = move || {
        let count = player.count.get();
        let steps = player
            .playable
            .with_value(|playable| player.folds.step(&playable.events, count));
        steps.iter().map(document).collect::<Vec<View>>()
    };
    view! {
        <section class="panel" data-testid="lab-views">
            <h2>{text::lab::run_changed(language)}</h2>
            <p role="status"><code>{text(newest)}</code></p>
            {player.folds.status()}
            <div>{steps}</div>
        </section>
    }
    .erase()
}

/// A document that the event touches.
fn document(step: &DocumentStep) -> View {
    let language = language();
    let Difference { changes, left_out } = difference(step.before.as_ref(), step.after.as_ref());
    let rows: Vec<View> = changes.iter().map(change).collect();
    let more = (left_out > 0)
        .then(|| view! { <p class="muted">{text::lab::more_changes(language, left_out)}</p> }.erase());
    let json = step.after.as_ref().map(|after| {
        let json = serde_json::to_string_pretty(after).unwrap_or_default();
        let key = step.key.clone();
        view! { <pre class="code" tabindex="0" aria-label=key><code>{json}</code></pre> }.erase()
    });
    view! {
        <details
            class="lab-recording__document"
            data-view=step.view.clone()
            data-key=step.key.clone()
            open=true
        >
            <summary><code>{step.view.clone()}</code>" "<code>{step.key.clone()}</code></summary>
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
            {more}
            {json}
        </details>
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
    let json = value.to_string();
    match json.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => [json.get(..end).unwrap_or_default(), "…"].concat(),
        None => json,
    }
}
