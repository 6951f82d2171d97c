//! Parked events: written with the checkpoint that passes them, and deleted with the update of their
//! documents.

use async_trait::async_trait;
use domain::id::{StreamName, WorkspaceId};
use uuid::Uuid;

use super::{Database, SqlDocumentStore, group::Change, lane::of_lane};
use database::engine::statement;

use crate::{
    DeadLetter, DeadLetterKey, DocumentStoreError, Fold, FoldInput, LaneId, ParkedCount, ParkedEvent,
    Parking,
    columns::{self, CountRow, DeadLetterRow, ParkedRow, loaded, stored},
};

/// Selects dead letters with the number of events that wait behind each; a condition follows.
macro_rules! dead_letters {
    ($condition:literal) => {
        concat!(
            "
            select p.view, p.generation, p.partition, p.position, p.id, p.stream, p.version, p.event_id,
                p.event_type, p.correlation_id, p.state, p.reason, p.attempts, p.parked_at,
                (
                    select count(*) from parked w
                    where w.workspace = p.workspace and w.view = p.view and w.generation = p.generation
                        and w.partition = p.partition and w.stream = p.stream
                        and w.state <> 'discarded' and w.position > p.position
                ) as waiting
            from parked p
                left join generations g on g.workspace = p.workspace and g.view = p.view
            where p.workspace = $1 and p.state = 'dead'
                -- what is left of other generations is on its way out
                and (p.generation = coalesce(g.live, 1) or p.generation = g.building)
                and ",
            $condition
        )
    };
}

/// Deletes the held events of a stream; returns whether they are the expected ones.
async fn take<D: Database>(
    transaction: &mut D::Connection,
    lane: &LaneId,
    stream: &StreamName,
    expected: &[u64],
) -> Result<bool, DocumentStoreError> {
    let taken: Vec<(i64,)> = of_lane::<D>(
        "
        delete from parked
        where workspace = $1 and view = $2 and generation = $3 and partition = $4 and stream = $5
            and state <> 'discarded'
        returning position
        ",
        lane,
    )?
    .bind(stream.as_str())
    .all(transaction)
    .await?;
    let mut positions: Vec<u64> = taken
        .into_iter()
        .map(|(position,)| loaded(position))
        .collect::<Result<_, _>>()?;
    positions.sort_unstable();
    Ok(positions == expected && !expected.is_empty())
}

/// Notes that documents have changed at this checkpoint: a token of the same position may be of an older
/// state.
async fn note_release<D: Database>(
    transaction: &mut D::Connection,
    lane: &LaneId,
) -> Result<(), DocumentStoreError> {
    let changed = of_lane::<D>(
        "
        update checkpoints set released_at = position
        where workspace = $1 and view = $2 and generation = $3 and partition = $4
        ",
        lane,
    )?
    .execute(transaction)
    .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(DocumentStoreError::Corrupt(
            "parked events without a checkpoint".to_owned(),
        ))
    }
}

#[async_trait]
impl<D: Database> Parking for SqlDocumentStore<D> {
    async fn held_events(
        &self,
        lane: &LaneId,
        stream: &StreamName,
    ) -> Result<Vec<ParkedEvent>, DocumentStoreError> {
        let rows: Vec<ParkedRow> = of_lane::<D>(
            "
            select position, id, stream, version, event_id, event_type, correlation_id, state, reason,
                attempts, parked_at
            from parked
            where workspace = $1 and view = $2 and generation = $3 and partition = $4 and stream = $5
                and state <> 'discarded'
            order by position
            ",
            lane,
        )?
        .bind(stream.as_str())
        .all(&mut *self.readers.acquire().await?)
        .await?;
        columns::all(rows)
    }

    async fn parked_events(
        &self,
        lane: &LaneId,
        stream: &StreamName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<ParkedEvent>, DocumentStoreError> {
        let rows: Vec<ParkedRow> = of_lane::<D>(
            "
            select position, id, stream, version, event_id, event_type, correlation_id, state, reason,
                attempts, parked_at
            from parked
            where workspace = $1 and view = $2 and generation = $3 and partition = $4 and stream = $5
                and position > $6
            order by position
            limit $7
            ",
            lane,
        )?
        .bind(stream.as_str())
        .bind(stored(after)?)
        .bind(i64::from(limit))
        .all(&mut *self.readers.acquire().await?)
        .await?;
        columns::all(rows)
    }

    async fn release(
        &self,
        lane: &LaneId,
        stream: &StreamName,
        expected: &[u64],
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<bool, DocumentStoreError> {
        let mut transaction = self.writers.begin_with(D::BEGIN).await?;
        D::lock_view(&mut transaction, lane.scope.workspace, lane.scope.view).await?;
        if !take::<D>(&mut transaction, lane, stream, expected).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        let loaded = FoldInput {
            documents: D::load(&mut transaction, &lane.scope, keys).await?,
            held_streams: Vec::new(),
        };
        let output = fold(loaded)?;
        let change = Change {
            scope: &lane.scope,
            partition: Some(lane.partition),
            checkpoint: None,
            output: &output,
        };
        D::store(&mut transaction, &[change]).await?;
        note_release::<D>(&mut transaction, lane).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn dead_letters(
        &self,
        workspace: WorkspaceId,
        view: Option<&str>,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, DocumentStoreError> {
        let rows: Vec<DeadLetterRow> = statement::<D>(dead_letters!(
            "
            ($2 is null or p.view = $2)
            and ($3 is null or (p.view, p.generation, p.partition, p.position) > ($3, $4, $5, $6))
            order by p.view, p.generation, p.partition, p.position
            limit $7
            "
        ))
        .bind(workspace.0)
        .bind(view)
        .bind(after.map(|key| key.view.as_str()))
        .bind(after.map(|key| stored(key.generation)).transpose()?)
        .bind(after.map(|key| i64::from(key.partition)))
        .bind(after.map(|key| stored(key.position)).transpose()?)
        .bind(i64::from(limit))
        .all(&mut *self.readers.acquire().await?)
        .await?;
        columns::all(rows)
    }

    async fn dead_letter(
        &self,
        workspace: WorkspaceId,
        id: Uuid,
    ) -> Result<Option<DeadLetter>, DocumentStoreError> {
        let row: Option<DeadLetterRow> = statement::<D>(dead_letters!("p.id = $2"))
            .bind(workspace.0)
            .bind(id)
            .optional(&mut *self.readers.acquire().await?)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn parked_counts(
        &self,
        workspace: Option<WorkspaceId>,
        correlation: Option<Uuid>,
    ) -> Result<Vec<ParkedCount>, DocumentStoreError> {
        let rows: Vec<CountRow> = statement::<D>(
            "
            select p.view,
                count(*) filter (where p.state = 'dead') as dead,
                count(*) filter (where p.state = 'waiting') as waiting
            from parked p
                left join generations g on g.workspace = p.workspace and g.view = p.view
            where ($1 is null or p.workspace = $1) and ($2 is null or p.correlation_id = $2)
                and p.generation = coalesce(g.live, 1) and p.state <> 'discarded'
            group by p.view
            order by p.view
            ",
        )
        .bind(workspace.map(|workspace| workspace.0))
        .bind(correlation)
        .all(&mut *self.readers.acquire().await?)
        .await?;
        columns::all(rows)
    }
}
