//! The actions of an order: cancelling it, with a reason and a confirmation that names it. The cancellation
//! shows at once; if it is impossible, the page says why.

use domain::{
    aggregate::order::{MAX_REASON, OrderStatus},
    rejection::Rejection,
    view::orders::OrderDocument,
};
use leptos::{html, prelude::*};

use crate::{
    commands::{NewCommand, is_pending, use_commands},
    components::{PendingCommands, ProblemSummary, either, only_if, text},
    erase::Erase,
    erased_effects::effect,
    language::language,
    live::{
        protocol::Link,
        store::{Revision, use_link},
    },
    translations::i18n::td_string,
};

/// The cancellation of an order. `server` is the server's document, `shown` has the predicted effect of
/// pending commands.
#[expect(
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a component owns what it is given, and this one is a form and its two buttons"
)]
#[component]
pub(super) fn Actions(
    id: String,
    server: Memo<Revision<OrderDocument>>,
    shown: Memo<Revision<OrderDocument>>,
) -> impl IntoView {
    let locale = language();
    let open = RwSignal::new(false);
    let reason = RwSignal::new(String::new());
    let problem = RwSignal::new(None::<Rejection>);
    let message = Signal::derive(move || {
        problem.with(|problem| problem.as_ref().map(|problem| problem.detail.clone()))
    });
    let field_error = move || {
        problem.with(|problem| {
            let violation = problem.as_ref().and_then(|problem| problem.violations.first());
            violation
                .map(|violation| violation.message.clone())
                .unwrap_or_default()
        })
    };
    let field = NodeRef::<html::Textarea>::new();
    effect(move || {
        if open.get()
            && let Some(field) = field.get()
        {
            let _ = field.focus();
        }
    });
    let stream = ["order-", &id].concat();
    let commands = use_commands();
    let link = use_link();
    let to = stream.clone();
    let cancel = move || {
        let (Some(commands), Some((order, _))) = (commands, server.get_untracked()) else {
            return;
        };
        let command = NewCommand {
            command: "CancelOrder",
            stream: to.clone(),
            data: serde_json::json!({ "reason": reason.get_untracked() }),
            // Offline, the command is bound to the version that was shown. Online, it is sent at once and
            // needs no expected version.
            expected: (link.get_untracked() != Link::Live).then_some(order.version),
            preview: None,
        };
        let refused = commands.submit(order, command).err();
        open.set(refused.is_some());
        problem.set(refused);
    };
    let short = ["…", id.get(id.len().saturating_sub(8)..).unwrap_or(&id)].concat();
    let own_stream = stream.clone();
    let history = Signal::derive(move || {
        // Entries about stock and payment belong to other streams.
        server.with(|order| {
            let entries = order.iter().flat_map(|(order, _)| &order.history);
            entries
                .filter(|entry| entry.stream == own_stream)
                .cloned()
                .collect::<Vec<_>>()
        })
    });
    let button = move || {
        view! {
            <button type="button" class="button" on:click=move |_| open.set(true)>
                {td_string!(locale, order.cancel)}
            </button>
        }
        .erase()
    };
    let form = move || {
        let cancel = cancel.clone();
        view! {
            <ProblemSummary message />
            <form
                class="form"
                on:submit=move |event| {
                    event.prevent_default();
                    cancel();
                }
            >
                <p>{td_string!(locale, order.cancel_question)}" "<code>{short.clone()}</code></p>
                <div class="field">
                    <label for="cancel-reason">{td_string!(locale, order.reason)}</label>
                    <textarea
                        id="cancel-reason"
                        rows="3"
                        maxlength=MAX_REASON
                        required
                        node_ref=field
                        aria-describedby="cancel-error cancel-help"
                        aria-invalid=text(move || if field_error().is_empty() { "false" } else { "true" })
                        prop:value=text(move || reason.get())
                        on:input=move |event| reason.set(event_target_value(&event))
                    ></textarea>
                    <p class="field__error" id="cancel-error">{text(field_error)}</p>
                    <p class="field__help" id="cancel-help">{td_string!(locale, order.reason_help)}</p>
                </div>
                <p class="buttons">
                    <button class="button button--danger">{td_string!(locale, order.cancel_confirm)}</button>
                    <button type="button" class="button button--quiet" on:click=move |_| open.set(false)>
                        {td_string!(locale, order.keep)}
                    </button>
                </p>
            </form>
        }
        .erase()
    };
    let status = move || shown.with(|order| order.as_ref().map(|(order, _)| order.status));
    let possible = move || either(move || open.get(), form.clone(), button);
    let why_not = move || match status() {
        Some(OrderStatus::Rejected) => td_string!(locale, order.no_cancel_rejected),
        Some(OrderStatus::Cancelled) => td_string!(locale, order.no_cancel_cancelled),
        Some(OrderStatus::Shipped) => td_string!(locale, order.no_cancel_shipped),
        _ => td_string!(locale, order.no_cancel_delivered),
    };
    let is_pending = is_pending(stream.clone());
    let impossible = move || {
        let is_pending = is_pending.clone();
        only_if(
            move || !is_pending(),
            move || view! { <p class="muted">{text(why_not)}</p> }.erase(),
        )
    };
    let is_possible = move || status().is_some_and(OrderStatus::can_be_cancelled);
    view! {
        <section class="panel needs-script">
            <h2>{td_string!(locale, order.actions)}</h2>
            <PendingCommands stream history />
            {either(is_possible, possible, impossible)}
        </section>
    }
    .erase()
}
