//! The products: each row can change its price and retire it, and a form lists a new product.

use domain::{money::Money, view::products::ProductDocument};
use leptos::{html, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    new_product::new_product,
    row_actions::{Confirmation, confirmed_action, refusal},
    sender::Sender,
};
use crate::{
    components::{Column, EmptyState, ListingTable, Price, Stock, highlight_class, only_if, text},
    erase::{Erase, View},
    format::{decimal, parse_money},
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

/// A button that opens the field for a new price.
fn change_price(sku: &str, name: &str, price: Signal<Option<Money>>) -> View {
    let language = language();
    let sender = Sender::new();
    let open = RwSignal::new(false);
    let wrong = RwSignal::new(false);
    let field = NodeRef::<html::Input>::new();
    let stream = StoredValue::new(format!("product-{sku}"));
    let id = format!("price-{sku}");
    let error_id = format!("price-{sku}-error");
    let label = text::layout::pair(language, text::office::new_price(language), name);
    let name = name.to_owned();
    crate::erased_effects::effect(move || {
        if open.get()
            && let Some(field) = field.get()
        {
            field.select();
        }
    });
    let error = move || {
        if wrong.get() {
            text::office::price_wrong(language).to_owned()
        } else {
            sender.violation("data.price")
        }
    };
    let submit = move || {
        let (Some(input), Some(now)) = (field.get_untracked(), price.get_untracked()) else {
            return;
        };
        sender.clear();
        let wanted = parse_money(&input.value(), &now.currency).filter(|money| money.amount > 0);
        wrong.set(wanted.is_none());
        let Some(wanted) = wanted else {
            let _ = input.focus();
            return;
        };
        sender.send(
            "ChangePrice",
            stream.get_value(),
            json!({ "price": wanted }),
            move || {
                let _ = open.try_set(false);
            },
        );
    };
    let form = move || {
        view! {
            <form
                class="receive"
                novalidate
                on:submit=move |event| {
                    event.prevent_default();
                    submit();
                }
            >
                <input
                    type="text"
                    id=id.clone()
                    inputmode="decimal"
                    autocomplete="off"
                    value=price.get_untracked().as_ref().map(decimal).unwrap_or_default()
                    aria-label=label.clone()
                    aria-describedby=error_id.clone()
                    aria-invalid=text(move || (!error().is_empty()).to_string())
                    node_ref=field
                />
                <button
                    class="button button--small"
                    aria-disabled=text(move || sender.is_sending().to_string())
                >
                    {text(move || {
                        if sender.is_sending() {
                            text::outgoing::sending(language)
                        } else {
                            text::office::change_price_confirm(language)
                        }
                    })}
                </button>
            </form>
            <p class="field__error" id=error_id.clone()>{text(error)}</p>
            {only_if(move || sender.violation("data.price").is_empty(), move || refusal(sender))}
        }
        .erase()
    };
    view! {
        <button
            type="button"
            class="button button--small button--quiet"
            aria-expanded=text(move || open.get().to_string())
            on:click=move |_| open.update(|open| *open = !*open)
        >
            {text::office::change_price(language)}
            <span class="hidden">" "{name}</span>
        </button>
        {only_if(move || open.get(), form)}
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
