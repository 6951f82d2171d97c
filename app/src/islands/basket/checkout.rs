//! Checkout: places the order with one command, whose stream and idempotency key are generated once. The
//! predicted order shows at once and the basket is emptied; if the server refuses the command, the lines
//! return to the basket with the reason. A line that cannot be ordered at the moment shows why.

use domain::{aggregate::order::LineRequest, view::products::ProductDocument};
use leptos::prelude::*;

use crate::{
    components::{ProblemSummary, only_if, payment_method_name, text},
    erase::Erase,
    language::language,
    text,
};

use super::products::Products;

/// The test methods of the payment provider.
const METHODS: [&str; 5] = [
    "tok_ok",
    "tok_declined",
    "tok_insufficient_funds",
    "tok_timeout",
    "tok_flaky",
];

/// The errors of the basket's lines, by SKU.
pub(super) type FieldErrors = RwSignal<Vec<(String, String)>>;

/// The state of the checkout form.
#[derive(Clone, Copy)]
pub(super) struct CheckoutForm {
    #[cfg_attr(
        feature = "ssr",
        expect(dead_code, reason = "orders are placed in the browser")
    )]
    pub(super) products: Products,
    pub(super) method: RwSignal<&'static str>,
    pub(super) problem: RwSignal<Option<String>>,
    pub(super) errors: FieldErrors,
}

/// The payment methods and the button, which runs `place`. `is_short` if a line exceeds the stock.
#[component]
pub(super) fn Checkout(
    form: CheckoutForm,
    place: Callback<()>,
    #[prop(into)] is_short: Signal<bool>,
) -> impl IntoView {
    let language = language();
    let CheckoutForm { method, problem, .. } = form;
    let effect_of = move |token: &str| match token {
        "tok_ok" => text::payment::ok_shows(language),
        "tok_declined" => text::payment::declined_shows(language),
        "tok_insufficient_funds" => text::payment::insufficient_shows(language),
        "tok_timeout" => text::payment::timeout_shows(language),
        _ => text::payment::flaky_shows(language),
    };
    let choice = move |token: &'static str| {
        let (name, shows) = (payment_method_name(token), effect_of(token));
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="payment-method"
                    value=token
                    prop:checked=move || method.get() == token
                    on:change=move |_| method.set(token)
                />
                <span><b>{name}</b><span class="field__help">{shows}</span></span>
            </label>
        }
        .erase()
    };
    let short = move || {
        view! { <p class="field__error" id="cannot-order">{text::basket::shortage(language)}</p> }.erase()
    };
    view! {
        <ProblemSummary message=problem />
        <form
            class="form checkout"
            on:submit=move |event| {
                event.prevent_default();
                if !is_short.get_untracked() {
                    place.run(());
                }
            }
        >
            <fieldset class="choices">
                <legend>{text::payment::label(language)}</legend>
                <p class="field__help">{text::payment::help(language)}</p>
                {METHODS.map(choice).collect_view()}
            </fieldset>
            {only_if(move || is_short.get(), short)}
            <button
                class="button button--primary"
                aria-disabled=text(move || if is_short.get() { "true" } else { "false" })
                aria-describedby="cannot-order"
            >
                {text::basket::place_order(language)}
            </button>
        </form>
    }
    .erase()
}

/// The lines that exceed the stock, with the available quantity.
pub(super) fn shortages(lines: &[LineRequest], products: &[ProductDocument]) -> Vec<(String, u32)> {
    let of = |line: &LineRequest| {
        let product = products.iter().find(|product| product.sku == line.sku)?;
        (product.available < line.quantity).then(|| (line.sku.clone(), product.available))
    };
    lines.iter().filter_map(of).collect()
}

/// Returns the function that places the order. Create it outside of the form, which is removed as soon as the
/// basket is empty, before the answer arrives.
#[cfg(feature = "ssr")]
pub(super) fn place_order(_form: CheckoutForm) -> impl Fn() + Copy + Send + Sync + 'static {
    || {}
}

/// Returns the function that places the order. Create it outside of the form, which is removed as soon as the
/// basket is empty, before the answer arrives.
#[cfg(not(feature = "ssr"))]
pub(super) fn place_order(form: CheckoutForm) -> impl Fn() + Copy + Send + Sync + 'static {
    use domain::{aggregate::order::PlaceOrder, wire::Problem};
    use uuid::Uuid;

    use crate::{
        basket::{Basket, use_basket},
        commands::{NewCommand, use_commands},
        components::{explain, explain_field, predicted_problem},
        erased_effects::effect,
        id::new_id,
        islands::pending_orders::return_to_basket,
        live::{command_queue::Stage, prediction},
        person::use_person,
    };

    let CheckoutForm {
        products,
        method,
        problem,
        errors,
    } = form;
    let language = language();
    let basket = use_basket();
    let commands = use_commands();
    let person = use_person();
    let refuse = move |lines: &[LineRequest], refused: &Problem| {
        let rule = refused.rule.as_deref().unwrap_or_default();
        let of_lines = refused.violations.iter().filter_map(|violation| {
            let (index, _) = violation.field.strip_prefix("data.lines[")?.split_once(']')?;
            let line = lines.get(index.parse::<usize>().ok()?)?;
            Some((line.sku.clone(), explain_field(violation, &refused.kind, rule)))
        });
        errors.set(of_lines.collect());
        problem.set(Some(explain(refused)));
    };
    // The command key and the order id of this page's attempt.
    let sent = RwSignal::new(None::<(Uuid, Uuid)>);
    effect(move || {
        let (Some((key, id)), Some(commands)) = (sent.get(), commands) else {
            return;
        };
        match commands.stage(key) {
            Some(Stage::Accepted(_)) => {
                let _ = window()
                    .location()
                    .set_href(&["/orders/", &id.to_string()].concat());
            }
            Some(Stage::Refused(refused)) => {
                sent.set(None);
                let pending =
                    commands.with(|queue| queue.all().iter().find(|pending| pending.key == key).cloned());
                if let Some(pending) = pending {
                    let lines = return_to_basket(commands, basket, &pending);
                    refuse(&lines, &refused);
                }
            }
            _ => {}
        }
    });
    let person = StoredValue::new(person);
    move || {
        let (Some(commands), Some(person)) = (commands, person.get_value()) else {
            return;
        };
        let order = PlaceOrder {
            lines: basket.read_untracked().lines().to_vec(),
            payment_method: method.get_untracked().to_owned(),
        };
        let lines = order.lines.clone();
        // A line cannot be predicted before its product is read.
        if lines.iter().any(|line| untrack(|| !products.is_known(&line.sku))) {
            problem.set(Some(text::problem::unavailable(language).to_owned()));
            return;
        }
        let id = new_id();
        let mut pending = commands.prepare(NewCommand {
            command: "PlaceOrder",
            stream: ["order-", &id.to_string()].concat(),
            data: serde_json::to_value(&order).unwrap_or_default(),
            ..NewCommand::default()
        });
        let predicted =
            untrack(|| prediction::predicted_order(order, &products.documents(), &pending, &person));
        match predicted {
            Err(rejection) => refuse(&lines, &predicted_problem(rejection)),
            Ok(document) => {
                problem.set(None);
                errors.set(Vec::new());
                pending.preview = document.and_then(|document| serde_json::to_value(document).ok());
                commands.enqueue(&pending);
                basket.change(Basket::clear);
                sent.set(Some((pending.key, id)));
            }
        }
    }
}
