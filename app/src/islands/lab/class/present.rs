//! The presenter's view, for the projector: the question and its tally in large type, how many are there and
//! how many have answered, and the code by which more people join. It has no names.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::question::{answered_of, result};
use crate::{
    components::{tally_bars, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    islands::{
        Island,
        class::{InitialRound, Round, followed_class},
    },
    lab::class::{present, question_of},
    language::language,
    text,
};

/// The view.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabPresent {
    /// The state of the class when the page was rendered, without its people.
    pub(crate) state: Value,
    /// The question of that moment, if there was one.
    pub(crate) round: Option<InitialRound>,
}

impl Island for LabPresent {
    const NAME: &'static str = "lab-present";

    fn view(self) -> View {
        let language = language();
        let Self { state, round } = self;
        let state = followed_class(state);
        let initial = StoredValue::new(round);
        let id = Memo::new(move |_| state.with(|state| question_of(state).to_owned()));
        let shown = move || {
            let id = id.get();
            if id.is_empty() {
                return view! { <p class="present__waiting">{text::lab_class::soon(language)}</p> }.erase();
            }
            let initial = initial.try_update_value(Option::take).flatten();
            let initial = initial.filter(|initial| initial.question.key == id);
            presented(
                state,
                Round::new(&id, initial.map(|initial| (initial.question, initial.words))),
            )
        };
        let here = move || text::lab_class::present_count(language, state.with(present));
        view! {
            <div class="present" data-testid="present">
                {shown.erase()}
                <p class="present__here" role="status">{text(here)}</p>
            </div>
        }
        .erase()
    }
}

fn presented(state: RwSignal<Value>, round: Round) -> View {
    let shares = round.shares();
    let answered = move || answered_of(round, state.with(present));
    view! {
        <h2 class="present__question">{text(move || round.question())}</h2>
        {tally_bars(shares, move |answer| round.label(answer))}
        <p class="present__answered" role="status">{text(answered)}</p>
        <p class="present__result" role="status">{text(move || result(round))}</p>
    }
    .erase()
}
