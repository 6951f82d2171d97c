//! One order.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::{BackLink, NotFoundPage, inside, later, problem_view};
use crate::{
    api,
    backend::HasWritten,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OrderStory},
    language::language,
    translations::i18n::td_string,
};

/// `/orders/{id}`.
#[component]
pub(crate) fn OrderPage() -> impl IntoView {
    inside(|| {
        let locale = language();
        let id = use_params_map().with_untracked(|params| params.get("id").unwrap_or_default());
        // After a command of this browser the order may only not be folded yet.
        let coming = use_context::<HasWritten>().is_some();
        let title = td_string!(locale, order.title);
        let found = api::document("orders", id);
        later(async move {
            match found.await {
                Ok(found) if found.answer.is_none() && !coming => view! { <NotFoundPage /> }.erase(),
                Ok(found) => view! {
                    <WindowTitle text=title />
                    <BackLink href="/orders" text=td_string!(locale, orders.title) />
                    {OrderStory { found }.island()}
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
