//! The actions of a row: a button with a verb and, for a destructive action, a confirmation that names its
//! object and asks for a reason if one is stored. The server's refusal is shown beside the button.

use std::sync::Arc;

use domain::aggregate::order::MAX_REASON;
use leptos::{ev::KeyboardEvent, html, prelude::*};

use super::sender::Sender;
use crate::{
    components::{only_if, text},
    erase::{Erase, View},
    erased_effects::effect,
    language::language,
    text,
};

/// A button that sends a command. `of` names the row for screen readers.
pub(super) fn action_button(
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
        let language = language();
        let word = move || {
            if sender.is_sending() {
                text::outgoing::sending(language)
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

/// The server's refusal, for a place beside the button.
pub(super) fn refusal(sender: Sender) -> View {
    view! { <p class="field__error" role="alert">{text(move || sender.refusal())}</p> }.erase()
}

/// The confirmation of a destructive action.
pub(super) struct Confirmation {
    /// The unique part of the reason field's id.
    pub(super) id: String,
    /// The label of the button that opens the confirmation.
    pub(super) open: &'static str,
    /// The name of the row, for screen readers.
    pub(super) of: String,
    /// The question, which names the object of the action.
    pub(super) question: String,
    /// The label of the button that confirms.
    pub(super) confirm: &'static str,
    /// The label of the button that cancels.
    pub(super) keep: &'static str,
    /// Whether a reason is required.
    pub(super) wants_reason: bool,
}

/// A button that opens a confirmation. `submit` receives the reason, which is empty if none is required, and
/// closes the confirmation through `open`.
pub(super) fn confirmed_action(
    confirmation: Confirmation,
    sender: Sender,
    open: RwSignal<bool>,
    submit: impl Fn(String) + Send + Sync + 'static,
) -> View {
    erased_action(confirmation, sender, open, Arc::new(submit))
}

fn erased_action(
    confirmation: Confirmation,
    sender: Sender,
    open: RwSignal<bool>,
    submit: Arc<dyn Fn(String) + Send + Sync>,
) -> View {
    let language = language();
    let Confirmation {
        id,
        open: verb,
        of,
        question,
        confirm,
        keep,
        wants_reason,
    } = confirmation;
    let button = NodeRef::<html::Button>::new();
    let field = NodeRef::<html::Input>::new();
    let confirm_button = NodeRef::<html::Button>::new();
    let was_open = StoredValue::new(false);
    // The confirmation takes the focus, and returns it.
    effect(move || {
        if open.get() {
            was_open.set_value(true);
            if let Some(field) = field.get() {
                let _ = field.focus();
            } else if let Some(button) = confirm_button.get().filter(|_| !wants_reason) {
                let _ = button.focus();
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
                        node_ref=confirm_button
                        class=text(move || {
                            let class = "button button--small button--danger";
                            if sender.is_sending() {
                                format!("{class} button--pending")
                            } else {
                                class.to_owned()
                            }
                        })
                        aria-disabled=text(move || sender.is_sending().to_string())
                    >
                        {text(move || {
                            if sender.is_sending() { text::outgoing::sending(language) } else { confirm }
                        })}
                    </button>
                    <button
                        type="button"
                        class="button button--small button--quiet"
                        on:click=move |_| open.set(false)
                    >
                        {keep}
                    </button>
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

/// The field for the reason, with the server's error.
fn reason_field(id: &str, sender: Sender, field: NodeRef<html::Input>) -> View {
    let language = language();
    let field_id = format!("reason-{id}");
    let help_id = format!("{field_id}-help");
    let error_id = format!("{field_id}-error");
    let error = move || sender.violation("data.reason");
    view! {
        <div class="field">
            <label for=field_id.clone()>{text::order::reason(language)}</label>
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
            <p class="field__help" id=help_id>{text::order::reason_help(language)}</p>
        </div>
    }
    .erase()
}
