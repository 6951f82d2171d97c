//! The language of the page. There is one so far; the server will choose among several by cookie and header, and the
//! islands take what the page was rendered in. It does not change while a page is open.

use leptos::prelude::use_context;

use crate::translations::i18n::Locale;

/// The language in which to say something.
pub(crate) fn language() -> Locale {
    use_context::<Locale>().unwrap_or_default()
}
