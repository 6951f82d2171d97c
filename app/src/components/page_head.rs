//! The head of a page: its title, and what stands beside it.

use leptos::prelude::*;

use crate::erase::{Erase, View};

/// The head of a page.
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
