//! The head of a page: its title, and what stands beside it.

use leptos::prelude::*;

use crate::erase::Erase;

/// The head of a page.
#[component]
pub(crate) fn PageHead(
    #[prop(into)] title: TextProp,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="page-head">
            <h1>{move || title.get()}</h1>
            {children.map(|children| children())}
        </div>
    }
    .erase()
}
