//! What stands where nothing is yet: what will appear, and the way to the first one.

use leptos::prelude::*;

use crate::erase::{Erase, View};

/// An empty state. `action` is the button or link that makes the first one.
#[component]
pub(crate) fn EmptyState(title: &'static str, text: &'static str, action: View) -> impl IntoView {
    view! {
        <div class="empty">
            <h2>{title}</h2>
            <p>{text}</p>
            <p>{action}</p>
        </div>
    }
    .erase()
}
