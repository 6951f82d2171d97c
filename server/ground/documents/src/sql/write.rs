//! A group's transaction: what all requests need is read, their callers fold, and what all of them write is
//! written and committed, in a few statements for any number of requests.
//!
//! If a group fails, nothing of it is stored, and each of its requests is tried again alone, so that one bad
//! request cannot fail the others.

use std::{sync::Arc, time::Duration};

use sqlx::{Pool, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    Database,
    group::{Change, Failure, Loaded, Request},
    queue::{Folded, Member, Queue, Step},
};
use database::engine::statement;

use crate::{DocumentStoreError, UpdateOutcome};

/// The most groups in a row on one connection; then others that wait for a connection have their turn.
const GROUPS_IN_A_ROW: usize = 4;

/// How long a group waits for its callers to fold: a task that is not polled must not hold up the others.
const FOLD_LIMIT: Duration = Duration::from_secs(5);

/// After so many requests that failed alone for want of the database, the rest of a group is not tried.
const MOST_UNAVAILABLE: usize = 2;

/// Carries out the groups that wait.
pub(super) async fn lead<D: Database>(writers: Pool<D>, queue: Arc<Queue>, _permit: OwnedSemaphorePermit) {
    if queue.is_empty() {
        return;
    }
    let mut connection = match writers.acquire().await {
        Ok(connection) => GroupConnection::new(connection),
        Err(error) => return fail(queue.take_group(), &error.to_string()),
    };
    // the lanes that have got the same event as this one are about to ask as well
    tokio::task::yield_now().await;
    for _ in 0..GROUPS_IN_A_ROW {
        let group = queue.take_group();
        if group.is_empty() {
            break;
        }
        metrics::histogram!("foldline_update_group_size")
            .record(u32::try_from(group.len()).unwrap_or(u32::MAX));
        if let Err((failure, members)) = connection.commit(group).await {
            connection.commit_each(failure, members).await;
        }
        if connection.in_transaction {
            break;
        }
    }
}

/// Fails requests for want of the database.
fn fail(members: impl IntoIterator<Item = Member>, reason: &str) {
    for member in members {
        member.finish(Err(DocumentStoreError::Unavailable(reason.to_owned())));
    }
}

/// A connection that is closed instead of used again if it is dropped within a transaction.
struct GroupConnection<D: sqlx::Database> {
    connection: PoolConnection<D>,
    in_transaction: bool,
}

impl<D: sqlx::Database> Drop for GroupConnection<D> {
    fn drop(&mut self) {
        if self.in_transaction {
            self.connection.close_on_drop();
        }
    }
}

impl<D: Database> GroupConnection<D> {
    fn new(connection: PoolConnection<D>) -> Self {
        Self {
            connection,
            in_transaction: false,
        }
    }

    /// Carries out a group, and gives its callers their results. If the transaction fails, nothing was
    /// changed, and it returns the requests that have no result yet.
    async fn commit(&mut self, group: Vec<Member>) -> Result<(), (Failure, Vec<Member>)> {
        self.in_transaction = true;
        let begun = {
            let requests: Vec<&Request> = group.iter().map(|member| &member.request).collect();
            D::begin_group(&mut self.connection, &requests).await
        };
        let loaded = match begun {
            Ok(loaded) => loaded,
            Err(failure) => {
                self.roll_back().await;
                return Err((failure, group));
            }
        };
        let folded = fold(group, loaded).await;
        if folded.is_empty() {
            self.roll_back().await;
            return Ok(());
        }
        let committed = {
            let changes: Vec<Change<'_>> = folded.iter().map(change).collect();
            D::commit_group(&mut self.connection, &changes).await
        };
        let members = folded.into_iter().map(|(request, folded)| Member {
            request,
            caller: folded.next,
        });
        match committed {
            Ok(()) => {
                self.in_transaction = false;
                for member in members {
                    member.finish(Ok(UpdateOutcome::Committed));
                }
                Ok(())
            }
            Err(failure) => {
                let members: Vec<Member> = members.collect();
                self.roll_back().await;
                Err((failure, members))
            }
        }
    }

    /// Carries out each request of a failed group alone, so that each gets its own result.
    async fn commit_each(&mut self, failure: Failure, mut members: Vec<Member>) {
        if members.len() == 1
            && let Some(only) = members.pop()
        {
            return only.finish(Err(failure.into()));
        }
        tracing::warn!(error = %failure, updates = members.len(), "a group of updates was not stored");
        let mut unavailable = 0;
        let mut members = members.into_iter();
        while failure.may_be_of_one()
            && unavailable < MOST_UNAVAILABLE
            && let Some(member) = members.next()
        {
            let Err((failure, mut alone)) = self.commit(vec![member]).await else {
                continue;
            };
            let error = DocumentStoreError::from(failure);
            unavailable += usize::from(matches!(
                error,
                DocumentStoreError::Unavailable(_) | DocumentStoreError::Full(_)
            ));
            if let Some(member) = alone.pop() {
                member.finish(Err(error));
            }
        }
        fail(members, &failure.to_string());
    }

    async fn roll_back(&mut self) {
        let rolled_back = statement::<D>("rollback").execute(&mut self.connection).await;
        // an error of SQLite itself means that no transaction is open
        if matches!(rolled_back, Ok(_) | Err(sqlx::Error::Database(_))) {
            self.in_transaction = false;
        }
    }
}

/// Lets the callers fold, and returns the requests that are written. The others have left the group: they are
/// refused, their folds have failed, or their callers have gone away.
async fn fold(group: Vec<Member>, loaded: Vec<Loaded>) -> Vec<(Request, Folded)> {
    let limit = Instant::now() + FOLD_LIMIT;
    let mut folding = Vec::with_capacity(group.len());
    for (member, loaded) in group.into_iter().zip(loaded) {
        if let Some(refusal) = refusal(&member.request, &loaded) {
            member.finish(Ok(refusal));
            continue;
        }
        let (answer, answered) = oneshot::channel();
        // a caller that has gone away does not answer
        let _ = member.caller.send(Step::Fold(loaded.input, answer));
        folding.push((member.request, answered));
    }
    let mut folded = Vec::with_capacity(folding.len());
    for (request, answered) in folding {
        if let Ok(Ok(answer)) = timeout_at(limit, answered).await {
            folded.push((request, answer));
        }
    }
    folded
}

/// What a request writes.
fn change((request, folded): &(Request, Folded)) -> Change<'_> {
    Change {
        scope: &request.scope,
        partition: request.advance.as_ref().map(|advance| advance.partition),
        checkpoint: request.advance.as_ref().map(|advance| &advance.to),
        output: &folded.output,
    }
}

/// Why a request is not carried out.
fn refusal(request: &Request, loaded: &Loaded) -> Option<UpdateOutcome> {
    let advance = request.advance.as_ref()?;
    if !loaded.generations.has(request.scope.generation) {
        return Some(UpdateOutcome::Retired {
            live: loaded.generations.live,
        });
    }
    (loaded.checkpoint != advance.from).then_some(UpdateOutcome::CheckpointMoved {
        checkpoint: loaded.checkpoint,
    })
}

/// Fails unless a statement has changed every row of its list.
pub(crate) fn require_all(rows: usize, changed: u64) -> Result<(), DocumentStoreError> {
    if changed == rows as u64 {
        return Ok(());
    }
    Err(DocumentStoreError::Corrupt(format!(
        "{rows} rows were to change, {changed} did"
    )))
}
