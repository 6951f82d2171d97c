//! How many connections to PostgreSQL a server opens at most, and how its stores share them.
//!
//! | connections | by default | a share of the limit |
//! |---|---|---|
//! | of the event store: one that appends, one that listens | 2 | no |
//! | of the people store: one that listens | 1 | no |
//! | with which the event store is read | 3 | yes |
//! | with which the people store is read and written | 2 | yes |
//! | with which the read model is written, and read | 2 + 3 | yes |
//! | with which the process store is written, and read | 2 + 3 | yes |
//!
//! A statement that finds all connections of its pool busy waits for one, and fails as unavailable after
//! [`CONNECT_TIMEOUT`](crate::postgres::CONNECT_TIMEOUT).

use std::{fmt, str::FromStr};

/// The default: five servers fit into the hundred connections that PostgreSQL accepts by default, and leave
/// some for administrators.
const DEFAULT: u32 = 18;

/// With fewer, a store would have no connection.
const LEAST: u32 = 9;

/// More than any PostgreSQL accepts.
const MOST: u32 = 10_000;

/// Connections of which there is always exactly one each: the one that appends and two that listen.
const FIXED: u32 = 3;

/// The most connections of one server to PostgreSQL, of all its stores together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimit(u32);

/// A limit that is no number, or too small or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number from 9 to 10000 is wanted")]
pub struct ConnectionLimitError;

impl ConnectionLimit {
    /// The connections with which the event store is read.
    pub fn event_readers(self) -> u32 {
        self.share(3)
    }

    /// The connections with which one document store is written: the read model or the process store.
    pub fn document_writers(self) -> u32 {
        self.share(2)
    }

    /// The connections with which one document store is read.
    pub fn document_readers(self) -> u32 {
        self.share(3)
    }

    /// The connections of the people store.
    pub fn people(self) -> u32 {
        self.share(2)
    }

    /// The pool that has so many connections by default.
    fn share(self, by_default: u32) -> u32 {
        ((self.0 - FIXED) * by_default / (DEFAULT - FIXED)).max(1)
    }
}

impl Default for ConnectionLimit {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl fmt::Display for ConnectionLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for ConnectionLimit {
    type Err = ConnectionLimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let limit = text.parse().map_err(|_| ConnectionLimitError)?;
        if !(LEAST..=MOST).contains(&limit) {
            return Err(ConnectionLimitError);
        }
        Ok(Self(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PostgreSQL's default, less those that it keeps for administrators.
    const OF_POSTGRES: u32 = 100 - 3;
    const SERVERS: u32 = 5;

    /// The connections of a server with all its stores in PostgreSQL.
    fn of_server(limit: ConnectionLimit) -> u32 {
        let of_document_store = limit.document_writers() + limit.document_readers();
        FIXED + limit.event_readers() + limit.people() + 2 * of_document_store
    }

    #[test]
    fn the_stores_together_never_exceed_the_limit() {
        assert_eq!(of_server(ConnectionLimit::default()), DEFAULT);
        for limit in LEAST..=1_000 {
            assert!(of_server(ConnectionLimit(limit)) <= limit, "{limit}");
        }
    }

    #[test]
    fn five_servers_fit_into_a_postgresql_with_its_defaults() {
        assert!(SERVERS * of_server(ConnectionLimit::default()) < OF_POSTGRES);
    }

    #[test]
    fn a_limit_with_which_a_store_has_no_connection_is_refused() {
        for limit in ["", "many", "-1", "0", "8", "10001"] {
            assert_eq!(
                limit.parse::<ConnectionLimit>(),
                Err(ConnectionLimitError),
                "{limit}"
            );
        }
        let least: ConnectionLimit = "9".parse().unwrap();
        assert_eq!(of_server(least), LEAST);
        assert_eq!(least.to_string(), "9");
    }
}
