//! Live subscriptions: a client gets a snapshot with its token, then every later change in order, none
//! missing and none twice.
//!
//! A session is one client's connection. It registers with the view's [`channel`] first and reads its
//! snapshot second; changes that arrive meanwhile wait in its [`session_queue`], and those that the snapshot
//! already contains are dropped. A client that reconnects with its token gets only what it missed if the
//! channel's ring still holds all of that, and a new snapshot otherwise, never older than its token. A slow
//! client gets a snapshot in place of its changes; it never slows the others.

mod channel;
mod frame;
pub mod hub;
mod session_queue;

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use domain::{
    access::Actor,
    id::WorkspaceId,
    token::ConsistencyToken,
    view::AnyView,
    wire::{Order, Row, ServerFrame, SnapshotData},
};
use serde_json::value::RawValue;

pub use frame::is_change;
pub use session_queue::CAPACITY;

use self::{
    channel::{Channel, Subscription, SubscriptionTarget},
    frame::{frame, plain},
    hub::{Hub, SubscriptionPermit},
    session_queue::{Next, SessionQueue, Status},
};
use super::{DEFAULT_LIMIT, ListingGroup, MAX_LIMIT, QueryApi, QueryError, Wait};
use projection::progress::HandlerProgress;

/// The most subscriptions of a session.
pub const MAX_SUBSCRIPTIONS: usize = 100;

/// How long a client that resumes waits until this server's view is as far as the client was.
const RESUME_TIMEOUT: Duration = Duration::from_secs(2);

/// A client's request to follow a document or a listing: the fields of the frame `subscribe`.
#[derive(Debug, Clone, Default)]
pub struct Subscribe {
    /// The client's name for it; a name in use is replaced.
    pub id: u64,
    /// The view.
    pub view: String,
    /// The document; without it, a listing.
    pub key: Option<String>,
    /// The listing; `all` where absent.
    pub listing: Option<String>,
    /// The group; empty where absent.
    pub group: Option<String>,
    /// The order of the snapshot.
    pub order: Order,
    /// The most rows of the snapshot.
    pub limit: Option<u32>,
    /// The token up to which the client has seen changes.
    pub resume: Option<ConsistencyToken>,
    /// The generation of what it has seen.
    pub generation: Option<u64>,
}

/// What a session sends to its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveItem {
    /// A `ServerFrame` as JSON text, in UTF-8.
    Frame(Bytes),
    /// The server stops; there will be no more frames.
    Closed,
}

/// A subscription of the session, with its snapshot's page.
#[derive(Debug)]
struct ClientSubscription {
    id: u64,
    subscription: Arc<Subscription>,
    channel: Arc<Channel>,
    order: Order,
    limit: u32,
    _permit: SubscriptionPermit,
}

/// One client's subscriptions; see the module.
#[derive(Debug)]
pub struct LiveSession {
    api: Arc<QueryApi>,
    hub: Arc<Hub>,
    workspace: WorkspaceId,
    actor: Arc<Actor>,
    session_queue: Arc<SessionQueue>,
    /// The session's number in the hub.
    number: u64,
    /// By the number of the subscription in the session queue.
    subscriptions: HashMap<u64, ClientSubscription>,
    ready: VecDeque<Bytes>,
}

impl LiveSession {
    pub(super) fn new(api: Arc<QueryApi>, hub: Arc<Hub>, workspace: WorkspaceId, actor: Actor) -> Self {
        let session_queue = Arc::default();
        Self {
            number: hub.enter(&session_queue),
            api,
            hub,
            workspace,
            actor: Arc::new(actor),
            session_queue,
            subscriptions: HashMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// Follows a document or a listing. Its frames, an error included, come from [`next`](Self::next).
    pub async fn subscribe(&mut self, request: Subscribe) {
        let id = request.id;
        self.unsubscribe(id);
        if let Err(error) = self.try_subscribe(request).await {
            self.ready.push_back(plain(&ServerFrame::Error {
                id: Some(id),
                problem: error.problem(),
            }));
        }
    }

    async fn try_subscribe(&mut self, request: Subscribe) -> Result<(), QueryError> {
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(QueryError::TooManySubscriptions(MAX_SUBSCRIPTIONS));
        }
        let view = self.api.find(self.workspace, &request.view)?;
        let target = self.target(view, &request)?;
        let permit = self.hub.acquire(self.workspace)?;
        let subscription = Arc::new(Subscription {
            number: self.hub.number(),
            view: view.name(),
            target,
            actor: self.actor.clone(),
            session_queue: self.session_queue.clone(),
        });
        let number = subscription.number;
        let progress = self.api.progress_of(self.workspace, view)?;
        self.session_queue.add(number, request.id);
        let resume = request.resume.as_ref().map(|token| (token, request.generation));
        let (channel, resumed) = self
            .hub
            .join(self.workspace, &subscription, &progress, resume)
            .await;
        let limit = request.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let entry = ClientSubscription {
            id: request.id,
            subscription,
            channel,
            order: request.order,
            limit,
            _permit: permit,
        };
        self.subscriptions.insert(number, entry);
        if resumed {
            self.tell_if_caught_up(number, &ConsistencyToken::default());
            return Ok(());
        }
        if let Some(token) = request.resume
            && let Err(error) = self.catch_up_with(view, token, &progress).await
        {
            self.unsubscribe(request.id);
            return Err(error);
        }
        self.snapshot(number).await;
        Ok(())
    }

    /// A client may come from a server that was further: it is shown nothing older than what it has seen.
    /// Where this server's log does not have that either, after a restore, what is there is shown.
    async fn catch_up_with(
        &self,
        view: &'static dyn AnyView,
        token: ConsistencyToken,
        progress: &HandlerProgress,
    ) -> Result<(), QueryError> {
        let wait = Wait {
            after: token.clone(),
            timeout: RESUME_TIMEOUT,
        };
        match self.api.wait(self.workspace, view, Some(wait)).await {
            Err(QueryError::TimedOut { .. }) if !progress.head().covers(&token) => Ok(()),
            // Such a token is of no use, and the client gets a snapshot.
            Err(QueryError::BadToken) => Ok(()),
            waited => waited,
        }
    }

    fn target(
        &self,
        view: &'static dyn AnyView,
        request: &Subscribe,
    ) -> Result<SubscriptionTarget, QueryError> {
        if let Some(key) = &request.key {
            return Ok(SubscriptionTarget::Document(key.clone()));
        }
        let names = (request.listing.as_deref(), request.group.as_deref());
        let group = ListingGroup::new(self.workspace, view, &self.actor, names)?;
        Ok(SubscriptionTarget::Group(group.listing, group.group))
    }

    /// Ends a subscription; an unknown id is no error.
    pub fn unsubscribe(&mut self, id: u64) {
        let Some(number) = self
            .subscriptions
            .iter()
            .find(|(_, entry)| entry.id == id)
            .map(|(n, _)| *n)
        else {
            return;
        };
        self.session_queue.remove(number);
        if let Some(entry) = self.subscriptions.remove(&number) {
            entry.channel.leave(&entry.subscription);
        }
    }

    /// A permit for a subscription that another service serves on the same connection: it counts as one of
    /// those that the sandbox may have.
    pub fn permit(&self) -> Result<SubscriptionPermit, QueryError> {
        self.hub.acquire(self.workspace)
    }

    /// Waits for the next item for the client. Cancel safe: an item that was not returned is returned next
    /// time.
    pub async fn next(&mut self) -> LiveItem {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return LiveItem::Frame(frame);
            }
            match poll_fn(|context| self.session_queue.poll_next(context)).await {
                Next::Frame(frame) => return LiveItem::Frame(frame),
                // In memory of its own: a session that waits for changes needs little.
                Next::Snapshot(number) => Box::pin(self.snapshot(number)).await,
                Next::Closed => return LiveItem::Closed,
            }
        }
    }

    /// The next frame that needs no wait, if there is one: further frames that a client is sent together with
    /// one from [`next`](Self::next).
    pub fn next_ready(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.ready.pop_front() {
            return Some(frame);
        }
        match self.session_queue.next()? {
            Next::Frame(frame) => Some(frame),
            // They stay in the queue for `next`.
            Next::Snapshot(_) | Next::Closed => None,
        }
    }

    /// Reads a new snapshot for a subscription. If this is cancelled, the session queue still requests one.
    async fn snapshot(&mut self, number: u64) {
        let Some(entry) = self.subscriptions.get(&number) else {
            self.session_queue.remove(number);
            return;
        };
        if !self.session_queue.begin_snapshot(number) {
            return;
        }
        match self.read_snapshot(entry).await {
            Ok((frame, as_of)) => {
                if self.session_queue.end_snapshot(number, &as_of) {
                    self.ready.push_back(frame);
                    self.tell_if_caught_up(number, &as_of);
                }
            }
            Err(error) => {
                let id = entry.id;
                let problem = error.problem();
                self.unsubscribe(id);
                self.ready.push_back(plain(&ServerFrame::Error {
                    id: Some(id),
                    problem,
                }));
            }
        }
    }

    /// Reads the snapshot as a frame, with its token.
    async fn read_snapshot(
        &self,
        entry: &ClientSubscription,
    ) -> Result<(Bytes, Arc<ConsistencyToken>), QueryError> {
        let ClientSubscription {
            id,
            subscription,
            order,
            limit,
            ..
        } = entry;
        let progress = &self.api.progress;
        let view = progress.view(subscription.view);
        // A view of one's own may have been deleted.
        let view = view.filter(|view| progress.has(self.workspace, view.name()));
        let view = view.ok_or_else(|| QueryError::UnknownView("of this name any more".to_owned()))?;
        let (found, group) = match &subscription.target {
            SubscriptionTarget::Document(key) => (
                self.api
                    .find_document(self.workspace, &self.actor, view, key)
                    .await?,
                None,
            ),
            SubscriptionTarget::Group(listing, group) => {
                let group = ListingGroup {
                    view,
                    listing,
                    group: group.clone(),
                };
                let found = self
                    .api
                    .find_page(self.workspace, &self.actor, &group, *order, *limit, None)
                    .await?;
                (found, Some(group))
            }
        };
        let data: SnapshotData<Option<&RawValue>> = match &group {
            None => SnapshotData::Document(found.row().map(|row| &*row.data)),
            Some(_) => SnapshotData::Rows(
                found
                    .rows()
                    .map(|row| Row {
                        key: row.key.clone(),
                        sort: row.sort.clone(),
                        data: Some(&*row.data),
                    })
                    .collect(),
            ),
        };
        let snapshot = ServerFrame::Snapshot {
            id: *id,
            as_of: found.as_of.clone(),
            generation: found.answer.generation,
            behind: found.behind(),
            data,
            next: group.and_then(|group| found.cursors(&group, *order, None).1),
        };
        Ok((frame(&snapshot), Arc::new(found.as_of.clone())))
    }

    /// After a snapshot or a resumption: if the view is caught up, the client hears it at once, after its
    /// changes. Otherwise the hub's timer tells it later.
    fn tell_if_caught_up(&self, number: u64, sent: &ConsistencyToken) {
        let Some(entry) = self.subscriptions.get(&number) else {
            return;
        };
        let Some(progress) = self.api.progress.of(self.workspace, entry.subscription.view) else {
            return;
        };
        // Every change that the channel got is in the snapshot or waits in the session queue.
        let mut as_of = (*entry.channel.as_of()).clone();
        for (partition, position) in sent.iter() {
            as_of.advance(partition, position);
        }
        if as_of.covers(&progress.head()) {
            self.session_queue
                .tell(number, &Status::CaughtUp(Arc::new(as_of)));
        }
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        for entry in self.subscriptions.values() {
            entry.channel.leave(&entry.subscription);
        }
        self.hub.leave(self.number);
    }
}
