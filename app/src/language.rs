//! The language of the page. There is one so far; the server will choose among several by cookie and header,
//! and islands use the language in which the page was rendered. It does not change while a page is open.

use leptos::prelude::use_context;

use crate::translations::i18n::Locale;

/// The language of the page's texts.
pub(crate) fn language() -> Locale {
    use_context::<Locale>().unwrap_or_default()
}
