//! The language of the page. The server chooses it for each request; islands use the one in which the page
//! was rendered. It does not change while a page is open.

#[cfg(feature = "ssr")]
use domain::language::Language;

#[cfg(not(feature = "ssr"))]
pub(crate) use crate::text::browser::language;

/// The language of the request, which the server provides by context. The interface may not be translated
/// into it.
#[cfg(feature = "ssr")]
pub(crate) fn requested_language() -> Language {
    leptos::prelude::use_context().unwrap_or_default()
}

/// The language of the page's texts.
#[cfg(feature = "ssr")]
pub(crate) fn language() -> Language {
    crate::text::server::translated(requested_language())
}
