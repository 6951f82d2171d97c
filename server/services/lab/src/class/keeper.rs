//! Keeps the classes of all workspaces: what is stored of them, and what their subscribers follow.
//!
//! A class begins when an educator looks at it. From then on the names of its people are stored, sealed, and
//! each server stores who is there, for as long as it says so again. Other servers are told, and read it
//! again. A workspace without a class has nothing stored, and its sockets cost an entry in memory.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use broker::{Broker, Heard, ServerMessage};
use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    PageRequest, Scope,
};
use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    rejection::Rejection,
    timestamp::Timestamp,
    view::ListingEntry,
    wire::{ClassCopy, ClassStage, MAX_HANDED, MAX_ROSTER, Order},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::servers::{RENEWAL, RETRY};

use super::{
    people::{PeopleHere, PersonHere},
    record::{
        ClassNow, ClassRecord, ServerPresence, StoredClass, StoredPeople, StoredPerson, parsed, unreadable,
        write,
    },
};

/// The view name of classes in the process store.
const VIEW: &str = "lab_class";

/// The key of what an educator has set.
const CLASS: &str = "class";

/// The key of the people.
const PEOPLE: &str = "people";

/// The listing of the classes that have begun.
const BEGUN: &str = "begun";

/// The listing of the servers at which people are.
const SERVERS: &str = "servers";

/// The most servers whose people are counted.
const MOST_SERVERS: u32 = 100;

/// For how long people who arrive or leave are gathered: a class comes all at once.
const GATHERING: Duration = Duration::from_millis(200);

/// How long after its last word a server's people count as gone.
const EXPIRY: Duration = Duration::from_secs(90);

/// How often a subscription with [reviews](ClassKeeper::subscribe) is looked at again.
const REVIEW: Duration = Duration::from_secs(2);

/// Why a class was not changed or read.
#[derive(Debug, thiserror::Error)]
pub enum ClassError {
    /// A value is not valid.
    #[error(transparent)]
    Invalid(#[from] Rejection),
    /// It has changed since the caller read it.
    #[error("the class has changed since you read it; it is at version {current}")]
    Changed {
        /// The version that it has.
        current: u64,
    },
    /// The person was never seen in the workspace.
    #[error("no such person was seen in this workspace; a person is seen once a page of theirs is open")]
    UnknownPerson,
    /// As many dials are handed out as may be.
    #[error("{MAX_HANDED} dials are handed out, and no more can be")]
    TooManyHanded,
    /// The dial is not handed out.
    #[error("this dial is not handed out")]
    NotHanded,
    /// The stored class could not be read or changed.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

/// Seals the names of people before they are stored.
#[async_trait]
pub trait NameSeals: Send + Sync + std::fmt::Debug {
    /// A name, sealed for its person; `None`: that is not possible now.
    async fn seal(&self, workspace: WorkspaceId, person: Uuid, name: &str) -> Option<String>;
}

/// The change of what an educator has set, or why there is none.
type Change<'a> = dyn Fn(&ClassRecord) -> Result<ClassRecord, ClassError> + Send + Sync + 'a;

/// What this server knows of a class.
#[derive(Debug, Default)]
struct KnownClass {
    here: PeopleHere,
    is_begun: bool,
    /// Whether people have come or gone since it was last looked at.
    is_dirty: bool,
    /// What subscriptions follow.
    followed: Option<watch::Sender<Arc<ClassNow>>>,
}

/// Keeps the classes of all workspaces.
#[derive(Debug)]
pub struct ClassKeeper {
    process_store: Arc<dyn DocumentStore>,
    broker: Arc<dyn Broker>,
    seals: Arc<dyn NameSeals>,
    clock: SharedClock,
    /// The name of this server among those that share the store, as long as it runs.
    server: String,
    known: Mutex<HashMap<WorkspaceId, KnownClass>>,
    dirty: Notify,
}

impl ClassKeeper {
    /// A keeper that knows which classes have begun. It hears of other servers through the broker, which
    /// needs [`run`](Self::run).
    pub async fn open(
        process_store: Arc<dyn DocumentStore>,
        broker: Arc<dyn Broker>,
        seals: Arc<dyn NameSeals>,
        clock: SharedClock,
    ) -> Result<Arc<Self>, DocumentStoreError> {
        let begun = process_store.workspaces_listed(VIEW, BEGUN).await?;
        let known = begun.into_iter().map(|workspace| {
            let class = KnownClass {
                is_begun: true,
                ..KnownClass::default()
            };
            (workspace, class)
        });
        Ok(Arc::new(Self {
            server: format!("server/{}", clock.new_id()),
            known: Mutex::new(known.collect()),
            dirty: Notify::new(),
            process_store,
            broker,
            seals,
            clock,
        }))
    }

    /// The class of a workspace at this moment.
    pub async fn of(&self, workspace: WorkspaceId) -> Result<Arc<ClassNow>, ClassError> {
        Ok(self.refresh(workspace).await?)
    }

    /// Begins the class of a workspace, unless it has begun: an educator looks at it.
    pub async fn begin(&self, workspace: WorkspaceId) -> Result<(), ClassError> {
        if self.known().get(&workspace).is_some_and(|class| class.is_begun) {
            return Ok(());
        }
        let as_it_is = |present: &ClassRecord| Ok(present.clone());
        self.change(workspace, &as_it_is).await?;
        Ok(())
    }

    /// Sets what the class is shown, if its version `is_expected`.
    pub async fn set_stage(
        &self,
        workspace: WorkspaceId,
        is_expected: &(dyn Fn(u64) -> bool + Send + Sync),
        stage: ClassStage,
    ) -> Result<Arc<ClassNow>, ClassError> {
        stage.check()?;
        let change = |present: &ClassRecord| {
            if !is_expected(present.version) {
                return Err(ClassError::Changed {
                    current: present.version,
                });
            }
            Ok(ClassRecord {
                stage: stage.clone(),
                ..present.clone()
            })
        };
        self.change(workspace, &change).await
    }

    /// Hands a dial to a person, in place of whom it was handed to before. Whether there is such a dial is
    /// the caller's to know.
    pub async fn hand(
        &self,
        workspace: WorkspaceId,
        dial: &str,
        to: Uuid,
    ) -> Result<Arc<ClassNow>, ClassError> {
        if !self.refresh(workspace).await?.people.contains_key(&to) {
            return Err(ClassError::UnknownPerson);
        }
        let change = |present: &ClassRecord| {
            let mut next = present.clone();
            next.handed.insert(dial.to_owned(), to);
            if next.handed.len() > MAX_HANDED {
                return Err(ClassError::TooManyHanded);
            }
            Ok(next)
        };
        self.change(workspace, &change).await
    }

    /// Takes a dial back from the person to whom it was handed. To put it to rest is left to the caller, who
    /// does it afterwards.
    pub async fn take_back(&self, workspace: WorkspaceId, dial: &str) -> Result<Arc<ClassNow>, ClassError> {
        let change = |present: &ClassRecord| {
            let mut next = present.clone();
            match next.handed.remove(dial) {
                Some(_) => Ok(next),
                None => Err(ClassError::NotHanded),
            }
        };
        self.change(workspace, &change).await
    }

    /// The dials that a person was handed, as it is stored now.
    pub async fn dials_of(&self, workspace: WorkspaceId, person: Uuid) -> Result<Vec<String>, ClassError> {
        Ok(self.refresh(workspace).await?.dials_of(person))
    }

    /// Notes the copies of the workspace that people were given, besides those that others have.
    pub async fn give_copies(
        &self,
        workspace: WorkspaceId,
        copies: &[(Uuid, ClassCopy)],
    ) -> Result<Arc<ClassNow>, ClassError> {
        let change = |present: &ClassRecord| {
            let mut next = present.clone();
            next.copies.extend(copies.iter().cloned());
            Ok(next)
        };
        self.change(workspace, &change).await
    }

    /// Notes a person who was seen, without a page that is open.
    pub fn note(&self, workspace: WorkspaceId, actor: &Actor) {
        self.arrive(workspace, actor, 0);
    }

    /// A person has opened a live socket; they are there until the presence is dropped.
    pub fn enter(self: &Arc<Self>, workspace: WorkspaceId, actor: &Actor) -> Option<ClassPresence> {
        self.arrive(workspace, actor, 1).then(|| ClassPresence {
            keeper: Arc::clone(self),
            workspace,
            person: actor.id,
        })
    }

    fn arrive(&self, workspace: WorkspaceId, actor: &Actor, sockets: u32) -> bool {
        if actor.role == Role::System {
            return false;
        }
        let (is_counted, is_change) = {
            let mut known = self.known();
            let class = known.entry(workspace).or_default();
            let (is_counted, is_change) = class.here.arrive(actor, sockets);
            class.is_dirty |= is_change;
            (is_counted, is_change)
        };
        if is_change {
            self.dirty.notify_one();
        }
        is_counted
    }

    fn leave(&self, workspace: WorkspaceId, person: Uuid) {
        let is_gone = {
            let mut known = self.known();
            // A purged workspace is forgotten before its sockets are closed.
            let Some(class) = known.get_mut(&workspace) else {
                return;
            };
            let is_gone = class.here.leave(person);
            class.is_dirty |= is_gone;
            is_gone
        };
        if is_gone {
            self.dirty.notify_one();
        }
    }

    /// Follows the class of a workspace: as it is at first, then each change, at every server. With
    /// `reviews` it is shown again now and then without a change of its own, for a subscriber who shows more
    /// beside it.
    pub async fn subscribe(
        self: &Arc<Self>,
        workspace: WorkspaceId,
        reviews: bool,
    ) -> Result<ClassSubscription, ClassError> {
        let receiver = {
            let mut known = self.known();
            let followed = &mut known.entry(workspace).or_default().followed;
            followed
                .get_or_insert_with(|| watch::Sender::new(Arc::default()))
                .subscribe()
        };
        let review = reviews.then(|| {
            let mut review = interval_at(Instant::now() + REVIEW, REVIEW);
            review.set_missed_tick_behavior(MissedTickBehavior::Delay);
            review
        });
        let subscription = ClassSubscription {
            receiver: Some(receiver),
            is_new: true,
            review,
            keeper: Arc::clone(self),
            workspace,
        };
        // Read once it follows them, so that no change is in between.
        self.refresh(workspace).await?;
        Ok(subscription)
    }

    /// Stores who comes and goes, and follows what other servers change, until it is cancelled.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.follow() => {}
        }
    }

    /// The workspaces whose classes are known here.
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        self.known().keys().copied().collect()
    }

    /// Ends a purged workspace.
    pub fn end(&self, workspace: WorkspaceId) {
        self.known().remove(&workspace);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<WorkspaceId, KnownClass>> {
        // Each change is one step: a panic leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_shared(&self) -> bool {
        self.process_store.sharing().is_some()
    }

    fn scope(workspace: WorkspaceId) -> Scope {
        Scope {
            workspace,
            view: VIEW,
            generation: FIRST_GENERATION,
        }
    }

    /// Stores a change, shows it here, and tells the other servers. A change that leaves all as it is begins
    /// a class, and is none otherwise.
    async fn change(&self, workspace: WorkspaceId, change: &Change<'_>) -> Result<Arc<ClassNow>, ClassError> {
        let mut outcome = Ok(());
        let mut is_changed = false;
        let mut fold = |loaded: FoldInput| {
            (outcome, is_changed) = (Ok(()), false);
            let stored: Option<ClassRecord> = parsed(&loaded.documents, CLASS).map_err(fault)?;
            let is_new = stored.is_none();
            let present = stored.unwrap_or_default();
            let mut next = match change(&present) {
                Ok(next) if next == present && !is_new => return Ok(FoldOutput::default()),
                Ok(next) => next,
                Err(refusal) => {
                    outcome = Err(refusal);
                    return Ok(FoldOutput::default());
                }
            };
            next.version = present.version + 1;
            let write = write(CLASS, &next, is_new.then_some(BEGUN)).map_err(fault)?;
            is_changed = true;
            Ok(FoldOutput {
                writes: vec![write],
                ..FoldOutput::default()
            })
        };
        self.process_store
            .amend(&Self::scope(workspace), &[CLASS.to_owned()], &mut fold)
            .await?;
        outcome?;
        let now = self.refresh(workspace).await?;
        if is_changed {
            self.broker.tell(&ServerMessage::ClassChanged { workspace }).await;
        }
        Ok(now)
    }

    async fn read(&self, workspace: WorkspaceId) -> Result<StoredClass, DocumentStoreError> {
        let keys = [CLASS.to_owned(), PEOPLE.to_owned()];
        let documents = self.process_store.documents(workspace, VIEW, &keys).await?;
        let record = parsed(&documents, CLASS)?;
        let people = parsed(&documents, PEOPLE)?;
        let mut elsewhere = BTreeSet::new();
        if record.is_some() && self.is_shared() {
            let now = self.clock.now();
            let others = self.other_servers(workspace).await?.into_iter();
            for (_, there) in others.filter(|(_, there)| now < there.until) {
                elsewhere.extend(there.people);
            }
        }
        Ok(StoredClass {
            record,
            people: people.unwrap_or_default(),
            elsewhere,
        })
    }

    /// What the other servers have said of who is there, by their keys.
    async fn other_servers(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<(String, ServerPresence)>, DocumentStoreError> {
        // The ids of servers begin with their time: the newest come first.
        let page = PageRequest {
            listing: SERVERS,
            group: "",
            order: Order::Desc,
            limit: MOST_SERVERS,
            after: None,
        };
        let rows = self.process_store.page(workspace, VIEW, &page).await?.value;
        let others = rows.into_iter().map(|row| row.document);
        let others = others.filter(|document| document.key != self.server);
        others
            .map(|document| {
                let there = serde_json::from_str::<ServerPresence>(document.data.get());
                let there = there.map_err(|error| unreadable(&error))?;
                Ok((document.key, there))
            })
            .collect()
    }

    /// Removes what servers have said that are gone for long.
    async fn forget_servers(&self, workspace: WorkspaceId) -> Result<(), DocumentStoreError> {
        let now = self.clock.now();
        let others = self.other_servers(workspace).await?.into_iter();
        let gone = others.filter(|(_, there)| later(there.until, EXPIRY) < now);
        let keys: Vec<String> = gone.map(|(key, _)| key).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mut fold = |loaded: FoldInput| {
            let removed = loaded.documents.iter().map(|document| DocumentWrite {
                key: document.key.clone(),
                data: None,
                owner: None,
                removed_entries: vec![ListingEntry::new(SERVERS, "")],
                added_entries: Vec::new(),
            });
            Ok(FoldOutput {
                writes: removed.collect(),
                ..FoldOutput::default()
            })
        };
        let scope = Self::scope(workspace);
        self.process_store.amend(&scope, &keys, &mut fold).await
    }

    /// Reads the class of a workspace, and shows it.
    async fn refresh(&self, workspace: WorkspaceId) -> Result<Arc<ClassNow>, DocumentStoreError> {
        let stored = self.read(workspace).await?;
        Ok(self.show(workspace, &stored))
    }

    /// Shows a class that was read, unless a newer one is shown.
    fn show(&self, workspace: WorkspaceId, stored: &StoredClass) -> Arc<ClassNow> {
        let (now, begins) = {
            let mut known = self.known();
            let class = known.entry(workspace).or_default();
            let begins = stored.record.is_some() && !class.is_begun;
            if begins {
                (class.is_begun, class.is_dirty) = (true, true);
            }
            let now = Arc::new(ClassNow::of(stored, &class.here));
            if let Some(followed) = &class.followed {
                followed.send_if_modified(|current| {
                    let is_newer = now.record.version >= current.record.version && now != *current;
                    if is_newer {
                        current.clone_from(&now);
                    }
                    is_newer
                });
            }
            (now, begins)
        };
        if begins {
            self.dirty.notify_one();
        }
        now
    }

    async fn follow(&self) {
        let is_shared = self.is_shared();
        let mut messages = self.broker.messages();
        // At first at once: another server may have changed a class before this one listened.
        let mut renewal = Instant::now();
        let mut gathered: Option<Instant> = None;
        loop {
            let until = gathered.unwrap_or_else(Instant::now);
            let done = tokio::select! {
                heard = Heard::next(&mut messages) => match heard {
                    Heard::Message(ServerMessage::ClassChanged { workspace }) => {
                        self.heard_of(workspace).await
                    }
                    Heard::Message(_) => continue,
                    Heard::Missed => self.renew().await,
                },
                () = self.dirty.notified(), if gathered.is_none() => {
                    gathered = Some(Instant::now() + GATHERING);
                    continue;
                }
                () = sleep_until(until), if gathered.is_some() => {
                    gathered = None;
                    self.settle().await
                }
                () = sleep_until(renewal), if is_shared => {
                    renewal = Instant::now() + RENEWAL;
                    self.renew().await
                }
            };
            if let Err(error) = done {
                tracing::warn!(%error, "the class of a workspace could not be read or stored");
                gathered = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Reads a class that another server has changed, if anything of it is here.
    async fn heard_of(&self, workspace: WorkspaceId) -> Result<(), DocumentStoreError> {
        let is_here = self.known().contains_key(&workspace);
        if is_here {
            self.refresh(workspace).await?;
        }
        Ok(())
    }

    /// Finds the classes that have begun at other servers, and says again who is here.
    async fn renew(&self) -> Result<(), DocumentStoreError> {
        let begun = self.process_store.workspaces_listed(VIEW, BEGUN).await?;
        {
            let mut known = self.known();
            for workspace in begun {
                let class = known.entry(workspace).or_default();
                class.is_begun = true;
                class.is_dirty = true;
            }
        }
        self.settle().await
    }

    /// Stores who has come or gone, and shows it.
    async fn settle(&self) -> Result<(), DocumentStoreError> {
        let dirty: Vec<_> = {
            let mut known = self.known();
            let dirty = known.iter_mut().filter(|(_, class)| class.is_dirty);
            dirty
                .map(|(workspace, class)| {
                    class.is_dirty = false;
                    (*workspace, class.is_begun, class.followed.is_some())
                })
                .collect()
        };
        let mut outcome = Ok(());
        for (workspace, is_begun, is_followed) in dirty {
            let settled = self.settle_one(workspace, is_begun, is_followed).await;
            if let Err(error) = settled {
                // One workspace must not hold up all others.
                if let Some(class) = self.known().get_mut(&workspace) {
                    class.is_dirty = true;
                }
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn settle_one(
        &self,
        workspace: WorkspaceId,
        is_begun: bool,
        is_followed: bool,
    ) -> Result<(), DocumentStoreError> {
        if is_begun {
            let is_told = self.store_people(workspace).await? | self.store_presence(workspace).await?;
            if is_told {
                self.broker.tell(&ServerMessage::ClassChanged { workspace }).await;
            }
        }
        if is_followed {
            self.refresh(workspace).await?;
        }
        Ok(())
    }

    /// Stores the names of the people whom this server has seen, sealed. Returns whether there were new ones.
    async fn store_people(&self, workspace: WorkspaceId) -> Result<bool, DocumentStoreError> {
        let unstored: Vec<(Uuid, PersonHere)> = {
            let known = self.known();
            let here = known.get(&workspace).map(|class| class.here.unstored());
            let unstored = here.into_iter().flatten();
            unstored.map(|(id, person)| (id, person.clone())).collect()
        };
        let mut sealed = StoredPeople::new();
        for (id, person) in &unstored {
            // One that cannot be sealed now stays in memory alone, until the person is seen again.
            if let Some(name) = self.seals.seal(workspace, *id, &person.name).await {
                let role = person.role;
                sealed.insert(*id, StoredPerson { name, role });
            }
        }
        if sealed.is_empty() {
            return Ok(false);
        }
        let mut fold = |loaded: FoldInput| {
            let stored: Option<StoredPeople> = parsed(&loaded.documents, PEOPLE).map_err(fault)?;
            let mut people = stored.unwrap_or_default();
            for (id, person) in &sealed {
                if people.len() < MAX_ROSTER || people.contains_key(id) {
                    people.insert(*id, person.clone());
                }
            }
            Ok(FoldOutput {
                writes: vec![write(PEOPLE, &people, None).map_err(fault)?],
                ..FoldOutput::default()
            })
        };
        self.process_store
            .amend(&Self::scope(workspace), &[PEOPLE.to_owned()], &mut fold)
            .await?;
        if let Some(class) = self.known().get_mut(&workspace) {
            for (id, person) in &unstored {
                if sealed.contains_key(id) {
                    class.here.stored(*id, person);
                }
            }
        }
        Ok(true)
    }

    /// Stores who is at this server, where there may be others. Returns whether that is another than before.
    async fn store_presence(&self, workspace: WorkspaceId) -> Result<bool, DocumentStoreError> {
        if !self.is_shared() {
            return Ok(false);
        }
        let people = {
            let known = self.known();
            known
                .get(&workspace)
                .map(|class| class.here.present())
                .unwrap_or_default()
        };
        let here = ServerPresence {
            until: later(self.clock.now(), EXPIRY),
            people,
        };
        let mut is_other = false;
        let mut fold = |loaded: FoldInput| {
            let stored: Option<ServerPresence> = parsed(&loaded.documents, &self.server).map_err(fault)?;
            let is_new = stored.is_none();
            let before = stored.unwrap_or_default().people;
            is_other = before != here.people;
            if before.is_empty() && here.people.is_empty() {
                return Ok(FoldOutput::default());
            }
            Ok(FoldOutput {
                writes: vec![write(&self.server, &here, is_new.then_some(SERVERS)).map_err(fault)?],
                ..FoldOutput::default()
            })
        };
        self.process_store
            .amend(
                &Self::scope(workspace),
                std::slice::from_ref(&self.server),
                &mut fold,
            )
            .await?;
        self.forget_servers(workspace).await?;
        Ok(is_other)
    }

    /// Ends a subscription, and with the last one what it follows.
    fn unsubscribe(&self, workspace: WorkspaceId, receiver: Option<watch::Receiver<Arc<ClassNow>>>) {
        let mut known = self.known();
        // Under the lock: of several that end at the same time, one is the last.
        drop(receiver);
        if let Some(class) = known.get_mut(&workspace)
            && class
                .followed
                .as_ref()
                .is_some_and(|followed| followed.receiver_count() == 0)
        {
            class.followed = None;
        }
    }
}

/// A person's open socket, as long as it is open.
#[derive(Debug)]
pub struct ClassPresence {
    keeper: Arc<ClassKeeper>,
    workspace: WorkspaceId,
    person: Uuid,
}

impl Drop for ClassPresence {
    fn drop(&mut self) {
        self.keeper.leave(self.workspace, self.person);
    }
}

/// Follows the class of a workspace.
#[derive(Debug)]
pub struct ClassSubscription {
    /// Absent while it is dropped.
    receiver: Option<watch::Receiver<Arc<ClassNow>>>,
    is_new: bool,
    review: Option<Interval>,
    keeper: Arc<ClassKeeper>,
    workspace: WorkspaceId,
}

impl ClassSubscription {
    /// The class as it is at first, then each change; changes that follow one another closely may be one.
    /// With reviews it may be the same again. Once the workspace is purged, there are none. Cancel safe.
    pub async fn next(&mut self) -> Arc<ClassNow> {
        let Some(receiver) = &mut self.receiver else {
            return std::future::pending().await;
        };
        if !self.is_new {
            let is_there = match &mut self.review {
                Some(review) => tokio::select! {
                    changed = receiver.changed() => changed.is_ok(),
                    _ = review.tick() => true,
                },
                None => receiver.changed().await.is_ok(),
            };
            if !is_there {
                return std::future::pending().await;
            }
        }
        self.is_new = false;
        Arc::clone(&receiver.borrow_and_update())
    }
}

impl Drop for ClassSubscription {
    fn drop(&mut self) {
        self.keeper.unsubscribe(self.workspace, self.receiver.take());
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_add(micros))
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
