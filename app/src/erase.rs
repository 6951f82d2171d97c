//! Erases the type of a view, so that the types of pages have a bounded depth and one position can hold views
//! of different types.
//!
//! The server uses Leptos's own `AnyView`. In the browser, that would compile in-place rebuilding and
//! asynchronous hydration for every view, which no island needs: an erased view is built or hydrated once,
//! and replaced as a whole.

#[cfg(not(feature = "ssr"))]
mod browser;

#[cfg(not(feature = "ssr"))]
pub(crate) use browser::Erased as View;
use leptos::tachys::view::RenderHtml;
#[cfg(feature = "ssr")]
pub(crate) use leptos::tachys::view::any_view::AnyView as View;

/// Type erasure for every view.
pub(crate) trait Erase {
    /// The same view without its type.
    fn erase(self) -> View;
}

impl<T: RenderHtml + 'static> Erase for T {
    #[cfg(feature = "ssr")]
    fn erase(self) -> View {
        leptos::prelude::IntoAny::into_any(self)
    }

    #[cfg(not(feature = "ssr"))]
    fn erase(self) -> View {
        View::new(self)
    }
}
