//! Analytics: a warehouse of Parquet files that other tools read, filed by day.
//!
//! An effect consumer. What of each partition is in the warehouse is said in the same atomic step that makes the rows count, so
//! each event is in it once, whatever is delivered, also with several servers ([`warehouse`]). Files of a day are put together as
//! they become many. It follows from the log: one that is lost is made again.

mod error;
mod model;
pub mod place;
mod storage;
pub mod table;
mod warehouse;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use domain::id::WorkspaceId;
use time::Date;
use tokio::sync::Mutex;

use clock::SharedClock;
use consumer::{CheckpointStorage, Consumer, EffectError, EventHandler, Work};
pub use error::WarehouseError;
use model::{CUSTOMER, DATE, Dimensions, FACT, Facts, PRODUCT, add};
use place::WarehouseAt;
use table::{Row, read, written};
use warehouse::{FactFile, Manifest, Warehouse};

/// The name of its lanes.
pub const NAME: &str = "analytics";

/// A day with so many small files has them put together.
pub const MANY: usize = 16;

/// A file with more rows is not small.
const SMALL: usize = 50_000;

/// Workspaces whose newest state stays in memory.
const REMEMBERED: usize = 64;

/// What is known of a workspace.
#[derive(Debug, Clone, Default)]
struct State {
    manifest: Manifest,
    dimensions: Dimensions,
}

/// See the module.
#[derive(Debug)]
pub struct Analytics {
    warehouse: Warehouse,
    /// The newest states; a workspace that is not among them is read again.
    states: Mutex<HashMap<WorkspaceId, Arc<State>>>,
}

impl Analytics {
    /// The one at a place.
    pub async fn open(at: &WarehouseAt, clock: SharedClock) -> Result<Self, WarehouseError> {
        Ok(Self {
            warehouse: Warehouse::open(at, clock).await?,
            states: Mutex::default(),
        })
    }

    async fn state(&self, workspace: WorkspaceId) -> Result<Arc<State>, WarehouseError> {
        if let Some(state) = self.states.lock().await.get(&workspace) {
            return Ok(state.clone());
        }
        let manifest = self.warehouse.manifest(workspace).await?;
        let mut rows = HashMap::new();
        for (name, file) in &manifest.dimensions {
            let bytes = self.warehouse.read(workspace, file).await?;
            rows.insert(name.as_str(), computed(move || read(bytes)).await?);
        }
        let mut of = |name| rows.remove(name).unwrap_or_default();
        let dimensions = Dimensions::of_rows(of("dim_product"), of("dim_customer"), of("dim_date"));
        let state = Arc::new(State { manifest, dimensions });
        self.remember(workspace, state.clone()).await;
        Ok(state)
    }

    async fn remember(&self, workspace: WorkspaceId, state: Arc<State>) {
        let mut states = self.states.lock().await;
        if states.len() >= REMEMBERED {
            states.clear();
        }
        states.insert(workspace, state);
    }

    async fn write(&self, work: &Work) -> Result<(), WarehouseError> {
        let (workspace, partition) = (work.partition.workspace, work.partition.partition);
        let before = self.state(workspace).await?;
        let mut inbox = before
            .manifest
            .inboxes
            .get(&partition)
            .cloned()
            .unwrap_or_default();
        let mut dimensions = before.dimensions.clone();
        let mut facts = Facts::new();
        for event in work.events.iter().filter(|event| inbox.wants(event.position)) {
            if let Ok(typed) = &event.decoded {
                add(typed, &mut dimensions, &mut facts);
            }
        }
        let must_be_noted = inbox.note(work);
        if !must_be_noted && facts.is_empty() && dimensions == before.dimensions {
            return Ok(());
        }
        let mut manifest = before.manifest.clone();
        manifest.version += 1;
        manifest.inboxes.insert(partition, inbox);
        for (day, rows) in facts {
            self.add_facts(workspace, &mut manifest, day, rows).await?;
        }
        self.put_dimensions(workspace, &mut manifest, &before.dimensions, &dimensions)
            .await?;
        self.warehouse
            .commit(workspace, &before.manifest, &manifest)
            .await?;
        self.remember(workspace, Arc::new(State { manifest, dimensions }))
            .await;
        Ok(())
    }

    /// Files rows under their day, together with the small files that are there, where those have become many.
    async fn add_facts(
        &self,
        workspace: WorkspaceId,
        manifest: &mut Manifest,
        day: Date,
        mut rows: Vec<Row>,
    ) -> Result<(), WarehouseError> {
        let files = manifest.facts.entry(day.to_string()).or_default();
        let small = files.iter().filter(|file| file.rows < SMALL).count();
        if small + 1 >= MANY {
            let (merged, kept): (Vec<_>, Vec<_>) = files.drain(..).partition(|file| file.rows < SMALL);
            for file in merged {
                let bytes = self.warehouse.read(workspace, &file.path).await?;
                rows.extend(computed(move || read(bytes)).await?);
            }
            *files = kept;
        }
        let path = format!("fact_order_lines/day={day}/{:020}.parquet", manifest.version);
        files.push(FactFile {
            path: path.clone(),
            rows: rows.len(),
        });
        let bytes = computed(move || {
            // By time, then by event and line: neighbours compress well.
            rows.sort_by(|a, b| a[7].cmp(&b[7]).then_with(|| a.cmp(b)));
            written(FACT, &rows)
        });
        self.warehouse.stage(workspace, &path, bytes.await?).await
    }

    /// Writes the dimensions that have changed.
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
            let path = format!("{name}/{:020}.parquet", manifest.version);
            let bytes = computed(move || written(columns, &rows)).await?;
            self.warehouse.stage(workspace, &path, bytes).await?;
            manifest.dimensions.insert(name.to_owned(), path);
        }
        Ok(())
    }
}

/// Encodes or decodes a table where it holds up nobody.
async fn computed<T: Send + 'static>(
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

    async fn perform(&self, work: &Work) -> Result<(), EffectError> {
        let written = self.write(work).await;
        if written.is_err() {
            // Whatever came of it is looked at anew.
            self.states.lock().await.remove(&work.partition.workspace);
        }
        Ok(written?)
    }
}

#[async_trait]
impl Consumer for Analytics {
    fn checkpoint_storage(&self) -> CheckpointStorage {
        CheckpointStorage::Made(self.warehouse.id)
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
