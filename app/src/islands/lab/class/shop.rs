//! What an educator does with the shop of the class: calls everybody to order, lets simulated shoppers in,
//! gives each student a copy, downloads the results, and resets the workspace under the same code.

use domain::wire::{MAX_BOTS, MAX_COPIES, MAX_ORDERS_PER_MINUTE};
use leptos::{html, prelude::*};
use serde_json::Value;

use super::{
    act_button, number_field, number_within,
    session::{ClassSession, Deed},
};
use crate::{
    components::{Icon, Picture, only_if, text},
    erase::{Erase, View},
    erased_effects::effect,
    erased_signals::RwSignal,
    lab::class::{is_set, number_of, text_of},
    language::language,
    text,
};

/// Where the results are.
const RESULTS: &str = "/api/v1/lab/class/results.csv";

/// All of it.
pub(super) fn shop(session: ClassSession) -> View {
    let language = language();
    view! {
        <div class="lab-class__shop">
            <section class="panel" aria-labelledby="class-orders">
                <h2 id="class-orders">{text::lab_class::order_now(language)}</h2>
                <p class="muted">{text::lab_class::order_now_lead(language)}</p>
                <div class="buttons needs-script">
                    {act_button(session, text::lab_class::call(language), || Some(Deed::CallOrders))}
                </div>
                <h3>{text::lab_class::results(language)}</h3>
                <p class="muted">{text::lab_class::results_lead(language)}</p>
                <p>
                    <a class="button button--small" href=RESULTS download="results.csv" rel="external">
                        <Icon picture=Picture::Download />
                        {text::lab_class::download(language)}
                    </a>
                </p>
            </section>
            {bots(session)}
            {copies(session)}
            {reset(session)}
        </div>
    }
    .erase()
}

/// The simulated shoppers.
fn bots(session: ClassSession) -> View {
    let language = language();
    let count = RwSignal::new("10".to_owned());
    let rate = RwSignal::new("30".to_owned());
    let runs = move || session.bots.with(|bots| is_set(bots, "running"));
    let says = move || session.bots.with(bot_words);
    let start = move || {
        let count = count.with_untracked(|typed| number_within(typed, (1, MAX_BOTS)))?;
        let rate = rate.with_untracked(|typed| number_within(typed, (1, MAX_ORDERS_PER_MINUTE)))?;
        Some(Deed::StartBots(count, rate))
    };
    let stop = move || {
        act_button(session, text::lab_class::bots_stop(language), || {
            Some(Deed::StopBots)
        })
    };
    view! {
        <section class="panel" aria-labelledby="class-bots">
            <h2 id="class-bots">{text::lab_class::bots(language)}</h2>
            <p class="muted">{text::lab_class::bots_lead(language)}</p>
            <p role="status" data-testid="class-bots">{text(says)}</p>
            <div class="lab-class__row needs-script">
                {number_field("bots-count", text::lab_class::bots_count(language), count, (1, MAX_BOTS))}
                {number_field(
                    "bots-rate",
                    text::lab_class::bots_rate(language),
                    rate,
                    (1, MAX_ORDERS_PER_MINUTE),
                )}
                {act_button(session, text::lab_class::bots_start(language), start)}
                {only_if(runs, stop)}
            </div>
        </section>
    }
    .erase()
}

/// What the bots have done.
fn bot_words(bots: &Value) -> String {
    let language = language();
    let (joined, placed) = (number_of(bots, "joined"), number_of(bots, "orders_placed"));
    let refused = number_of(bots, "orders_refused");
    let ended = match text_of(bots, "ended") {
        "class_over" => text::lab_class::bots_class_over(language),
        "no_room" => text::lab_class::bots_no_room(language),
        _ => "",
    };
    if is_set(bots, "running") {
        text::lab_class::bots_run(language, joined, placed, refused)
    } else if !ended.is_empty() {
        ended.to_owned()
    } else {
        text::lab_class::no_bots(language).to_owned()
    }
}

/// A copy of the shop for each student.
fn copies(session: ClassSession) -> View {
    let language = language();
    let count = RwSignal::new("30".to_owned());
    let copy = move || {
        let count = count.with_untracked(|typed| number_within(typed, (1, MAX_COPIES)))?;
        Some(Deed::Copy(count))
    };
    view! {
        <section class="panel" aria-labelledby="class-copies">
            <h2 id="class-copies">{text::lab_class::copies(language)}</h2>
            <p class="muted">{text::lab_class::copies_lead(language)}</p>
            <div class="lab-class__row needs-script">
                {number_field(
                    "copies-count",
                    text::lab_class::copies_count(language),
                    count,
                    (1, MAX_COPIES),
                )}
                {act_button(session, text::lab_class::copies_make(language), copy)}
            </div>
        </section>
    }
    .erase()
}

/// The reset, which asks once.
fn reset(session: ClassSession) -> View {
    let language = language();
    let is_asking = RwSignal::new(false);
    let yes = NodeRef::<html::Button>::new();
    // The question takes the focus.
    effect(move || {
        if is_asking.get()
            && let Some(button) = yes.get()
        {
            let _ = button.focus();
        }
    });
    let ask = move || {
        view! {
            <button
                type="button"
                class="button button--danger button--small"
                on:click=move |_| is_asking.set(true)
            >
                {text::lab_class::reset(language)}
            </button>
        }
        .erase()
    };
    let carry_out = move |to: &'static str| {
        is_asking.set(false);
        session.act(Deed::Reset(to));
    };
    let question = move || {
        view! {
            <div class="notice notice--danger" role="group" aria-labelledby="reset-question">
                <Icon picture=Picture::Alert />
                <div>
                    <p id="reset-question">{text::lab_class::reset_question(language)}</p>
                    <div class="buttons">
                        <button
                            type="button"
                            class="button button--danger button--small"
                            node_ref=yes
                            on:click=move |_| carry_out("shop")
                        >
                            {text::lab_class::reset_full(language)}
                        </button>
                        <button
                            type="button"
                            class="button button--danger button--small"
                            on:click=move |_| carry_out("empty")
                        >
                            {text::lab_class::reset_empty(language)}
                        </button>
                        <button
                            type="button"
                            class="button button--small"
                            on:click=move |_| is_asking.set(false)
                        >
                            {text::lab_class::reset_no(language)}
                        </button>
                    </div>
                </div>
            </div>
        }
        .erase()
    };
    view! {
        <section class="panel" aria-labelledby="class-reset">
            <h2 id="class-reset">{text::lab_class::reset_title(language)}</h2>
            <p class="muted">{text::lab_class::reset_lead(language)}</p>
            <div class="needs-script">
                {only_if(move || !is_asking.get(), ask)}
                {only_if(move || is_asking.get(), question)}
            </div>
        </section>
    }
    .erase()
}
