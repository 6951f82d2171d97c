//! The products: each row can change its price and retire it, and a form lists a new product.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    new_price::change_price,
    new_product::new_product,
    row_actions::{Confirmation, confirmed_action, refusal},
    sender::Sender,
};
use crate::{
    components::{Column, EmptyState, ListingTable, Price, Stock, highlight_class, text},
    erase::{Erase, View},
    islands::Island,
    language::language,
    live::store::{InitialListing, LiveListing, Revision},
    text,
};

/// The products on sale.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficeProducts {
    /// The first page.
    pub(crate) initial: InitialListing,
    /// Whether the session's role may act, and not only read.
    pub(crate) acts: bool,
}

impl Island for OfficeProducts {
    const NAME: &'static str = "office-products";

    fn view(self) -> View {
        let language = language();
        let Self { initial, acts } = self;
        let listing = LiveListing::<ProductDocument>::new(initial);
        let mut columns = vec![
            Column::words(text::basket::product(language)),
            Column::words(text::office::tags(language)),
            Column::figures(text::office::available(language)),
            Column::figures(text::basket::price(language)),
        ];
        columns.extend(acts.then(|| Column::words(text::office::act(language))));
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::shop::empty_title(language)
                    text=text::office::products_empty(language)
                    action=().erase()
                />
            }
            .erase()
        };
        ListingTable {
            title: text::office::products(language),
            view: "products",
            listing: listing.untyped(),
            columns,
            before: acts.then(new_product),
        }
        .show(move |sku| row(&sku, listing.row(sku.clone()), acts), nothing)
    }
}

fn row(sku: &str, product: Memo<Revision<ProductDocument>>, acts: bool) -> View {
    let language = language();
    let Some((first, _)) = product.get_untracked() else {
        return ().erase();
    };
    let price = Signal::derive(move || {
        product.with(|product| product.as_ref().and_then(|(product, _)| product.price.clone()))
    });
    let available = Signal::derive(move || {
        product.with(|product| product.as_ref().map_or(0, |(product, _)| product.available))
    });
    let name = first.name;
    let acting = acts.then(|| {
        view! {
            <td class="acts needs-script" data-label=text::office::act(language)>
                <div class="act">{change_price(sku, &name, price)} {retire(sku, &name)}</div>
            </td>
        }
    });
    view! {
        <tr class=text(move || highlight_class(product)) data-sku=sku.to_owned()>
            <th scope="row">
                <a href=format!("/shop/{sku}")>{name.clone()}</a>
                " "
                <code class="muted">{sku.to_owned()}</code>
            </th>
            <td data-label=text::office::tags(language)>{first.tags.join(", ")}</td>
            <td class="figure" data-label=text::office::available(language)><Stock available /></td>
            <td class="figure" data-label=text::basket::price(language)><Price amount=price /></td>
            {acting}
        </tr>
    }
    .erase()
}

/// The action that retires a product, with a confirmation that names it.
fn retire(sku: &str, name: &str) -> View {
    let language = language();
    let sender = Sender::new();
    let open = RwSignal::new(false);
    let stream = StoredValue::new(format!("product-{sku}"));
    let confirmation = Confirmation {
        id: sku.to_owned(),
        open: text::office::retire(language),
        of: name.to_owned(),
        question: text::office::retire_notice(language, name),
        confirm: text::office::retire_confirm(language),
        keep: text::office::retire_keep(language),
        wants_reason: false,
    };
    let action = confirmed_action(confirmation, sender, open, move |_| {
        sender.send("RetireProduct", stream.get_value(), json!({}), move || {
            let _ = open.try_set(false);
        });
    });
    view! { {action}{refusal(sender)} }.erase()
}
