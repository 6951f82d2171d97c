//! The frame around every page: the top bar, the rail, and the place where the page stands.

mod rail;
mod top_bar;

use leptos::prelude::*;

use crate::{
    api::use_session,
    erase::Erase,
    translations::i18n::{tu_string, use_i18n},
};
use rail::Rail;
use top_bar::TopBar;

/// The frame. Its children are the page.
#[component]
pub fn Frame(children: Children) -> impl IntoView {
    let i18n = use_i18n();
    let inside = use_session().is_some();
    view! {
        <a class="skip" href="#content">{tu_string!(i18n, layout.skip)}</a>
        <TopBar />
        <div class="frame" class:frame--inside=inside>
            {inside.then(|| view! { <Rail /> })}
            <main id="content" class="content" tabindex="-1">{children()}</main>
        </div>
    }
    .erase()
}
