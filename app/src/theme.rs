//! The colour theme: the browser's own wish, or the reader's choice, which is remembered in the cookie `theme` so
//! that the server's first paint has it already.

use serde::{Deserialize, Serialize};

/// The cookie that remembers the choice.
pub const COOKIE: &str = "theme";

/// Which colours the page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As `prefers-color-scheme` says.
    #[default]
    Auto,
    /// The identity: a terminal that a designer cared for.
    Dark,
    /// For projectors and daylight.
    Light,
}

impl Theme {
    /// The value of the cookie and of `data-theme`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }

    /// The theme of a cookie's value; what is unknown is [`Theme::Auto`].
    pub fn from_cookie(value: &str) -> Self {
        match value {
            "dark" => Self::Dark,
            "light" => Self::Light,
            _ => Self::Auto,
        }
    }
}

#[cfg(not(feature = "ssr"))]
impl Theme {
    /// Paints the page in it, and remembers it for a year.
    pub fn remember(self) {
        const YEAR: u32 = 31_536_000;

        let name = self.as_str();
        if let Some(root) = leptos::prelude::document().document_element() {
            // A page without its theme is still a page.
            let _ = root.set_attribute("data-theme", name);
        }
        crate::api::set_cookie(COOKIE, name, YEAR);
    }
}
