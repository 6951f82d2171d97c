//! The stored dials of workspaces: the one truth about what is bent, at every server and across restarts.
//!
//! A workspace has one document in the process store, with a version that counts its changes. Each change is
//! one transaction that compares the version, so that two educators never undo each other's work unseen. What
//! is stored is shown on the [`DialBoard`], which the wrapped boxes look at, before the change is answered;
//! other servers are told, and read it again. A workspace that is bent is in a listing, from which the board
//! is filled when a server starts, before anything is delivered.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use broker::{Broker, Heard, ServerMessage};
use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    Scope, StoredDocument,
};
use domain::{
    event::DomainEvent,
    id::WorkspaceId,
    rejection::Rejection,
    timestamp::Timestamp,
    view::ListingEntry,
    wire::{BentDial, Dials, DialsAnswer},
};
use projection::own_views::OwnViews;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::DialBoard;
use crate::servers::{RENEWAL, RETRY};

/// The view name of the dials in the process store.
const VIEW: &str = "lab_dials";

/// The key of the document of a workspace.
const KEY: &str = "dials";

/// The listing of the documents of bent workspaces.
const BENT: &str = "bent";

/// Why the dials were not changed or read.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// A value is not valid.
    #[error(transparent)]
    Invalid(#[from] Rejection),
    /// They have changed since the caller read them.
    #[error("the dials have changed since you read them; they are at version {current}")]
    Changed {
        /// The version that they have.
        current: u64,
    },
    /// There is no such dial.
    #[error("there is no dial of this name; each has a path, as in `broker.delay_ms`")]
    Unknown,
    /// The stored dials could not be read or changed.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

/// The person who changes the dials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bender {
    /// The person.
    pub id: Uuid,
    /// Their name, sealed: it is stored, and an erasure takes it away.
    pub name: String,
}

/// The change of a document: the new dials, or why there are none.
type Change<'a> = dyn Fn(&DialsAnswer) -> Result<Dials, DialError> + Send + Sync + 'a;

/// What this server has read of the dials.
#[derive(Debug, Default)]
struct Known {
    /// The newest version that the board has shown of a workspace.
    shown: HashMap<WorkspaceId, u64>,
    /// What subscriptions follow.
    followed: HashMap<WorkspaceId, watch::Sender<Arc<DialsAnswer>>>,
}

/// Keeps the dials of all workspaces.
#[derive(Debug)]
pub struct DialKeeper {
    process_store: Arc<dyn DocumentStore>,
    board: Arc<DialBoard>,
    broker: Arc<dyn Broker>,
    clock: SharedClock,
    known: Mutex<Known>,
    own_views: OnceLock<Arc<OwnViews>>,
}

impl DialKeeper {
    /// A keeper that has shown the stored dials of every bent workspace on the board. It hears of other
    /// servers through the broker, which needs [`run`](Self::run).
    pub async fn open(
        process_store: Arc<dyn DocumentStore>,
        board: Arc<DialBoard>,
        broker: Arc<dyn Broker>,
        clock: SharedClock,
    ) -> Result<Arc<Self>, DocumentStoreError> {
        let keeper = Self {
            process_store,
            board,
            broker,
            clock,
            known: Mutex::default(),
            own_views: OnceLock::new(),
        };
        keeper.refresh_all().await?;
        Ok(Arc::new(keeper))
    }

    /// Views of one's own have dials from now on; the first of these stays.
    pub fn know_own_views(&self, own_views: Arc<OwnViews>) {
        self.own_views.get_or_init(|| own_views);
    }

    /// Whether people of a workspace have defined a view of this name.
    pub(crate) fn has_own_view(&self, workspace: WorkspaceId, name: &str) -> bool {
        let own = self.own_views.get();
        own.is_some_and(|own| own.named(workspace, name).is_some())
    }

    /// Refuses dials with a value that is not valid.
    fn check(&self, workspace: WorkspaceId, dials: &Dials) -> Result<(), Rejection> {
        dials.check(
            |name| self.has_own_view(workspace, name),
            |name| DomainEvent::types().any(|known| known.name == name),
        )
    }

    /// The board that shows the dials.
    pub fn board(&self) -> &Arc<DialBoard> {
        &self.board
    }

    /// The dials of a workspace, as they are stored.
    pub async fn of(&self, workspace: WorkspaceId) -> Result<DialsAnswer, DialError> {
        Ok(self.refresh(workspace).await?)
    }

    /// Sets every dial of a workspace, if its version `is_expected`.
    pub async fn set(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        is_expected: &(dyn Fn(u64) -> bool + Send + Sync),
        mut dials: Dials,
    ) -> Result<DialsAnswer, DialError> {
        self.check(workspace, &dials)?;
        dials.forget_projections_at_rest();
        let change = |stored: &DialsAnswer| {
            if is_expected(stored.version) {
                Ok(dials.clone())
            } else {
                Err(DialError::Changed {
                    current: stored.version,
                })
            }
        };
        // The same dials again are a change too: what is counted begins anew.
        self.change(workspace, by, &change, true).await
    }

    /// Changes the dials of a workspace, from what they are at this moment; dials that stay as they are are
    /// no change.
    pub async fn amend(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        amendment: &(dyn Fn(&mut Dials) + Send + Sync),
    ) -> Result<DialsAnswer, DialError> {
        let change = |stored: &DialsAnswer| {
            let mut dials = stored.dials.clone();
            amendment(&mut dials);
            self.check(workspace, &dials)?;
            dials.forget_projections_at_rest();
            Ok(dials)
        };
        self.change(workspace, by, &change, false).await
    }

    /// Puts every dial of a workspace to rest, at any version. The seed stays.
    pub async fn reset(&self, workspace: WorkspaceId, by: &Bender) -> Result<DialsAnswer, DialError> {
        let change = |stored: &DialsAnswer| {
            Ok(Dials {
                seed: stored.dials.seed,
                ..Dials::default()
            })
        };
        self.change(workspace, by, &change, false).await
    }

    /// Puts one dial of a workspace to rest, by its path as in `broker.delay_ms`.
    pub async fn reset_one(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        dial: &str,
    ) -> Result<DialsAnswer, DialError> {
        let change = |stored: &DialsAnswer| {
            let mut dials = stored.dials.clone();
            if dials.put_to_rest(dial, |name| self.has_own_view(workspace, name)) {
                Ok(dials)
            } else {
                Err(DialError::Unknown)
            }
        };
        self.change(workspace, by, &change, false).await
    }

    /// Whether there is a dial of this path in a workspace, as in `broker.delay_ms`.
    pub fn has_dial(&self, workspace: WorkspaceId, dial: &str) -> bool {
        Dials::default().put_to_rest(dial, |name| self.has_own_view(workspace, name))
    }

    /// Follows the dials of a workspace: the present ones at first, then each change, at every server.
    pub async fn subscribe(self: &Arc<Self>, workspace: WorkspaceId) -> Result<DialSubscription, DialError> {
        let receiver = {
            let mut known = self.known();
            let followed = known.followed.entry(workspace);
            followed
                .or_insert_with(|| watch::Sender::new(Arc::default()))
                .subscribe()
        };
        let subscription = DialSubscription {
            receiver: Some(receiver),
            is_new: true,
            keeper: Arc::clone(self),
            workspace,
        };
        // Read once it follows them, so that no change is in between.
        self.refresh(workspace).await?;
        Ok(subscription)
    }

    /// Follows what other servers change, until it is cancelled.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.follow_servers() => {}
        }
    }

    /// The workspaces that are bent or followed here.
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        let bent = self.board.all().into_iter().map(|(workspace, _)| workspace);
        let mut workspaces: BTreeSet<_> = bent.collect();
        workspaces.extend(self.known().followed.keys());
        workspaces.into_iter().collect()
    }

    /// Ends a purged workspace: nothing of it is bent or followed any more.
    pub fn end(&self, workspace: WorkspaceId) {
        {
            let mut known = self.known();
            known.shown.remove(&workspace);
            known.followed.remove(&workspace);
        }
        self.board.end(workspace);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change is one step: a panic leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a change, shows it here, and tells the other servers. `always`: also if the dials stay as they
    /// are.
    async fn change(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        change: &Change<'_>,
        always: bool,
    ) -> Result<DialsAnswer, DialError> {
        let at = self.clock.now();
        let mut outcome = Err(DialError::Unknown);
        let mut is_changed = false;
        let mut fold = |loaded: FoldInput| {
            let stored = answer(&loaded.documents).map_err(fault)?;
            is_changed = false;
            let dials = match change(&stored) {
                Ok(dials) if !always && dials == stored.dials => {
                    outcome = Ok(stored);
                    return Ok(FoldOutput::default());
                }
                Ok(dials) => dials,
                Err(refusal) => {
                    outcome = Err(refusal);
                    return Ok(FoldOutput::default());
                }
            };
            let next = next(&stored, dials, by, at);
            let write = write(&stored, &next).map_err(fault)?;
            outcome = Ok(next);
            is_changed = true;
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
        let answer = outcome?;
        self.show(workspace, &answer);
        if is_changed {
            self.broker.tell(&ServerMessage::DialsChanged { workspace }).await;
        }
        Ok(answer)
    }

    async fn read(&self, workspace: WorkspaceId) -> Result<DialsAnswer, DocumentStoreError> {
        let read = self.process_store.document(workspace, VIEW, KEY).await?;
        let documents: Vec<StoredDocument> = read.value.into_iter().collect();
        answer(&documents)
    }

    /// Reads the dials of a workspace, and shows them.
    async fn refresh(&self, workspace: WorkspaceId) -> Result<DialsAnswer, DocumentStoreError> {
        let answer = self.read(workspace).await?;
        self.show(workspace, &answer);
        Ok(answer)
    }

    /// Reads the dials of every workspace that is bent, or was here.
    async fn refresh_all(&self) -> Result<(), DocumentStoreError> {
        let mut workspaces: BTreeSet<_> = self.workspaces().into_iter().collect();
        workspaces.extend(self.process_store.workspaces_listed(VIEW, BENT).await?);
        for workspace in workspaces {
            match self.refresh(workspace).await {
                // One workspace must not hold up all others.
                Err(DocumentStoreError::Corrupt(error)) => {
                    tracing::error!(%workspace, error, "the dials of a workspace cannot be read");
                }
                refreshed => {
                    refreshed?;
                }
            }
        }
        Ok(())
    }

    /// Shows dials that were read or stored, unless newer ones are shown.
    fn show(&self, workspace: WorkspaceId, answer: &DialsAnswer) {
        let mut known = self.known();
        let shown = known.shown.get(&workspace).copied().unwrap_or_default();
        if answer.version > shown {
            known.shown.insert(workspace, answer.version);
            // Under the lock: an older version is never shown after a newer one.
            self.board.show(workspace, answer.version, answer.dials.clone());
        }
        if answer.version < shown {
            return;
        }
        if let Some(followed) = known.followed.get(&workspace) {
            followed.send_if_modified(|current| {
                let is_newer = answer.version > current.version;
                if is_newer {
                    *current = Arc::new(answer.clone());
                }
                is_newer
            });
        }
    }

    async fn follow_servers(&self) {
        let is_shared = self.process_store.sharing().is_some();
        let mut messages = self.broker.messages();
        // At first at once: another server may have changed dials before this one listened.
        let (mut renewal, mut is_renewed) = (Instant::now(), is_shared);
        loop {
            let refreshed = tokio::select! {
                heard = Heard::next(&mut messages) => match heard {
                    Heard::Message(ServerMessage::DialsChanged { workspace }) => {
                        self.refresh(workspace).await.map(drop)
                    }
                    Heard::Message(_) => continue,
                    Heard::Missed => self.refresh_all().await,
                },
                () = sleep_until(renewal), if is_renewed => {
                    (renewal, is_renewed) = (Instant::now() + RENEWAL, is_shared);
                    self.refresh_all().await
                }
            };
            if let Err(error) = refreshed {
                tracing::warn!(%error, "dials that another server has changed could not be read");
                (renewal, is_renewed) = (Instant::now() + RETRY, true);
            }
        }
    }

    /// Ends a subscription, and with the last one what it follows.
    fn unsubscribe(&self, workspace: WorkspaceId, receiver: Option<watch::Receiver<Arc<DialsAnswer>>>) {
        let mut known = self.known();
        // Under the lock: of several that end at the same time, one is the last.
        drop(receiver);
        let followed = known.followed.get(&workspace);
        if followed.is_some_and(|followed| followed.receiver_count() == 0) {
            known.followed.remove(&workspace);
        }
    }
}

/// Follows the dials of a workspace.
#[derive(Debug)]
pub struct DialSubscription {
    /// Absent while it is dropped.
    receiver: Option<watch::Receiver<Arc<DialsAnswer>>>,
    is_new: bool,
    keeper: Arc<DialKeeper>,
    workspace: WorkspaceId,
}

impl DialSubscription {
    /// The present dials at first, then each change; changes that follow one another closely may be one.
    /// Once the workspace is purged, there are none. Cancel safe.
    pub async fn next(&mut self) -> Arc<DialsAnswer> {
        let Some(receiver) = &mut self.receiver else {
            return std::future::pending().await;
        };
        if !self.is_new && receiver.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.is_new = false;
        Arc::clone(&receiver.borrow_and_update())
    }
}

impl Drop for DialSubscription {
    fn drop(&mut self) {
        self.keeper.unsubscribe(self.workspace, self.receiver.take());
    }
}

/// The stored dials, after a change of theirs. A dial keeps the person who bent it first until it is at rest.
fn next(stored: &DialsAnswer, dials: Dials, by: &Bender, at: Timestamp) -> DialsAnswer {
    let known = |dial: &str| stored.bent.iter().find(|bent| bent.dial == dial).cloned();
    let bent_now = |dial: String| BentDial {
        dial,
        by: by.id,
        name: by.name.clone(),
        at,
    };
    let bent = dials.bent().into_iter();
    DialsAnswer {
        version: stored.version + 1,
        bent: bent
            .map(|dial| known(&dial).unwrap_or_else(|| bent_now(dial)))
            .collect(),
        dials,
    }
}

/// The write that replaces stored dials, with the entry of bent workspaces.
fn write(stored: &DialsAnswer, next: &DialsAnswer) -> Result<DocumentWrite, DocumentStoreError> {
    let entries = |is_wanted: bool| {
        let entry = is_wanted.then(|| ListingEntry::new(BENT, ""));
        entry.into_iter().collect()
    };
    let (was_bent, is_bent) = (!stored.dials.are_at_rest(), !next.dials.are_at_rest());
    let data = serde_json::value::to_raw_value(next).map_err(|error| unreadable(&error))?;
    Ok(DocumentWrite {
        key: KEY.to_owned(),
        data: Some(data.into()),
        owner: None,
        removed_entries: entries(was_bent && !is_bent),
        added_entries: entries(is_bent && !was_bent),
    })
}

/// The dials among these documents; at rest before the first change.
fn answer(documents: &[StoredDocument]) -> Result<DialsAnswer, DocumentStoreError> {
    let stored = documents.iter().find(|document| document.key == KEY);
    let parsed = stored.map(|document| serde_json::from_str(document.data.get()));
    Ok(parsed
        .transpose()
        .map_err(|error| unreadable(&error))?
        .unwrap_or_default())
}

fn unreadable(error: &serde_json::Error) -> DocumentStoreError {
    DocumentStoreError::Corrupt(format!("dials: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn fault(error: DocumentStoreError) -> FoldFault {
    FoldFault {
        position: 0,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
