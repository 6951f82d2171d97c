//! One file a page. A page asks for what it shows, and leaves the rest to components and stores.

mod basket;
mod join;
mod landing;
mod not_found;
mod order;
mod orders;
mod product;
mod shop;
mod stream;
mod streams;

pub(crate) use basket::BasketPage;
pub(crate) use join::JoinPage;
pub(crate) use landing::LandingPage;
pub(crate) use not_found::NotFoundPage;
pub(crate) use order::OrderPage;
pub(crate) use orders::OrdersPage;
pub(crate) use product::ProductPage;
pub(crate) use shop::ShopPage;
pub(crate) use stream::StreamPage;
pub(crate) use streams::StreamsPage;

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    api::use_session,
    components::Freshness,
    erase::Erase,
    live::{progress::Progress, store::Ready},
    translations::i18n::{tu_string, use_i18n},
};

/// The most rows of a page of a listing.
const PAGE_ROWS: u32 = 50;

/// Shows its children to people in a workspace, and the way in to all others.
#[component]
fn Inside(children: Children) -> impl IntoView {
    let i18n = use_i18n();
    if use_session().is_some() {
        children().erase()
    } else {
        view! {
            <Title text=tu_string!(i18n, outside.title) />
            <div class="empty">
                <h1>{tu_string!(i18n, outside.title)}</h1>
                <p>{tu_string!(i18n, outside.text)}</p>
                <p><a class="button button--primary" href="/">{tu_string!(i18n, outside.way_in)}</a></p>
            </div>
        }
        .erase()
    }
}

/// The head of a page: its title, in the page and in the window, and what stands beside it.
#[component]
fn PageHead(
    #[prop(into)] title: Signal<String>,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <Title text=move || title.get() />
        <div class="page-head">
            <h1>{move || title.get()}</h1>
            {children.map(|children| children())}
        </div>
    }
    .erase()
}

/// The mark of a listing, beside its title: rendered once there is something to be fresh.
#[component]
fn Mark(view: &'static str, ready: Ready, progress: Signal<Option<Progress>>) -> impl IntoView {
    view! {
        <Suspense>
            {move || {
                let ready = ready();
                Suspend::new(async move {
                    ready.await;
                    view! { <Freshness view progress /> }.erase()
                })
            }}
        </Suspense>
    }
    .erase()
}
