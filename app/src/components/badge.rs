//! The status badge of an order: icon, word and colour.

use domain::aggregate::order::OrderStatus;
use leptos::prelude::*;

use super::{Icon, Picture, text};
use crate::{erase::Erase, language::language, translations::i18n::td_string};

/// Shows the status of an order.
#[component]
pub(crate) fn StatusBadge(#[prop(into)] status: Signal<OrderStatus>) -> impl IntoView {
    let locale = language();
    let picture = Signal::derive(move || match status.get() {
        OrderStatus::Created | OrderStatus::Reserved => Picture::Clock,
        OrderStatus::Confirmed | OrderStatus::Delivered => Picture::Check,
        OrderStatus::Rejected | OrderStatus::Cancelled => Picture::Ban,
        OrderStatus::Shipped => Picture::Truck,
    });
    let word = move || match status.get() {
        OrderStatus::Created => td_string!(locale, status.created),
        OrderStatus::Reserved => td_string!(locale, status.reserved),
        OrderStatus::Confirmed => td_string!(locale, status.confirmed),
        OrderStatus::Rejected => td_string!(locale, status.rejected),
        OrderStatus::Cancelled => td_string!(locale, status.cancelled),
        OrderStatus::Shipped => td_string!(locale, status.shipped),
        OrderStatus::Delivered => td_string!(locale, status.delivered),
    };
    view! {
        <span class="badge" data-status=text(move || status.get().as_str())>
            <Icon picture />
            {text(word)}
        </span>
    }
    .erase()
}
