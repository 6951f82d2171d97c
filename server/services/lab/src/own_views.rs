//! The stored views of one's own: the one truth about what a workspace has defined, at every server and
//! across restarts.
//!
//! A workspace has one document in the process store, with a version that counts its changes. A change is one
//! transaction that compares the version. What is stored is then made so at this server: lanes begin, or end;
//! other servers are told, and read it again. Each view is in a slot, which was emptied before: a deleted
//! view leaves nothing to the next one.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use broker::{Broker, Heard, ServerMessage};
use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    Scope, StoredDocument,
};
use domain::{
    id::WorkspaceId,
    rejection::Rejection,
    timestamp::Timestamp,
    view::{
        ListingEntry,
        own::{self, OwnViewPlan, SLOTS},
    },
    wire::{Dials, OwnViewDefinition, own_views::MAX_OWN_VIEWS},
};
use event_store::StoreError;
use projection::{
    Projections,
    own_views::{BeginError, OwnViews, SlotStorage},
    progress::Progress,
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    dials::{Bender, DialBoard, DialError, DialKeeper, lanes::BentLanes},
    servers::{RENEWAL, RETRY},
};

/// The view name of the definitions in the process store.
const VIEW: &str = "lab_own_views";

/// The key of the document of a workspace.
const KEY: &str = "views";

/// The listing of the documents of workspaces that have any.
const DEFINED: &str = "defined";

/// How often a change is tried again that another one was faster than.
const MOST_TRIES: usize = 8;

/// Why a view was not created, deleted or read.
#[derive(Debug, thiserror::Error)]
pub enum OwnViewError {
    /// A value of the definition is not valid.
    #[error(transparent)]
    Invalid(#[from] Rejection),
    /// The workspace has a view of this name.
    #[error("there is a view {0}; delete it first, or take another name")]
    Exists(String),
    /// The workspace has as many as it may.
    #[error("a workspace has at most {MAX_OWN_VIEWS} views of its own; delete one first")]
    Full,
    /// There is no such view.
    #[error("there is no view of your own {0}")]
    Unknown(String),
    /// A student may delete only a view that they have created.
    #[error("only an educator deletes a view that another person has created")]
    NotYours,
    /// Others change the views all the time.
    #[error("the views of this workspace are changed all the time; try again")]
    Busy,
    /// The dials of a deleted view could not be put to rest.
    #[error(transparent)]
    Dials(#[from] DialError),
    /// The log could not be read.
    #[error(transparent)]
    Events(#[from] StoreError),
    /// The stored views could not be read or changed.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

impl From<BeginError> for OwnViewError {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Events(error) => Self::Events(error),
            BeginError::Documents(error) => Self::Documents(error),
        }
    }
}

/// A view as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredView {
    /// Its id: a view that is created again under the same name has another one.
    pub id: Uuid,
    /// The slot, from 0.
    pub slot: usize,
    /// What it folds.
    pub definition: OwnViewDefinition,
    /// When it was created, by the machine's clock.
    pub created_at: Timestamp,
    /// The person who created it.
    pub created_by: Uuid,
    /// Their name, sealed.
    pub created_by_name: String,
}

/// The views of a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredViews {
    /// Counts the changes.
    version: u64,
    views: Vec<StoredView>,
}

impl StoredViews {
    /// A slot without a view. It is the next one after those in use as long as there is one: a slot rests for
    /// as long as it can before it is used again.
    fn free_slot(&self) -> Option<usize> {
        let is_free = |slot: &usize| self.views.iter().all(|view| view.slot != *slot);
        let newest = self.views.iter().max_by_key(|view| (view.created_at, view.slot));
        let first = newest.map_or(0, |view| view.slot + 1);
        (0..SLOTS.len())
            .map(|step| (first + step) % SLOTS.len())
            .find(is_free)
    }
}

/// Reads what is stored of a workspace.
async fn read(
    process_store: &dyn DocumentStore,
    workspace: WorkspaceId,
) -> Result<StoredViews, DocumentStoreError> {
    let read = process_store.document(workspace, VIEW, KEY).await?;
    let documents: Vec<StoredDocument> = read.value.into_iter().collect();
    parsed(&documents)
}

/// What these documents say; nothing is defined before the first change.
fn parsed(documents: &[StoredDocument]) -> Result<StoredViews, DocumentStoreError> {
    let stored = documents.iter().find(|document| document.key == KEY);
    let parsed = stored.map(|document| serde_json::from_str(document.data.get()));
    Ok(parsed
        .transpose()
        .map_err(|error| unreadable(&error))?
        .unwrap_or_default())
}

fn unreadable(error: &serde_json::Error) -> DocumentStoreError {
    DocumentStoreError::Corrupt(format!("views of one's own: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn fault(error: DocumentStoreError) -> FoldFault {
    FoldFault {
        position: 0,
        reason: error.to_string(),
    }
}

/// Defines the stored views of a workspace, or of all, for a program without lanes.
pub async fn define_stored(
    progress: &Progress,
    process_store: &dyn DocumentStore,
    workspace: Option<WorkspaceId>,
) -> Result<(), DocumentStoreError> {
    let workspaces = match workspace {
        Some(workspace) => vec![workspace],
        None => process_store.workspaces_listed(VIEW, DEFINED).await?,
    };
    for workspace in workspaces {
        let stored = match read(process_store, workspace).await {
            // One workspace must not hold up all others.
            Err(DocumentStoreError::Corrupt(error)) => {
                tracing::error!(%workspace, error, "the views of one's own of a workspace cannot be read");
                continue;
            }
            stored => stored?,
        };
        for view in stored.views {
            let plan = Arc::new(OwnViewPlan::new(view.definition));
            progress.define(workspace, view.slot, view.id, plan);
        }
    }
    Ok(())
}

/// What the keeper needs once the lanes run.
#[derive(Debug)]
struct Running {
    projections: Arc<Projections>,
    dials: Arc<DialKeeper>,
    lanes: Arc<BentLanes>,
    board: Arc<DialBoard>,
    /// The names of process managers and consumers.
    reserved: Vec<&'static str>,
}

/// Keeps the views of one's own of all workspaces.
#[derive(Debug)]
pub struct OwnViewKeeper {
    process_store: Arc<dyn DocumentStore>,
    broker: Arc<dyn Broker>,
    clock: SharedClock,
    own: Arc<OwnViews>,
    running: OnceLock<Running>,
    /// Held while what is stored is made so here: of two changes, the later one is made last.
    applying: Mutex<()>,
}

/// Compares a slot with what is stored.
#[derive(Debug)]
struct Storage(Arc<dyn DocumentStore>);

#[async_trait]
impl SlotStorage for Storage {
    async fn is_stored(
        &self,
        workspace: WorkspaceId,
        slot: usize,
        view: Uuid,
    ) -> Result<bool, DocumentStoreError> {
        let stored = read(&*self.0, workspace).await?;
        let mut views = stored.views.iter();
        Ok(views.any(|stored| (stored.slot, stored.id) == (slot, view)))
    }
}

impl OwnViewKeeper {
    /// A keeper that has defined the stored views of every workspace, before their lanes start. It hears of
    /// other servers through the broker, which needs [`run`](Self::run).
    pub async fn open(
        process_store: Arc<dyn DocumentStore>,
        progress: &Progress,
        broker: Arc<dyn Broker>,
        clock: SharedClock,
    ) -> Result<Arc<Self>, DocumentStoreError> {
        let own = Arc::clone(progress.own_views());
        own.store_in(Arc::new(Storage(Arc::clone(&process_store))));
        define_stored(progress, &*process_store, None).await?;
        Ok(Arc::new(Self {
            process_store,
            broker,
            clock,
            own,
            running: OnceLock::new(),
            applying: Mutex::new(()),
        }))
    }

    /// Begins and ends lanes from now on. `others` are the names of process managers and consumers, which no
    /// view can have.
    pub fn attach(
        &self,
        projections: Arc<Projections>,
        (dials, lanes): (Arc<DialKeeper>, Arc<BentLanes>),
        others: Vec<&'static str>,
    ) {
        let board = Arc::clone(dials.board());
        self.running.get_or_init(|| Running {
            projections,
            dials,
            lanes,
            board,
            reserved: others,
        });
    }

    /// The views of a workspace, by name.
    pub async fn list(&self, workspace: WorkspaceId) -> Result<Vec<StoredView>, OwnViewError> {
        let mut views = read(&*self.process_store, workspace).await?.views;
        views.sort_by(|one, other| one.definition.name.cmp(&other.definition.name));
        Ok(views)
    }

    /// The view of this name.
    pub async fn find(&self, workspace: WorkspaceId, name: &str) -> Result<StoredView, OwnViewError> {
        let stored = read(&*self.process_store, workspace).await?;
        let mut views = stored.views.into_iter();
        let found = views.find(|view| view.definition.name == name);
        found.ok_or_else(|| OwnViewError::Unknown(shown(name)))
    }

    /// Creates a view: once this returns, it can be read, and its lanes fold all history.
    pub async fn create(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        definition: OwnViewDefinition,
    ) -> Result<StoredView, OwnViewError> {
        let running = self.running.get().ok_or(OwnViewError::Busy)?;
        own::check(&definition, |name| running.reserved.contains(&name))?;
        for _ in 0..MOST_TRIES {
            let stored = read(&*self.process_store, workspace).await?;
            if stored
                .views
                .iter()
                .any(|view| view.definition.name == definition.name)
            {
                return Err(OwnViewError::Exists(definition.name));
            }
            let slot = stored.free_slot().ok_or(OwnViewError::Full)?;
            // Before it is stored: a server that finds the view there finds its slot empty.
            running.projections.clean_slot(workspace, slot).await?;
            let view = StoredView {
                id: self.clock.new_id(),
                slot,
                definition: definition.clone(),
                created_at: self.clock.now(),
                created_by: by.id,
                created_by_name: by.name.clone(),
            };
            let mut views = stored.views.clone();
            views.push(view.clone());
            if self.replace(workspace, stored.version, &views).await? {
                self.made_so(workspace).await?;
                tracing::info!(%workspace, slot, "a view of one's own was created");
                return Ok(view);
            }
        }
        Err(OwnViewError::Busy)
    }

    /// Deletes a view, with all that it has folded and its dials. `may` says whether the caller may delete
    /// it.
    pub async fn delete(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        name: &str,
        may: &(dyn Fn(&StoredView) -> bool + Send + Sync),
    ) -> Result<(), OwnViewError> {
        let running = self.running.get().ok_or(OwnViewError::Busy)?;
        for _ in 0..MOST_TRIES {
            let stored = read(&*self.process_store, workspace).await?;
            let mut views = stored.views;
            let Some(at) = views.iter().position(|view| view.definition.name == name) else {
                return Err(OwnViewError::Unknown(shown(name)));
            };
            if !may(&views[at]) {
                return Err(OwnViewError::NotYours);
            }
            // While there is the view: dials of one that there is not are refused.
            let put_to_rest = |dials: &mut Dials| {
                dials.projections.remove(name);
            };
            running.dials.amend(workspace, by, &put_to_rest).await?;
            let slot = views.remove(at).slot;
            if self.replace(workspace, stored.version, &views).await? {
                self.made_so(workspace).await?;
                running.projections.empty_slot(workspace, slot).await?;
                tracing::info!(%workspace, slot, "a view of one's own was deleted");
                return Ok(());
            }
        }
        Err(OwnViewError::Busy)
    }

    /// Follows what other servers change, until it is cancelled.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.follow_servers() => {}
        }
    }

    /// Stores these views, if the version is still the one that was read.
    async fn replace(
        &self,
        workspace: WorkspaceId,
        version: u64,
        views: &[StoredView],
    ) -> Result<bool, DocumentStoreError> {
        let mut is_replaced = false;
        let mut fold = |loaded: FoldInput| {
            let stored = parsed(&loaded.documents).map_err(fault)?;
            is_replaced = stored.version == version;
            if !is_replaced {
                return Ok(FoldOutput::default());
            }
            let next = StoredViews {
                version: version + 1,
                views: views.to_vec(),
            };
            let write = write(&stored, &next).map_err(fault)?;
            Ok(FoldOutput {
                writes: vec![write],
                ..FoldOutput::default()
            })
        };
        let scope = Scope {
            workspace,
            view: VIEW,
            generation: FIRST_GENERATION,
        };
        self.process_store
            .amend(&scope, &[KEY.to_owned()], &mut fold)
            .await?;
        Ok(is_replaced)
    }

    /// Makes a change so here, and tells the other servers.
    async fn made_so(&self, workspace: WorkspaceId) -> Result<(), OwnViewError> {
        let applied = self.apply(workspace).await;
        if applied.is_err() {
            self.own.note_outdated(workspace);
        }
        // They are told also if this server could not: what is stored is the truth.
        self.broker
            .tell(&ServerMessage::OwnViewsChanged { workspace })
            .await;
        applied
    }

    /// Ends the views of a workspace that are not stored any more, and begins those that are.
    async fn apply(&self, workspace: WorkspaceId) -> Result<(), OwnViewError> {
        let Some(running) = self.running.get() else {
            return Ok(());
        };
        let _applying = self.applying.lock().await;
        let stored = read(&*self.process_store, workspace).await?.views;
        let defined = self.own.defined(workspace);
        let is_stored = |slot: usize, id: Uuid| stored.iter().any(|view| (view.slot, view.id) == (slot, id));
        for view in defined.iter().filter(|view| !is_stored(view.slot, view.id)) {
            running.projections.end_own_view(workspace, view.slot).await;
        }
        let new = stored.iter().filter(|view| {
            !defined
                .iter()
                .any(|known| (known.slot, known.id) == (view.slot, view.id))
        });
        for view in new {
            let plan = Arc::new(OwnViewPlan::new(view.definition.clone()));
            let begun = running
                .projections
                .begin_own_view(workspace, (view.slot, view.id), plan)
                .await;
            running.lanes.bend_again(&running.board, workspace);
            if let Err(error) = begun {
                // It begins when it is tried again.
                running.projections.end_own_view(workspace, view.slot).await;
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn apply_all(&self) -> Result<(), OwnViewError> {
        let mut workspaces: BTreeSet<_> = self.own.workspaces().into_iter().collect();
        workspaces.extend(self.process_store.workspaces_listed(VIEW, DEFINED).await?);
        for workspace in workspaces {
            self.apply(workspace).await?;
        }
        Ok(())
    }

    async fn follow_servers(&self) {
        let is_shared = self.process_store.sharing().is_some();
        let mut messages = self.broker.messages();
        // At first at once: another server may have changed views before this one listened.
        let (mut renewal, mut is_renewed) = (Instant::now(), is_shared);
        loop {
            let applied = tokio::select! {
                heard = Heard::next(&mut messages) => match heard {
                    Heard::Message(ServerMessage::OwnViewsChanged { workspace }) => {
                        self.apply(workspace).await
                    }
                    Heard::Message(_) => continue,
                    Heard::Missed => self.apply_all().await,
                },
                outdated = self.own.outdated() => self.apply_each(outdated).await,
                () = sleep_until(renewal), if is_renewed => {
                    (renewal, is_renewed) = (Instant::now() + RENEWAL, is_shared);
                    self.apply_all().await
                }
            };
            if let Err(error) = applied {
                tracing::warn!(%error, "views that another server has changed could not be followed yet");
                (renewal, is_renewed) = (Instant::now() + RETRY, true);
            }
        }
    }

    async fn apply_each(&self, workspaces: Vec<WorkspaceId>) -> Result<(), OwnViewError> {
        for workspace in workspaces {
            self.apply(workspace).await?;
        }
        Ok(())
    }
}

/// The write that replaces stored views, with the entry of workspaces that have any.
fn write(stored: &StoredViews, next: &StoredViews) -> Result<DocumentWrite, DocumentStoreError> {
    let entries = |is_wanted: bool| {
        let entry = is_wanted.then(|| ListingEntry::new(DEFINED, ""));
        entry.into_iter().collect()
    };
    let (had, has) = (!stored.views.is_empty(), !next.views.is_empty());
    let data = serde_json::value::to_raw_value(next).map_err(|error| unreadable(&error))?;
    Ok(DocumentWrite {
        key: KEY.to_owned(),
        data: Some(data.into()),
        owner: None,
        removed_entries: entries(had && !has),
        added_entries: entries(has && !had),
    })
}

/// A name for a message, which may come from a client.
fn shown(name: &str) -> String {
    let mut name = name.to_owned();
    domain::parse_error::shorten(&mut name, 60);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(slot: usize, created_at: i64) -> StoredView {
        StoredView {
            id: Uuid::from_u128(7),
            slot,
            definition: OwnViewDefinition {
                name: format!("view_{slot}"),
                on: Vec::new(),
                key: "stream".to_owned(),
                fold: Vec::new(),
                group: None,
                detect_duplicates: true,
            },
            created_at: Timestamp::from_micros(created_at),
            created_by: Uuid::nil(),
            created_by_name: String::new(),
        }
    }

    fn stored(views: Vec<StoredView>) -> StoredViews {
        StoredViews { version: 1, views }
    }

    #[test]
    fn the_next_slot_is_used_and_one_that_was_freed_rests_as_long_as_it_can() {
        assert_eq!(StoredViews::default().free_slot(), Some(0));
        assert_eq!(stored(vec![view(0, 1), view(1, 2)]).free_slot(), Some(2));
        assert_eq!(stored(vec![view(9, 3)]).free_slot(), Some(0));
        assert_eq!(stored(vec![view(9, 3), view(0, 1)]).free_slot(), Some(1));
        let all = (0..MAX_OWN_VIEWS).map(|slot| view(slot, 1)).collect();
        assert_eq!(stored(all).free_slot(), None);
    }

    #[test]
    fn what_is_written_is_read_again_and_the_workspace_is_listed_while_it_has_a_view() {
        let (none, one) = (StoredViews::default(), stored(vec![view(3, 1)]));
        let written = write(&none, &one).unwrap();
        assert_eq!(
            (written.added_entries.len(), written.removed_entries.len()),
            (1, 0)
        );
        let document = StoredDocument {
            key: KEY.to_owned(),
            data: serde_json::value::to_raw_value(&one).unwrap(),
            owner: None,
        };
        assert_eq!(parsed(&[document]).unwrap(), one);
        let written = write(&one, &none).unwrap();
        assert_eq!(
            (written.added_entries.len(), written.removed_entries.len()),
            (0, 1)
        );
    }
}
