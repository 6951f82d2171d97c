//! Placing the order: one command, whose stream and idempotency key are made once for a basket. Pressing the button again
//! after a lost answer is the same command, and never a second order.

use domain::wire::Problem;
use leptos::prelude::*;

use crate::{
    components::{ProblemSummary, explain, text},
    erase::Erase,
    language::language,
    translations::i18n::td_string,
};

/// The test methods of the payment provider.
const METHODS: [&str; 5] = [
    "tok_ok",
    "tok_declined",
    "tok_insufficient_funds",
    "tok_timeout",
    "tok_flaky",
];

/// The payment method and the button. What the server finds wrong with a line is put into `violations`, by sku.
#[component]
pub(super) fn Checkout(violations: RwSignal<Vec<(String, String)>>) -> impl IntoView {
    let locale = language();
    let method = RwSignal::new(METHODS[0].to_owned());
    let sending = RwSignal::new(false);
    let problem = RwSignal::new(None::<Problem>);
    let message = Signal::derive(move || problem.with(|problem| problem.as_ref().map(explain)));
    let place = placing(method, sending, problem, violations);
    let word = move |token: &str| match token {
        "tok_ok" => td_string!(locale, payment.ok),
        "tok_declined" => td_string!(locale, payment.declined),
        "tok_insufficient_funds" => td_string!(locale, payment.insufficient),
        "tok_timeout" => td_string!(locale, payment.timeout),
        _ => td_string!(locale, payment.flaky),
    };
    view! {
        <ProblemSummary message />
        <form
            class="form checkout"
            on:submit=move |event| {
                event.prevent_default();
                place();
            }
        >
            <div class="field">
                <label for="payment-method">{td_string!(locale, payment.label)}</label>
                <select
                    id="payment-method"
                    aria-describedby="payment-help"
                    on:change=move |event| method.set(event_target_value(&event))
                >
                    {METHODS.map(|token| view! { <option value=token>{word(token)}</option> }).collect_view()}
                </select>
                <p class="field__help" id="payment-help">{td_string!(locale, payment.help)}</p>
            </div>
            <button
                class="button button--primary"
                class:button--pending=move || sending.get()
                aria-disabled=text(move || sending.get().to_string())
            >
                {text(move || if sending.get() { td_string!(locale, basket.sending) } else { td_string!(locale, basket.place_order) })}
            </button>
        </form>
    }
    .erase()
}

#[cfg(feature = "ssr")]
fn placing(
    _method: RwSignal<String>,
    _sending: RwSignal<bool>,
    _problem: RwSignal<Option<Problem>>,
    _violations: RwSignal<Vec<(String, String)>>,
) -> impl Fn() + Copy + Send + Sync + 'static {
    || {}
}

#[cfg(not(feature = "ssr"))]
fn placing(
    method: RwSignal<String>,
    sending: RwSignal<bool>,
    problem: RwSignal<Option<Problem>>,
    violations: RwSignal<Vec<(String, String)>>,
) -> impl Fn() + Copy + Send + Sync + 'static {
    use domain::{aggregate::order::PlaceOrder, wire::CommandRequest};
    use uuid::Uuid;

    use crate::{api, basket::use_basket, boxed::spawn, id::new_id};

    let basket = use_basket();
    let written = use_context::<api::Written>();
    // The order and the key that were sent, as long as their answer is not known.
    let attempt = StoredValue::new(None::<(PlaceOrder, Uuid, Uuid)>);
    move || {
        if sending.get_untracked() {
            return;
        }
        let lines = basket.read_untracked().lines().to_vec();
        let order = PlaceOrder {
            lines,
            payment_method: method.get_untracked(),
        };
        let (id, key) = match attempt.get_value() {
            Some((sent, id, key)) if sent == order => (id, key),
            _ => (new_id(), new_id()),
        };
        attempt.set_value(Some((order.clone(), id, key)));
        let Ok(data) = serde_json::to_value(&order) else {
            return;
        };
        let command = CommandRequest {
            command_type: "PlaceOrder".to_owned(),
            stream: format!("order-{id}"),
            data,
            expected_version: domain::wire::ExpectedVersion::Any,
            correlation_id: None,
        };
        sending.set(true);
        problem.set(None);
        violations.set(Vec::new());
        spawn(async move {
            match api::send(command, key).await {
                Ok(answer) => {
                    if let Some(written) = written {
                        written.note(&answer.token);
                    }
                    basket.change(crate::basket::Basket::clear);
                    let _ = window().location().set_href(&format!("/orders/{id}"));
                }
                Err(refused) => {
                    // An answer that is known ends the attempt; the next one is a new order.
                    if refused.status != 0 && refused.status < 500 {
                        let _ = attempt.try_set_value(None);
                    }
                    let of_lines = refused.violations.iter().filter_map(|violation| {
                        let (index, _) = violation.field.strip_prefix("data.lines[")?.split_once(']')?;
                        let line = order.lines.get(index.parse::<usize>().ok()?)?;
                        Some((line.sku.clone(), violation.message.clone()))
                    });
                    let _ = violations.try_set(of_lines.collect());
                    let _ = problem.try_set(Some(refused));
                    let _ = sending.try_set(false);
                }
            }
        });
    }
}
