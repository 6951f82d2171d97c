//! The fields of forms that the server validates: label above, error and help below, associated for screen
//! readers.

use leptos::{html, prelude::*};

use super::sender::Sender;
use crate::{
    components::text,
    erase::{Erase, View},
    language::language,
    text,
};

/// A labelled input of a `kind`. Its value is read through `node`.
pub(super) fn field(
    kind: &'static str,
    id: &'static str,
    label: &'static str,
    help: impl Into<String>,
    node: NodeRef<html::Input>,
    error: Signal<String>,
) -> View {
    let (help_id, error_id) = (format!("{id}-help"), format!("{id}-error"));
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                type=kind
                id=id
                autocomplete=if kind == "password" { "new-password" } else { "off" }
                node_ref=node
                aria-describedby=format!("{error_id} {help_id}")
                aria-invalid=text(move || (!error.read().is_empty()).to_string())
            />
            <p class="field__error" id=error_id>{error}</p>
            <p class="field__help" id=help_id>{help.into()}</p>
        </div>
    }
    .erase()
}

/// The button that submits the form.
pub(super) fn submit_button(verb: &'static str, sender: Sender) -> View {
    let language = language();
    let class = move || {
        if sender.is_sending() {
            "button button--primary button--pending"
        } else {
            "button button--primary"
        }
    };
    let word = move || {
        if sender.is_sending() {
            text::outgoing::sending(language)
        } else {
            verb
        }
    };
    view! {
        <button class=text(class) aria-disabled=text(move || sender.is_sending().to_string())>
            {text(word)}
        </button>
    }
    .erase()
}
