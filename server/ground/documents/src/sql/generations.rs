//! The generations of views: one row for each view that was rebuilt or locked.

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken};

use super::{Database, SqlDocumentStore};
use database::engine::statement;

use crate::{
    DocumentStoreError, FIRST_GENERATION, Generations, Scope, StoredGeneration, SwitchOutcome,
    columns::{self, GenerationRow, loaded, stored, token},
};

/// The generations of a view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ViewGenerations {
    pub(super) live: u64,
    newest: u64,
    building: Option<u64>,
}

impl Default for ViewGenerations {
    /// The generations of a view that was never rebuilt.
    fn default() -> Self {
        Self {
            live: FIRST_GENERATION,
            newest: FIRST_GENERATION,
            building: None,
        }
    }
}

impl ViewGenerations {
    /// The columns `live`, `newest` and `building` of the view's row.
    pub(crate) fn from_columns(
        (live, newest, building): (i64, i64, Option<i64>),
    ) -> Result<Self, DocumentStoreError> {
        Ok(Self {
            live: loaded(live)?,
            newest: loaded(newest)?,
            building: building.map(loaded).transpose()?,
        })
    }

    /// Whether lanes may write this generation.
    pub(super) fn has(&self, generation: u64) -> bool {
        self.live == generation || self.building == Some(generation)
    }
}

/// The statements of a reset, and whether each is of documents. They may find nothing.
const RESET: [(&str, bool); 4] = [
    (
        "delete from listings where workspace = $1 and view = $2 and generation = $3",
        true,
    ),
    (
        "delete from documents where workspace = $1 and view = $2 and generation = $3",
        true,
    ),
    (
        "delete from parked where workspace = $1 and view = $2 and generation = $3",
        false,
    ),
    (
        "delete from checkpoints where workspace = $1 and view = $2 and generation = $3",
        false,
    ),
];

async fn folded<D: Database>(
    connection: &mut D::Connection,
    workspace: WorkspaceId,
    view: &str,
    generation: u64,
) -> Result<ConsistencyToken, DocumentStoreError> {
    let (text,): (Option<String>,) = statement::<D>(
        "
        select string_agg(partition || ':' || position, ',') from checkpoints
        where workspace = $1 and view = $2 and generation = $3
        ",
    )
    .bind(workspace.0)
    .bind(view)
    .bind(stored(generation)?)
    .one(connection)
    .await?;
    token(text.as_deref())
}

/// Writes the row of a view that is locked.
async fn write_row<D: Database>(
    transaction: &mut D::Connection,
    workspace: WorkspaceId,
    view: &str,
    row: ViewGenerations,
) -> Result<(), DocumentStoreError> {
    let changed = statement::<D>(
        "
        insert into generations (workspace, view, live, newest, building) values ($1, $2, $3, $4, $5)
        on conflict (workspace, view) do update set
            live = excluded.live, newest = excluded.newest, building = excluded.building
        ",
    )
    .bind(workspace.0)
    .bind(view)
    .bind(stored(row.live)?)
    .bind(stored(row.newest)?)
    .bind(row.building.map(stored).transpose()?)
    .execute(transaction)
    .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(DocumentStoreError::Corrupt(format!(
            "the generations of {view} were not written"
        )))
    }
}

/// Makes a generation that is being built the live one, if what the live one has folded and what it has
/// folded itself allow it.
async fn switch_if<D: Database>(
    store: &SqlDocumentStore<D>,
    scope: &Scope,
    may_switch: impl Fn(&ConsistencyToken, &ConsistencyToken) -> bool + Send,
) -> Result<SwitchOutcome, DocumentStoreError> {
    let Scope {
        workspace,
        view,
        generation,
    } = *scope;
    let mut transaction = store.writers.begin_with(D::BEGIN).await?;
    let row = D::generations(&mut transaction, workspace, view).await?;
    if row.building != Some(generation) {
        return Ok(SwitchOutcome::NotBuilding);
    }
    let before = folded::<D>(&mut transaction, workspace, view, row.live).await?;
    let after = folded::<D>(&mut transaction, workspace, view, generation).await?;
    if !may_switch(&before, &after) {
        return Ok(SwitchOutcome::Behind);
    }
    let row = ViewGenerations {
        live: generation,
        building: None,
        ..row
    };
    write_row::<D>(&mut transaction, workspace, view, row).await?;
    transaction.commit().await?;
    Ok(SwitchOutcome::Done(after))
}

#[async_trait]
impl<D: Database> Generations for SqlDocumentStore<D> {
    async fn live_generation(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError> {
        let live = statement::<D>("select live from generations where workspace = $1 and view = $2")
            .bind(workspace.0)
            .bind(view)
            .optional(&mut *self.readers.acquire().await?)
            .await?;
        live.map_or(Ok(FIRST_GENERATION), |(live,)| loaded(live))
    }

    async fn begin_build(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError> {
        let mut transaction = self.writers.begin_with(D::BEGIN).await?;
        let row = D::generations(&mut transaction, workspace, view).await?;
        if let Some(building) = row.building {
            return Ok(building);
        }
        let newest = row.newest + 1;
        let row = ViewGenerations {
            newest,
            building: Some(newest),
            ..row
        };
        write_row::<D>(&mut transaction, workspace, view, row).await?;
        transaction.commit().await?;
        Ok(newest)
    }

    async fn builds(&self) -> Result<Vec<StoredGeneration>, DocumentStoreError> {
        let rows: Vec<GenerationRow> = statement::<D>(
            "select workspace, view, building as generation from generations where building is not null",
        )
        .all(&mut *self.readers.acquire().await?)
        .await?;
        columns::all(rows)
    }

    async fn folded(&self, scope: &Scope) -> Result<ConsistencyToken, DocumentStoreError> {
        let mut connection = self.readers.acquire().await?;
        folded::<D>(&mut connection, scope.workspace, scope.view, scope.generation).await
    }

    async fn switch(&self, scope: &Scope) -> Result<SwitchOutcome, DocumentStoreError> {
        switch_if(self, scope, |before, after| after.covers(before)).await
    }

    async fn switch_from(
        &self,
        scope: &Scope,
        live: &ConsistencyToken,
    ) -> Result<SwitchOutcome, DocumentStoreError> {
        switch_if(self, scope, |before, _| before == live).await
    }

    async fn restart(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError> {
        let mut transaction = self.writers.begin_with(D::BEGIN).await?;
        let row = D::generations(&mut transaction, workspace, view).await?;
        // its rows are found by a checkpoint, which may be lost
        statement::<D>(
            "
            insert into checkpoints (workspace, view, generation, partition, position)
            values ($1, $2, $3, 0, 1)
            on conflict do nothing
            ",
        )
        .bind(workspace.0)
        .bind(view)
        .bind(stored(row.live)?)
        .execute(&mut transaction)
        .await?;
        let newest = row.newest + 1;
        let row = ViewGenerations {
            live: newest,
            newest,
            building: None,
        };
        write_row::<D>(&mut transaction, workspace, view, row).await?;
        transaction.commit().await?;
        Ok(newest)
    }

    async fn has_rows(&self, scope: &Scope) -> Result<bool, DocumentStoreError> {
        let (found,): (i64,) = statement::<D>(
            "
            select cast(case when
                exists (select 1 from documents where workspace = $1 and view = $2 and generation = $3)
                or exists (select 1 from listings where workspace = $1 and view = $2 and generation = $3)
                or exists (select 1 from parked where workspace = $1 and view = $2 and generation = $3)
            then 1 else 0 end as bigint)
            ",
        )
        .bind(scope.workspace.0)
        .bind(scope.view)
        .bind(stored(scope.generation)?)
        .one(&mut *self.readers.acquire().await?)
        .await?;
        Ok(found != 0)
    }

    async fn reset(&self, scope: &Scope, documents: bool) -> Result<(), DocumentStoreError> {
        let mut transaction = self.writers.begin_with(D::BEGIN).await?;
        D::lock_view(&mut transaction, scope.workspace, scope.view).await?;
        let of_changes = D::RESET_CHANGES.map(|sql| (sql, false));
        for (sql, is_of_documents) in RESET.into_iter().chain(of_changes) {
            if documents || !is_of_documents {
                statement::<D>(sql)
                    .bind(scope.workspace.0)
                    .bind(scope.view)
                    .bind(stored(scope.generation)?)
                    .execute(&mut transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn cancel_build(&self, scope: &Scope) -> Result<bool, DocumentStoreError> {
        let changed = statement::<D>(
            "update generations set building = null where workspace = $1 and view = $2 and building = $3",
        )
        .bind(scope.workspace.0)
        .bind(scope.view)
        .bind(stored(scope.generation)?)
        .execute(&mut *self.writers.acquire().await?)
        .await?;
        Ok(changed == 1)
    }

    async fn leftovers(&self) -> Result<Vec<StoredGeneration>, DocumentStoreError> {
        // every transaction of a lane writes its checkpoint, and a removal deletes it last
        let rows: Vec<GenerationRow> = statement::<D>(
            "
            select distinct c.workspace, c.view, c.generation
            from checkpoints c
                left join generations g on g.workspace = c.workspace and g.view = c.view
            where c.generation <> coalesce(g.live, 1) and c.generation is distinct from g.building
            ",
        )
        .all(&mut *self.readers.acquire().await?)
        .await?;
        columns::all(rows)
    }

    async fn remove(&self, leftover: &StoredGeneration, limit: u32) -> Result<bool, DocumentStoreError> {
        let mut transaction = self.writers.begin_with(D::BEGIN).await?;
        let row = D::generations(&mut transaction, leftover.workspace, &leftover.view).await?;
        if row.has(leftover.generation) {
            return Err(DocumentStoreError::Corrupt(format!(
                "generation {} of {} is in use and cannot be removed",
                leftover.generation, leftover.view
            )));
        }
        let mut removed = 0;
        for sql in [
            "
            delete from listings where (workspace, view, generation, listing, group_key, sort_key, key) in (
                select workspace, view, generation, listing, group_key, sort_key, key from listings
                where workspace = $1 and view = $2 and generation = $3 limit $4
            )
            ",
            D::REMOVE_DOCUMENTS,
            "
            delete from parked where (workspace, view, generation, partition, position) in (
                select workspace, view, generation, partition, position from parked
                where workspace = $1 and view = $2 and generation = $3 limit $4
            )
            ",
        ] {
            removed += statement::<D>(sql)
                .bind(leftover.workspace.0)
                .bind(leftover.view.as_str())
                .bind(stored(leftover.generation)?)
                .bind(i64::from(limit))
                .execute(&mut transaction)
                .await?;
        }
        if removed == 0 {
            statement::<D>("delete from checkpoints where workspace = $1 and view = $2 and generation = $3")
                .bind(leftover.workspace.0)
                .bind(leftover.view.as_str())
                .bind(stored(leftover.generation)?)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(removed > 0)
    }
}
