//! The live stock: on hand, reserved and available, with a form in each row that receives stock. Low stock is
//! marked.

use std::collections::BTreeMap;

use domain::{
    aggregate::inventory::MAX_QUANTITY,
    view::inventory::{InventoryDocument, LOW_STOCK},
};
use leptos::{html, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{row_actions::refusal, sender::Sender};
use crate::{
    commands::{NewCommand, is_pending},
    components::{
        Column, EmptyState, Icon, ListingTable, PendingCommands, Picture, highlight_class, only_if, text,
    },
    erase::{Erase, View},
    islands::Island,
    language::language,
    live::store::{InitialListing, LiveListing, Revision},
    text,
};

/// The stock of all products, or of those with low stock.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficeStock {
    /// The first page.
    pub(crate) initial: InitialListing,
    /// The names of the products, by SKU. A product without a name is shown by its SKU.
    pub(crate) names: BTreeMap<String, String>,
    /// Whether the session's role may act, and not only read.
    pub(crate) acts: bool,
}

impl Island for OfficeStock {
    const NAME: &'static str = "office-stock";

    fn view(self) -> View {
        let language = language();
        let Self { initial, names, acts } = self;
        let is_low = initial.query.listing == "low_stock";
        let names = StoredValue::new(names);
        let listing = LiveListing::<InventoryDocument>::new(initial);
        let name_of = move |sku: &str| {
            names.with_value(|names| names.get(sku).cloned().unwrap_or_else(|| sku.to_owned()))
        };
        let mut columns = vec![
            Column::words(text::basket::product(language)),
            Column::figures(text::office::on_hand(language)),
            Column::figures(text::office::reserved(language)),
            Column::figures(text::office::available(language)),
        ];
        columns.extend(acts.then(|| Column::words(text::office::receive(language))));
        let nothing = move || {
            view! {
                <EmptyState
                    title=if is_low {
                        text::office::low_none(language)
                    } else {
                        text::office::stock_none(language)
                    }
                    text=if is_low {
                        text::office::low_empty(language)
                    } else {
                        text::office::stock_empty(language)
                    }
                    action=view! {
                        <a class="button" href=if is_low { "/office/stock" } else { "/office/products" }>
                            {if is_low {
                                text::office::stock_all(language)
                            } else {
                                text::office::to_products(language)
                            }}
                        </a>
                    }.erase()
                />
            }
            .erase()
        };
        ListingTable {
            title: text::office::stock(language),
            view: "inventory",
            listing: listing.untyped(),
            columns,
            before: None,
        }
        .show(move |sku| row(&sku, name_of(&sku), listing, acts), nothing)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a row owns what it is given")]
fn row(sku: &str, name: String, listing: LiveListing<InventoryDocument>, acts: bool) -> View {
    let language = language();
    let server = listing.row(sku.to_owned());
    let stock = listing.predicted(sku.to_owned());
    let is_pending = is_pending(format!("inventory-{sku}"));
    let class = move || {
        if is_pending() {
            "row--pending"
        } else {
            highlight_class(stock)
        }
    };
    let figure = move |read: fn(&InventoryDocument) -> u32| {
        text(move || {
            stock.with(|stock| {
                stock
                    .as_ref()
                    .map(|(stock, _)| read(stock).to_string())
                    .unwrap_or_default()
            })
        })
    };
    let is_low = move || {
        stock.with(|stock| {
            stock
                .as_ref()
                .is_some_and(|(stock, _)| stock.available <= LOW_STOCK)
        })
    };
    let low = move || {
        view! {
            <span class="badge" data-status="low">
                <Icon picture=Picture::Alert />
                {text::office::low(language)}
            </span>
        }
        .erase()
    };
    let receiving = acts.then(|| {
        view! {
            <td class="acts needs-script" data-label=text::office::receive(language)>
                {receive(sku, &name, server)}
            </td>
        }
    });
    view! {
        <tr class=text(class) data-sku=sku.to_owned()>
            <th scope="row">
                <a href=format!("/shop/{sku}")>{name.clone()}</a>
                " "
                <code class="muted">{sku.to_owned()}</code>
                " "
                {only_if(is_low, low)}
            </th>
            <td class="figure mono" data-label=text::office::on_hand(language)>
                {figure(|stock| stock.on_hand)}
            </td>
            <td class="figure mono" data-label=text::office::reserved(language)>
                {figure(|stock| stock.reserved)}
            </td>
            <td class="figure mono" data-label=text::office::available(language)>
                {figure(|stock| stock.available)}
            </td>
            {receiving}
        </tr>
    }
    .erase()
}

/// The form that receives stock. The quantity is checked here, and again by the domain's rules.
fn receive(sku: &str, name: &str, server: Memo<Revision<InventoryDocument>>) -> View {
    let language = language();
    let stream = format!("inventory-{sku}");
    let sender = Sender::through_queue(&stream);
    let wrong = RwSignal::new(false);
    let field = NodeRef::<html::Input>::new();
    let id = format!("receive-{sku}");
    let error_id = format!("receive-{sku}-error");
    let label = text::layout::pair(language, text::office::quantity(language), name);
    let to = StoredValue::new(stream.clone());
    let error = move || {
        if wrong.get() {
            text::office::quantity_wrong(language, MAX_QUANTITY)
        } else {
            sender.violation("data.quantity")
        }
    };
    let submit = move || {
        let Some(input) = field.get_untracked() else {
            return;
        };
        sender.clear();
        let quantity = input.value().trim().parse::<u32>().ok();
        let quantity = quantity.filter(|quantity| (1..=MAX_QUANTITY).contains(quantity));
        wrong.set(quantity.is_none());
        let Some(quantity) = quantity else {
            let _ = input.focus();
            return;
        };
        let Some((stock, _)) = server.get_untracked() else {
            return;
        };
        // Goods arrive regardless of other changes to the stock, so no version is expected.
        let command = NewCommand {
            command: "ReceiveStock",
            stream: to.get_value(),
            data: json!({ "quantity": quantity }),
            ..NewCommand::default()
        };
        if sender.submit(stock, command) {
            input.set_value("");
        }
    };
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
                type="number"
                id=id
                min="1"
                max=MAX_QUANTITY
                inputmode="numeric"
                autocomplete="off"
                aria-label=label
                aria-describedby=error_id.clone()
                aria-invalid=text(move || (!error().is_empty()).to_string())
                node_ref=field
            />
            <button
                class=text(move || {
                    let class = "button button--small";
                    if sender.is_sending() { format!("{class} button--pending") } else { class.to_owned() }
                })
                aria-disabled=text(move || sender.is_sending().to_string())
            >
                {text(move || {
                    if sender.is_sending() {
                        text::outgoing::sending(language)
                    } else {
                        text::office::receive_action(language)
                    }
                })}
                <span class="hidden">" "{name.to_owned()}</span>
            </button>
        </form>
        <p class="field__error" id=error_id>{text(error)}</p>
        {other_refusal(sender)}
        <PendingCommands stream />
    }
    .erase()
}

/// The refusal, unless it is about the quantity.
fn other_refusal(sender: Sender) -> View {
    only_if(
        move || sender.violation("data.quantity").is_empty(),
        move || refusal(sender),
    )
}
