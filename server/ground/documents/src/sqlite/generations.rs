//! The generations of views: one row a view that was ever rebuilt.

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken};
use sqlx::{Row, Sqlite, Transaction};

use super::SqliteReadModel;
use crate::{
    FIRST_GENERATION, Generations, ReadModelError, Scope, StoredGeneration, Switched,
    columns::{self, GenerationRow, loaded, stored, token},
};

/// The row of a view.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of {
    pub(super) live: u64,
    newest: u64,
    building: Option<u64>,
}

impl Of {
    /// Whether lanes may write this generation.
    pub(super) fn has(&self, generation: u64) -> bool {
        self.live == generation || self.building == Some(generation)
    }
}

/// The generations of a view; those of a view that was never rebuilt where there is no row.
pub(super) async fn of(
    transaction: &mut Transaction<'_, Sqlite>,
    workspace: WorkspaceId,
    view: &str,
) -> Result<Of, ReadModelError> {
    let row =
        sqlx::query("select live, newest, building from generations where workspace = ?1 and view = ?2")
            .bind(workspace.0)
            .bind(view)
            .fetch_optional(&mut **transaction)
            .await?;
    let Some(row) = row else {
        return Ok(Of {
            live: FIRST_GENERATION,
            newest: FIRST_GENERATION,
            building: None,
        });
    };
    Ok(Of {
        live: loaded(row.try_get("live")?)?,
        newest: loaded(row.try_get("newest")?)?,
        building: row
            .try_get::<Option<i64>, _>("building")?
            .map(loaded)
            .transpose()?,
    })
}

async fn folded(
    transaction: &mut Transaction<'_, Sqlite>,
    workspace: WorkspaceId,
    view: &str,
    generation: u64,
) -> Result<ConsistencyToken, ReadModelError> {
    let text: Option<String> = sqlx::query_scalar(
        "
        select group_concat(partition || ':' || position, ',') from checkpoints
        where workspace = ?1 and view = ?2 and generation = ?3
        ",
    )
    .bind(workspace.0)
    .bind(view)
    .bind(stored(generation)?)
    .fetch_one(&mut **transaction)
    .await?;
    token(text.as_deref())
}

/// Writes the row of a view.
async fn note(
    transaction: &mut Transaction<'_, Sqlite>,
    workspace: WorkspaceId,
    view: &str,
    row: Of,
) -> Result<(), ReadModelError> {
    let changed = sqlx::query(
        "
        insert into generations (workspace, view, live, newest, building) values (?1, ?2, ?3, ?4, ?5)
        on conflict (workspace, view) do update set
            live = excluded.live, newest = excluded.newest, building = excluded.building
        ",
    )
    .bind(workspace.0)
    .bind(view)
    .bind(stored(row.live)?)
    .bind(stored(row.newest)?)
    .bind(row.building.map(stored).transpose()?)
    .execute(&mut **transaction)
    .await?
    .rows_affected();
    if changed == 1 {
        Ok(())
    } else {
        Err(ReadModelError::Corrupt(format!(
            "the generations of {view} were not noted"
        )))
    }
}

#[async_trait]
impl Generations for SqliteReadModel {
    async fn live_generation(&self, workspace: WorkspaceId, view: &str) -> Result<u64, ReadModelError> {
        let mut transaction = self.readers.begin().await?;
        Ok(of(&mut transaction, workspace, view).await?.live)
    }

    async fn begin_build(&self, workspace: WorkspaceId, view: &str) -> Result<u64, ReadModelError> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let row = of(&mut transaction, workspace, view).await?;
        if let Some(building) = row.building {
            return Ok(building);
        }
        let newest = row.newest + 1;
        let row = Of {
            newest,
            building: Some(newest),
            ..row
        };
        note(&mut transaction, workspace, view, row).await?;
        transaction.commit().await?;
        Ok(newest)
    }

    async fn builds(&self) -> Result<Vec<StoredGeneration>, ReadModelError> {
        let rows = sqlx::query_as::<_, GenerationRow>(
            "select workspace, view, building as generation from generations where building is not null",
        )
        .fetch_all(&self.readers)
        .await?;
        columns::all(rows)
    }

    async fn folded(&self, scope: &Scope) -> Result<ConsistencyToken, ReadModelError> {
        let mut transaction = self.readers.begin().await?;
        folded(&mut transaction, scope.workspace, scope.view, scope.generation).await
    }

    async fn switch(&self, scope: &Scope) -> Result<Switched, ReadModelError> {
        let Scope {
            workspace,
            view,
            generation,
        } = *scope;
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let row = of(&mut transaction, workspace, view).await?;
        if row.building != Some(generation) {
            return Ok(Switched::NotBuilding);
        }
        let before = folded(&mut transaction, workspace, view, row.live).await?;
        let after = folded(&mut transaction, workspace, view, generation).await?;
        if !after.covers(&before) {
            return Ok(Switched::Behind);
        }
        let row = Of {
            live: generation,
            building: None,
            ..row
        };
        note(&mut transaction, workspace, view, row).await?;
        transaction.commit().await?;
        Ok(Switched::Done(after))
    }

    async fn cancel_build(&self, scope: &Scope) -> Result<bool, ReadModelError> {
        let changed = sqlx::query(
            "update generations set building = null where workspace = ?1 and view = ?2 and building = ?3",
        )
        .bind(scope.workspace.0)
        .bind(scope.view)
        .bind(stored(scope.generation)?)
        .execute(&self.writer)
        .await?
        .rows_affected();
        Ok(changed == 1)
    }

    async fn leftovers(&self) -> Result<Vec<StoredGeneration>, ReadModelError> {
        // every transaction of a lane writes its checkpoint, and removal takes it last
        let rows = sqlx::query_as::<_, GenerationRow>(
            "
            select distinct c.workspace, c.view, c.generation
            from checkpoints c
            left join generations g on g.workspace = c.workspace and g.view = c.view
            where c.generation <> coalesce(g.live, 1) and c.generation is not g.building
            ",
        )
        .fetch_all(&self.readers)
        .await?;
        columns::all(rows)
    }

    async fn remove(&self, leftover: &StoredGeneration, limit: u32) -> Result<bool, ReadModelError> {
        let mut transaction = self.writer.begin_with("begin immediate").await?;
        let row = of(&mut transaction, leftover.workspace, &leftover.view).await?;
        if row.has(leftover.generation) {
            return Err(ReadModelError::Corrupt(format!(
                "generation {} of {} is in use and cannot be removed",
                leftover.generation, leftover.view
            )));
        }
        let mut removed = 0;
        for statement in [
            "
            delete from listings where (workspace, view, generation, listing, group_key, sort_key, key) in (
                select workspace, view, generation, listing, group_key, sort_key, key from listings
                where workspace = ?1 and view = ?2 and generation = ?3 limit ?4
            )
            ",
            "
            delete from documents where rowid in (
                select rowid from documents where workspace = ?1 and view = ?2 and generation = ?3 limit ?4
            )
            ",
            "
            delete from parked where (workspace, view, generation, partition, position) in (
                select workspace, view, generation, partition, position from parked
                where workspace = ?1 and view = ?2 and generation = ?3 limit ?4
            )
            ",
        ] {
            removed += sqlx::query(statement)
                .bind(leftover.workspace.0)
                .bind(&leftover.view)
                .bind(stored(leftover.generation)?)
                .bind(limit)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
        }
        if removed == 0 {
            sqlx::query("delete from checkpoints where workspace = ?1 and view = ?2 and generation = ?3")
                .bind(leftover.workspace.0)
                .bind(&leftover.view)
                .bind(stored(leftover.generation)?)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(removed > 0)
    }
}
