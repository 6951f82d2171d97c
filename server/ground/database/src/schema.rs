//! How a database is refused whose tables are not those that this program knows. The migrations themselves lie beside the
//! stores that they are for.

use std::fmt::Display;

use sqlx::migrate::{MigrateError, Migrator};

/// Why the tables are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer version of the program has been here.
    #[error(
        "{place} has schema {found}, from a newer version of this program, which knows {newest} at most; start the newer \
         version, or restore a backup"
    )]
    Newer {
        /// The file or the database.
        place: String,
        /// Its newest migration.
        found: i64,
        /// Our newest migration.
        newest: i64,
    },
    /// A migration failed.
    #[error("{place} could not be migrated: {error}")]
    Failed {
        /// The file or the database.
        place: String,
        /// Why.
        error: MigrateError,
    },
}

impl SchemaError {
    /// What became of `migrations` at a place.
    pub fn new(place: impl Display, migrations: &Migrator, error: MigrateError) -> Self {
        let place = place.to_string();
        let newest = migrations
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0);
        match error {
            MigrateError::VersionMissing(found) if found > newest => Self::Newer { place, found, newest },
            error => Self::Failed { place, error },
        }
    }
}
