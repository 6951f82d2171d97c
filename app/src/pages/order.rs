//! The page of one order.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::{BackLink, NotFoundPage, problem_view, suspend, within_workspace};
use crate::{
    api,
    backend::RecentWrite,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OrderDetails},
    language::language,
    text,
};

/// `/orders/{id}`.
#[component]
pub(crate) fn OrderPage() -> impl IntoView {
    within_workspace(|| {
        let language = language();
        let id = use_params_map().with_untracked(|params| params.get("id").unwrap_or_default());
        // After a recent write of this browser, a missing order may be one that the view has not folded yet.
        let may_be_unfolded = use_context::<RecentWrite>().is_some();
        let title = text::order::title(language);
        let initial = api::document("orders", id);
        suspend(async move {
            match initial.await {
                Ok(initial) if initial.answer.is_none() && !may_be_unfolded => {
                    view! { <NotFoundPage /> }.erase()
                }
                Ok(initial) => view! {
                    <WindowTitle text=title />
                    <BackLink href="/orders" text=text::orders::title(language) />
                    {OrderDetails { initial }.island()}
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
