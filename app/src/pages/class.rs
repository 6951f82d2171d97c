//! The page of the class for its people, on their own devices. Without a script it shows the question.

use domain::{language::Language, view::predictions::QuestionDocument, wire::ClassAnswer};
use leptos::prelude::*;
use serde_json::Value;

use super::{problem_view, suspend, within_workspace};
use crate::{
    api::{self, use_session},
    class_words::question_in_words,
    components::{PageHead, WindowTitle},
    erase::Erase,
    islands::{ClassPhone, InitialRound, Island},
    language::language,
    live::store::{InitialDocument, typed},
    text,
};

/// `/class`.
#[component]
pub(crate) fn ClassPage() -> impl IntoView {
    within_workspace(|| {
        let language = language();
        let title = text::class::title(language);
        let person = use_session().map(|session| session.actor_id).unwrap_or_default();
        let class = api::class();
        suspend(async move {
            let (state, documents) = match class.await {
                Ok(class) => class,
                Err(problem) => return problem_view(title, &problem),
            };
            let phone = ClassPhone {
                round: documents.map(|documents| initial_round(language, documents)),
                state: state_of_page(&state),
                person,
            };
            view! {
                <WindowTitle text=title />
                <PageHead title />
                <noscript>
                    <p class="notice">{text::class_page::needs_script(language)}</p>
                </noscript>
                {phone.island()}
            }
            .erase()
        })
    })
}

/// What a page comes with of a question: its document, the person's own answer, and its words.
pub(super) fn initial_round(language: Language, [question, answer]: [InitialDocument; 2]) -> InitialRound {
    let document = question.answer.as_ref();
    let document = document.and_then(|document| typed::<QuestionDocument>(&document.data));
    let words = document.map(|document| question_in_words(&document, language));
    InitialRound {
        question,
        answer,
        words: words.unwrap_or_default(),
    }
}

/// The state of the class as islands read it.
pub(super) fn state_of_page(state: &ClassAnswer) -> Value {
    // A structure of texts and numbers has a form in JSON.
    serde_json::to_value(state).unwrap_or_default()
}
