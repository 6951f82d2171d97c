//! The basket: its lines, their cost, and the checkout. Prices and stock are live; the basket itself is
//! stored in this browser.

use domain::{aggregate::order::LineRequest, money::Money, view::products::ProductDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    Island,
    pending_orders::{PendingOrders, is_any_pending},
};
use crate::{
    basket::use_basket,
    components::{EmptyState, Freshness, PageHead, Price, Stock, either, for_each, only_if, text},
    erase::{Erase, View},
    format::use_hydrated,
    language::language,
    text,
};

mod checkout;
mod products;

use checkout::{Checkout, CheckoutForm, FieldErrors, place_order, shortages};
use products::Products;

/// The basket's page.
#[derive(Serialize, Deserialize)]
pub(crate) struct BasketContents {}

impl Island for BasketContents {
    const NAME: &'static str = "basket";

    fn view(self) -> View {
        let language = language();
        let hydrated = use_hydrated();
        let basket = use_basket();
        let lines = Signal::derive(move || basket.read().lines().to_vec());
        let products = Products::of(lines);
        let skus = move || lines.with(|lines| lines.iter().map(|line| line.sku.clone()).collect());
        let sum = Signal::derive(move || lines.with(|lines| total(lines, &products.documents())));
        let form = CheckoutForm {
            products,
            method: RwSignal::new("tok_ok"),
            problem: RwSignal::new(None),
            errors: RwSignal::new(Vec::new()),
        };
        let place = Callback::new({
            let place = place_order(form);
            move |()| place()
        });
        let short = Memo::new(move |_| lines.with(|lines| shortages(lines, &products.documents())));
        let is_pending = is_any_pending();
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::basket::empty_title(language)
                    text=text::basket::empty(language)
                    action=view! {
                        <a class="button button--primary" href="/shop">
                            {text::orders::empty_action(language)}
                        </a>
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
                            <th scope="col">{text::basket::product(language)}</th>
                            <th scope="col" class="figure">{text::basket::price(language)}</th>
                            <th scope="col">{text::basket::quantity(language)}</th>
                            <th scope="col" class="figure">{text::basket::sum(language)}</th>
                        </tr>
                    </thead>
                    <tbody>
                        {for_each(skus, move |sku| line(&sku, products, form.errors, short))}
                    </tbody>
                    <tfoot>
                        <tr>
                            <th scope="row" colspan="3">{text::basket::total(language)}</th>
                            <td class="figure total"><Price amount=sum /></td>
                        </tr>
                    </tfoot>
                </table>
                <Checkout form place is_short=Signal::derive(move || short.with(|short| !short.is_empty())) />
            }
            .erase()
        };
        let empty = move || either(is_pending, || ().erase(), nothing);
        let contents = move || {
            view! {
                <PendingOrders accepted=true />
                {either(move || lines.with(Vec::is_empty), empty, table)}
            }
            .erase()
        };
        let freshness = move || view! { <Freshness view="products" progress=products.progress() /> }.erase();
        let skeleton = || view! { <div class="skeleton skeleton--table needs-script"></div> }.erase();
        view! {
            <PageHead
                title=text::basket::title(language)
                mark=only_if(move || !lines.with(Vec::is_empty), freshness)
            />
            <p class="notice needs-no-script">{text::basket::needs_script(language)}</p>
            {either(move || hydrated.get(), contents, skeleton)}
        }
        .erase()
    }
}

/// The sum of the basket at current prices; `None` if a product is no longer on sale, or if currencies are
/// mixed.
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

fn line(sku: &str, products: Products, errors: FieldErrors, short: Memo<Vec<(String, u32)>>) -> View {
    let language = language();
    let basket = use_basket();
    let product = products.product(sku.to_owned());
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
    let is_known = move || sku.with_value(|sku| products.is_known(sku));
    let stock = move || view! { <Stock available /> }.erase();
    let is_on_sale =
        move || product.with(|product| product.as_ref().is_some_and(|(product, _)| product.on_sale()));
    // What stands against the line now, or else the error of the last attempt.
    let error = move || {
        if is_known() && !is_on_sale() {
            return text::product::retired(language).to_owned();
        }
        sku.with_value(|sku| {
            let left = short.with(|short| short.iter().find(|(of, _)| of == sku).map(|(_, left)| *left));
            if let Some(left) = left {
                return text::basket::shortage_line(language, left);
            }
            errors.with(|errors| {
                let of_this = errors.iter().find(|(of, _)| of == sku);
                of_this.map(|(_, message)| message.clone()).unwrap_or_default()
            })
        })
    };
    view! {
        <tr>
            <th scope="row">
                <a href=href>{name}</a>
                " "
                {only_if(is_known, stock)}
                <p class="field__error" id=error_id.clone()>{text(error)}</p>
            </th>
            <td class="figure" data-label=text::basket::price(language)>
                <Price amount=Signal::derive(price) />
            </td>
            <td data-label=text::basket::quantity(language)>
                <span class="quantity">
                    <input
                        type="number"
                        min="1"
                        max="999"
                        inputmode="numeric"
                        prop:value=text(move || quantity().to_string())
                        aria-label=text(move || {
                            text::layout::pair(language, text::basket::quantity(language), name.get())
                        })
                        aria-invalid=text(move || if error().is_empty() { "false" } else { "true" })
                        aria-describedby=error_id
                        on:change=move |event| {
                            // An invalid input becomes the quantity that it was.
                            let wanted = event_target_value(&event).parse().unwrap_or_else(|_| quantity());
                            set(wanted.max(1));
                            event_target::<leptos::web_sys::HtmlInputElement>(&event)
                                .set_value(&quantity().to_string());
                        }
                    />
                    <button type="button" class="button button--quiet" on:click=move |_| set(0)>
                        {text::basket::remove(language)}
                        <span class="hidden">{name}</span>
                    </button>
                </span>
            </td>
            <td class="figure" data-label=text::basket::sum(language)><Price amount=sum /></td>
        </tr>
    }
    .erase()
}
