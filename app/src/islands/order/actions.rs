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
    components::{PendingCommands, ProblemSummary, either, explain_field, explain_rejection, only_if, text},
    erase::Erase,
    erased_effects::effect,
    language::language,
    live::{
        protocol::Link,
        store::{Revision, use_link},
    },
    text::{self, SLOT, around},
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
    let language = language();
    let open = RwSignal::new(false);
    let reason = RwSignal::new(String::new());
    let problem = RwSignal::new(None::<Rejection>);
    let message = Signal::derive(move || problem.with(|problem| problem.as_ref().map(explain_rejection)));
    let field_error = move || {
        problem.with(|problem| {
            let Some(Rejection { rule, violations, .. }) = problem else {
                return String::new();
            };
            let violation = violations.first();
            violation
                .map(|violation| explain_field(violation, "", rule))
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
                {text::order::cancel(language)}
            </button>
        }
        .erase()
    };
    let (before, after) = around(&text::order::cancel_notice(language, SLOT));
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
                <p>{before.clone()}<code>{short.clone()}</code>{after.clone()}</p>
                <div class="field">
                    <label for="cancel-reason">{text::order::reason(language)}</label>
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
                    <p class="field__help" id="cancel-help">{text::order::reason_help(language)}</p>
                </div>
                <p class="buttons">
                    <button class="button button--danger">{text::order::cancel_confirm(language)}</button>
                    <button type="button" class="button button--quiet" on:click=move |_| open.set(false)>
                        {text::order::keep(language)}
                    </button>
                </p>
            </form>
        }
        .erase()
    };
    let status = move || shown.with(|order| order.as_ref().map(|(order, _)| order.status));
    let possible = move || either(move || open.get(), form.clone(), button);
    let why_not = move || match status() {
        Some(OrderStatus::Rejected) => text::order::no_cancel_rejected(language),
        Some(OrderStatus::Cancelled) => text::order::no_cancel_cancelled(language),
        Some(OrderStatus::Shipped) => text::order::no_cancel_shipped(language),
        Some(OrderStatus::Refunded) => text::order::no_cancel_refunded(language),
        _ => text::order::no_cancel_delivered(language),
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
            <h2>{text::order::actions(language)}</h2>
            <PendingCommands stream history />
            {either(is_possible, possible, impossible)}
        </section>
    }
    .erase()
}
