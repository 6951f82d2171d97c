//! What stands where nothing is yet: what will appear, and the way to the first one.

use leptos::prelude::*;

/// An empty state. Its children are the button or link that makes the first one.
#[component]
pub(crate) fn EmptyState(
    #[prop(into)] title: Signal<&'static str>,
    #[prop(into)] text: Signal<&'static str>,
    children: Children,
) -> impl IntoView {
    view! {
        <div class="empty">
            <h2>{move || title.get()}</h2>
            <p>{move || text.get()}</p>
            <p>{children()}</p>
        </div>
    }
    .into_any()
}
