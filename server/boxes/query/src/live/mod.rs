//! Live: a subscription gets a snapshot with its token, then every change after it, in order, with nothing missed and
//! nothing twice.
//!
//! A session is one client's connection. It registers with the view's [`channel`] first and reads its snapshot second;
//! changes that arrive meanwhile wait in its [`session_queue`], and those that the snapshot already has are dropped. A client
//! that comes back with its token gets only what it missed, if the channel's ring still has all of that, and otherwise a
//! new snapshot. A slow client loses its changes for a snapshot; it never slows the others.

mod channel;
mod frame;
pub mod hub;
mod session_queue;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
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

pub use session_queue::CAPACITY;

use self::{
    channel::{Channel, Shown, Subscription},
    frame::{frame, plain},
    hub::{Hub, SubscriptionPermit},
    session_queue::{Next, SessionQueue, Status},
};
use super::{DEFAULT_LIMIT, Listed, MAX_LIMIT, QueryApi, QueryError};

/// The most subscriptions of a session.
pub const MAX_SUBSCRIPTIONS: usize = 100;

/// What a client asks to follow; the fields of the frame `subscribe`.
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
    /// What the client has already seen.
    pub resume: Option<ConsistencyToken>,
    /// The generation of what it has seen.
    pub generation: Option<u64>,
}

/// What a session has for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveItem {
    /// A `ServerFrame` as JSON text, in UTF-8.
    Frame(Bytes),
    /// The server stops; there will be no more frames.
    Closed,
}

/// A subscription of the session.
#[derive(Debug)]
struct Following {
    id: u64,
    subscription: Arc<Subscription>,
    channel: Arc<Channel>,
    order: Order,
    limit: u32,
    _place: SubscriptionPermit,
}

/// One client's subscriptions; see the module.
#[derive(Debug)]
pub struct LiveSession {
    api: Arc<QueryApi>,
    hub: Arc<Hub>,
    workspace: WorkspaceId,
    actor: Arc<Actor>,
    session_queue: Arc<SessionQueue>,
    /// By the number that the subscription has in the session_queue.
    following: HashMap<u64, Following>,
    ready: VecDeque<Bytes>,
}

impl LiveSession {
    pub(super) fn new(api: Arc<QueryApi>, hub: Arc<Hub>, workspace: WorkspaceId, actor: Actor) -> Self {
        hub.enter();
        Self {
            api,
            hub,
            workspace,
            actor: Arc::new(actor),
            session_queue: Arc::default(),
            following: HashMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// Follows a document or a listing. What comes of it, an error included, comes from [`next`](Self::next).
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
        if self.following.len() >= MAX_SUBSCRIPTIONS {
            return Err(QueryError::TooManySubscriptions(MAX_SUBSCRIPTIONS));
        }
        let view = self.api.find(&request.view)?;
        let shown = self.shown(view, &request)?;
        let place = self.hub.place(self.workspace)?;
        let subscription = Arc::new(Subscription {
            number: self.hub.number(),
            view: view.name(),
            shown,
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
        let following = Following {
            id: request.id,
            subscription,
            channel,
            order: request.order,
            limit,
            _place: place,
        };
        self.following.insert(number, following);
        if resumed {
            self.tell_if_caught_up(number, &ConsistencyToken::default());
        } else {
            self.snapshot(number).await;
        }
        Ok(())
    }

    fn shown(&self, view: &'static dyn AnyView, request: &Subscribe) -> Result<Shown, QueryError> {
        if let Some(key) = &request.key {
            return Ok(Shown::Document(key.clone()));
        }
        let listed = Listed::new(
            view,
            &self.actor,
            request.listing.as_deref(),
            request.group.as_deref(),
        )?;
        Ok(Shown::Group(listed.listing, listed.group))
    }

    /// Stops following; an id that is not in use is nothing to complain about.
    pub fn unsubscribe(&mut self, id: u64) {
        let Some(number) = self
            .following
            .iter()
            .find(|(_, following)| following.id == id)
            .map(|(n, _)| *n)
        else {
            return;
        };
        self.session_queue.remove(number);
        if let Some(following) = self.following.remove(&number) {
            following.channel.leave(&following.subscription);
        }
    }

    /// The next thing for the client; waits for one. Cancel safe: what was not returned is returned next time.
    pub async fn next(&mut self) -> LiveItem {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return LiveItem::Frame(frame);
            }
            if self.hub.closed().is_cancelled() {
                return LiveItem::Closed;
            }
            match self.session_queue.next() {
                Next::Frame(frame) => return LiveItem::Frame(frame),
                Next::Snapshot(number) => self.snapshot(number).await,
                Next::Nothing => tokio::select! {
                    () = self.session_queue.arrived() => {}
                    () = self.hub.closed().cancelled() => {}
                },
            }
        }
    }

    /// Gives a subscription a fresh snapshot. Where this is cancelled, the session_queue still says that one is wanted.
    async fn snapshot(&mut self, number: u64) {
        let Some(following) = self.following.get(&number) else {
            self.session_queue.remove(number);
            return;
        };
        if !self.session_queue.begin_snapshot(number) {
            return;
        }
        match self.read_snapshot(following).await {
            Ok((frame, as_of)) => {
                if self.session_queue.end_snapshot(number, &as_of) {
                    self.ready.push_back(frame);
                    self.tell_if_caught_up(number, &as_of);
                }
            }
            Err(error) => {
                let id = following.id;
                let problem = error.problem();
                self.unsubscribe(id);
                self.ready.push_back(plain(&ServerFrame::Error {
                    id: Some(id),
                    problem,
                }));
            }
        }
    }

    /// The snapshot as a frame, and its moment.
    async fn read_snapshot(
        &self,
        following: &Following,
    ) -> Result<(Bytes, Arc<ConsistencyToken>), QueryError> {
        let Following {
            id,
            subscription,
            order,
            limit,
            ..
        } = following;
        let view = self.api.find(subscription.view)?;
        let (found, listed) = match &subscription.shown {
            Shown::Document(key) => (
                self.api
                    .find_document(self.workspace, &self.actor, view, key)
                    .await?,
                None,
            ),
            Shown::Group(listing, group) => {
                let listed = Listed {
                    view,
                    listing,
                    group: group.clone(),
                };
                let found = self
                    .api
                    .find_page(self.workspace, &self.actor, &listed, *order, *limit, None)
                    .await?;
                (found, Some(listed))
            }
        };
        let data: SnapshotData<Option<&RawValue>> = match &listed {
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
            next: listed.and_then(|listed| found.cursors(&listed, *order, None).1),
        };
        Ok((frame(&snapshot), Arc::new(found.as_of.clone())))
    }

    /// After a snapshot or a resumption: where the view is caught up, the client hears it at once, behind its changes.
    /// Otherwise the hub's timer says so later.
    fn tell_if_caught_up(&self, number: u64, shown: &ConsistencyToken) {
        let Some(following) = self.following.get(&number) else {
            return;
        };
        let Some(progress) = self.api.progress.of(self.workspace, following.subscription.view) else {
            return;
        };
        // Everything that the channel was told of is in what is shown, or waits in the session_queue.
        let mut as_of = (*following.channel.as_of()).clone();
        for (partition, position) in shown.iter() {
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
        for following in self.following.values() {
            following.channel.leave(&following.subscription);
        }
        self.hub.leave();
    }
}
