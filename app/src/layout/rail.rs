//! The navigation of a workspace: a rail at the left, or a bar at the bottom of a narrow screen.

use domain::access::Role;
use leptos::prelude::*;
use leptos_router::components::A;

use crate::{
    api::use_session,
    components::{Icon, Picture},
    erase::Erase,
    islands::{BasketCount, Island},
    language::language,
    text,
};

/// The navigation rail.
#[component]
pub(super) fn Rail() -> impl IntoView {
    let language = language();
    // Without a session, all links are shown; with one, only those that its role may follow.
    let lab = use_session()
        .is_none_or(|session| session.role.reads_lab())
        .then(|| {
            view! {
                <li>
                    <A href="/lab">
                        <Icon picture=Picture::Lab />
                        <span>{text::lab_page::place(language)}</span>
                    </A>
                </li>
            }
        });
    let office = use_session()
        .filter(|session| session.role != Role::Customer)
        .map(|_| {
            view! {
                <li>
                    <A href="/office">
                        <Icon picture=Picture::Office />
                        <span>{text::office::place(language)}</span>
                    </A>
                </li>
            }
        });
    let basket = use_session().map(|_| BasketCount {}.island());
    view! {
        <nav class="rail" aria-label=text::layout::navigation(language)>
            <ul>
                <li>
                    <A href="/shop">
                        <Icon picture=Picture::Shop />
                        <span>{text::shop::place(language)}</span>
                    </A>
                </li>
                <li>
                    <A href="/basket">
                        <Icon picture=Picture::Basket />
                        <span>{text::basket::place(language)}</span>
                        {basket}
                    </A>
                </li>
                <li>
                    <A href="/orders">
                        <Icon picture=Picture::Orders />
                        <span>{text::orders::place(language)}</span>
                    </A>
                </li>
                {office}
                {lab}
            </ul>
        </nav>
    }
    .erase()
}
