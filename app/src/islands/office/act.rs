//! How a row is acted on: a button that says the verb, and, where something is destroyed, one question that names it, and
//! asks for a reason where one is stored. The server's refusal stands beside the button.

use std::sync::Arc;

use domain::aggregate::order::MAX_REASON;
use leptos::{ev::KeyboardEvent, html, prelude::*};

use super::sender::Sender;
use crate::{
    boxed::effect,
    components::{only_if, text},
    erase::{Erase, View},
    language::language,
    translations::i18n::td_string,
};

/// A button that sends something. `of` names the row for those who do not see it.
pub(super) fn button(
    verb: &'static str,
    of: String,
    class: &'static str,
    sender: Sender,
    press: impl Fn() + Send + Sync + 'static,
) -> View {
    fn erased(
        verb: &'static str,
        of: String,
        class: &'static str,
        sender: Sender,
        press: Box<dyn Fn() + Send + Sync>,
    ) -> View {
        let locale = language();
        let word = move || {
            if sender.is_sending() {
                td_string!(locale, outgoing.sending)
            } else {
                verb
            }
        };
        view! {
            <button
                type="button"
                class=text(move || {
                    if sender.is_sending() { format!("{class} button--pending") } else { class.to_owned() }
                })
                aria-disabled=text(move || sender.is_sending().to_string())
                on:click=move |_| press()
            >
                {text(word)}
                <span class="hidden">" "{of}</span>
            </button>
        }
        .erase()
    }
    erased(verb, of, class, sender, Box::new(press))
}

/// What the server refused, beside what was pressed.
pub(super) fn refusal(sender: Sender) -> View {
    view! { <p class="field__error" role="alert">{text(move || sender.refusal())}</p> }.erase()
}

/// A question before something is taken back.
#[expect(
    clippy::struct_field_names,
    reason = "the question is asked in words, with what belongs to it"
)]
pub(super) struct Question {
    /// What the field's id is made of; one a page.
    pub(super) id: String,
    /// The button that asks.
    pub(super) open: &'static str,
    /// What it is about, for those who do not see the row.
    pub(super) of: String,
    /// The question; it names what is destroyed.
    pub(super) question: String,
    /// The button that does it.
    pub(super) confirm: &'static str,
    /// The button that does not.
    pub(super) keep: &'static str,
    /// Whether a reason is asked for, and stored.
    pub(super) wants_reason: bool,
}

/// A button, and behind it the question. `submit` gets the reason, which is empty where none is asked for; it closes the
/// question by `open`.
pub(super) fn asking(
    question: Question,
    sender: Sender,
    open: RwSignal<bool>,
    submit: impl Fn(String) + Send + Sync + 'static,
) -> View {
    ask(question, sender, open, Arc::new(submit))
}

fn ask(
    question: Question,
    sender: Sender,
    open: RwSignal<bool>,
    submit: Arc<dyn Fn(String) + Send + Sync>,
) -> View {
    let locale = language();
    let Question {
        id,
        open: verb,
        of,
        question,
        confirm,
        keep,
        wants_reason,
    } = question;
    let button = NodeRef::<html::Button>::new();
    let field = NodeRef::<html::Input>::new();
    let confirmation = NodeRef::<html::Button>::new();
    let was_open = StoredValue::new(false);
    // The question takes the focus, and gives it back.
    effect(move || {
        if open.get() {
            was_open.set_value(true);
            if let Some(field) = field.get() {
                let _ = field.focus();
            } else if let Some(confirmation) = confirmation.get().filter(|_| !wants_reason) {
                let _ = confirmation.focus();
            }
        } else if was_open.get_value() {
            was_open.set_value(false);
            if let Some(button) = button.get_untracked() {
                let _ = button.focus();
            }
        }
    });
    let form = move || {
        let submit = submit.clone();
        let reason = wants_reason.then(|| reason_field(&id, sender, field));
        view! {
            <form
                class="ask"
                on:submit=move |event| {
                    event.prevent_default();
                    submit(field.get_untracked().map(|field| field.value()).unwrap_or_default());
                }
                on:keydown=move |event: KeyboardEvent| {
                    if event.key() == "Escape" {
                        open.set(false);
                    }
                }
            >
                <p>{question.clone()}</p>
                {reason}
                <p class="buttons">
                    <button
                        node_ref=confirmation
                        class=text(move || {
                            let class = "button button--small button--danger";
                            if sender.is_sending() { format!("{class} button--pending") } else { class.to_owned() }
                        })
                        aria-disabled=text(move || sender.is_sending().to_string())
                    >
                        {text(move || if sender.is_sending() { td_string!(locale, outgoing.sending) } else { confirm })}
                    </button>
                    <button type="button" class="button button--small button--quiet" on:click=move |_| open.set(false)>{keep}</button>
                </p>
            </form>
        }
        .erase()
    };
    view! {
        <button
            type="button"
            class="button button--small button--quiet"
            node_ref=button
            aria-expanded=text(move || open.get().to_string())
            on:click=move |_| open.update(|open| *open = !*open)
        >
            {verb}
            <span class="hidden">" "{of}</span>
        </button>
        {only_if(move || open.get(), form)}
    }
    .erase()
}

/// The field for the reason, with what the server finds wrong with it.
fn reason_field(id: &str, sender: Sender, field: NodeRef<html::Input>) -> View {
    let locale = language();
    let field_id = format!("reason-{id}");
    let help_id = format!("{field_id}-help");
    let error_id = format!("{field_id}-error");
    let error = move || sender.violation("data.reason");
    view! {
        <div class="field">
            <label for=field_id.clone()>{td_string!(locale, order.reason)}</label>
            <input
                type="text"
                id=field_id
                maxlength=MAX_REASON
                required
                autocomplete="off"
                node_ref=field
                aria-describedby=format!("{error_id} {help_id}")
                aria-invalid=text(move || (!error().is_empty()).to_string())
            />
            <p class="field__error" id=error_id>{text(error)}</p>
            <p class="field__help" id=help_id>{td_string!(locale, order.reason_help)}</p>
        </div>
    }
    .erase()
}
