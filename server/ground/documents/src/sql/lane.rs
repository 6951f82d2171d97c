//! The statements of one lane: where its rows lie.

use super::Database;
use crate::{DocumentStoreError, LaneId, Scope, columns::stored};
use ::database::engine::{Statement, statement};

/// A statement whose first parameters are a lane.
pub(super) fn of_lane<D: Database>(
    sql: &'static str,
    lane: &LaneId,
) -> Result<Statement<D>, DocumentStoreError> {
    Ok(of_scope::<D>(sql, &lane.scope)?.bind(i64::from(lane.partition)))
}

/// A statement whose first parameters are a generation of a view.
pub(crate) fn of_scope<D: Database>(
    sql: &'static str,
    scope: &Scope,
) -> Result<Statement<D>, DocumentStoreError> {
    Ok(statement::<D>(sql)
        .bind(scope.workspace.0)
        .bind(scope.view)
        .bind(stored(scope.generation)?))
}
