//! Why the warehouse cannot be read or written.

use object_store::Error as ObjectError;

use super::place::WarehousePlaceError;

/// Why the warehouse does not do something.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// The folder, or the object store.
    #[error("the warehouse: {0}")]
    Objects(#[from] ObjectError),
    /// A table.
    #[error("a table of the warehouse: {0}")]
    Table(#[from] parquet::errors::ParquetError),
    /// A manifest.
    #[error("a manifest of the warehouse: {0}")]
    Manifest(#[from] serde_json::Error),
    /// Another server has written it.
    #[error("another server has written to the warehouse meanwhile")]
    Overtaken,
    /// The setting.
    #[error("--warehouse: {0}")]
    Place(#[from] WarehousePlaceError),
    /// The folder cannot be made.
    #[error("the warehouse in {0}: {1}")]
    Folder(String, std::io::Error),
}
