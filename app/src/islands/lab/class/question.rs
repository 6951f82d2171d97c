//! The question that the class has before it: its words, the answers as they come in, and the reveal. The
//! tally is a projection like any other, so it may be behind, and says so.

use leptos::prelude::*;

use super::{
    act_button,
    session::{ClassSession, Deed},
};
use crate::{
    components::{Freshness, either, only_if, tally_bars, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    islands::class::{InitialRound, Round},
    lab::class::{PREDICTIONS, number_of, present, question_of},
    language::language,
    text,
};

/// The question, or a sentence that there is none.
pub(super) fn asked(session: ClassSession, initial: Option<InitialRound>) -> View {
    let language = language();
    let initial = StoredValue::new(initial);
    let id = Memo::new(move |_| session.state.with(|state| question_of(state).to_owned()));
    let shown = move || {
        let id = id.get();
        if id.is_empty() {
            return view! { <p class="muted">{text::lab_class::no_question(language)}</p> }.erase();
        }
        let initial = initial.try_update_value(Option::take).flatten();
        let initial = initial.filter(|initial| initial.question.key == id);
        let round = Round::new(&id, initial.map(|initial| (initial.question, initial.words)));
        one(session, round, id)
    };
    view! {
        <section class="panel" aria-labelledby="class-now" data-testid="class-now">
            <h2 id="class-now">{text::lab_class::now(language)}</h2>
            {shown.erase()}
        </section>
    }
    .erase()
}

fn one(session: ClassSession, round: Round, id: String) -> View {
    let language = language();
    let shares = round.shares();
    let can_reveal = move || round.is_known() && !round.is_revealed();
    let controls = move || reveal(session, round, id.clone());
    view! {
        <p class="lab-class__question">{text(move || round.question())}</p>
        <p role="status" data-testid="class-answers">{text(move || answered(session, round))}</p>
        {tally_bars(shares, move |answer| round.label(answer))}
        <div><Freshness view=PREDICTIONS progress=round.progress() /></div>
        <p class="lab-class__right">{text(move || result(round))}</p>
        {only_if(can_reveal, controls)}
        <p class="needs-script">
            {act_button(session, text::lab_class::close(language), || Some(Deed::Close))}
        </p>
    }
    .erase()
}

/// How many people have answered, of those who have a page open.
fn answered(session: ClassSession, round: Round) -> String {
    answered_of(round, session.state.with(present))
}

/// How many people have answered, of so many.
pub(super) fn answered_of(round: Round, present: i64) -> String {
    let answers = round
        .read(|question| number_of(question, "answers"))
        .unwrap_or_default();
    text::lab_class::answered(language(), answers, present.max(answers))
}

/// What is right, and how many people were.
pub(super) fn result(round: Round) -> String {
    let right = round.read(|question| {
        let revealed = question.get("revealed").filter(|revealed| !revealed.is_null())?;
        Some((number_of(revealed, "right"), number_of(revealed, "right_count")))
    });
    match right.flatten() {
        Some((right, count)) => text::lab_class::result(language(), round.label(Some(right)), count),
        None => String::new(),
    }
}

/// The buttons that reveal which answer is right.
fn reveal(session: ClassSession, round: Round, id: String) -> View {
    let language = language();
    let id = StoredValue::new(id);
    let has_choices = move || round.choices().is_some();
    let choices = move || {
        let choices = untrack(move || round.choices()).unwrap_or_default();
        let buttons = (1..=choices).map(|choice| {
            let word = move || text::lab_class::reveal(language, round.label(Some(choice)));
            view! {
                <button
                    type="button"
                    class="button button--small"
                    data-reveal=choice.to_string()
                    on:click=move |_| session.act(Deed::Reveal(id.get_value(), choice))
                >
                    {text(word)}
                </button>
            }
            .erase()
        });
        buttons.collect::<Vec<View>>().erase()
    };
    let number = move || {
        let typed = RwSignal::new(String::new());
        let deed = move || {
            let right = typed.with_untracked(|typed| typed.trim().parse().ok())?;
            Some(Deed::Reveal(id.get_value(), right))
        };
        view! {
            <label class="dial__number">
                <span>{text::lab_class::right_number(language)}</span>
                <input
                    type="number"
                    step="1"
                    on:input=move |event| typed.set(event_target_value(&event))
                />
            </label>
            {act_button(session, text::lab_class::reveal_number(language), deed)}
        }
        .erase()
    };
    view! {
        <fieldset class="choices needs-script">
            <legend>{text::lab_class::reveal_title(language)}</legend>
            <div class="buttons">{either(has_choices, choices, number)}</div>
        </fieldset>
    }
    .erase()
}
