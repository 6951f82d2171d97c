//! Analytics: a warehouse of Parquet files for other tools, stored by day.
//!
//! A consumer. The processed positions of each partition are published in the same atomic step as the rows,
//! so each event is in the warehouse exactly once, even with several servers ([`warehouse`]). Small files of
//! a day are merged ([`merging`]). The warehouse follows from the log: a lost one is created again.
//!
//! Tests over the whole pipeline: `server/src/consumers/tests/warehouse.rs`.

mod error;
pub mod location;
mod merging;
mod model;
mod storage;
pub mod table;
#[cfg(test)]
mod tests;
mod warehouse;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use domain::{event::TypedEvent, id::WorkspaceId, wire::hops::Arrow};
use time::Date;
use tokio::sync::Mutex;

use clock::SharedClock;
use consumer::{
    CheckpointStorage, Consumer, EffectError, EventHandler, LaneArrows, LogHistory, PartitionId, Work,
};
pub use error::WarehouseError;
use location::WarehouseLocation;
use merging::take_similar;
use model::{CUSTOMER, DATE, Dimensions, FACT, Facts, PRODUCT, add, is_modelled};
use table::{Row, encode, read};
use warehouse::{FactFile, Manifest, Warehouse};

/// The name of its lanes.
pub const NAME: &str = "analytics";

/// This many small files of a day and of a similar size are merged.
pub const MERGE_THRESHOLD: usize = 16;

/// The most workspaces whose state is cached.
const MAX_CACHED_STATES: usize = 64;

/// How often work is tried when another writer of the workspace is faster, before its lane waits.
const ATTEMPTS: usize = 8;

/// The state of a workspace.
#[derive(Debug, Clone, Default)]
struct State {
    manifest: Manifest,
    dimensions: Dimensions,
}

/// The newest known state of a workspace; `None`: it must be read. Its lock is the turn to write, because two
/// lanes of one server that write at a time would conflict.
type StateSlot = Arc<Mutex<Option<Arc<State>>>>;

/// Writes order lines and dimensions into the warehouse.
#[derive(Debug)]
pub struct Analytics {
    warehouse: Warehouse,
    states: Mutex<HashMap<WorkspaceId, StateSlot>>,
}

impl Analytics {
    /// Opens the warehouse at a location.
    pub async fn open(at: &WarehouseLocation, clock: SharedClock) -> Result<Self, WarehouseError> {
        Ok(Self::of(Warehouse::open(at, clock).await?))
    }

    fn of(warehouse: Warehouse) -> Self {
        Self {
            warehouse,
            states: Mutex::default(),
        }
    }

    async fn slot(&self, workspace: WorkspaceId) -> StateSlot {
        let mut states = self.states.lock().await;
        if states.len() >= MAX_CACHED_STATES && !states.contains_key(&workspace) {
            states.clear();
        }
        states.entry(workspace).or_default().clone()
    }

    async fn read_state(&self, workspace: WorkspaceId) -> Result<Arc<State>, WarehouseError> {
        let manifest = self.warehouse.manifest(workspace).await?;
        let mut rows = HashMap::new();
        for (name, file) in &manifest.dimensions {
            let bytes = self.warehouse.read(workspace, file).await?;
            rows.insert(name.as_str(), run_blocking(move || read(bytes)).await?);
        }
        let mut of = |name| rows.remove(name).unwrap_or_default();
        let dimensions = Dimensions::of_rows(of("dim_product"), of("dim_customer"), of("dim_date"));
        Ok(Arc::new(State { manifest, dimensions }))
    }

    /// Performs work on the known state, or on the newest.
    async fn attempt(&self, work: &Work, known: &mut Option<Arc<State>>) -> Result<(), WarehouseError> {
        // Taken out: the outcome of a failure is unknown, and then the state is read again.
        let before = match known.take() {
            Some(state) => state,
            None => self.read_state(work.partition.workspace).await?,
        };
        *known = Some(self.write(work, before).await?);
        Ok(())
    }

    /// Writes what the events add to a state; returns the state after them.
    async fn write(&self, work: &Work, before: Arc<State>) -> Result<Arc<State>, WarehouseError> {
        let (workspace, partition) = (work.partition.workspace, work.partition.partition);
        let mut processed = before
            .manifest
            .inboxes
            .get(&partition)
            .cloned()
            .unwrap_or_default();
        let mut dimensions = before.dimensions.clone();
        let mut facts = Facts::new();
        for event in work.events.iter().filter(|event| processed.wants(event.position)) {
            if let Ok(typed) = &event.decoded {
                add(typed, &mut dimensions, &mut facts);
            }
        }
        let must_be_noted = processed.note(work);
        if !must_be_noted && facts.is_empty() && dimensions == before.dimensions {
            return Ok(before);
        }
        let mut manifest = before.manifest.clone();
        manifest.version += 1;
        manifest.inboxes.insert(partition, processed);
        for (day, rows) in facts {
            self.add_facts(workspace, &mut manifest, day, rows).await?;
        }
        self.put_dimensions(workspace, &mut manifest, &before.dimensions, &dimensions)
            .await?;
        self.warehouse
            .commit(workspace, &before.manifest, &manifest)
            .await?;
        Ok(Arc::new(State { manifest, dimensions }))
    }

    /// Writes rows under their day, merged with small files of the day once there are many.
    async fn add_facts(
        &self,
        workspace: WorkspaceId,
        manifest: &mut Manifest,
        day: Date,
        mut rows: Vec<Row>,
    ) -> Result<(), WarehouseError> {
        let files = manifest.facts.entry(day.to_string()).or_default();
        while let Some(merged) = take_similar(files, rows.len()) {
            for file in merged {
                let bytes = self.warehouse.read(workspace, &file.path).await?;
                rows.extend(run_blocking(move || read(bytes)).await?);
            }
        }
        let folder = format!("fact_order_lines/day={day}");
        let path = self.warehouse.new_path(&folder, manifest.version);
        files.push(FactFile {
            path: path.clone(),
            rows: rows.len(),
        });
        let bytes = run_blocking(move || {
            // By time, then by event and line, for better compression.
            rows.sort_by(|a, b| a[7].cmp(&b[7]).then_with(|| a.cmp(b)));
            encode(FACT, &rows)
        });
        self.warehouse.stage(workspace, &path, bytes.await?).await
    }

    /// Writes the changed dimensions.
    async fn put_dimensions(
        &self,
        workspace: WorkspaceId,
        manifest: &mut Manifest,
        before: &Dimensions,
        after: &Dimensions,
    ) -> Result<(), WarehouseError> {
        let mut changed = Vec::new();
        if before.products != after.products {
            changed.push(("dim_product", PRODUCT, after.product_rows()));
        }
        if before.customers != after.customers {
            changed.push(("dim_customer", CUSTOMER, after.customer_rows()));
        }
        if before.days != after.days {
            changed.push(("dim_date", DATE, after.date_rows()));
        }
        for (name, columns, rows) in changed {
            let path = self.warehouse.new_path(name, manifest.version);
            let bytes = run_blocking(move || encode(columns, &rows)).await?;
            self.warehouse.stage(workspace, &path, bytes).await?;
            manifest.dimensions.insert(name.to_owned(), path);
        }
        Ok(())
    }
}

/// Encodes or decodes a table on a blocking thread.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, parquet::errors::ParquetError> + Send + 'static,
) -> Result<T, WarehouseError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| parquet::errors::ParquetError::General(error.to_string()))?;
    Ok(done?)
}

#[async_trait]
impl EventHandler for Analytics {
    fn name(&self) -> &'static str {
        NAME
    }

    fn arrows(&self) -> LaneArrows {
        LaneArrows {
            delivery: &[Arrow::AnalyticsConsumer],
            history: &[],
            write: &[Arrow::DataWarehouse],
        }
    }

    fn writes(&self, event: &TypedEvent) -> bool {
        is_modelled(event)
    }

    /// What it has processed is recognised by its positions, unless one of them is of another history: then
    /// the files of the workspace are created again.
    async fn begin_again(
        &self,
        workspace: WorkspaceId,
        history: &mut LogHistory<'_>,
    ) -> Result<(), EffectError> {
        let manifest = self.warehouse.manifest(workspace).await?;
        for (partition, processed) in &manifest.inboxes {
            let partition = PartitionId {
                workspace,
                partition: *partition,
            };
            let hash = processed.hash.as_deref();
            if !history.contains(partition, processed.checkpoint, hash).await? {
                tracing::warn!(%workspace, "the warehouse has rows of another history, and is created again");
                return self.forget(workspace).await;
            }
        }
        Ok(())
    }

    async fn perform(&self, work: &Work) -> Result<(), EffectError> {
        let slot = self.slot(work.partition.workspace).await;
        let mut known = slot.lock().await;
        let mut attempt = 1;
        loop {
            match self.attempt(work, &mut known).await {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                done => return Ok(done?),
            }
        }
    }
}

#[async_trait]
impl Consumer for Analytics {
    fn checkpoint_storage(&self) -> CheckpointStorage {
        CheckpointStorage::Output(self.warehouse.id)
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError> {
        Ok(self.warehouse.workspaces().await?)
    }

    async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError> {
        self.states.lock().await.remove(&workspace);
        Ok(self.warehouse.forget(workspace).await?)
    }
}

impl From<WarehouseError> for EffectError {
    fn from(error: WarehouseError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
