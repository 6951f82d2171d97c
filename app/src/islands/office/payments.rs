//! The payments: processed, failed and refunded ones, with the refund action.

use domain::view::payments::{PaymentDocument, PaymentStatus};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    row_actions::{Confirmation, confirmed_action, refusal},
    sender::Sender,
};
use crate::{
    components::{
        Column, EmptyState, Icon, Id, ListingTable, Picture, Price, When, highlight_class, only_if,
        payment_method_name, reason_text, text,
    },
    erase::{Erase, View},
    islands::Island,
    language::language,
    live::store::{InitialListing, LiveListing, Revision},
    text,
};

/// The payments in one status, or all.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficePayments {
    /// The first page.
    pub(crate) initial: InitialListing,
    /// Whether the session's role may act, and not only read.
    pub(crate) acts: bool,
}

impl Island for OfficePayments {
    const NAME: &'static str = "office-payments";

    fn view(self) -> View {
        let language = language();
        let Self { initial, acts } = self;
        let listing = LiveListing::<PaymentDocument>::new(initial);
        let mut columns = vec![
            Column::words(text::orders::order(language)),
            Column::words(text::office::at(language)),
            Column::words(text::office::method(language)),
            Column::figures(text::office::amount(language)),
            Column::words(text::orders::status(language)),
        ];
        columns.extend(acts.then(|| Column::words(text::office::act(language))));
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::office::payments_none(language)
                    text=text::office::payments_empty(language)
                    action=view! {
                        <a class="button" href="/office/payments">
                            {text::office::payments_all(language)}
                        </a>
                    }.erase()
                />
            }
            .erase()
        };
        ListingTable {
            title: text::office::payments(language),
            view: "payments",
            listing: listing.untyped(),
            columns,
            before: None,
        }
        .show(move |key| row(&key, listing.row(key.clone()), acts), nothing)
    }
}

fn row(order: &str, payment: Memo<Revision<PaymentDocument>>, acts: bool) -> View {
    let language = language();
    let Some((first, _)) = payment.get_untracked() else {
        return ().erase();
    };
    let status = Signal::derive(move || {
        payment.with(|payment| {
            payment
                .as_ref()
                .map_or(first.status, |(payment, _)| payment.status)
        })
    });
    let reason = move || {
        payment.with(|payment| {
            payment
                .as_ref()
                .and_then(|(payment, _)| payment.reason.as_deref().map(reason_text))
                .unwrap_or_default()
        })
    };
    let method = match payment_method_name(&first.method) {
        Some(name) => name.into_any(),
        None => view! { <code>{first.method.clone()}</code> }.into_any(),
    };
    let acting = acts.then(|| {
        let refund = refund(order, &first);
        view! {
            <td class="acts needs-script" data-label=text::office::act(language)>
                {only_if(move || status.get() == PaymentStatus::Processed, refund)}
            </td>
        }
    });
    view! {
        <tr class=text(move || highlight_class(payment)) data-order=order.to_owned()>
            <th scope="row">
                <a class="row-link" href=format!("/orders/{order}")><Id id=order.to_owned() /></a>
            </th>
            <td data-label=text::office::at(language)><When at=first.at /></td>
            <td data-label=text::office::method(language)>{method}</td>
            <td data-label=text::office::amount(language) class="figure">
                <Price amount=Some(first.amount) />
            </td>
            <td data-label=text::orders::status(language)>
                {badge(status)}
                " "
                <span class="muted">{text(reason)}</span>
            </td>
            {acting}
        </tr>
    }
    .erase()
}

/// The status of a payment: icon, word and colour.
fn badge(status: Signal<PaymentStatus>) -> View {
    let language = language();
    let picture = Signal::derive(move || match status.get() {
        PaymentStatus::Processed => Picture::Check,
        PaymentStatus::Failed => Picture::Ban,
        PaymentStatus::Refunded => Picture::Undo,
    });
    let word = move || match status.get() {
        PaymentStatus::Processed => text::office::processed(language),
        PaymentStatus::Failed => text::office::failed(language),
        PaymentStatus::Refunded => text::office::refunded(language),
    };
    view! {
        <span class="badge" data-status=text(move || status.get().as_str())>
            <Icon picture />
            {text(word)}
        </span>
    }
    .erase()
}

/// The refund action, with a confirmation that names the order, and a reason.
fn refund(order: &str, payment: &PaymentDocument) -> impl Fn() -> View + Send + Sync + 'static {
    let language = language();
    let sender = Sender::new();
    let open = RwSignal::new(false);
    let short = format!("…{}", order.get(order.len().saturating_sub(8)..).unwrap_or(order));
    let stream = StoredValue::new(format!("payment-{order}"));
    let id = order.to_owned();
    let amount = crate::format::fixed_money(&payment.amount);
    move || {
        let confirmation = Confirmation {
            id: id.clone(),
            open: text::office::refund(language),
            of: short.clone(),
            question: text::office::refund_notice(language, &amount, &short),
            confirm: text::office::refund_confirm(language),
            keep: text::office::refund_keep(language),
            wants_reason: true,
        };
        let action = confirmed_action(confirmation, sender, open, move |reason| {
            sender.send(
                "RefundPayment",
                stream.get_value(),
                json!({ "reason": reason }),
                move || {
                    let _ = open.try_set(false);
                },
            );
        });
        view! { <div class="act">{action}</div>{refusal(sender)} }.erase()
    }
}
