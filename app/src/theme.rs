//! The colour theme: the browser's preference, or the reader's choice in the cookie `theme`, so that the
//! server's first paint has the theme already. The script `frontend/frame.js` sets the cookie.

/// The cookie with the choice.
pub const COOKIE: &str = "theme";

/// The colour theme of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// The browser's `prefers-color-scheme`.
    #[default]
    Auto,
    /// The dark theme, styled like a terminal.
    Dark,
    /// The light theme, for projectors and daylight.
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

    /// The theme of a cookie's value; [`Theme::Auto`] for an unknown value.
    pub fn from_cookie(value: &str) -> Self {
        match value {
            "dark" => Self::Dark,
            "light" => Self::Light,
            _ => Self::Auto,
        }
    }
}
