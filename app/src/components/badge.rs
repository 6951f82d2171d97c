//! The status badge of an order: icon, word and colour.

use domain::{aggregate::order::OrderStatus, language::Language};
use leptos::prelude::*;

use super::{Icon, Picture, text};
use crate::{erase::Erase, language::language, text};

/// The word for a status.
pub(crate) fn status_word(language: Language, status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Created => text::status::created(language),
        OrderStatus::Reserved => text::status::reserved(language),
        OrderStatus::Confirmed => text::status::confirmed(language),
        OrderStatus::Rejected => text::status::rejected(language),
        OrderStatus::Cancelled => text::status::cancelled(language),
        OrderStatus::Shipped => text::status::shipped(language),
        OrderStatus::Delivered => text::status::delivered(language),
        OrderStatus::Refunded => text::status::refunded(language),
    }
}

/// Shows the status of an order.
#[component]
pub(crate) fn StatusBadge(#[prop(into)] status: Signal<OrderStatus>) -> impl IntoView {
    let language = language();
    let picture = Signal::derive(move || match status.get() {
        OrderStatus::Created | OrderStatus::Reserved => Picture::Clock,
        OrderStatus::Confirmed | OrderStatus::Delivered => Picture::Check,
        OrderStatus::Rejected | OrderStatus::Cancelled => Picture::Ban,
        OrderStatus::Shipped => Picture::Truck,
        OrderStatus::Refunded => Picture::Undo,
    });
    let word = move || status_word(language, status.get());
    view! {
        <span class="badge" data-status=text(move || status.get().as_str())>
            <Icon picture />
            {text(word)}
        </span>
    }
    .erase()
}
