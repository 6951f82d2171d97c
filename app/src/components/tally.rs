//! How a class has answered a question: a bar for each answer, which grows as answers come in. The numbers
//! are beside the bars, so that the bars are for eyes alone.

use leptos::prelude::*;

use super::{for_each, text};
use crate::{
    erase::{Erase, View},
    erased_signals::Memo,
    lab::class::Share,
    language::language,
    text,
};

/// The bars. `label` words an answer.
pub(crate) fn tally_bars(
    shares: Memo<Vec<Share>>,
    label: impl Fn(Option<i64>) -> String + Clone + Send + Sync + 'static,
) -> View {
    // A bar is kept while there is one at its place, so that it grows and is not made anew.
    let places = move || shares.with(|shares| (0..shares.len()).map(|place| place.to_string()).collect());
    let bar = move |place: String| {
        let place: usize = place.parse().unwrap_or_default();
        let share = Memo::new(move |_| shares.with(|shares| shares.get(place).copied()));
        let label = label.clone();
        let answer = move || share.get().map(|share| label(share.answer)).unwrap_or_default();
        bar(share, answer)
    };
    view! { <ul class="tally" data-testid="tally">{for_each(places, bar)}</ul> }.erase()
}

fn bar(share: Memo<Option<Share>>, answer: impl Fn() -> String + Send + Sync + 'static) -> View {
    let language = language();
    let width = move || [&share.get().map_or(0, |share| share.percent).to_string(), "%"].concat();
    let says = move || match share.get() {
        Some(share) => text::class::share(language, share.count, share.percent),
        None => String::new(),
    };
    let is_right = move || share.get().and_then(|share| share.is_right);
    let state = move || match is_right() {
        Some(true) => "right",
        Some(false) => "wrong",
        None => "open",
    };
    let mark = move || match is_right() {
        Some(true) => text::class::mark_right(language),
        Some(false) | None => "",
    };
    view! {
        <li class="tally__answer" data-state=text(state)>
            <span class="tally__label">{text(answer)}</span>
            <span class="tally__mark">{text(mark)}</span>
            <svg class="tally__bar" aria-hidden="true">
                <rect width=text(width) height="100%"></rect>
            </svg>
            <span class="tally__count">{text(says)}</span>
        </li>
    }
    .erase()
}
