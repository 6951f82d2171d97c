//! The URLs of the boxes that have adapters. What no adapter serves is refused here, with what is served.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

/// `sqlite:<file>`, as in `sqlite:./data/events.db` or `sqlite:///var/lib/foldline/events.db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteUrl(PathBuf);

/// `memory:`, in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUrl;

/// A URL that no adapter serves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allowed is {0}")]
pub struct UrlError(&'static str);

impl SqliteUrl {
    /// The database file.
    pub fn file(&self) -> &Path {
        &self.0
    }
}

impl FromStr for SqliteUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: UrlError = UrlError("sqlite:<file>, as in sqlite:./data/events.db");
        let file = text.strip_prefix("sqlite:").ok_or(ALLOWED)?;
        let file = file.strip_prefix("//").unwrap_or(file);
        // SQLite would read these otherwise than as a file name.
        if file.is_empty() || file.starts_with(':') || file.contains('?') {
            return Err(ALLOWED);
        }
        Ok(Self(file.into()))
    }
}

impl FromStr for MemoryUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "memory:" {
            Ok(Self)
        } else {
            Err(UrlError("memory:"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_url_names_a_file() {
        for (url, file) in [
            ("sqlite:events.db", "events.db"),
            ("sqlite:./a b/events.db", "./a b/events.db"),
            ("sqlite:///var/lib/events.db", "/var/lib/events.db"),
        ] {
            assert_eq!(url.parse::<SqliteUrl>().unwrap().file(), Path::new(file), "{url}");
        }
    }

    #[test]
    fn what_no_adapter_serves_is_refused_with_what_is_served() {
        for url in [
            "postgres://localhost/foldline",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a?mode=ro",
            "events.db",
        ] {
            let error = url.parse::<SqliteUrl>().unwrap_err();
            assert!(error.to_string().contains("sqlite:<file>"), "{url}");
        }
        assert!("redis://localhost".parse::<MemoryUrl>().is_err());
    }
}
