//! The basket: what is in it, what it costs, and the button that orders it. Prices and stock are live; the basket itself
//! is in this browser.

use domain::{money::Money, view::products::ProductDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    basket::use_basket,
    components::{EmptyState, Freshness, PageHead, Price, Stock},
    erase::{Erase, View},
    format::use_alive,
    live::store::{Listed, LiveListing},
    translations::i18n::{tu_string, use_i18n},
};

mod checkout;

use checkout::Checkout;

/// The basket's page.
#[derive(Serialize, Deserialize)]
pub(crate) struct BasketContents {
    /// Every product: what the basket's lines cost, and how many are left.
    pub(crate) listed: Listed,
}

impl Island for BasketContents {
    const NAME: &'static str = "basket";

    fn view(self) -> View {
        let i18n = use_i18n();
        let listing = LiveListing::<ProductDocument>::new(self.listed);
        let alive = use_alive();
        let basket = use_basket();
        let lines = Memo::new(move |_| {
            basket
                .read()
                .lines()
                .iter()
                .map(|line| (line.sku.clone(), line.quantity))
                .collect::<Vec<_>>()
        });
        let skus = move || lines.with(|lines| lines.iter().map(|(sku, _)| sku.clone()).collect::<Vec<_>>());
        let sum = Signal::derive(move || lines.with(|lines| total(lines, &listing.documents())));
        let violations = RwSignal::new(Vec::new());
        view! {
        <PageHead title=tu_string!(i18n, basket.title)>
            <Freshness view="products" progress=listing.progress() />
        </PageHead>
        <p class="notice needs-no-script">{tu_string!(i18n, basket.needs_script)}</p>
        <Show when=move || alive.get() fallback=|| view! { <div class="skeleton skeleton--table needs-script"></div> }>
            <Show
                when=move || lines.with(|lines| !lines.is_empty())
                fallback=move || view! {
                    <EmptyState
                        title=tu_string!(i18n, basket.empty_title)
                        text=tu_string!(i18n, basket.empty)
                    >
                        <a class="button button--primary" href="/shop">{tu_string!(i18n, orders.empty_action)}</a>
                    </EmptyState>
                }
            >
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">{tu_string!(i18n, basket.product)}</th>
                            <th scope="col" class="figure">{tu_string!(i18n, basket.price)}</th>
                            <th scope="col">{tu_string!(i18n, basket.quantity)}</th>
                            <th scope="col" class="figure">{tu_string!(i18n, basket.sum)}</th>
                        </tr>
                    </thead>
                    <tbody>
                        <For each=skus key=String::clone let:sku>
                            <Line sku listing violations />
                        </For>
                    </tbody>
                    <tfoot>
                        <tr>
                            <th scope="row" colspan="3">{tu_string!(i18n, basket.total)}</th>
                            <td class="figure total"><Price amount=sum /></td>
                        </tr>
                    </tfoot>
                </table>
                <Checkout violations />
            </Show>
        </Show>
    }
    .erase()
    }
}

/// The sum of the basket at today's prices; `None` where a product is not on sale any more or currencies are mixed.
fn total(lines: &[(String, u32)], products: &[ProductDocument]) -> Option<Money> {
    let mut total: Option<Money> = None;
    for (sku, quantity) in lines {
        let price = products
            .iter()
            .find(|product| product.sku == *sku)?
            .price
            .as_ref()?
            .times(*quantity)?;
        total = Some(match total {
            Some(total) => total.plus(&price)?,
            None => price,
        });
    }
    total
}

#[component]
fn Line(
    sku: String,
    listing: LiveListing<ProductDocument>,
    violations: RwSignal<Vec<(String, String)>>,
) -> impl IntoView {
    let i18n = use_i18n();
    let basket = use_basket();
    let row = listing.row(sku.clone());
    let product = Memo::new(move |_| row.get().map(|(product, _)| product));
    let sku = StoredValue::new(sku);
    let quantity = Memo::new(move |_| sku.with_value(|sku| basket.read().quantity(sku)));
    let name = move || {
        product
            .get()
            .map_or_else(|| sku.get_value(), |product| product.name)
    };
    let price = Signal::derive(move || {
        product.with(|product| product.as_ref().and_then(|product| product.price.clone()))
    });
    let sum = Signal::derive(move || price.get().and_then(|price| price.times(quantity.get())));
    let available = Signal::derive(move || {
        product.with(|product| product.as_ref().map_or(0, |product| product.available))
    });
    let set = move |quantity: u32| {
        sku.with_value(|sku| basket.change(|basket| basket.set(sku, quantity)));
    };
    let error = move || {
        violations.with(|violations| {
            sku.with_value(|sku| {
                violations
                    .iter()
                    .find(|(of, _)| of == sku)
                    .map(|(_, message)| message.clone())
            })
        })
    };
    let error_id = format!("error-{}", sku.get_value());
    view! {
        <tr>
            <th scope="row">
                <a href=format!("/shop/{}", sku.get_value())>{name}</a>
                " "
                <Stock available />
                <p class="field__error" id=error_id.clone()>{error}</p>
            </th>
            <td class="figure" data-label=tu_string!(i18n, basket.price)><Price amount=price /></td>
            <td data-label=tu_string!(i18n, basket.quantity)>
                <span class="quantity">
                    <input
                        type="number"
                        min="1"
                        max="999"
                        inputmode="numeric"
                        prop:value=move || quantity.get().to_string()
                        aria-label=move || format!("{}: {}", tu_string!(i18n, basket.quantity), name())
                        aria-invalid=move || error().map(|_| "true")
                        aria-describedby=error_id
                        on:change=move |event| {
                            if let Ok(wanted) = event_target_value(&event).parse::<u32>() {
                                set(wanted.max(1));
                            }
                        }
                    />
                    <button type="button" class="button button--quiet" on:click=move |_| set(0)>
                        {tu_string!(i18n, basket.remove)}
                        <span class="hidden">{name}</span>
                    </button>
                </span>
            </td>
            <td class="figure" data-label=tu_string!(i18n, basket.sum)><Price amount=sum /></td>
        </tr>
    }
    .erase()
}
