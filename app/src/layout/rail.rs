//! The places of a workspace: a rail at the left, a bar at the bottom of a narrow screen.

use leptos::prelude::*;
use leptos_router::components::A;

use crate::{
    components::{Icon, Picture},
    erase::Erase,
    islands::{BasketCount, Island},
    translations::i18n::{tu_string, use_i18n},
};

/// The rail.
#[component]
pub(super) fn Rail() -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <nav class="rail" aria-label=tu_string!(i18n, layout.places)>
            <ul>
                <li><A href="/shop"><Icon picture=Picture::Shop /><span>{tu_string!(i18n, shop.place)}</span></A></li>
                <li>
                    <A href="/basket">
                        <Icon picture=Picture::Basket />
                        <span>{tu_string!(i18n, basket.place)}</span>
                        {BasketCount {}.island()}
                    </A>
                </li>
                <li><A href="/orders"><Icon picture=Picture::Orders /><span>{tu_string!(i18n, orders.place)}</span></A></li>
                <li><A href="/streams"><Icon picture=Picture::Streams /><span>{tu_string!(i18n, streams.place)}</span></A></li>
            </ul>
        </nav>
    }
    .erase()
}
