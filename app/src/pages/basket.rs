//! The basket.

use leptos::prelude::*;

use super::{inside, later, problem_view, shop::products};
use crate::{
    api,
    components::WindowTitle,
    erase::Erase,
    islands::{BasketContents, Island},
    language::language,
    translations::i18n::td_string,
};

/// `/basket`.
#[component]
pub(crate) fn BasketPage() -> impl IntoView {
    inside(|| {
        let title = td_string!(language(), basket.title);
        let listed = api::listing(products(None, 200));
        later(async move {
            match listed.await {
                Ok(listed) => {
                    view! { <WindowTitle text=title />{BasketContents { listed }.island()} }.erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
