//! The page of one order.

use domain::wire::Problem;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::{BackLink, missing, problem_view, suspend, within_workspace};
use crate::{
    api,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OrderDetails},
    language::language,
    text,
};

/// `/orders/{id}`. An order that the log has, and the view not yet, is waited for; any other is missing.
#[component]
pub(crate) fn OrderPage() -> impl IntoView {
    within_workspace(|| {
        let language = language();
        let id = use_params_map().with_untracked(|params| params.get("id").unwrap_or_default());
        let title = text::order::title(language);
        let stream = format!("order-{id}");
        let backend = api::backend();
        let initial = api::document("orders", id);
        suspend(async move {
            let found = async {
                let initial = initial.await?;
                let exists = initial.answer.is_some() || backend?.has_stream(&stream).await?;
                Ok::<_, Problem>(exists.then_some(initial))
            };
            match found.await {
                Ok(Some(initial)) => view! {
                    <WindowTitle text=title />
                    <BackLink href="/orders" text=text::orders::title(language) />
                    {OrderDetails { initial }.island()}
                }
                .erase(),
                Ok(None) => missing("/orders", text::orders::title(language)),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
