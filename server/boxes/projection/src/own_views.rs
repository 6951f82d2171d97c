//! The views of one's own that workspaces have: which view is in which slot, in memory.
//!
//! A slot is a handler with lanes like those of any view, which all workspaces share; without a view in it, a
//! workspace pays nothing for it: no event is delivered to it, and nothing waits for it. What is defined is
//! stored by the lab, which fills this when a server starts, and after each change at any server.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use broker::Interest;
use documents::{DocumentStoreError, FIRST_GENERATION, Scope, StoredGeneration};
use domain::{
    id::WorkspaceId,
    token::ConsistencyToken,
    view::own::{Definitions, OwnViewPlan, SLOTS},
};
use event_store::StoreError;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Changes, Commit, PartitionId, Projections,
    generation_switch::follow_change,
    progress::{Progress, ViewProgress},
};

/// A view of one's own in its slot.
#[derive(Debug)]
pub struct DefinedView {
    /// The slot, from 0.
    pub slot: usize,
    /// Its id: a view that is created again under its name is another one.
    pub id: Uuid,
    /// How it folds.
    pub plan: Arc<OwnViewPlan>,
    pub(super) progress: Arc<ViewProgress>,
}

/// Knows whether a view is still the one that is stored in its slot.
#[async_trait]
pub trait SlotStorage: Send + Sync + Debug {
    /// Whether the view with this id is stored in this slot.
    async fn is_stored(
        &self,
        workspace: WorkspaceId,
        slot: usize,
        view: Uuid,
    ) -> Result<bool, DocumentStoreError>;
}

/// The views of a workspace, by slot.
type WorkspaceViews = Arc<Vec<Arc<DefinedView>>>;

/// The views of one's own of all workspaces.
#[derive(Debug, Default)]
pub struct OwnViews {
    workspaces: RwLock<HashMap<WorkspaceId, WorkspaceViews>>,
    /// The number of workspaces that have any: with none, a look costs one load.
    count: AtomicUsize,
    storage: OnceLock<Arc<dyn SlotStorage>>,
    /// Workspaces of which another view than the known one is in a slot.
    outdated: Mutex<HashSet<WorkspaceId>>,
    added: Notify,
}

impl OwnViews {
    /// The views of a workspace, by slot; `None`: it has none.
    pub(super) fn of(&self, workspace: WorkspaceId) -> Option<WorkspaceViews> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        workspaces.get(&workspace).cloned()
    }

    /// The views of a workspace, each with its slot and its id.
    pub fn defined(&self, workspace: WorkspaceId) -> Vec<Arc<DefinedView>> {
        self.of(workspace).map(|own| own.to_vec()).unwrap_or_default()
    }

    /// The view in a slot.
    pub fn in_slot(&self, workspace: WorkspaceId, slot: usize) -> Option<Arc<DefinedView>> {
        self.of(workspace)?.iter().find(|own| own.slot == slot).cloned()
    }

    /// The view of this name.
    pub fn named(&self, workspace: WorkspaceId, name: &str) -> Option<Arc<DefinedView>> {
        let own = self.of(workspace)?;
        own.iter().find(|own| own.plan.definition().name == name).cloned()
    }

    /// The names of a workspace's own views.
    pub fn names(&self, workspace: WorkspaceId) -> Vec<String> {
        let own = self.defined(workspace);
        own.iter().map(|own| own.plan.definition().name.clone()).collect()
    }

    /// The workspaces that have any.
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        workspaces.keys().copied().collect()
    }

    /// Sets where the views are stored; the first stays.
    pub fn store_in(&self, storage: Arc<dyn SlotStorage>) {
        self.storage.get_or_init(|| storage);
    }

    /// Waits until a workspace has other views than are known here, and returns those that have.
    pub async fn outdated(&self) -> Vec<WorkspaceId> {
        loop {
            let outdated: Vec<_> = {
                let mut outdated = self.outdated.lock().unwrap_or_else(PoisonError::into_inner);
                outdated.drain().collect()
            };
            if !outdated.is_empty() {
                return outdated;
            }
            self.added.notified().await;
        }
    }

    /// Adds a view; `false`: its slot is not free.
    pub(super) fn add(&self, workspace: WorkspaceId, view: DefinedView) -> bool {
        self.change(workspace, |own| {
            if own.iter().any(|known| known.slot == view.slot) {
                return false;
            }
            own.push(Arc::new(view));
            own.sort_by_key(|known| known.slot);
            true
        })
    }

    /// Removes a view.
    pub(super) fn remove(&self, workspace: WorkspaceId, slot: usize) -> Option<Arc<DefinedView>> {
        self.of(workspace)?;
        self.change(workspace, |own| {
            let at = own.iter().position(|known| known.slot == slot)?;
            Some(own.remove(at))
        })
    }

    /// Removes all views of a purged workspace.
    pub(super) fn end(&self, workspace: WorkspaceId) -> Vec<Arc<DefinedView>> {
        if self.of(workspace).is_none() {
            return Vec::new();
        }
        self.change(workspace, std::mem::take)
    }

    fn change<T>(&self, workspace: WorkspaceId, change: impl FnOnce(&mut Vec<Arc<DefinedView>>) -> T) -> T {
        let mut workspaces = self.workspaces.write().unwrap_or_else(PoisonError::into_inner);
        let mut own = workspaces
            .get(&workspace)
            .map(|own| own.to_vec())
            .unwrap_or_default();
        let changed = change(&mut own);
        if own.is_empty() {
            workspaces.remove(&workspace);
        } else {
            workspaces.insert(workspace, Arc::new(own));
        }
        self.count.store(workspaces.len(), Ordering::Release);
        changed
    }

    /// Whether the view that is known in a slot is the stored one. If not, it is read again.
    pub(super) async fn confirm(
        &self,
        workspace: WorkspaceId,
        slot: usize,
    ) -> Result<bool, DocumentStoreError> {
        let Some((known, storage)) = self.in_slot(workspace, slot).zip(self.storage.get()) else {
            return Ok(true);
        };
        if storage.is_stored(workspace, slot, known.id).await? {
            return Ok(true);
        }
        self.note_outdated(workspace);
        Ok(false)
    }

    /// Has the stored views of a workspace read again.
    pub fn note_outdated(&self, workspace: WorkspaceId) {
        self.outdated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(workspace);
        self.added.notify_one();
    }
}

/// What the views of the slots know of the definitions. These views live as long as the process, and keep
/// nothing of a server that has ended.
#[derive(Debug)]
pub(super) struct SlotDefinitions(pub(super) Weak<OwnViews>);

impl Definitions for SlotDefinitions {
    fn plan(&self, workspace: WorkspaceId, slot: usize) -> Option<Arc<OwnViewPlan>> {
        let own_views = self.0.upgrade()?;
        let own = own_views.in_slot(workspace, slot);
        own.map(|own| Arc::clone(&own.plan))
    }
}

/// The events that concern a slot: those of workspaces that have a view in it.
#[derive(Debug)]
pub(super) struct SlotInterest {
    own: Arc<OwnViews>,
    slot: usize,
}

impl SlotInterest {
    pub(super) fn new(own: Arc<OwnViews>, slot: usize) -> Self {
        Self { own, slot }
    }
}

impl Interest for SlotInterest {
    fn has(&self, workspace: WorkspaceId) -> bool {
        self.own.in_slot(workspace, self.slot).is_some()
    }
}

/// Why a view of one's own could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The head of the log could not be read.
    #[error(transparent)]
    Events(#[from] StoreError),
    /// What its lanes have folded could not be read.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

impl Projections {
    /// Begins a view of one's own: its lanes fold all history, and then what is appended. `false`: its slot
    /// is not free, or the workspace was purged.
    pub async fn begin_own_view(
        &self,
        workspace: WorkspaceId,
        (slot, id): (usize, Uuid),
        plan: Arc<OwnViewPlan>,
    ) -> Result<bool, BeginError> {
        let context = &self.context;
        let Some(name) = SLOTS.get(slot).copied() else {
            return Ok(false);
        };
        if !context.progress.define(workspace, slot, id, plan) {
            return Ok(false);
        }
        // Clients may have followed another view in the slot.
        let scope = Scope {
            workspace,
            view: name,
            generation: FIRST_GENERATION,
        };
        context.followers.set_back(&scope, &ConsistencyToken::default());
        follow_change(context, name, workspace).await?;
        // Read once it is defined: what is stored later is delivered.
        let head = context.store.head(workspace).await?;
        let Some(progress) = context.progress.of(workspace, name) else {
            return Ok(false);
        };
        progress.note_history(head.clone());
        let lanes = context
            .progress
            .index(name)
            .and_then(|index| self.lanes.get(index));
        let folded = progress.folded();
        for (partition, position) in head.iter().filter(|(of, to)| folded.position(*of) < *to) {
            let partition = PartitionId { workspace, partition };
            let owns = context.ownership.owns(name, partition).await;
            match lanes.filter(|_| owns) {
                Some(lanes) => lanes.start(partition, position),
                None => self.following.look_now(workspace),
            }
        }
        Ok(true)
    }

    /// Ends a view of one's own at this server. When this returns, its lanes and its rebuild write nothing
    /// more here.
    pub async fn end_own_view(&self, workspace: WorkspaceId, slot: usize) {
        let context = &self.context;
        let (Some(name), Some(ended)) = (
            SLOTS.get(slot).copied(),
            context.progress.undefine(workspace, slot),
        ) else {
            return;
        };
        drop(ended.progress.turn().await);
        self.rebuilds.end_view(workspace, name).await;
        context.health.end_view(workspace, name);
        context.cache.clear().await;
        let scope = Scope {
            workspace,
            view: name,
            generation: ended.progress.generation(),
        };
        // They are told that there is no such view.
        context.followers.committed(Commit {
            scope,
            partition: 0,
            to: 0,
            changes: Changes::Everything,
        });
    }

    /// Empties a slot without a view in it, if something is left there: a deletion was interrupted.
    pub async fn clean_slot(&self, workspace: WorkspaceId, slot: usize) -> Result<(), DocumentStoreError> {
        let Some(name) = SLOTS.get(slot).copied() else {
            return Ok(());
        };
        let documents = &self.context.documents;
        let scope = Scope {
            workspace,
            view: name,
            generation: documents.live_generation(workspace, name).await?,
        };
        let has_folded = documents.folded(&scope).await? != ConsistencyToken::default();
        if has_folded || documents.has_rows(&scope).await? {
            self.empty_slot(workspace, slot).await?;
        }
        Ok(())
    }

    /// Empties a slot, with or without a view in it: a new generation that has folded nothing is the live
    /// one, at every server, and what is left of the others is removed in the background.
    pub async fn empty_slot(&self, workspace: WorkspaceId, slot: usize) -> Result<(), DocumentStoreError> {
        let Some(name) = SLOTS.get(slot).copied() else {
            return Ok(());
        };
        let documents = &self.context.documents;
        let generation = documents.live_generation(workspace, name).await?;
        documents.restart(workspace, name).await?;
        self.rebuilds.remove_later(StoredGeneration {
            workspace,
            view: name.to_owned(),
            generation,
        });
        Ok(())
    }

    /// How far the handlers are, and the views that workspaces have defined for themselves.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.context.progress
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::{FoldOp, OwnFold, OwnViewDefinition};

    use super::*;
    use crate::lane_controls::LaneDials;

    const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const OTHER: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    fn plan(name: &str, detect_duplicates: bool) -> Arc<OwnViewPlan> {
        Arc::new(OwnViewPlan::new(OwnViewDefinition {
            name: name.to_owned(),
            on: vec!["OrderCreated".to_owned()],
            key: "stream".to_owned(),
            fold: vec![OwnFold {
                field: "n".to_owned(),
                op: FoldOp::Count,
                of: None,
            }],
            group: None,
            detect_duplicates,
        }))
    }

    fn partition(workspace: WorkspaceId) -> PartitionId {
        PartitionId {
            workspace,
            partition: 0,
        }
    }

    #[test]
    fn a_workspace_without_a_view_in_a_slot_has_no_progress_lag_name_or_interest_there() {
        let progress = Progress::default().with_own_views();
        let interest = progress.interest("own_01").unwrap();
        assert!(progress.interest("orders").is_none());
        progress.stored(partition(CLASS), 5);
        assert!(progress.define(CLASS, 0, Uuid::from_u128(1), plan("mine", true)));
        assert!(!progress.define(CLASS, 0, Uuid::from_u128(2), plan("another", true)));
        assert!(progress.of(CLASS, "own_01").is_some() && progress.of(CLASS, "own_02").is_none());
        assert!(progress.of(OTHER, "own_01").is_none() && !progress.has(OTHER, "own_01"));
        assert!(interest.has(CLASS) && !interest.has(OTHER));
        assert_eq!(progress.lane_name(CLASS, "mine"), Some("own_01"));
        assert_eq!(progress.lane_name(OTHER, "mine"), None);
        assert_eq!(
            progress.lane_name(CLASS, "own_01"),
            None,
            "no client knows the slots"
        );
        assert_eq!(progress.lane_name(OTHER, "orders"), Some("orders"));
        assert_eq!(progress.name_in(CLASS, "own_01"), "mine");
        assert_eq!(progress.views_in(OTHER).len() + 1, progress.views_in(CLASS).len());
    }

    #[tokio::test]
    async fn the_lag_of_a_slot_is_counted_while_there_is_a_view_and_waiting_for_it_ends_with_it() {
        let progress = Progress::default().with_own_views();
        progress.stored(partition(CLASS), 5);
        assert_eq!(progress.lag("own_01"), 0);
        progress.define(CLASS, 0, Uuid::from_u128(1), plan("mine", true));
        progress.stored(partition(CLASS), 7);
        progress.stored(partition(OTHER), 9);
        assert_eq!(progress.lag("own_01"), 7);
        progress.folded("own_01", partition(CLASS), 3);
        assert_eq!(progress.lag("own_01"), 4);
        let view = progress.of(CLASS, "own_01").unwrap();
        assert!(view.behind_for().is_some());
        let never = ConsistencyToken::at(0, 100);
        tokio::join!(view.reaches(&never), async {
            assert!(progress.undefine(CLASS, 0).is_some());
        });
        assert_eq!(progress.lag("own_01"), 0);
        progress.folded("own_01", partition(CLASS), 7);
        assert_eq!(progress.lag("own_01"), 0);
        // The next view in the slot has folded nothing.
        progress.define(CLASS, 0, Uuid::from_u128(2), plan("mine", true));
        assert_eq!((progress.lag("own_01"), progress.lag("orders")), (7, 16));
        progress.end(CLASS).await;
        assert_eq!((progress.lag("own_01"), progress.lag("orders")), (0, 9));
        assert!(progress.own_views().workspaces().is_empty());
    }

    #[test]
    fn a_view_that_detects_no_duplicates_does_not_with_any_dials() {
        let progress = Progress::default().with_own_views();
        progress.define(CLASS, 0, Uuid::from_u128(1), plan("twice", false));
        progress.define(CLASS, 1, Uuid::from_u128(2), plan("once", true));
        let detects = |lane: &str| {
            let dials = progress.of(CLASS, lane).unwrap().controls().dials();
            dials.is_none_or(|dials| dials.detects_duplicates)
        };
        assert!(!detects("own_01") && detects("own_02"));
        let paused = LaneDials {
            paused: true,
            ..LaneDials::default()
        };
        for dials in [Some(paused), None] {
            assert!(progress.bend(CLASS, "own_01", dials));
            assert!(!detects("own_01"));
        }
        assert!(!progress.bend(OTHER, "own_01", None));
    }
}
