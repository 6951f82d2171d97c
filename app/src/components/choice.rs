//! What is shown depends on something. The branches are erased, so that however many places choose, the code that does
//! it is in the client once.

use std::sync::Arc;

use leptos::prelude::*;

use crate::erase::{Erase, View};

type Branch = Box<dyn Fn() -> View + Send + Sync>;

/// One of two views, made anew when the condition changes.
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

/// A view as long as the condition holds.
pub(crate) fn only_if(
    condition: impl Fn() -> bool + Send + Sync + 'static,
    yes: impl Fn() -> View + Send + Sync + 'static,
) -> View {
    fn choose(condition: Memo<bool>, yes: Branch) -> View {
        (move || condition.get().then(&yes)).erase()
    }
    choose(Memo::new(move |_| condition()), Box::new(yes))
}

/// A view for each key, kept as long as its key is there.
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

/// A text that changes: of one type, wherever it comes from.
pub(crate) fn text<T: Into<String>>(text: impl Fn() -> T + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(move || text().into())
}
