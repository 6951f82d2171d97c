//! Erases the type of a view, so that pages have a bounded depth and views of different shapes can stand in one place.
//!
//! The server uses Leptos's own `AnyView`. In the browser that would compile, for every view, how it is rebuilt in place
//! and how it is hydrated asynchronously, which nothing here needs: an erased view is built or hydrated once, and
//! replaced when another one takes its place.

#[cfg(not(feature = "ssr"))]
mod browser;

#[cfg(not(feature = "ssr"))]
pub(crate) use browser::Erased as View;
use leptos::tachys::view::RenderHtml;
#[cfg(feature = "ssr")]
pub(crate) use leptos::tachys::view::any_view::AnyView as View;

/// Erasing, for every view.
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
