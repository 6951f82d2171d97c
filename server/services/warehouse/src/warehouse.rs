//! The warehouse's files: how they are staged, published and removed.
//!
//! New files are written under `_staging`, which readers' patterns do not match, by names that no other
//! writer has. Then the next **manifest** is created, which names all current files and the processed
//! positions of each partition: that is the one atomic step, and of two writers only one succeeds. Then the
//! staged files are renamed to their final paths, and files that the manifest does not name are deleted.
//! After a crash in between, the next read of the manifest finishes the work.
//!
//! Old manifests are deleted, so a writer whose state is several versions old could create one of them
//! again. It finds out after that, before any file is published: its manifest must be the newest, and the one
//! before it must exist. For the second to hold, manifests are deleted in ascending order, and the first
//! stays: nothing precedes it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use domain::id::WorkspaceId;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{
    Error as ObjectError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, path::Path,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{error::WarehouseError, location::WarehouseLocation, storage};
use clock::SharedClock;
use projection::effect::ProcessedPositions;

/// The folder, within a workspace's, of staged files.
const STAGING: &str = "_staging";

/// The folder of manifests.
const MANIFESTS: &str = "_manifest";

/// Older manifests that are kept for running readers.
const KEPT_MANIFESTS: u64 = 3;

/// The manifest that has no predecessor, and stays.
const FIRST_MANIFEST: u64 = 1;

/// The age, in seconds, from which a staged file is considered abandoned. A writer that is suspended for
/// longer between staging and its commit would lose its files.
const ABANDONED_AFTER_S: i64 = 86_400;

/// A file of the fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FactFile {
    /// Its path in the workspace's folder.
    pub(super) path: String,
    /// The number of its rows.
    pub(super) rows: usize,
}

/// The current content of a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version; 0 before the first.
    pub(super) version: u64,
    /// The processed positions of each partition.
    pub(super) inboxes: BTreeMap<u32, ProcessedPositions>,
    /// The fact's files, by day.
    pub(super) facts: BTreeMap<String, Vec<FactFile>>,
    /// The dimensions' files, by name.
    pub(super) dimensions: BTreeMap<String, String>,
}

impl Manifest {
    fn files(&self) -> impl Iterator<Item = &String> {
        let facts = self.facts.values().flatten().map(|file| &file.path);
        facts.chain(self.dimensions.values())
    }
}

/// The identity of a warehouse.
#[derive(Debug, Serialize, Deserialize)]
struct Label {
    format: u32,
    id: Uuid,
}

/// Reads and writes the files of a warehouse.
#[derive(Debug)]
pub(super) struct Warehouse {
    objects: Arc<dyn ObjectStore>,
    clock: SharedClock,
    pub(super) id: Uuid,
}

impl Warehouse {
    /// Opens the warehouse at a location, or creates it.
    pub(super) async fn open(at: &WarehouseLocation, clock: SharedClock) -> Result<Self, WarehouseError> {
        Self::over(storage::open(at)?, clock).await
    }

    /// Opens the warehouse in a storage, or creates it.
    pub(super) async fn over(
        objects: Arc<dyn ObjectStore>,
        clock: SharedClock,
    ) -> Result<Self, WarehouseError> {
        let path = Path::from("_warehouse.json");
        let label = Label {
            format: 1,
            id: clock.new_id(),
        };
        let json = serde_json::to_vec(&label)?;
        let id = match create(&*objects, &path, json.into()).await {
            Ok(()) => label.id,
            Err(ObjectError::AlreadyExists { .. }) => {
                let known: Label = serde_json::from_slice(&read(&*objects, &path).await?)?;
                known.id
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { objects, clock, id })
    }

    /// The current manifest, with all its files published.
    pub(super) async fn manifest(&self, workspace: WorkspaceId) -> Result<Manifest, WarehouseError> {
        // Listed before the manifest is read: the manifest names every current file among these.
        let files = self.list(&root(workspace)).await?;
        let Some(newest) = self.versions(workspace).await?.last().copied() else {
            return Ok(Manifest::default());
        };
        let manifest = self.read_manifest(workspace, newest).await?;
        self.recover(workspace, &manifest, files).await?;
        Ok(manifest)
    }

    /// A name in a folder of a workspace that no other writer has, for a file of this version.
    pub(super) fn new_path(&self, folder: &str, version: u64) -> String {
        format!("{folder}/{version:020}-{}.parquet", self.clock.new_id().simple())
    }

    /// Reads a current file.
    pub(super) async fn read(&self, workspace: WorkspaceId, file: &str) -> Result<Bytes, WarehouseError> {
        Ok(read(&*self.objects, &file_path(workspace, file)).await?)
    }

    /// Stages a file.
    pub(super) async fn stage(
        &self,
        workspace: WorkspaceId,
        file: &str,
        bytes: Bytes,
    ) -> Result<(), WarehouseError> {
        self.objects
            .put(&staging_path(workspace, file), bytes.into())
            .await?;
        Ok(())
    }

    /// Makes a manifest the current one, and publishes its files. `before` is its predecessor. A conflict
    /// changes nothing.
    pub(super) async fn commit(
        &self,
        workspace: WorkspaceId,
        before: &Manifest,
        manifest: &Manifest,
    ) -> Result<(), WarehouseError> {
        let known: HashSet<&String> = before.files().collect();
        let added: Vec<&String> = manifest.files().filter(|file| !known.contains(file)).collect();
        let Some(versions) = self.create_manifest(workspace, before, manifest).await? else {
            for file in added {
                self.delete(&staging_path(workspace, file)).await?;
            }
            return Err(WarehouseError::Conflict);
        };
        for file in added {
            self.publish_file(workspace, file).await?;
        }
        let current: HashSet<&String> = manifest.files().collect();
        for file in known.into_iter().filter(|file| !current.contains(file)) {
            self.delete(&file_path(workspace, file)).await?;
        }
        let newest_outdated = manifest.version.saturating_sub(KEPT_MANIFESTS);
        let outdated = versions
            .into_iter()
            .filter(|version| (FIRST_MANIFEST + 1..=newest_outdated).contains(version));
        for version in outdated {
            self.delete(&manifest_path(workspace, version)).await?;
        }
        Ok(())
    }

    /// Creates a manifest; returns the versions that exist then, oldest first. `None`: another writer was
    /// first. If others have continued after this manifest already, that is a conflict as well: they have
    /// published its files, and the caller finds its events processed.
    async fn create_manifest(
        &self,
        workspace: WorkspaceId,
        before: &Manifest,
        manifest: &Manifest,
    ) -> Result<Option<Vec<u64>>, WarehouseError> {
        let json = serde_json::to_vec_pretty(manifest)?;
        let path = manifest_path(workspace, manifest.version);
        match create(&*self.objects, &path, json.into()).await {
            Ok(()) => {}
            Err(ObjectError::AlreadyExists { .. }) => {
                // It may be this writer's own: a request that was repeated finds what its first attempt did.
                match self.read_manifest(workspace, manifest.version).await {
                    Ok(existing) if existing == *manifest => {}
                    Ok(_) | Err(WarehouseError::Objects(ObjectError::NotFound { .. })) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error.into()),
        }
        let versions = self.versions(workspace).await?;
        if before.version > 0 && !versions.contains(&before.version) {
            // It was created and deleted before, so this one is a second of its number.
            self.delete(&path).await?;
            return Ok(None);
        }
        Ok((versions.last() == Some(&manifest.version)).then_some(versions))
    }

    /// The workspaces with files in it.
    pub(super) async fn workspaces(&self) -> Result<Vec<WorkspaceId>, WarehouseError> {
        let listed = self.objects.list_with_delimiter(None).await?;
        let id = |path: &Path| path.filename()?.strip_prefix("workspace=")?.parse().ok();
        Ok(listed.common_prefixes.iter().filter_map(id).collect())
    }

    /// Deletes the files of a purged workspace.
    pub(super) async fn forget(&self, workspace: WorkspaceId) -> Result<(), WarehouseError> {
        // Without a manifest no file is current, so manifests are deleted first.
        for prefix in [root(workspace).join(MANIFESTS), root(workspace)] {
            for (path, _) in self.list(&prefix).await? {
                self.delete(&path).await?;
            }
        }
        Ok(())
    }

    /// Finishes a commit that a crash has interrupted.
    async fn recover(
        &self,
        workspace: WorkspaceId,
        manifest: &Manifest,
        files: Vec<(Path, i64)>,
    ) -> Result<(), WarehouseError> {
        let staging = root(workspace).join(STAGING);
        let manifests = root(workspace).join(MANIFESTS);
        let current: HashSet<Path> = manifest.files().map(|file| file_path(workspace, file)).collect();
        let existing: HashSet<&Path> = files.iter().map(|(path, _)| path).collect();
        for file in manifest.files() {
            if !existing.contains(&file_path(workspace, file)) {
                self.publish_file(workspace, file).await?;
            }
        }
        let now_s = self.clock.now().as_millis() / 1_000;
        for (path, modified_s) in &files {
            let is_garbage = if path.prefix_matches(&staging) {
                now_s - modified_s > ABANDONED_AFTER_S
            } else {
                !path.prefix_matches(&manifests) && !current.contains(path)
            };
            if is_garbage {
                self.delete(path).await?;
            }
        }
        Ok(())
    }

    async fn publish_file(&self, workspace: WorkspaceId, file: &str) -> Result<(), WarehouseError> {
        match self
            .objects
            .rename(&staging_path(workspace, file), &file_path(workspace, file))
            .await
        {
            Ok(()) => Ok(()),
            // It is published already, by another server.
            Err(ObjectError::NotFound { .. }) => {
                self.objects.head(&file_path(workspace, file)).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn read_manifest(&self, workspace: WorkspaceId, version: u64) -> Result<Manifest, WarehouseError> {
        let json = read(&*self.objects, &manifest_path(workspace, version)).await?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// The versions of the existing manifests, oldest first.
    async fn versions(&self, workspace: WorkspaceId) -> Result<Vec<u64>, WarehouseError> {
        let version = |path: &Path| path.filename()?.strip_suffix(".json")?.parse().ok();
        let manifests = self.list(&root(workspace).join(MANIFESTS)).await?;
        let mut versions: Vec<u64> = manifests.iter().filter_map(|(path, _)| version(path)).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    async fn delete(&self, path: &Path) -> Result<(), WarehouseError> {
        match self.objects.delete(path).await {
            Ok(()) | Err(ObjectError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lists files with their modification times, in seconds since 1970.
    async fn list(&self, prefix: &Path) -> Result<Vec<(Path, i64)>, WarehouseError> {
        let listed = self.objects.list(Some(prefix));
        let listed = listed.map(|file| file.map(|file| (file.location, file.last_modified.timestamp())));
        Ok(listed.try_collect().await?)
    }
}

fn root(workspace: WorkspaceId) -> Path {
    Path::from(format!("workspace={workspace}"))
}

fn file_path(workspace: WorkspaceId, file: &str) -> Path {
    Path::from(format!("workspace={workspace}/{file}"))
}

fn staging_path(workspace: WorkspaceId, file: &str) -> Path {
    Path::from(format!("workspace={workspace}/{STAGING}/{file}"))
}

fn manifest_path(workspace: WorkspaceId, version: u64) -> Path {
    Path::from(format!("workspace={workspace}/{MANIFESTS}/{version:020}.json"))
}

async fn create(objects: &dyn ObjectStore, path: &Path, payload: PutPayload) -> Result<(), ObjectError> {
    let options = PutOptions {
        mode: PutMode::Create,
        ..PutOptions::default()
    };
    objects.put_opts(path, payload, options).await?;
    Ok(())
}

async fn read(objects: &dyn ObjectStore, path: &Path) -> Result<Bytes, ObjectError> {
    objects.get(path).await?.bytes().await
}
