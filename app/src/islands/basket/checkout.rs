//! Placing the order: one command, whose stream and idempotency key are made once. It shows at once, as the domain's own
//! rules foresee it, and the basket is empty; when the server refuses it, what was in the basket is there again, with the
//! reason. What cannot be ordered right now says why.

use domain::{aggregate::order::LineRequest, view::products::ProductDocument};
use leptos::prelude::*;

use crate::{
    components::{ProblemSummary, only_if, text},
    erase::Erase,
    language::language,
    live::store::LiveListing,
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

/// The lines that are wrong, by sku, with what is wrong.
pub(super) type Wrong = RwSignal<Vec<(String, String)>>;

/// What somebody is about to order.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    #[cfg_attr(
        feature = "ssr",
        expect(dead_code, reason = "orders are placed in the browser")
    )]
    pub(super) products: LiveListing<ProductDocument>,
    pub(super) method: RwSignal<&'static str>,
    pub(super) problem: RwSignal<Option<String>>,
    pub(super) wrong: Wrong,
}

/// The payment method and the button, which runs `place`. `is_short` where there is not enough of something.
#[component]
pub(super) fn Checkout(
    wish: Wish,
    place: Callback<()>,
    #[prop(into)] is_short: Signal<bool>,
) -> impl IntoView {
    let locale = language();
    let Wish { method, problem, .. } = wish;
    let words = move |token: &str| match token {
        "tok_ok" => (
            td_string!(locale, payment.ok),
            td_string!(locale, payment.ok_shows),
        ),
        "tok_declined" => (
            td_string!(locale, payment.declined),
            td_string!(locale, payment.declined_shows),
        ),
        "tok_insufficient_funds" => (
            td_string!(locale, payment.insufficient),
            td_string!(locale, payment.insufficient_shows),
        ),
        "tok_timeout" => (
            td_string!(locale, payment.timeout),
            td_string!(locale, payment.timeout_shows),
        ),
        _ => (
            td_string!(locale, payment.flaky),
            td_string!(locale, payment.flaky_shows),
        ),
    };
    let choice = move |token: &'static str| {
        let (name, shows) = words(token);
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
        view! { <p class="field__error" id="cannot-order">{td_string!(locale, basket.short)}</p> }.erase()
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
                <legend>{td_string!(locale, payment.label)}</legend>
                <p class="field__help">{td_string!(locale, payment.help)}</p>
                {METHODS.map(choice).collect_view()}
            </fieldset>
            {only_if(move || is_short.get(), short)}
            <button
                class="button button--primary"
                aria-disabled=text(move || if is_short.get() { "true" } else { "false" })
                aria-describedby="cannot-order"
            >
                {td_string!(locale, basket.place_order)}
            </button>
        </form>
    }
    .erase()
}

/// The lines of which there is not enough, with how many are left.
pub(super) fn too_many(lines: &[LineRequest], products: &[ProductDocument]) -> Vec<(String, u32)> {
    let of = |line: &LineRequest| {
        let product = products.iter().find(|product| product.sku == line.sku)?;
        (product.available < line.quantity).then(|| (line.sku.clone(), product.available))
    };
    lines.iter().filter_map(of).collect()
}

/// What places the order. To be made where it outlives the form, which is gone as soon as the basket is empty: an answer
/// comes later.
#[cfg(feature = "ssr")]
pub(super) fn placing(_wish: Wish) -> impl Fn() + Copy + Send + Sync + 'static {
    || {}
}

/// What places the order. To be made where it outlives the form, which is gone as soon as the basket is empty: an answer
/// comes later.
#[cfg(not(feature = "ssr"))]
pub(super) fn placing(wish: Wish) -> impl Fn() + Copy + Send + Sync + 'static {
    use domain::{
        aggregate::order::PlaceOrder,
        rejection::{Rejection, Violation},
    };
    use uuid::Uuid;

    use crate::{
        basket::{Basket, use_basket},
        boxed::effect,
        commands::{NewCommand, use_commands},
        components::explain,
        id::new_id,
        islands::placed::into_basket,
        live::{foresee, outbox::Stage},
        person::use_person,
    };

    let Wish {
        products,
        method,
        problem,
        wrong,
    } = wish;
    let basket = use_basket();
    let commands = use_commands();
    let person = use_person();
    let refuse = move |lines: &[LineRequest], detail: String, violations: &[Violation]| {
        let of_lines = violations.iter().filter_map(|violation| {
            let (index, _) = violation.field.strip_prefix("data.lines[")?.split_once(']')?;
            let line = lines.get(index.parse::<usize>().ok()?)?;
            Some((line.sku.clone(), violation.message.clone()))
        });
        wrong.set(of_lines.collect());
        problem.set(Some(detail));
    };
    // The order that this page has sent.
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
                    commands.with(|outbox| outbox.all().iter().find(|pending| pending.key == key).cloned());
                if let Some(pending) = pending {
                    let lines = into_basket(commands, basket, &pending);
                    refuse(&lines, explain(&refused), &refused.violations);
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
        let id = new_id();
        let mut pending = commands.prepare(NewCommand {
            command: "PlaceOrder",
            stream: ["order-", &id.to_string()].concat(),
            data: serde_json::to_value(&order).unwrap_or_default(),
            ..NewCommand::default()
        });
        let foreseen = untrack(|| foresee::placed(order, &products.documents(), &pending, &person));
        match foreseen {
            Err(Rejection {
                detail, violations, ..
            }) => refuse(&lines, detail, &violations),
            Ok(document) => {
                problem.set(None);
                wrong.set(Vec::new());
                pending.preview = document.and_then(|document| serde_json::to_value(document).ok());
                commands.put(&pending);
                basket.change(Basket::clear);
                sent.set(Some((pending.key, id)));
            }
        }
    }
}
