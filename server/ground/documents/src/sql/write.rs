//! Writes: a lane's update is one transaction of a few statements, for any number of documents.

use sqlx::Pool;

use super::{Database, lane::of_lane, parking, query::checkpoint};

use crate::{DocumentStoreError, Fold, FoldInput, FoldOutput, LaneId, Scope, UpdateOutcome, columns::stored};

pub(super) async fn update<D: Database>(
    writers: &Pool<D>,
    lane: &LaneId,
    from: u64,
    to: u64,
    keys: &[String],
    fold: &mut Fold<'_>,
) -> Result<UpdateOutcome, DocumentStoreError> {
    let mut transaction = writers.begin_with(D::BEGIN).await?;
    let generations = D::generations(&mut transaction, lane.scope.workspace, lane.scope.view).await?;
    if !generations.has(lane.scope.generation) {
        transaction.rollback().await?;
        return Ok(UpdateOutcome::Retired {
            live: generations.live,
        });
    }
    if !advance::<D>(&mut transaction, lane, from, to).await? {
        let checkpoint = checkpoint::<D>(&mut transaction, lane).await?;
        transaction.rollback().await?;
        return Ok(UpdateOutcome::CheckpointMoved { checkpoint });
    }
    let loaded = FoldInput {
        documents: D::load(&mut transaction, &lane.scope, keys).await?,
        held_streams: parking::held_streams::<D>(&mut transaction, lane).await?,
    };
    let FoldOutput { writes, parked } = fold(loaded)?;
    D::store(&mut transaction, &lane.scope, &writes).await?;
    parking::park::<D>(&mut transaction, lane, &parked).await?;
    transaction.commit().await?;
    Ok(UpdateOutcome::Committed)
}

pub(super) async fn amend<D: Database>(
    writers: &Pool<D>,
    scope: &Scope,
    keys: &[String],
    fold: &mut Fold<'_>,
) -> Result<(), DocumentStoreError> {
    let mut transaction = writers.begin_with(D::BEGIN).await?;
    D::lock_view(&mut transaction, scope.workspace, scope.view).await?;
    let loaded = FoldInput {
        documents: D::load(&mut transaction, scope, keys).await?,
        held_streams: Vec::new(),
    };
    let effect = fold(loaded)?;
    D::store(&mut transaction, scope, &effect.writes).await?;
    transaction.commit().await?;
    Ok(())
}

/// Advances the checkpoint by a compare-and-set, which makes a second owner of a lane harmless.
async fn advance<D: Database>(
    transaction: &mut D::Connection,
    lane: &LaneId,
    from: u64,
    to: u64,
) -> Result<bool, DocumentStoreError> {
    let sql = if from == 0 {
        "
        insert into checkpoints (workspace, view, generation, partition, position)
        values ($1, $2, $3, $4, $5)
        on conflict do nothing
        "
    } else {
        "
        update checkpoints set position = $5
        where workspace = $1 and view = $2 and generation = $3 and partition = $4 and position = $6
        "
    };
    let mut advance = of_lane::<D>(sql, lane)?.bind(stored(to)?);
    if from > 0 {
        advance = advance.bind(stored(from)?);
    }
    Ok(advance.execute(transaction).await? == 1)
}

/// Fails unless a statement has changed every row of its list.
pub(crate) fn require_all(scope: &Scope, rows: usize, changed: u64) -> Result<(), DocumentStoreError> {
    if changed == rows as u64 {
        return Ok(());
    }
    Err(DocumentStoreError::Corrupt(format!(
        "view {}: {rows} rows were to change, {changed} did",
        scope.view
    )))
}
