//! Box 10, Query API: serves queries from projections and cache.
//!
//! Every answer states how far it is folded (`as_of`) and how many events are not (`behind`). A query that
//! names a token waits until its view has folded that far: read your own writes. Rights are checked here, on
//! each answer. [`live`] lets a client follow a view in place of repeated queries.

pub mod cursor;
pub mod encoded;
pub mod error;
pub mod live;
mod read_hops;
pub mod settled;

use std::{fmt::Debug, sync::Arc, time::Duration};

pub use cache::EncodedAnswer;
use cache::{Cache, CacheEntry, CacheKey, CachedAnswer, CachedRow, PageKey, Topic};
use documents::{DocumentStore, DocumentStoreError, Opener, PageRequest, SeekKey};
use domain::{
    access::Actor,
    id::WorkspaceId,
    token::{ConsistencyToken, MAX_PARTITIONS},
    view::AnyView,
    wire::{DocumentAnswer, ListingAnswer, Order, Row},
};
use projection::progress::{HandlerProgress, Progress};
use serde_json::value::RawValue;
use telemetry::security::{SecurityEvent, SecurityRecord};
use tokio_util::sync::CancellationToken;

use cursor::{Cursor, PageDirection};
pub use error::QueryError;
use live::{LiveSession, hub::Hub};

/// How long an answer from a commit waits for its publication, which follows at once unless another server
/// made the commit.
const PUBLICATION_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a query waits for its token by default.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest that a query can wait.
pub const LONGEST_TIMEOUT: Duration = Duration::from_mins(1);

/// The rows of a page by default.
pub const DEFAULT_LIMIT: u32 = 50;

/// The most rows of a page; a larger limit means this.
pub const MAX_LIMIT: u32 = 200;

/// A query that waits until the view has folded as far as a token.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The token.
    pub after: ConsistencyToken,
    /// How long at most; capped at [`LONGEST_TIMEOUT`].
    pub timeout: Duration,
}

/// A request for a page of a listing.
#[derive(Debug, Clone, Default)]
pub struct ListingRequest {
    /// The view.
    pub view: String,
    /// The listing; `all` where absent.
    pub listing: Option<String>,
    /// The group; empty where absent.
    pub group: Option<String>,
    /// The order of the rows.
    pub order: Order,
    /// The most rows: [`DEFAULT_LIMIT`] where absent, [`MAX_LIMIT`] at most.
    pub limit: Option<u32>,
    /// The `next` or `previous` of another page.
    pub cursor: Option<String>,
}

impl ListingRequest {
    /// The names of the listing and of the group, where they are given.
    fn names(&self) -> (Option<&str>, Option<&str>) {
        (self.listing.as_deref(), self.group.as_deref())
    }
}

/// Answers queries and opens live sessions.
#[derive(Debug)]
pub struct QueryApi {
    read_model: Arc<dyn DocumentStore>,
    cache: Arc<dyn Cache>,
    progress: Arc<Progress>,
    hub: Arc<Hub>,
    opener: Option<Arc<dyn Opener>>,
    stopping: CancellationToken,
}

impl QueryApi {
    /// A query API over these boxes.
    pub fn new(
        read_model: Arc<dyn DocumentStore>,
        cache: Arc<dyn Cache>,
        progress: Arc<Progress>,
        hub: Arc<Hub>,
    ) -> Self {
        Self {
            read_model,
            cache,
            progress,
            hub,
            opener: None,
            stopping: CancellationToken::new(),
        }
    }

    /// Ends the waiting of queries for their tokens with [`QueryError::Stopping`], from now on.
    pub fn stop_waiting(&self) {
        self.stopping.cancel();
    }

    /// Unseals documents before they are returned; without an opener, they are returned sealed.
    #[must_use]
    pub fn with_opener(self, opener: Option<Arc<dyn Opener>>) -> Self {
        Self { opener, ..self }
    }

    /// The newest positions of a workspace that this server knows.
    pub fn head(&self, workspace: WorkspaceId) -> ConsistencyToken {
        self.progress.head(workspace)
    }

    /// Unseals a frame of a live session.
    pub async fn open_frame(
        &self,
        workspace: WorkspaceId,
        frame: bytes::Bytes,
    ) -> Result<bytes::Bytes, QueryError> {
        match &self.opener {
            Some(opener) => Ok(opener.open_bytes(workspace, frame).await?),
            None => Ok(frame),
        }
    }

    async fn open(&self, workspace: WorkspaceId, data: Box<RawValue>) -> Result<Box<RawValue>, QueryError> {
        match &self.opener {
            Some(opener) => Ok(opener.open_json(workspace, data).await?),
            None => Ok(data),
        }
    }

    /// One document. A document that the actor may not see is not found.
    #[tracing::instrument(name = "Query API", level = "debug", skip_all, fields(view, key))]
    pub async fn document(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        view: &str,
        key: &str,
        wait: Option<Wait>,
    ) -> Result<DocumentAnswer<Box<RawValue>>, QueryError> {
        let view = self.find(workspace, view)?;
        self.wait(workspace, view, wait).await?;
        let found = self.find_document(workspace, actor, view, key).await?;
        let Some(row) = found.row() else {
            return Err(QueryError::NotFound);
        };
        Ok(DocumentAnswer {
            data: self.open(workspace, row.data.clone()).await?,
            behind: found.behind(),
            generation: found.answer.generation,
            as_of: found.as_of,
        })
    }

    /// A page of a listing.
    #[tracing::instrument(name = "Query API", level = "debug", skip_all, fields(view = request.view))]
    pub async fn listing(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
        request: ListingRequest,
        wait: Option<Wait>,
    ) -> Result<ListingAnswer<Box<RawValue>>, QueryError> {
        let view = self.find(workspace, &request.view)?;
        let group = ListingGroup::new(workspace, view, actor, request.names())?;
        let (seek_key, direction) = group.seek(&request)?;
        self.wait(workspace, view, wait).await?;
        let limit = limit_of(request.limit);
        let read_order = direction.unwrap_or_default().read_order(request.order);
        let found = self
            .find_page(workspace, actor, &group, read_order, limit, seek_key)
            .await?;
        let mut data = Vec::new();
        for row in found.rows() {
            data.push(Row {
                key: row.key.clone(),
                sort: row.sort.clone(),
                data: self.open(workspace, row.data.clone()).await?,
            });
        }
        if direction == Some(PageDirection::Previous) {
            data.reverse();
        }
        let (previous, next) = found.cursors(&group, request.order, direction);
        Ok(ListingAnswer {
            data,
            previous,
            next,
            behind: found.behind(),
            generation: found.answer.generation,
            as_of: found.as_of,
        })
    }

    /// Opens a session of live subscriptions for an actor.
    pub fn live(self: &Arc<Self>, workspace: WorkspaceId, actor: Actor) -> LiveSession {
        LiveSession::new(self.clone(), self.hub.clone(), workspace, actor)
    }

    fn find(&self, workspace: WorkspaceId, view: &str) -> Result<&'static dyn AnyView, QueryError> {
        let known = self.progress.view_in(workspace, view);
        known.ok_or_else(|| QueryError::UnknownView(view.to_owned()))
    }

    async fn wait(
        &self,
        workspace: WorkspaceId,
        view: &'static dyn AnyView,
        wait: Option<Wait>,
    ) -> Result<(), QueryError> {
        let Some(Wait { after, timeout }) = wait else {
            return Ok(());
        };
        if after
            .iter()
            .any(|(partition, _)| partition as usize >= MAX_PARTITIONS)
        {
            return Err(QueryError::BadToken);
        }
        let progress = self.progress_of(workspace, view)?;
        let reached = tokio::time::timeout(timeout.min(LONGEST_TIMEOUT), progress.reaches(&after));
        let reached = tokio::select! {
            biased;
            reached = reached => reached,
            () = self.stopping.cancelled() => return Err(QueryError::Stopping),
        };
        if reached.is_ok() {
            return Ok(());
        }
        Err(QueryError::TimedOut {
            waiting_for: lagging(&view.name_in(workspace), &progress, &after),
            paused: progress.controls().is_paused(),
        })
    }

    fn progress_of(
        &self,
        workspace: WorkspaceId,
        view: &'static dyn AnyView,
    ) -> Result<HandlerProgress, QueryError> {
        self.progress
            .of(workspace, view.name())
            .ok_or_else(|| QueryError::UnknownView(view.name_in(workspace).into_owned()))
    }

    /// Reads a document as the actor sees it: without a row if there is none for them.
    async fn find_document<'a>(
        &self,
        workspace: WorkspaceId,
        actor: &'a Actor,
        view: &'static dyn AnyView,
        key: &str,
    ) -> Result<VisibleAnswer<'a>, QueryError> {
        let topic = Topic::Document {
            workspace,
            view: view.name(),
            key: key.to_owned(),
        };
        let load = async {
            let read = self.read_model.document(workspace, view.name(), key).await?;
            let row = |document: documents::StoredDocument| CachedRow {
                key: document.key,
                sort: String::new(),
                owner: document.owner,
                data: document.data,
            };
            Ok(CachedAnswer {
                rows: read.value.map(row).into_iter().collect(),
                more: false,
                as_of: read.as_of,
                generation: read.generation,
            })
        };
        self.get(workspace, actor, view, CacheKey { topic, page: None }, load)
            .await
    }

    /// Reads a page as the actor sees it.
    async fn find_page<'a>(
        &self,
        workspace: WorkspaceId,
        actor: &'a Actor,
        group: &ListingGroup,
        order: Order,
        limit: u32,
        after: Option<SeekKey>,
    ) -> Result<VisibleAnswer<'a>, QueryError> {
        let view = group.view;
        let topic = Topic::Group {
            workspace,
            view: view.name(),
            listing: group.listing,
            group: group.group.clone(),
        };
        let page = Some(PageKey::new(order, limit, after.as_ref()));
        let load = async {
            let request = PageRequest {
                listing: group.listing,
                group: &group.group,
                order,
                // One more than is shown, to know whether there is a next page.
                limit: limit + 1,
                after: after.as_ref(),
            };
            let read = self.read_model.page(workspace, view.name(), &request).await?;
            let more = read.value.len() > limit as usize;
            let rows = read.value.into_iter().take(limit as usize).map(|row| CachedRow {
                key: row.document.key,
                sort: row.sort,
                owner: row.document.owner,
                data: row.document.data,
            });
            Ok(CachedAnswer {
                rows: rows.collect(),
                more,
                as_of: read.as_of,
                generation: read.generation,
            })
        };
        self.get(workspace, actor, view, CacheKey { topic, page }, load)
            .await
    }

    async fn get<'a>(
        &self,
        workspace: WorkspaceId,
        actor: &'a Actor,
        view: &'static dyn AnyView,
        key: CacheKey,
        load: impl Future<Output = Result<CachedAnswer, DocumentStoreError>> + Send,
    ) -> Result<VisibleAnswer<'a>, QueryError> {
        let progress = self.progress_of(workspace, view)?;
        // Read before the lookup: every commit up to here was invalidated before it was noted, so none of
        // them has changed an answer that is still cached, and the answer is true at this later token too.
        let folded = progress.folded();
        let name = view.name_in(workspace);
        let answer = read_hops::look_up(&*self.cache, workspace, &name, key, load).await?;
        if !folded.covers(&answer.as_of) && !progress.controls().is_paused() {
            // A commit that the lane is about to publish. The client's next query may be answered from
            // memory, as of what is published, and must not go back behind this one.
            let _ = tokio::time::timeout(PUBLICATION_TIMEOUT, progress.reaches(&answer.as_of)).await;
        }
        let mut as_of = answer.as_of.clone();
        for (partition, position) in folded.iter() {
            as_of.advance(partition, position);
        }
        Ok(VisibleAnswer {
            answer,
            as_of,
            progress,
            actor,
            view: view.name(),
        })
    }
}

/// The rows of a page at most.
fn limit_of(requested: Option<u32>) -> u32 {
    requested.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

/// The partitions in which a view is behind `goal`, as in `orders 0:12 of 0:15`, and whether it is paused or
/// why it has stopped.
fn lagging(view: &str, progress: &HandlerProgress, goal: &ConsistencyToken) -> Vec<String> {
    let folded = progress.folded();
    let suffix = |partition| {
        if progress.controls().is_paused() {
            return " (paused)".to_owned();
        }
        let reason = progress.stop_reason(partition);
        reason.map_or_else(String::new, |reason| format!(" (stopped: {reason})"))
    };
    goal.iter()
        .map(|(partition, position)| (partition, folded.position(partition), position))
        .filter(|(_, at, position)| at < position)
        .map(|(partition, at, position)| {
            let suffix = suffix(partition);
            format!("{view} {partition}:{at} of {partition}:{position}{suffix}")
        })
        .collect()
}

/// A group of a listing that exists and that the actor may read.
#[derive(Debug, Clone)]
struct ListingGroup {
    view: &'static dyn AnyView,
    listing: &'static str,
    group: String,
}

impl ListingGroup {
    /// The group of a listing that a client has named.
    fn new(
        workspace: WorkspaceId,
        view: &'static dyn AnyView,
        actor: &Actor,
        (listing, group): (Option<&str>, Option<&str>),
    ) -> Result<Self, QueryError> {
        let name = listing.unwrap_or("all");
        let group = group.unwrap_or("").to_owned();
        let listing = view.listing_names().iter().copied().find(|known| *known == name);
        let listing = listing.ok_or_else(|| QueryError::UnknownListing {
            view: view.name_in(workspace).into_owned(),
            listing: name.to_owned(),
            known: view.listing_names().join(", "),
        })?;
        if !actor.may_read_listing(view.name(), listing, &group) {
            SecurityRecord::new(SecurityEvent::RoleRefused)
                .about(view.name())
                .write();
            return Err(QueryError::Forbidden);
        }
        Ok(Self { view, listing, group })
    }

    /// Where the cursor of a request seeks to, and in which direction; without a cursor, neither.
    fn seek(&self, request: &ListingRequest) -> Result<(Option<SeekKey>, Option<PageDirection>), QueryError> {
        let Some(text) = &request.cursor else {
            return Ok((None, None));
        };
        let (seek_key, direction) = Cursor::parse(text, self, request.order)?;
        Ok((Some(seek_key), Some(direction)))
    }
}

/// An answer as of a token, with only the rows that an actor may see.
struct VisibleAnswer<'a> {
    answer: Arc<CacheEntry>,
    as_of: ConsistencyToken,
    progress: HandlerProgress,
    actor: &'a Actor,
    view: &'static str,
}

impl VisibleAnswer<'_> {
    fn rows(&self) -> impl Iterator<Item = &CachedRow> {
        self.answer
            .rows
            .iter()
            .filter(|row| self.actor.may_read_document(self.view, row.owner))
    }

    fn row(&self) -> Option<&CachedRow> {
        self.rows().next()
    }

    fn behind(&self) -> u64 {
        self.as_of.behind(&self.progress.head())
    }

    /// The cursors of the previous and of the next page, for a page that was read in this direction. They are
    /// made from the rows that were read, visible to the actor or not.
    fn cursors(
        &self,
        group: &ListingGroup,
        order: Order,
        direction: Option<PageDirection>,
    ) -> (Option<String>, Option<String>) {
        let (first, last) = (self.answer.rows.first(), self.answer.rows.last());
        let cursor = |direction, row: Option<&CachedRow>| Some(Cursor::text(group, order, direction, row?));
        let beyond = last.filter(|_| self.answer.more);
        match direction {
            None => (None, cursor(PageDirection::Next, beyond)),
            // The page that gave the cursor is on this side.
            Some(PageDirection::Next) => (
                cursor(PageDirection::Previous, first),
                cursor(PageDirection::Next, beyond),
            ),
            Some(PageDirection::Previous) => (
                cursor(PageDirection::Previous, beyond),
                cursor(PageDirection::Next, first),
            ),
        }
    }
}
