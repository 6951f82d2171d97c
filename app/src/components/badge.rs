//! Where an order stands: icon, word and colour.

use domain::aggregate::order::OrderStatus;
use leptos::prelude::*;

use super::{Icon, Picture, text};
use crate::{
    erase::Erase,
    translations::i18n::{tu_string, use_i18n},
};

/// The status of an order.
#[component]
pub(crate) fn StatusBadge(#[prop(into)] status: Signal<OrderStatus>) -> impl IntoView {
    let i18n = use_i18n();
    let picture = Signal::derive(move || match status.get() {
        OrderStatus::Created | OrderStatus::Reserved => Picture::Clock,
        OrderStatus::Confirmed | OrderStatus::Delivered => Picture::Check,
        OrderStatus::Rejected | OrderStatus::Cancelled => Picture::Ban,
        OrderStatus::Shipped => Picture::Truck,
    });
    let word = move || match status.get() {
        OrderStatus::Created => tu_string!(i18n, status.created),
        OrderStatus::Reserved => tu_string!(i18n, status.reserved),
        OrderStatus::Confirmed => tu_string!(i18n, status.confirmed),
        OrderStatus::Rejected => tu_string!(i18n, status.rejected),
        OrderStatus::Cancelled => tu_string!(i18n, status.cancelled),
        OrderStatus::Shipped => tu_string!(i18n, status.shipped),
        OrderStatus::Delivered => tu_string!(i18n, status.delivered),
    };
    view! {
        <span class="badge" data-status=text(move || status.get().as_str())>
            <Icon picture />
            {text(word)}
        </span>
    }
    .erase()
}
