//! What can be done with an order: take it back, with a reason and one question that names it. What cannot be done says
//! why.

use domain::{
    aggregate::order::{MAX_REASON, OrderStatus},
    wire::Problem,
};
use leptos::{html, prelude::*};

use crate::{
    boxed::effect,
    components::{ProblemSummary, either, explain, text},
    erase::Erase,
    language::language,
    translations::i18n::td_string,
};

/// Cancelling.
#[component]
pub(super) fn Actions(id: String, status: Signal<OrderStatus>) -> impl IntoView {
    let locale = language();
    let open = RwSignal::new(false);
    let reason = RwSignal::new(String::new());
    let sending = RwSignal::new(false);
    let problem = RwSignal::new(None::<Problem>);
    let message = Signal::derive(move || problem.with(|problem| problem.as_ref().map(explain)));
    let field_error = move || {
        problem.with(|problem| {
            let violations = problem.iter().flat_map(|problem| &problem.violations);
            let of_reason = violations.filter(|violation| violation.field == "data.reason");
            of_reason
                .map(|violation| violation.message.clone())
                .collect::<String>()
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
    let id = StoredValue::new(id);
    let cancel = cancelling(id, reason, sending, problem, open);
    let short =
        move || id.with_value(|id| format!("…{}", id.get(id.len().saturating_sub(8)..).unwrap_or(id)));
    let button = move || {
        view! {
            <button type="button" class="button" on:click=move |_| open.set(true)>{td_string!(locale, order.cancel)}</button>
        }
        .erase()
    };
    let form = move || {
        view! {
            <form
                class="form"
                on:submit=move |event| {
                    event.prevent_default();
                    cancel();
                }
            >
                <p>{td_string!(locale, order.cancel_question)}" "<code>{short()}</code></p>
                <div class="field">
                    <label for="cancel-reason">{td_string!(locale, order.reason)}</label>
                    <textarea
                        id="cancel-reason"
                        rows="3"
                        maxlength=MAX_REASON
                        required
                        node_ref=field
                        aria-describedby="cancel-error cancel-help"
                        aria-invalid=text(move || (!field_error().is_empty()).to_string())
                        on:input=move |event| reason.set(event_target_value(&event))
                    ></textarea>
                    <p class="field__error" id="cancel-error">{text(field_error)}</p>
                    <p class="field__help" id="cancel-help">{td_string!(locale, order.reason_help)}</p>
                </div>
                <p class="buttons">
                    <button
                        class="button button--danger"
                        class:button--pending=move || sending.get()
                        aria-disabled=text(move || sending.get().to_string())
                    >
                        {text(move || {
                            if sending.get() {
                                td_string!(locale, basket.sending)
                            } else {
                                td_string!(locale, order.cancel_confirm)
                            }
                        })}
                    </button>
                    <button type="button" class="button button--quiet" on:click=move |_| open.set(false)>
                        {td_string!(locale, order.keep)}
                    </button>
                </p>
            </form>
        }
        .erase()
    };
    let possible = move || {
        view! {
            <ProblemSummary message />
            {either(move || open.get(), form, button)}
        }
        .erase()
    };
    let impossible = move || view! { <p class="muted">{td_string!(locale, order.no_cancel)}</p> }.erase();
    view! {
        <section class="panel needs-script">
            <h2>{td_string!(locale, order.actions)}</h2>
            {either(move || status.get().can_be_cancelled(), possible, impossible)}
        </section>
    }
    .erase()
}

#[cfg(feature = "ssr")]
fn cancelling(
    _id: StoredValue<String>,
    _reason: RwSignal<String>,
    _sending: RwSignal<bool>,
    _problem: RwSignal<Option<Problem>>,
    _open: RwSignal<bool>,
) -> impl Fn() + Copy + Send + Sync + 'static {
    || {}
}

#[cfg(not(feature = "ssr"))]
fn cancelling(
    id: StoredValue<String>,
    reason: RwSignal<String>,
    sending: RwSignal<bool>,
    problem: RwSignal<Option<Problem>>,
    open: RwSignal<bool>,
) -> impl Fn() + Copy + Send + Sync + 'static {
    use domain::wire::{CommandRequest, ExpectedVersion};

    use crate::{api, boxed::spawn, id::new_id};

    let written = use_context::<api::Written>();
    // A reason and the key it was sent with, as long as its answer is not known.
    let attempt = StoredValue::new(None::<(String, uuid::Uuid)>);
    move || {
        if sending.get_untracked() {
            return;
        }
        let reason = reason.get_untracked();
        let key = match attempt.get_value() {
            Some((sent, key)) if sent == reason => key,
            _ => new_id(),
        };
        attempt.set_value(Some((reason.clone(), key)));
        let command = CommandRequest {
            command_type: "CancelOrder".to_owned(),
            stream: id.with_value(|id| format!("order-{id}")),
            data: serde_json::json!({ "reason": reason }),
            expected_version: ExpectedVersion::Any,
            correlation_id: None,
        };
        sending.set(true);
        problem.set(None);
        spawn(async move {
            match api::send(command, key).await {
                Ok(answer) => {
                    if let Some(written) = written {
                        written.note(&answer.token);
                    }
                    let _ = open.try_set(false);
                }
                Err(refused) => {
                    if refused.status != 0 && refused.status < 500 {
                        let _ = attempt.try_set_value(None);
                    }
                    let _ = problem.try_set(Some(refused));
                }
            }
            let _ = sending.try_set(false);
        });
    }
}
