//! Why the warehouse cannot be read or written.

use object_store::Error as ObjectError;

use super::location::WarehouseUrlError;

/// An error of the warehouse.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// The folder or the object store failed.
    #[error("the warehouse: {0}")]
    Objects(#[from] ObjectError),
    /// A table could not be read or written.
    #[error("a table of the warehouse: {0}")]
    Table(#[from] parquet::errors::ParquetError),
    /// A manifest could not be parsed.
    #[error("a manifest of the warehouse: {0}")]
    Manifest(#[from] serde_json::Error),
    /// Another server has written the next manifest first.
    #[error("another server has written to the warehouse meanwhile")]
    Conflict,
    /// The setting is malformed.
    #[error("--warehouse: {0}")]
    Place(#[from] WarehouseUrlError),
    /// The folder cannot be created.
    #[error("the warehouse in {0}: {1}")]
    Folder(String, std::io::Error),
}

impl WarehouseError {
    /// Whether another writer was faster, so that the same work succeeds on the newest state. It may also
    /// have deleted files that this writer was about to read.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict | Self::Objects(ObjectError::NotFound { .. }))
    }
}
