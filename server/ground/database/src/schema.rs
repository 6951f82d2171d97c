//! Refuses a database with the schema of a newer version of the program. The stores have the migrations.

use std::fmt::Display;

use sqlx::migrate::{MigrateError, Migrator};

/// Why the schema is not the expected one.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer version of the program has migrated it.
    #[error(
        "{place} has schema {found}, from a newer version of this program, which knows {newest} at most; \
         start the newer version, or restore a backup"
    )]
    Newer {
        /// The file or the database.
        place: String,
        /// Its newest migration.
        found: i64,
        /// The newest migration of this program.
        newest: i64,
    },
    /// A migration failed.
    #[error("{place} could not be migrated: {error}")]
    Failed {
        /// The file or the database.
        place: String,
        /// The reason.
        error: MigrateError,
    },
}

impl SchemaError {
    /// The error of running `migrations` on a file or a database.
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
