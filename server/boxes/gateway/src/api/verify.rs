//! Verification on demand: computes the hash chain again, and folds every view again.

use axum::{Json, extract::State};
use domain::wire::{Problem, VerifyReport};
use telemetry::security::{SecurityEvent, SecurityRecord};
use tracing::Instrument as _;

use crate::{
    SharedGateway,
    auth::Caller,
    limits::{COST_OF_READING_ALL, charge_workspace},
    problem::ApiProblem,
    request_hops::replay,
};

/// Verify the workspace
///
/// Reads the whole log, computes the hash of every event again, and folds every view again and compares it. A
/// view that is behind is compared at its own position; a view that has lost documents, or whose lane has
/// stopped, is a finding, and so is a row that cannot be read. `differences` are the histories that the
/// server has signed and that the log does not contain. A workspace is verified once at a time.
#[utoipa::path(get, path = "/verify", tag = "log",
    responses(
        (status = 200, description = "What was verified, and the findings", body = VerifyReport),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 409, body = Problem,
            description = "The workspace is being verified; Retry-After says when to come back"),
    ))]
pub(super) async fn verify(
    State(gateway): State<SharedGateway>,
    caller: Caller,
) -> Result<Json<VerifyReport>, ApiProblem> {
    caller.require_lab_reader()?;
    charge_workspace(&gateway, &caller, COST_OF_READING_ALL)?;
    let _only_one = gateway.heavy_work.verification(caller.workspace()).await?;
    let _place = gateway.heavy_work.place(caller.address()).await?;
    let unknown = || ApiProblem::not_found(format_args!("workspace of this id"));
    let workspace = gateway
        .workspaces
        .find(caller.workspace())
        .await?
        .ok_or_else(unknown)?;
    let report = gateway
        .inspection
        .verify(&workspace)
        .instrument(replay(caller.workspace(), None))
        .await?;
    SecurityRecord::new(SecurityEvent::Verified).write();
    Ok(Json(report))
}
