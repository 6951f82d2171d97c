//! The URLs of the boxes that have adapters. A URL that no adapter serves is refused, with a list of those
//! that are served.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::connections::ConnectionLimit;

/// The location of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file.
    Sqlite(SqliteUrl),
    /// A database on a server.
    Postgres(PostgresUrl),
}

/// `sqlite:<file>`, as in `sqlite:./data/events.db` or `sqlite:///var/lib/foldline/events.db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteUrl(PathBuf);

/// `postgres://…`, as in `postgres://user:password@host/database`. It may contain a password, so it is
/// never shown, not even by the check of its syntax: see [`PostgresUrl::check`].
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    url: String,
    /// The limit of the server that opens it.
    connections: ConnectionLimit,
}

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

impl StoreUrl {
    /// The same store, opened by a server with this limit of connections to PostgreSQL.
    #[must_use]
    pub fn with_connections(self, connections: ConnectionLimit) -> Self {
        match self {
            Self::Sqlite(url) => Self::Sqlite(url),
            Self::Postgres(PostgresUrl { url, .. }) => Self::Postgres(PostgresUrl { url, connections }),
        }
    }
}

impl From<PathBuf> for StoreUrl {
    fn from(file: PathBuf) -> Self {
        Self::Sqlite(SqliteUrl(file))
    }
}

impl PostgresUrl {
    /// The URL, with its password.
    pub fn expose(&self) -> &str {
        &self.url
    }

    /// The limit of the server that opens it.
    pub fn connections(&self) -> ConnectionLimit {
        self.connections
    }

    /// Checks that it is a well-formed URL; the store checks the rest.
    pub fn check(&self) -> Result<(), UrlError> {
        match ::url::Url::parse(&self.url) {
            Ok(_) => Ok(()),
            Err(_) => Err(ALLOWED),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresUrl(…)")
    }
}

/// The error that lists the URLs of stores.
const ALLOWED: UrlError = UrlError(
    "sqlite:<file>, as in sqlite:./data/events.db, and postgres://<user>:<password>@<host>/<database>",
);

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            // Not parsed here: an error would show it, with its password.
            return Ok(Self::Postgres(PostgresUrl {
                url: text.to_owned(),
                connections: ConnectionLimit::default(),
            }));
        }
        text.parse().map(Self::Sqlite)
    }
}

impl FromStr for SqliteUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let file = text.strip_prefix("sqlite:").ok_or(ALLOWED)?;
        let file = file.strip_prefix("//").unwrap_or(file);
        // SQLite does not take these as file names.
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
            assert_eq!(
                url.parse::<StoreUrl>(),
                Ok(StoreUrl::from(PathBuf::from(file))),
                "{url}"
            );
        }
    }

    #[test]
    fn a_postgres_url_never_shows_its_password() {
        for url in [
            "postgres://shop:wonderland@db.example/foldline",
            "postgresql://shop:wonderland@db.example:70000/foldline",
        ] {
            let parsed = url.parse::<StoreUrl>().unwrap();
            assert!(!format!("{parsed:?}").contains("wonderland"));
            let StoreUrl::Postgres(parsed) = parsed else {
                panic!("{url}")
            };
            assert_eq!(parsed.expose(), url);
            // 70000 is no port
            assert_eq!(parsed.check().is_err(), url.contains("70000"));
        }
    }

    #[test]
    fn a_url_without_an_adapter_is_refused_with_the_list_of_served_ones() {
        for url in [
            "mysql://localhost/foldline",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a?mode=ro",
            "events.db",
        ] {
            let error = url.parse::<StoreUrl>().unwrap_err();
            assert!(error.to_string().contains("sqlite:<file>"), "{url}");
            assert!(error.to_string().contains("postgres://"), "{url}");
        }
        assert!("redis://localhost".parse::<MemoryUrl>().is_err());
    }
}
