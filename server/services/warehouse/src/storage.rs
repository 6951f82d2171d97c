//! Where a warehouse's files are kept: a folder, or a bucket of an object store. Both can create a file only if it is not there
//! yet, and that is all that the warehouse's promise needs of them.

use std::{path::Path as FsPath, sync::Arc, time::Duration};

use object_store::{
    ObjectStore, RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem, prefix::PrefixStore,
};

use super::{
    error::WarehouseError,
    place::{Bucket, WarehouseAt},
};

/// How often an object store is asked again before the lane is told, which tries again too.
const TRIES: usize = 3;

/// How long all of them may take.
const TRYING: Duration = Duration::from_secs(20);

/// The files in a place.
pub(super) fn open(at: &WarehouseAt) -> Result<Arc<dyn ObjectStore>, WarehouseError> {
    match at {
        WarehouseAt::Folder(folder) => in_folder(folder),
        WarehouseAt::Bucket(bucket) => in_bucket(bucket),
    }
}

fn in_folder(folder: &FsPath) -> Result<Arc<dyn ObjectStore>, WarehouseError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| WarehouseError::Folder(folder.display().to_string(), error))?;
    // What was said to be there must be there after a power cut.
    let objects = LocalFileSystem::new_with_prefix(folder)?
        .with_automatic_cleanup(true)
        .with_fsync(true);
    Ok(Arc::new(objects))
}

/// Who we are to the store, and where it is, is said by the `AWS_…` variables.
fn in_bucket(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, WarehouseError> {
    let objects = AmazonS3Builder::from_env()
        .with_bucket_name(&bucket.name)
        .with_retry(RetryConfig {
            max_retries: TRIES,
            retry_timeout: TRYING,
            ..RetryConfig::default()
        })
        .build()?;
    Ok(Arc::new(PrefixStore::new(objects, bucket.prefix.as_str())))
}
