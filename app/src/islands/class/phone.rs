//! The page of the class on a person's own device: the question with its answers, what came of it, the dials
//! that the person was handed, and their own copy of the shop. An answer goes through the command queue, so
//! it survives a lost connection and a reload, and counts once; the server refuses a second one.

use domain::aggregate::prediction::prediction_stream;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::Island,
    round::{InitialRound, Round, followed, followed_class},
};
use crate::{
    commands::{NewCommand, use_commands},
    components::{Icon, PendingCommands, Picture, dial_name, either, only_if, tally_bars, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    lab::{
        class::{answer_of, dials_of, is_right, kept_on, number_of, question_of, text_of},
        dials::whole_dials,
    },
    language::language,
    live::store::Revision,
    text,
};

/// The page.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClassPhone {
    /// The state of the class when the page was rendered.
    pub(crate) state: Value,
    /// The question of that moment, if there was one.
    pub(crate) round: Option<InitialRound>,
    /// The person.
    pub(crate) person: Uuid,
}

impl Island for ClassPhone {
    const NAME: &'static str = "class-phone";

    fn view(self) -> View {
        let Self { state, round, person } = self;
        let state = followed_class(state);
        let initial = StoredValue::new(round);
        let question = Memo::new(move |_| state.with(|state| question_of(state).to_owned()));
        let shown = move || {
            let id = question.get();
            if id.is_empty() {
                return waiting();
            }
            let initial = initial.try_update_value(Option::take).flatten();
            answering(&id, person, initial.filter(|initial| initial.question.key == id))
        };
        view! {
            <div class="class-phone" data-testid="class-phone">
                {shown.erase()}
                {place(state)}
                {handed(state, person)}
                {copy(state)}
            </div>
        }
        .erase()
    }
}

/// What is shown while there is no question.
fn waiting() -> View {
    let language = language();
    view! {
        <section class="panel class-question">
            <p role="status">{text::class::waiting(language)}</p>
            <p><a class="button" href="/shop">{text::class::to_shop(language)}</a></p>
        </section>
    }
    .erase()
}

/// The question, and the person's answer to it.
fn answering(id: &str, person: Uuid, initial: Option<InitialRound>) -> View {
    let language = language();
    let question: Uuid = id.parse().unwrap_or_default();
    // The ids of questions and people make a valid name of a stream.
    let stream = prediction_stream(question, person).map(|stream| stream.to_string());
    let stream = stream.unwrap_or_default();
    let (document, answer) = match initial {
        Some(InitialRound {
            question,
            answer,
            words,
        }) => (Some((question, words)), Some(answer)),
        None => (None, None),
    };
    let round = Round::new(id, document);
    let own = followed(&[id, ".", &person.to_string()].concat(), answer);
    let chosen = chosen(stream.clone(), move || own.get());
    #[cfg(not(feature = "ssr"))]
    {
        let id = id.to_owned();
        crate::erased_effects::effect(move || {
            if chosen.get().is_some() {
                super::banner::note_answered(&id);
            }
        });
    }
    let can_answer = move || round.is_known() && !round.is_revealed() && chosen.get().is_none();
    let form_stream = stream.clone();
    let form = move || form(round, question, form_stream.clone());
    let title = move || {
        let words = round.question();
        if words.is_empty() {
            text::class::question(language).to_owned()
        } else {
            words
        }
    };
    view! {
        <section class="panel class-question" aria-labelledby="class-question">
            <h2 id="class-question">{text(title)}</h2>
            {only_if(can_answer, form)}
            {outcome(round, chosen)}
            <PendingCommands stream />
        </section>
    }
    .erase()
}

/// The person's answer: the one that the view has, or the one that waits in the queue of this device.
fn chosen(stream: String, own: impl Fn() -> Revision<Value> + Send + Sync + 'static) -> Memo<Option<i64>> {
    let commands = use_commands();
    Memo::new(move |_| {
        let stored = own().and_then(|(document, _)| answer_of(&document));
        let waits = || {
            commands?.with(|queue| {
                let mut sent = queue.of(&stream).filter(|pending| pending.problem().is_none());
                answer_of(&sent.next()?.data)
            })
        };
        stored.or_else(waits)
    })
}

/// The buttons of a choice, or the field for a number.
fn form(round: Round, question: Uuid, stream: String) -> View {
    let stream = StoredValue::new(stream);
    let commands = use_commands();
    let send = move |mut data: Value| {
        if let Some(commands) = commands {
            data["question"] = json!(question);
            commands.submit_unpredicted(NewCommand {
                command: "MakePrediction",
                stream: stream.get_value(),
                data,
                ..NewCommand::default()
            });
        }
    };
    let has_choices = move || round.choices().is_some();
    let choices = move || {
        let choices = untrack(move || round.choices()).unwrap_or_default();
        let buttons = (1..=choices).map(|choice| {
            let label = move || round.label(Some(choice));
            view! {
                <li>
                    <button
                        type="button"
                        class="button class-answer"
                        data-choice=choice.to_string()
                        on:click=move |_| send(json!({ "choice": choice }))
                    >
                        {text(label)}
                    </button>
                </li>
            }
            .erase()
        });
        let buttons: Vec<View> = buttons.collect();
        view! { <ol class="class-answers needs-script">{buttons}</ol> }.erase()
    };
    either(has_choices, choices, move || number(send))
}

/// The field for a number, which is whole.
fn number(send: impl Fn(Value) + Copy + Send + Sync + 'static) -> View {
    let language = language();
    let (typed, error) = (RwSignal::new(String::new()), RwSignal::new(""));
    let submit = move || match typed.with_untracked(|typed| typed.trim().parse::<i64>()) {
        Ok(number) => send(json!({ "number": number })),
        Err(_) => error.set(text::class::number_wrong(language)),
    };
    view! {
        <form
            class="form needs-script"
            novalidate
            on:submit=move |event| {
                event.prevent_default();
                submit();
            }
        >
            <div class="field">
                <label for="class-number">{text::class::number(language)}</label>
                <input
                    type="text"
                    inputmode="numeric"
                    id="class-number"
                    maxlength="14"
                    autocomplete="off"
                    on:input=move |event| typed.set(event_target_value(&event))
                    aria-invalid=text(move || (!error.get().is_empty()).to_string())
                    aria-describedby="class-number-error"
                />
                <p class="field__error" id="class-number-error">{text(move || error.get())}</p>
            </div>
            <button class="button button--primary">{text::class::send(language)}</button>
        </form>
    }
    .erase()
}

/// What the person has answered, and after the reveal what is right and how the class has answered.
fn outcome(round: Round, chosen: Memo<Option<i64>>) -> View {
    let language = language();
    let verdict = move || {
        let answer = chosen.get()?;
        round.read(|question| is_right(question, answer)).flatten()
    };
    let own = move || match chosen.get() {
        Some(answer) => text::class::answered(language, round.label(Some(answer))),
        None if round.is_revealed() => text::class::missed(language).to_owned(),
        None => String::new(),
    };
    let says = move || match (round.is_revealed(), verdict()) {
        (true, Some(true)) => text::class::right(language).to_owned(),
        (true, Some(false)) => text::class::wrong(language).to_owned(),
        (false, _) if chosen.get().is_some() => text::class::wait_for_reveal(language).to_owned(),
        (_, _) => String::new(),
    };
    let right = move || {
        let right = round.read(|question| {
            let revealed = question.get("revealed").cloned().unwrap_or_default();
            number_of(&revealed, "right")
        });
        right
            .map(|right| text::class::right_answer(language, round.label(Some(right))))
            .unwrap_or_default()
    };
    let shares = round.shares();
    let result = move || {
        view! {
            <p class="class-right">{text(right)}</p>
            {tally_bars(shares, move |answer| round.label(answer))}
        }
        .erase()
    };
    let state = move || match verdict() {
        Some(true) => "right",
        Some(false) => "wrong",
        None => "open",
    };
    view! {
        <div role="status" class="class-outcome" data-state=text(state)>
            <p>{text(own)}</p>
            <p class="class-verdict">{text(says)}</p>
        </div>
        {only_if(move || round.is_revealed(), result)}
    }
    .erase()
}

/// The step of the lesson at which the class is.
fn place(state: RwSignal<Value>) -> View {
    let language = language();
    let address = Memo::new(move |_| state.with(kept_on).map(|(address, _)| address));
    let shown = move || {
        view! {
            <p class="notice">
                {text::class::locked(language)}" "
                <a href=text(move || address.get().unwrap_or_default())>{text::class::to_step(language)}</a>
            </p>
        }
        .erase()
    };
    only_if(move || address.with(Option::is_some), shown)
}

/// The dials that the person was handed.
fn handed(state: RwSignal<Value>, person: Uuid) -> View {
    let language = language();
    let person = person.to_string();
    let dials = Memo::new(move |_| state.with(|state| whole_dials(dials_of(state, &person))));
    let list = move || {
        let dials = dials.get().into_iter().map(|dial| {
            let address = ["/lab/dials#", &dial].concat();
            view! { <li><a class="button" href=address>{dial_name(&dial)}</a></li> }.erase()
        });
        dials.collect::<Vec<View>>()
    };
    let shown = move || {
        view! {
            <section class="panel" data-testid="handed-dials">
                <h2>{text::class::handed(language)}</h2>
                <ul class="links">{list}</ul>
            </section>
        }
        .erase()
    };
    only_if(move || dials.with(|dials| !dials.is_empty()), shown)
}

/// The way into the person's own copy of the shop.
fn copy(state: RwSignal<Value>) -> View {
    let language = language();
    let code = Memo::new(move |_| {
        state.with(|state| {
            let code = state
                .get("copy")
                .map(|copy| text_of(copy, "join_code").to_owned());
            code.unwrap_or_default()
        })
    });
    let shown = move || {
        view! {
            <section class="panel">
                <h2><Icon picture=Picture::Copy />{text::class::copy(language)}</h2>
                <p>{text::class::copy_lead(language)}</p>
                <form method="post" action="/session/copy">
                    <button class="button">{text::class::to_copy(language)}</button>
                    " "<code>{text(move || code.get())}</code>
                </form>
            </section>
        }
        .erase()
    };
    only_if(move || code.with(|code| !code.is_empty()), shown)
}
