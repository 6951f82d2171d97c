//! A text field of a form: label above, error and help below, associated for screen readers.

use leptos::prelude::*;

use crate::erase::Erase;

/// A labelled text field with its `error`.
#[component]
pub(crate) fn Field(
    id: &'static str,
    name: &'static str,
    label: &'static str,
    help: &'static str,
    #[prop(into, optional)] error: Signal<Option<&'static str>>,
    #[prop(into, optional)] value: String,
    #[prop(optional)] required: bool,
    max: u16,
    #[prop(default = "off")] autocomplete: &'static str,
    #[prop(default = "text")] kind: &'static str,
) -> impl IntoView {
    let help_id = format!("{id}-help");
    let error_id = format!("{id}-error");
    let described = {
        let (help_id, error_id) = (help_id.clone(), error_id.clone());
        move || {
            if error.get().is_some() {
                format!("{error_id} {help_id}")
            } else {
                help_id.clone()
            }
        }
    };
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                type=kind
                id=id
                name=name
                value=value
                required=required
                maxlength=max
                autocomplete=autocomplete
                aria-invalid=move || error.get().map(|_| "true")
                aria-describedby=described
            />
            <p class="field__error" id=error_id>{move || error.get()}</p>
            <p class="field__help" id=help_id>{help}</p>
        </div>
    }
    .erase()
}
