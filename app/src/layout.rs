//! The frame around every page: the top bar, the rail, and the place where the page stands.

mod connection;
mod rail;
mod theme_switch;
mod top_bar;

use leptos::{html, prelude::*};
use leptos_router::hooks::use_location;

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
    let main = NodeRef::<html::Main>::new();
    let path = use_location().pathname;
    // A new page begins at its beginning, for the keyboard and for what reads it aloud.
    Effect::new(move |before: Option<String>| {
        let path = path.get();
        if before.is_some_and(|before| before != path)
            && let Some(main) = main.get_untracked()
        {
            let _ = main.focus();
        }
        path
    });
    let inside = use_session().is_some();
    view! {
        <a class="skip" href="#content" rel="external">{tu_string!(i18n, layout.skip)}</a>
        <TopBar />
        <div class="frame" class:frame--inside=inside>
            {inside.then(|| view! { <Rail /> })}
            <main id="content" class="content" tabindex="-1" node_ref=main>
                {children()}
            </main>
        </div>
    }
    .erase()
}
