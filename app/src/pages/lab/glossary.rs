//! The page of the terms that the lessons teach, with what each means and the lessons that explain it.

use domain::lesson::{LESSONS, LessonOutline};
use leptos::prelude::*;

use super::{head, lab, lesson::words, lessons::LIST};
use crate::{
    erase::{Erase, View},
    language::language,
    pages::BackLink,
    text,
};

/// The group of the texts.
const GROUP: &str = "glossary";

/// What the key of a meaning ends with.
const MEANS: &str = "_means";

/// `/lab/glossary`.
#[component]
pub(crate) fn LabGlossaryPage() -> impl IntoView {
    lab(|_| {
        let language = language();
        let of_group = text::found_by_name().filter(|(group, _)| *group == GROUP);
        let mut terms: Vec<_> = of_group
            .filter(|(_, key)| !key.ends_with(MEANS))
            .map(|(_, key)| (term_name(key), key))
            .collect();
        terms.sort_by_key(|(name, _)| name.to_lowercase());
        let entries = terms.into_iter().map(|(name, key)| entry(name, key));
        view! {
            <BackLink href=LIST text=text::lessons::title(language) />
            {head(text::lessons::glossary(language), text::lessons::glossary_lead(language))}
            <div class="lab">
                <dl class="glossary">{entries.collect_view()}</dl>
            </div>
        }
        .erase()
    })
}

/// The name of a term.
pub(super) fn term_name(term: &str) -> &'static str {
    text::by_name(language(), GROUP, term).unwrap_or("…")
}

/// What a term means.
pub(super) fn meaning(term: &str) -> &'static str {
    text::by_name(language(), GROUP, &[term, MEANS].concat()).unwrap_or("…")
}

fn entry(name: &'static str, key: &'static str) -> View {
    let explains = |lesson: &&LessonOutline| lesson.steps.iter().any(|step| step.term == Some(key));
    let lessons = LESSONS.iter().filter(explains).map(|lesson| {
        let href = [LIST, "/", lesson.name].concat();
        view! { <li><a href=href>{words(lesson, "title")}</a></li> }
    });
    let lessons = lessons.collect_view();
    view! {
        <div class="panel" id=key>
            <dt>{name}</dt>
            <dd>
                <p>{meaning(key)}</p>
                <ul class="glossary__lessons">{lessons}</ul>
            </dd>
        </div>
    }
    .erase()
}
