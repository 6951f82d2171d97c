//! The page of the dead letters, of one event handler or of all.

use domain::wire::{DeadLetterInfo, HandlersAnswer, Page};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{head, lab};
use crate::{
    api,
    erase::{Erase, View},
    islands::{Island, LabDeadLetters},
    lab::dials::bent,
    language::language,
    pages::{problem_view, suspend},
    text,
};

/// Its path.
const HERE: &str = "/lab/dead-letters";

/// `/lab/dead-letters?view=&cursor=`.
#[component]
pub(crate) fn LabDeadLettersPage() -> impl IntoView {
    lab(|may_control| {
        let title = text::lab_handlers::dead_letters(language());
        let (view, cursor) = use_query_map().with_untracked(|query| {
            let of = |name: &str| query.get(name).filter(|value| !value.is_empty());
            (of("view"), of("cursor"))
        });
        let bent = api::dials().map(|dials| bent(&dials)).unwrap_or_default();
        let handlers = api::handlers();
        let letters = api::dead_letters(view.clone(), cursor.clone());
        suspend(async move {
            let (letters, handlers) = match (letters.await, handlers.await) {
                (Ok(letters), Ok(handlers)) => (letters, handlers),
                (Err(problem), _) | (_, Err(problem)) => return problem_view(title, &problem),
            };
            let (filter, more) = (
                filter(&handlers, view.as_deref()),
                more(&letters, view.as_deref()),
            );
            let letters = LabDeadLetters {
                letters,
                view,
                cursor,
                bent,
                may_control,
            };
            view! {
                {head(title, text::lab_page::dead_letters_lead(language()))}
                {filter}
                <div class="lab">{letters.island()}</div>
                {more}
            }
            .erase()
        })
    })
}

/// The links to the dead letters of all handlers, and of each that has some.
fn filter(handlers: &HandlersAnswer, shown: Option<&str>) -> View {
    let language = language();
    let have_some = handlers.data.iter().filter(|handler| {
        let name = handler.status.view.as_str();
        handler.status.dead_letters > 0 || shown == Some(name)
    });
    let links = have_some.map(|handler| {
        let name = handler.status.view.clone();
        let is_shown = shown == Some(name.as_str());
        let href = [HERE, "?view=", &name].concat();
        let words = [name.as_str(), " ", &handler.status.dead_letters.to_string()].concat();
        view! { <li><a class="tag" href=href aria-current=is_shown.then_some("true")>{words}</a></li> }
    });
    view! {
        <nav class="tags" aria-label=text::lab_handlers::handler(language)>
            <ul>
                <li>
                    <a class="tag" href=HERE aria-current=shown.is_none().then_some("true")>
                        {text::lab_handlers::all(language)}
                    </a>
                </li>
                {links.collect_view()}
            </ul>
        </nav>
    }
    .erase()
}

/// The button to the next page, if there is one.
fn more(letters: &Page<DeadLetterInfo>, shown: Option<&str>) -> View {
    let next = letters.next.clone().map(|cursor| {
        let view = shown.map(|view| view! { <input type="hidden" name="view" value=view.to_owned() /> });
        view! {
            <form method="get" action=HERE class="more">
                {view}
                <input type="hidden" name="cursor" value=cursor />
                <button class="button">{text::orders::more(language())}</button>
            </form>
        }
    });
    next.erase()
}
