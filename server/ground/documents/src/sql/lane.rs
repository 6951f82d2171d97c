//! Statements on the rows of one lane or of one generation.

use super::Database;
use crate::{DocumentStoreError, LaneId, Scope, columns::stored};
use ::database::engine::{Statement, statement};

/// A statement with a lane as its first parameters.
pub(super) fn of_lane<D: Database>(
    sql: &'static str,
    lane: &LaneId,
) -> Result<Statement<D>, DocumentStoreError> {
    Ok(of_scope::<D>(sql, &lane.scope)?.bind(i64::from(lane.partition)))
}

/// A statement with a generation of a view as its first parameters.
fn of_scope<D: Database>(sql: &'static str, scope: &Scope) -> Result<Statement<D>, DocumentStoreError> {
    Ok(statement::<D>(sql)
        .bind(scope.workspace.0)
        .bind(scope.view)
        .bind(stored(scope.generation)?))
}
