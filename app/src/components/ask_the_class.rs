//! Puts the question of a lesson's step to the class of the page's workspace, for the educator who presents
//! the lesson. The tally is on the pages of the class; here are the two moments of the lesson at which an
//! educator acts: asking, and revealing once the run has shown what is right.

use leptos::prelude::*;

use super::{only_if, text};
use crate::{
    erase::{Erase, View},
    erased_signals::RwSignal,
    language::language,
    text,
};

/// A step of a lesson that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassStep {
    /// The name of the lesson.
    pub(crate) lesson: String,
    /// The name of its step.
    pub(crate) step: String,
    /// The number of choices; `None` where a number answers.
    pub(crate) choices: Option<u8>,
}

/// How far the class is with the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was not asked from this page.
    Unasked,
    /// It is asked.
    Asked,
    /// The right answer is revealed.
    #[cfg_attr(feature = "ssr", expect(dead_code, reason = "it is revealed in the browser"))]
    Revealed,
}

/// The state of the buttons.
#[derive(Clone, Copy)]
struct Asking {
    #[cfg_attr(
        feature = "ssr",
        expect(dead_code, reason = "the class is asked in the browser")
    )]
    step: StoredValue<ClassStep>,
    stage: RwSignal<Stage>,
    refusal: RwSignal<String>,
    #[cfg(not(feature = "ssr"))]
    attempt: StoredValue<browser::Attempt>,
}

/// The buttons that ask the class and reveal the answer. `right` is the right answer once the run has shown
/// it: the choice, counted from 1, or the number.
pub(crate) fn ask_the_class(step: ClassStep, right: Signal<Option<i64>>) -> View {
    let language = language();
    let asking = Asking {
        step: StoredValue::new(step),
        stage: RwSignal::new(Stage::Unasked),
        refusal: RwSignal::new(String::new()),
        #[cfg(not(feature = "ssr"))]
        attempt: StoredValue::new(browser::Attempt::default()),
    };
    let stage = asking.stage;
    let ask = move || {
        view! {
            <button type="button" class="button" data-testid="ask-the-class" on:click=move |_| asking.ask()>
                {text::lab_class::ask(language)}
            </button>
        }
        .erase()
    };
    let reveal = move || {
        view! {
            <button type="button" class="button" on:click=move |_| asking.reveal(right)>
                {text::lab_class::reveal_to_class(language)}
            </button>
        }
        .erase()
    };
    let says = move || match stage.get() {
        Stage::Unasked => "",
        Stage::Asked => text::lab_class::asked(language),
        Stage::Revealed => text::lab_class::revealed(language),
    };
    let may_reveal = move || stage.get() == Stage::Asked && right.get().is_some();
    let refusal =
        move || view! { <p class="notice notice--danger">{text(move || asking.refusal.get())}</p> }.erase();
    let has_refusal = move || asking.refusal.with(|words| !words.is_empty());
    view! {
        <div class="ask-class needs-script">
            {only_if(move || stage.get() == Stage::Unasked, ask)}
            {only_if(may_reveal, reveal)}
            <span role="status">{text(says)}</span>
            <a href="/lab/class">{text::lab_class::to_tally(language)}</a>
            <div role="alert">{only_if(has_refusal, refusal)}</div>
        </div>
    }
    .erase()
}

impl Asking {
    fn ask(self) {
        #[cfg(not(feature = "ssr"))]
        browser::ask(self);
        #[cfg(feature = "ssr")]
        let _ = self;
    }

    fn reveal(self, right: Signal<Option<i64>>) {
        #[cfg(not(feature = "ssr"))]
        browser::reveal(self, right);
        #[cfg(feature = "ssr")]
        let _ = (self, right);
    }
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The requests. What is tried again after a lost answer has the same ids, so that nothing is asked
    //! twice.

    use domain::wire::Problem;
    use leptos::prelude::*;
    use uuid::Uuid;

    use super::{Asking, ClassStep, Stage};
    use crate::{api, components::explain, erased_effects::spawn, id::new_id, lab::class::QuestionSource};

    /// The ids of what is asked and revealed.
    #[derive(Debug, Default)]
    pub(super) struct Attempt {
        question: Option<Uuid>,
        reveal: Option<Uuid>,
        is_running: bool,
    }

    pub(super) fn ask(asking: Asking) {
        let Some(question) = begin(asking, |attempt| *attempt.question.get_or_insert_with(new_id)) else {
            return;
        };
        let ClassStep {
            lesson,
            step,
            choices,
        } = asking.step.get_value();
        spawn(async move {
            let source = QuestionSource::Step { lesson, step };
            end(
                asking,
                api::class::ask(question, &source, choices).await,
                Stage::Asked,
            );
        });
    }

    pub(super) fn reveal(asking: Asking, right: Signal<Option<i64>>) {
        let Some(right) = right.get_untracked() else {
            return;
        };
        let ids = begin(asking, |attempt| {
            (attempt.question, *attempt.reveal.get_or_insert_with(new_id))
        });
        let Some((Some(question), key)) = ids else { return };
        spawn(async move {
            let revealed = api::class::reveal(&question.to_string(), right, key).await;
            end(asking, revealed, Stage::Revealed);
        });
    }

    /// Begins one request at a time, with its ids.
    fn begin<T>(asking: Asking, ids: impl FnOnce(&mut Attempt) -> T) -> Option<T> {
        let ids = asking.attempt.try_update_value(|attempt| {
            if attempt.is_running {
                return None;
            }
            attempt.is_running = true;
            Some(ids(attempt))
        });
        asking.refusal.set(String::new());
        ids.flatten()
    }

    fn end(asking: Asking, outcome: Result<(), Problem>, stage: Stage) {
        let _ = asking
            .attempt
            .try_update_value(|attempt| attempt.is_running = false);
        match outcome {
            Ok(()) => asking.stage.set(stage),
            Err(problem) => asking.refusal.set(explain(&problem)),
        }
    }
}
