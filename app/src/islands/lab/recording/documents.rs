//! What the newest event of the shown moment changed: every document that it touches, before and after.

use leptos::prelude::*;

use super::player::Player;
use crate::{
    components::text,
    erase::{Erase, View},
    erased_effects::effect,
    islands::lab::document_step::document_step,
    language::language,
    text,
};

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
        steps.iter().map(document_step).collect::<Vec<View>>()
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
