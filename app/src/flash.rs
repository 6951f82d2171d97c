//! Flash: the result of a submitted form for the next page, with the typed values and the problems. The
//! server provides it by context; the page words it.

use std::collections::BTreeMap;

use leptos::prelude::use_context;
use serde::{Deserialize, Serialize};

/// The result of one submitted form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// The name of the form.
    pub form: String,
    /// The typed values, by field; never a password.
    pub typed: BTreeMap<String, String>,
    /// The problems as codes, by field; under `form`, those of no single field. Empty if the form was
    /// accepted.
    pub problems: BTreeMap<String, String>,
}

impl Flash {
    /// The flash for a form on this page.
    pub(crate) fn about(form: &str) -> Option<Self> {
        use_context::<Self>().filter(|flash| flash.form == form)
    }

    /// The typed value of a field.
    pub(crate) fn typed(flash: Option<&Self>, field: &str) -> Option<String> {
        flash?.typed.get(field).cloned()
    }

    /// The problem of a field, as a code.
    pub(crate) fn problem<'a>(flash: Option<&'a Self>, field: &str) -> Option<&'a str> {
        flash?.problems.get(field).map(String::as_str)
    }
}
