//! The head of a page: its title, and a mark or button beside it.

use leptos::prelude::*;

use crate::erase::{Erase, View};

/// The page head. `mark` is shown beside the title.
#[component]
pub(crate) fn PageHead(
    #[prop(into)] title: Signal<String>,
    #[prop(optional)] mark: Option<View>,
) -> impl IntoView {
    view! {
        <div class="page-head">
            <h1>{title}</h1>
            {mark}
        </div>
    }
    .erase()
}
