//! One order.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;

use super::{BackLink, NotFoundPage, inside, later, problem_view};
use crate::{
    api,
    backend::HasWritten,
    erase::Erase,
    islands::{Island, OrderStory},
    translations::i18n::{tu_string, use_i18n},
};

/// `/orders/{id}`.
#[component]
pub(crate) fn OrderPage() -> impl IntoView {
    inside(|| {
        let i18n = use_i18n();
        let id = use_params_map().with_untracked(|params| params.get("id").unwrap_or_default());
        // After a command of this browser the order may only not be folded yet.
        let coming = use_context::<HasWritten>().is_some();
        let title = tu_string!(i18n, order.title);
        let found = api::document("orders", id);
        later(async move {
            match found.await {
                Ok(found) if found.answer.is_none() && !coming => view! { <NotFoundPage /> }.erase(),
                Ok(found) => view! {
                    <Title text=title />
                    <BackLink href="/orders" text=tu_string!(i18n, orders.title) />
                    {OrderStory { found }.island()}
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
