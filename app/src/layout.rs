//! The frame around every page: the top bar, the navigation rail, and the area for the page.

mod language_switch;
mod rail;
mod theme_switch;
mod top_bar;

use leptos::prelude::*;

use crate::{api::use_session, erase::Erase, language::language, text};
use rail::Rail;
use top_bar::TopBar;

/// The frame; its children are the page.
#[component]
pub fn Frame(children: Children) -> impl IntoView {
    let language = language();
    let has_session = use_session().is_some();
    view! {
        <a class="skip" href="#content">{text::layout::skip(language)}</a>
        <TopBar />
        <div class="frame" class:frame--inside=has_session>
            {has_session.then(|| view! { <Rail /> })}
            <main id="content" class="content" tabindex="-1">{children()}</main>
        </div>
    }
    .erase()
}
