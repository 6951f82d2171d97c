//! Verification on demand: computes the hash chain again, and folds every view again.

use axum::{Json, extract::State};
use domain::wire::{Problem, VerifyReport};

use crate::{SharedGateway, auth::Caller, problem::ApiProblem};

/// Verify the workspace
///
/// Reads the whole log, computes the hash of every event again, and folds every view again and compares it. A
/// view that is behind is compared at its own position; a view that has lost documents, or whose lane has
/// stopped, is a finding.
#[utoipa::path(get, path = "/verify", tag = "log",
    responses(
        (status = 200, description = "What was verified, and the findings", body = VerifyReport),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn verify(
    State(gateway): State<SharedGateway>,
    caller: Caller,
) -> Result<Json<VerifyReport>, ApiProblem> {
    caller.require_lab_reader()?;
    let unknown = || ApiProblem::not_found(format_args!("workspace of this id"));
    let workspace = gateway
        .workspaces
        .find(caller.workspace())
        .await?
        .ok_or_else(unknown)?;
    Ok(Json(gateway.inspection.verify(&workspace).await?))
}
