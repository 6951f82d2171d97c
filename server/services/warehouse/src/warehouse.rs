//! The warehouse's files: what is written first, what makes it count, and what is cleared away.
//!
//! New files are written under `_staging`, where no pattern of a reader finds them. Then the next **manifest** is created,
//! which names every file that counts and says what of each partition is in them: that is the one atomic step, and of two
//! writers one gets it. After that the files move to their places, and what no manifest names is deleted. A stop anywhere in
//! between is made good at the next look.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use domain::id::WorkspaceId;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{
    Error as ObjectError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, path::Path,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{error::WarehouseError, place::WarehouseAt, storage};
use clock::SharedClock;
use projection::effect::ProcessedPositions;

/// The folder, in a workspace's, of files that do not count yet.
const STAGING: &str = "_staging";

/// The folder of manifests.
const MANIFESTS: &str = "_manifest";

/// Manifests that are kept for whoever is reading by one.
const KEPT: u64 = 3;

/// After this long, in seconds, a file that does not count was left by somebody who has stopped.
const LEFT_AFTER_S: i64 = 3_600;

/// A file of the fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FactFile {
    /// Where it lies, in the workspace's folder.
    pub(super) path: String,
    /// Its rows.
    pub(super) rows: usize,
}

/// What counts in a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// 0 before the first.
    pub(super) version: u64,
    /// What of each partition is in it.
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

/// Which warehouse this is.
#[derive(Debug, Serialize, Deserialize)]
struct Label {
    format: u32,
    id: Uuid,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Warehouse {
    objects: Arc<dyn ObjectStore>,
    clock: SharedClock,
    pub(super) id: Uuid,
}

impl Warehouse {
    /// The one at a place; makes it where there is none.
    pub(super) async fn open(at: &WarehouseAt, clock: SharedClock) -> Result<Self, WarehouseError> {
        let objects = storage::open(at)?;
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

    /// What counts now, with everything in its place.
    pub(super) async fn manifest(&self, workspace: WorkspaceId) -> Result<Manifest, WarehouseError> {
        // Listed before the manifest is read: whatever counts among these is in it.
        let files = self.list(&root(workspace)).await?;
        let versions = self.list(&root(workspace).join(MANIFESTS)).await?;
        let newest = versions
            .iter()
            .filter_map(|(path, _)| path.filename()?.strip_suffix(".json")?.parse::<u64>().ok())
            .max();
        let Some(newest) = newest else {
            return Ok(Manifest::default());
        };
        let json = read(&*self.objects, &manifest_path(workspace, newest)).await?;
        let manifest: Manifest = serde_json::from_slice(&json)?;
        self.tidy(workspace, &manifest, files).await?;
        Ok(manifest)
    }

    /// A file that counts.
    pub(super) async fn read(&self, workspace: WorkspaceId, file: &str) -> Result<Bytes, WarehouseError> {
        Ok(read(&*self.objects, &place(workspace, file)).await?)
    }

    /// Writes a file that does not count yet.
    pub(super) async fn stage(
        &self,
        workspace: WorkspaceId,
        file: &str,
        bytes: Bytes,
    ) -> Result<(), WarehouseError> {
        self.objects.put(&staged(workspace, file), bytes.into()).await?;
        Ok(())
    }

    /// Makes a manifest the one that counts, and puts everything in its place. `before` is the one that it follows.
    pub(super) async fn commit(
        &self,
        workspace: WorkspaceId,
        before: &Manifest,
        manifest: &Manifest,
    ) -> Result<(), WarehouseError> {
        let json = serde_json::to_vec_pretty(manifest)?;
        let path = manifest_path(workspace, manifest.version);
        match create(&*self.objects, &path, json.into()).await {
            Ok(()) => {}
            Err(ObjectError::AlreadyExists { .. }) => return Err(WarehouseError::Overtaken),
            Err(error) => return Err(error.into()),
        }
        let known: Vec<&String> = before.files().collect();
        for file in manifest.files().filter(|file| !known.contains(file)) {
            self.put_in_place(workspace, file).await?;
        }
        let counting: Vec<&String> = manifest.files().collect();
        for file in known.into_iter().filter(|file| !counting.contains(file)) {
            self.delete(&place(workspace, file)).await?;
        }
        if let Some(old) = manifest.version.checked_sub(KEPT).filter(|old| *old > 0) {
            self.delete(&manifest_path(workspace, old)).await?;
        }
        Ok(())
    }

    /// The workspaces that it has anything of.
    pub(super) async fn workspaces(&self) -> Result<Vec<WorkspaceId>, WarehouseError> {
        let listed = self.objects.list_with_delimiter(None).await?;
        let id = |path: &Path| path.filename()?.strip_prefix("workspace=")?.parse().ok();
        Ok(listed.common_prefixes.iter().filter_map(id).collect())
    }

    /// A workspace is there no more.
    pub(super) async fn forget(&self, workspace: WorkspaceId) -> Result<(), WarehouseError> {
        // Without a manifest nothing counts; so manifests go first.
        for prefix in [root(workspace).join(MANIFESTS), root(workspace)] {
            for (path, _) in self.list(&prefix).await? {
                self.delete(&path).await?;
            }
        }
        Ok(())
    }

    /// Finishes what a stop has interrupted.
    async fn tidy(
        &self,
        workspace: WorkspaceId,
        manifest: &Manifest,
        files: Vec<(Path, i64)>,
    ) -> Result<(), WarehouseError> {
        let staging = root(workspace).join(STAGING);
        let manifests = root(workspace).join(MANIFESTS);
        let counting: Vec<Path> = manifest.files().map(|file| place(workspace, file)).collect();
        let there: Vec<&Path> = files.iter().map(|(path, _)| path).collect();
        for file in manifest.files() {
            if !there.contains(&&place(workspace, file)) {
                self.put_in_place(workspace, file).await?;
            }
        }
        let now_s = self.clock.now().as_millis() / 1_000;
        for (path, modified_s) in &files {
            let is_left = if path.prefix_matches(&staging) {
                now_s - modified_s > LEFT_AFTER_S
            } else {
                !path.prefix_matches(&manifests) && !counting.contains(path)
            };
            if is_left {
                self.delete(path).await?;
            }
        }
        Ok(())
    }

    async fn put_in_place(&self, workspace: WorkspaceId, file: &str) -> Result<(), WarehouseError> {
        match self
            .objects
            .rename(&staged(workspace, file), &place(workspace, file))
            .await
        {
            Ok(()) => Ok(()),
            // It is there already: another server has made it good.
            Err(ObjectError::NotFound { .. }) => {
                self.objects.head(&place(workspace, file)).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, path: &Path) -> Result<(), WarehouseError> {
        match self.objects.delete(path).await {
            Ok(()) | Err(ObjectError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Files, with when they were written, in seconds since 1970.
    async fn list(&self, prefix: &Path) -> Result<Vec<(Path, i64)>, WarehouseError> {
        let listed = self.objects.list(Some(prefix));
        let listed = listed.map(|file| file.map(|file| (file.location, file.last_modified.timestamp())));
        Ok(listed.try_collect().await?)
    }
}

fn root(workspace: WorkspaceId) -> Path {
    Path::from(format!("workspace={workspace}"))
}

fn place(workspace: WorkspaceId, file: &str) -> Path {
    Path::from(format!("workspace={workspace}/{file}"))
}

fn staged(workspace: WorkspaceId, file: &str) -> Path {
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
