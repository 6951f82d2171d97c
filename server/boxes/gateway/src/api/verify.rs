//! Proof on demand: the hash chain computed again, every view folded again.

use axum::{Json, extract::State};
use domain::wire::{Problem, VerifyReport};

use crate::{SharedGateway, auth::Caller, problem::ApiProblem};

/// Verify the workspace
///
/// Reads the whole log: the hash of every event is computed again, and every view is folded again and compared. A view that is
/// being folded is compared as of where it is; one that has lost what was folded, or whose lane has stopped, is a finding.
#[utoipa::path(get, path = "/verify", tag = "log",
    responses(
        (status = 200, description = "What was looked at, and what is not as it should be", body = VerifyReport),
        (status = 403, description = "Not a student or educator", body = Problem),
    ))]
pub(super) async fn verify(
    State(gateway): State<SharedGateway>,
    caller: Caller,
) -> Result<Json<VerifyReport>, ApiProblem> {
    caller.must_read_lab()?;
    let unknown = || ApiProblem::not_found(format_args!("workspace of this id"));
    let workspace = gateway
        .workspaces
        .find(caller.workspace())
        .await?
        .ok_or_else(unknown)?;
    Ok(Json(gateway.inspection.verify(&workspace).await?))
}
