//! The places of a workspace: a rail at the left, a bar at the bottom of a narrow screen.

use leptos::prelude::*;
use leptos_router::components::A;

use crate::{
    components::{Icon, Picture},
    erase::Erase,
    islands::{BasketCount, Island},
    language::language,
    translations::i18n::td_string,
};

/// The rail.
#[component]
pub(super) fn Rail() -> impl IntoView {
    let locale = language();
    view! {
        <nav class="rail" aria-label=td_string!(locale, layout.places)>
            <ul>
                <li><A href="/shop"><Icon picture=Picture::Shop /><span>{td_string!(locale, shop.place)}</span></A></li>
                <li>
                    <A href="/basket">
                        <Icon picture=Picture::Basket />
                        <span>{td_string!(locale, basket.place)}</span>
                        {BasketCount {}.island()}
                    </A>
                </li>
                <li><A href="/orders"><Icon picture=Picture::Orders /><span>{td_string!(locale, orders.place)}</span></A></li>
                <li><A href="/streams"><Icon picture=Picture::Streams /><span>{td_string!(locale, streams.place)}</span></A></li>
            </ul>
        </nav>
    }
    .erase()
}
