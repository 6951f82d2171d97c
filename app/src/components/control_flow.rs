//! Conditional views and lists. The branches are erased, so that the bundle has the code for each kind of
//! control flow once.

use std::sync::Arc;

use leptos::prelude::*;

use crate::{
    erase::{Erase, View},
    erased_signals::Memo,
};

type Branch = Box<dyn Fn() -> View + Send + Sync>;

/// One of two views, built anew when the condition changes.
pub(crate) fn either(
    condition: impl Fn() -> bool + Send + Sync + 'static,
    yes: impl Fn() -> View + Send + Sync + 'static,
    no: impl Fn() -> View + Send + Sync + 'static,
) -> View {
    fn choose(condition: Memo<bool>, yes: Branch, no: Branch) -> View {
        (move || if condition.get() { yes() } else { no() }).erase()
    }
    choose(Memo::new(move |_| condition()), Box::new(yes), Box::new(no))
}

/// A view that is shown while the condition holds.
pub(crate) fn only_if(
    condition: impl Fn() -> bool + Send + Sync + 'static,
    yes: impl Fn() -> View + Send + Sync + 'static,
) -> View {
    fn choose(condition: Memo<bool>, yes: Branch) -> View {
        (move || condition.get().then(&yes)).erase()
    }
    choose(Memo::new(move |_| condition()), Box::new(yes))
}

/// One view for each key; a view is kept while its key is in the list.
pub(crate) fn for_each(
    keys: impl Fn() -> Vec<String> + Send + Sync + 'static,
    row: impl Fn(String) -> View + Send + Sync + 'static,
) -> View {
    fn rows(keys: Signal<Vec<String>>, row: Arc<dyn Fn(String) -> View + Send + Sync>) -> View {
        let row = move |key| row(key);
        view! { <For each=move || keys.get() key=String::clone children=row /> }.erase()
    }
    rows(Signal::derive(keys), Arc::new(row))
}

/// A reactive text, with one type for every source.
pub(crate) fn text<T: Into<String>>(text: impl Fn() -> T + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(move || text().into())
}
