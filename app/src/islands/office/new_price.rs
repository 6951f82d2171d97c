//! The form for another price of a product. It is bound to the price that was shown when it was opened: if
//! another person has changed the price since, it keeps what was typed, and says who changed what to what.

use domain::{
    access::Role,
    aggregate::product::{PRICE_CHANGED, price_of_rejection},
    money::Money,
};
use leptos::{html, prelude::*};
use serde_json::json;

use super::{row_actions::refusal, sender::Sender};
use crate::{
    components::{only_if, role_word, text},
    erase::{Erase, View},
    erased_effects::effect,
    format::{decimal, local_money, parse_money},
    language::language,
    text,
};

/// What another person has changed since the form was opened.
#[derive(Clone)]
struct Conflict {
    before: Money,
    now: Money,
    /// The person's role, once it is known.
    by: Option<Role>,
}

impl Conflict {
    fn sentence(&self) -> String {
        let language = language();
        let (before, now) = (local_money(&self.before), local_money(&self.now));
        match self.by {
            Some(role) => text::office::price_conflict_by(language, role_word(role), before, now),
            None => text::office::price_conflict(language, before, now),
        }
    }
}

/// A button that opens the form.
pub(super) fn change_price(sku: &str, name: &str, price: Signal<Option<Money>>) -> View {
    let language = language();
    let sender = Sender::new();
    let open = RwSignal::new(false);
    let wrong = RwSignal::new(false);
    let seen = RwSignal::new(None::<Money>);
    let conflict = RwSignal::new(None::<Conflict>);
    let field = NodeRef::<html::Input>::new();
    let stream = StoredValue::new(format!("product-{sku}"));
    let id = format!("price-{sku}");
    let error_id = format!("price-{sku}-error");
    let label = text::layout::pair(language, text::office::new_price(language), name);
    let name = name.to_owned();
    effect(move || {
        if open.get()
            && let Some(field) = field.get()
        {
            field.select();
        }
    });
    follow_conflicts(sender, stream, seen, conflict);
    let error = move || {
        if wrong.get() {
            text::office::price_wrong(language).to_owned()
        } else {
            sender.violation("data.price")
        }
    };
    let submit = move || {
        let (Some(input), Some(before)) = (field.get_untracked(), seen.get_untracked()) else {
            return;
        };
        sender.clear();
        conflict.set(None);
        let wanted = parse_money(&input.value(), &before.currency).filter(|money| money.amount > 0);
        wrong.set(wanted.is_none());
        let Some(wanted) = wanted else {
            let _ = input.focus();
            return;
        };
        sender.send(
            "ChangePrice",
            stream.get_value(),
            json!({ "price": wanted, "seen": before }),
            move || {
                let _ = open.try_set(false);
            },
        );
    };
    let toggle = move || {
        sender.clear();
        conflict.set(None);
        wrong.set(false);
        seen.set(price.get_untracked());
        open.update(|open| *open = !*open);
    };
    let is_other_refusal =
        move || conflict.with(Option::is_none) && sender.violation("data.price").is_empty();
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
                    value=seen.get_untracked().as_ref().map(decimal).unwrap_or_default()
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
            {only_if(move || conflict.with(Option::is_some), move || shown(conflict))}
            {only_if(is_other_refusal, move || refusal(sender))}
        }
        .erase()
    };
    view! { {opener(open, name, toggle)} {only_if(move || open.get(), form)} }.erase()
}

/// The button that opens and closes the form.
fn opener(open: RwSignal<bool>, name: String, toggle: impl Fn() + 'static) -> View {
    view! {
        <button
            type="button"
            class="button button--small button--quiet"
            aria-expanded=text(move || open.get().to_string())
            on:click=move |_| toggle()
        >
            {text::office::change_price(language())}
            <span class="hidden">" "{name}</span>
        </button>
    }
    .erase()
}

fn shown(conflict: RwSignal<Option<Conflict>>) -> View {
    let sentence = move || conflict.with(|conflict| conflict.as_ref().map(Conflict::sentence));
    view! { <p class="field__error" role="alert">{text(move || sentence().unwrap_or_default())}</p> }.erase()
}

/// Notes each refusal because another person has changed the price. From then on the form is bound to that
/// person's price, so that saving again replaces it knowingly.
fn follow_conflicts(
    sender: Sender,
    stream: StoredValue<String>,
    seen: RwSignal<Option<Money>>,
    conflict: RwSignal<Option<Conflict>>,
) {
    effect(move || {
        let now = sender.rejection(PRICE_CHANGED);
        let now = now.and_then(|detail| price_of_rejection(&detail));
        let (Some(now), Some(before)) = (now, seen.get_untracked()) else {
            return;
        };
        seen.set(Some(now.clone()));
        conflict.set(Some(Conflict {
            before,
            now,
            by: None,
        }));
        #[cfg(not(feature = "ssr"))]
        find_person(stream.get_value(), conflict);
    });
    #[cfg(feature = "ssr")]
    let _ = stream;
}

/// Adds the role of the person who changed the price, from the feed of the workspace's events.
#[cfg(not(feature = "ssr"))]
fn find_person(stream: String, conflict: RwSignal<Option<Conflict>>) {
    use domain::{view::activity::ActivityDocument, wire::Order};

    use crate::{api, backend::ListingQuery, erased_effects::spawn, live::store::typed};

    spawn(async move {
        let newest_first = ListingQuery {
            view: "activity".to_owned(),
            listing: "recent".to_owned(),
            group: String::new(),
            order: Order::Desc,
            limit: 200,
            cursor: None,
        };
        let Ok(page) = api::listing(&newest_first).await else {
            return;
        };
        let mut events = page
            .data
            .iter()
            .filter_map(|row| typed::<ActivityDocument>(&row.data));
        let change = events.find(|event| event.stream == stream && event.event == "PriceChanged");
        let _ = conflict.try_update(|conflict| {
            if let (Some(conflict), Some(change)) = (conflict, change) {
                conflict.by = Some(change.by);
            }
        });
    });
}
