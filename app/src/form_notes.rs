//! What a form that was sent has to say to the page that is shown next: what was typed into it, and what is wrong. The server
//! provides it by context; the page puts it into words.

use std::collections::BTreeMap;

use leptos::prelude::use_context;
use serde::{Deserialize, Serialize};

/// Notes about one form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormNotes {
    /// Which form.
    pub form: String,
    /// What was typed, by field; never a password.
    pub typed: BTreeMap<String, String>,
    /// What is wrong, by field, as a code; under `form` what is about none of them. Empty: it was done.
    pub problems: BTreeMap<String, String>,
}

impl FormNotes {
    /// The notes about a form on this page.
    pub(crate) fn about(form: &str) -> Option<Self> {
        use_context::<Self>().filter(|notes| notes.form == form)
    }

    /// What was typed into a field.
    pub(crate) fn typed(notes: Option<&Self>, field: &str) -> Option<String> {
        notes?.typed.get(field).cloned()
    }

    /// What is wrong with a field, as a code.
    pub(crate) fn problem<'a>(notes: Option<&'a Self>, field: &str) -> Option<&'a str> {
        notes?.problems.get(field).map(String::as_str)
    }
}
