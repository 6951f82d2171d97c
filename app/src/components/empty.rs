//! The empty state of a list: what will appear in it, and how to create the first item.

use leptos::prelude::*;

use crate::erase::{Erase, View};

/// An empty state. `action` is the button or link that creates the first item.
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
