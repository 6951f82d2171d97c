//! The storage of the warehouse's files: a folder, or a bucket of an object store. Both can create a file
//! only if it does not exist, which is all that the warehouse's guarantee needs.

use std::{path::Path as FsPath, sync::Arc, time::Duration};

use object_store::{
    ObjectStore, RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem, prefix::PrefixStore,
};

use super::{
    error::WarehouseError,
    location::{Bucket, WarehouseLocation},
};

/// How often a request to an object store is repeated before the lane fails, which retries too.
const MAX_RETRIES: usize = 3;

/// The timeout of all repetitions.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Opens the storage at a location.
pub(super) fn open(at: &WarehouseLocation) -> Result<Arc<dyn ObjectStore>, WarehouseError> {
    match at {
        WarehouseLocation::Folder(folder) => in_folder(folder),
        WarehouseLocation::Bucket(bucket) => in_bucket(bucket),
    }
}

fn in_folder(folder: &FsPath) -> Result<Arc<dyn ObjectStore>, WarehouseError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| WarehouseError::Folder(folder.display().to_string(), error))?;
    // A committed file must survive a power cut.
    let objects = LocalFileSystem::new_with_prefix(folder)?
        .with_automatic_cleanup(true)
        .with_fsync(true);
    Ok(Arc::new(objects))
}

/// Credentials and endpoint come from the `AWS_…` variables.
fn in_bucket(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, WarehouseError> {
    let objects = AmazonS3Builder::from_env()
        .with_bucket_name(&bucket.name)
        .with_retry(RetryConfig {
            max_retries: MAX_RETRIES,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        })
        .build()?;
    Ok(Arc::new(PrefixStore::new(objects, bucket.prefix.as_str())))
}
