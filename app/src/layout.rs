//! The frame around every page: the top bar, what is bent in the workspace, the navigation rail, and the area
//! for the page.

mod language_switch;
mod rail;
mod theme_switch;
mod top_bar;

use domain::access::Role;
use leptos::prelude::*;
use leptos_router::hooks::use_location;

use crate::{
    api::{self, use_session},
    bent_words::sentences,
    erase::Erase,
    islands::{ClassBanner, DialsBanner, Island},
    lab::dials,
    language::language,
    text,
};
use rail::Rail;
use top_bar::TopBar;

/// The frame; its children are the page.
#[component]
pub fn Frame(children: Children) -> impl IntoView {
    let language = language();
    let session = use_session();
    let has_session = session.is_some();
    // The bundles of the live map and the split view have no room for it.
    let path = use_location().pathname.get_untracked();
    let has_class = path.trim_end_matches('/') != "/lab" && !path.starts_with("/lab/split");
    let class = session
        .as_ref()
        .filter(|session| has_class && session.role != Role::Educator)
        .map(|_| ClassBanner {}.island());
    // The island is there also while nothing is bent, so that it shows what is bent later.
    let banner = session.map(|session| {
        let dials = api::dials();
        let banner = DialsBanner {
            lines: dials.as_ref().map(sentences).unwrap_or_default(),
            version: dials.as_ref().map(dials::version).unwrap_or_default(),
            reads_lab: session.role.reads_lab(),
        };
        banner.island()
    });
    view! {
        <a class="skip" href="#content">{text::layout::skip(language)}</a>
        <TopBar />
        {banner}
        <div class="frame" class:frame--inside=has_session>
            {has_session.then(|| view! { <Rail /> })}
            <main id="content" class="content" tabindex="-1">{children()}</main>
        </div>
        {class}
    }
    .erase()
}
