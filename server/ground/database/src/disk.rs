//! The disk of a database.

/// The codes of a full disk: SQLite's `SQLITE_FULL` and PostgreSQL's `disk_full`.
const FULL: [&str; 2] = ["13", "53100"];

/// Whether a database refused a write because its disk is full.
pub fn is_full(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| FULL.contains(&&*code))
}
