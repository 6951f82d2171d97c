//! Problems, worded for people: a sentence, and the summary of a refused form, which takes the focus.

use domain::wire::Problem;
use leptos::{html, prelude::*};

use super::{Icon, Picture, only_if, text};
use crate::{erase::Erase, erased_effects::effect, language::language, translations::i18n::td_string};

/// A sentence about a problem: a text of the interface for general statuses, or else the problem's own
/// detail.
pub(crate) fn explain(problem: &Problem) -> String {
    let locale = language();
    match problem.status {
        0 => td_string!(locale, problem.unreachable).to_owned(),
        401 => td_string!(locale, problem.session_over).to_owned(),
        403 => td_string!(locale, problem.forbidden).to_owned(),
        429 => td_string!(locale, problem.too_many).to_owned(),
        _ if problem.detail.is_empty() => problem.title.clone(),
        _ => problem.detail.clone(),
    }
}

/// The summary of a refused form. It takes the focus when it appears.
#[component]
pub(crate) fn ProblemSummary(#[prop(into)] message: Signal<Option<String>>) -> impl IntoView {
    let locale = language();
    let node = NodeRef::<html::Div>::new();
    effect(move || {
        if message.with(Option::is_some)
            && let Some(node) = node.get()
        {
            let _ = node.focus();
        }
    });
    let summary = move || {
        view! {
            <div class="notice notice--danger" role="alert" tabindex="-1" node_ref=node>
                <Icon picture=Picture::Alert />
                <div>
                    <h2>{td_string!(locale, problem.refused)}</h2>
                    <p>{text(move || message.get().unwrap_or_default())}</p>
                </div>
            </div>
        }
        .erase()
    };
    only_if(move || message.with(Option::is_some), summary)
}
