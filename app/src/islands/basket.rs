//! The basket: what is in it, what it costs, and the button that orders it. Prices and stock are live; the basket itself
//! is in this browser.

use domain::{aggregate::order::LineRequest, money::Money, view::products::ProductDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    Island,
    placed::{PlacedOrders, is_any},
};
use crate::{
    basket::use_basket,
    components::{EmptyState, Freshness, PageHead, Price, Stock, either, for_each, text},
    erase::{Erase, View},
    format::use_alive,
    language::language,
    live::store::{Listed, LiveListing, Shown},
    translations::i18n::td_string,
};

mod checkout;

use checkout::{Checkout, Wish, Wrong, placing, too_many};

/// The basket's page.
#[derive(Serialize, Deserialize)]
pub(crate) struct BasketContents {
    /// Every product: what the basket's lines cost, and how many are left.
    pub(crate) listed: Listed,
}

impl Island for BasketContents {
    const NAME: &'static str = "basket";

    fn view(self) -> View {
        let locale = language();
        let listing = LiveListing::<ProductDocument>::new(self.listed);
        let alive = use_alive();
        let basket = use_basket();
        let lines = Signal::derive(move || basket.read().lines().to_vec());
        let skus = move || lines.with(|lines| lines.iter().map(|line| line.sku.clone()).collect());
        let sum = Signal::derive(move || lines.with(|lines| total(lines, &listing.documents())));
        let wish = Wish {
            products: listing,
            method: RwSignal::new("tok_ok"),
            problem: RwSignal::new(None),
            wrong: RwSignal::new(Vec::new()),
        };
        let place = Callback::new({
            let place = placing(wish);
            move |()| place()
        });
        let short = Memo::new(move |_| lines.with(|lines| too_many(lines, &listing.documents())));
        let is_under_way = is_any();
        let nothing = move || {
            view! {
                <EmptyState
                    title=td_string!(locale, basket.empty_title)
                    text=td_string!(locale, basket.empty)
                    action=view! {
                        <a class="button button--primary" href="/shop">{td_string!(locale, orders.empty_action)}</a>
                    }.erase()
                />
            }
            .erase()
        };
        let table = move || {
            view! {
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">{td_string!(locale, basket.product)}</th>
                            <th scope="col" class="figure">{td_string!(locale, basket.price)}</th>
                            <th scope="col">{td_string!(locale, basket.quantity)}</th>
                            <th scope="col" class="figure">{td_string!(locale, basket.sum)}</th>
                        </tr>
                    </thead>
                    <tbody>{for_each(skus, move |sku| line(&sku, listing.row(sku.clone()), wish.wrong, short))}</tbody>
                    <tfoot>
                        <tr>
                            <th scope="row" colspan="3">{td_string!(locale, basket.total)}</th>
                            <td class="figure total"><Price amount=sum /></td>
                        </tr>
                    </tfoot>
                </table>
                <Checkout wish place is_short=Signal::derive(move || short.with(|short| !short.is_empty())) />
            }
            .erase()
        };
        let empty = move || either(is_under_way, || ().erase(), nothing);
        let contents = move || {
            view! {
                <PlacedOrders accepted=true />
                {either(move || lines.with(Vec::is_empty), empty, table)}
            }
            .erase()
        };
        let skeleton = || view! { <div class="skeleton skeleton--table needs-script"></div> }.erase();
        view! {
            <PageHead
                title=td_string!(locale, basket.title)
                mark=view! { <Freshness view="products" progress=listing.progress() /> }.erase()
            />
            <p class="notice needs-no-script">{td_string!(locale, basket.needs_script)}</p>
            {either(move || alive.get(), contents, skeleton)}
        }
        .erase()
    }
}

/// The sum of the basket at today's prices; `None` where a product is not on sale any more or currencies are mixed.
fn total(lines: &[LineRequest], products: &[ProductDocument]) -> Option<Money> {
    let mut total: Option<Money> = None;
    for line in lines {
        let price = products
            .iter()
            .find(|product| product.sku == line.sku)?
            .price
            .as_ref()?
            .times(line.quantity)?;
        total = Some(match total {
            Some(total) => total.plus(&price)?,
            None => price,
        });
    }
    total
}

fn line(
    sku: &str,
    product: Memo<Shown<ProductDocument>>,
    wrong: Wrong,
    short: Memo<Vec<(String, u32)>>,
) -> View {
    let locale = language();
    let basket = use_basket();
    let href = ["/shop/", sku].concat();
    let error_id = ["error-", sku].concat();
    let sku = StoredValue::new(sku.to_owned());
    let quantity = move || sku.with_value(|sku| basket.read().quantity(sku));
    let name = text(move || {
        product.with(|product| match product {
            Some((product, _)) => product.name.clone(),
            None => sku.get_value(),
        })
    });
    let price =
        move || product.with(|product| product.as_ref().and_then(|(product, _)| product.price.clone()));
    let sum = Signal::derive(move || price()?.times(quantity()));
    let available = Signal::derive(move || {
        product.with(|product| product.as_ref().map_or(0, |(product, _)| product.available))
    });
    let set = move |quantity: u32| {
        sku.with_value(|sku| basket.change(|basket| basket.set(sku, quantity)));
    };
    // What there is not enough of right now; else what was found wrong when it was sent.
    let error = move || {
        sku.with_value(|sku| {
            let left = short.with(|short| short.iter().find(|(of, _)| of == sku).map(|(_, left)| *left));
            if let Some(left) = left {
                return td_string!(locale, basket.short_line, count = left);
            }
            wrong.with(|wrong| {
                let of_this = wrong.iter().find(|(of, _)| of == sku);
                of_this.map(|(_, message)| message.clone()).unwrap_or_default()
            })
        })
    };
    view! {
        <tr>
            <th scope="row">
                <a href=href>{name}</a>
                " "
                <Stock available />
                <p class="field__error" id=error_id.clone()>{text(error)}</p>
            </th>
            <td class="figure" data-label=td_string!(locale, basket.price)><Price amount=Signal::derive(price) /></td>
            <td data-label=td_string!(locale, basket.quantity)>
                <span class="quantity">
                    <input
                        type="number"
                        min="1"
                        max="999"
                        inputmode="numeric"
                        prop:value=text(move || quantity().to_string())
                        aria-label=text(move || [td_string!(locale, basket.quantity), ": ", &name.get()].concat())
                        aria-invalid=text(move || if error().is_empty() { "false" } else { "true" })
                        aria-describedby=error_id
                        on:change=move |event| {
                            // What is no number, or none at all, becomes what it was.
                            let wanted = event_target_value(&event).parse().unwrap_or_else(|_| quantity());
                            set(wanted.max(1));
                            event_target::<leptos::web_sys::HtmlInputElement>(&event).set_value(&quantity().to_string());
                        }
                    />
                    <button type="button" class="button button--quiet" on:click=move |_| set(0)>
                        {td_string!(locale, basket.remove)}
                        <span class="hidden">{name}</span>
                    </button>
                </span>
            </td>
            <td class="figure" data-label=td_string!(locale, basket.sum)><Price amount=sum /></td>
        </tr>
    }
    .erase()
}
