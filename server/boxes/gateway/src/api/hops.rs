//! The hops of a workspace: the arrows of the drawing that its events and queries cross.
//!
//! Reading them, like a subscription to them, has the boxes make them.

use axum::{Json, extract::State};
use domain::wire::{HopPage, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use lab::hops::{ARMED, ObservatoryError};

use crate::{
    SharedGateway,
    auth::Caller,
    params::{Limit, QueryParams},
    problem::ApiProblem,
};

/// Which hops.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct HopsParams {
    /// The `next` of the page before
    after: Option<String>,
    /// 1 to 1000; 200 where absent
    #[serde(default)]
    #[param(inline)]
    limit: Limit<1_000, 200>,
}

/// Watch the pipeline
///
/// The hops of your workspace, in the order in which they ended at each server: every arrow that a command,
/// an event or a query has crossed. They are made only while you look: the first request begins it at every
/// server, and it ends a minute after the last one. So the first answer is empty, and to miss nothing, send
/// `next` as `after` at least once a minute.
///
/// Under load only 50 hops in 100 ms are told one by one, after a burst of 1,000; the others are counted for
/// each arrow, in `merged`. The newest 10,000 are kept; `dropped` says how many you have missed. Where the
/// hops of `after` are gone altogether, the page begins with the oldest that there are.
///
/// The same hops come over the live socket: see `/live`.
#[utoipa::path(get, path = "/lab/hops", tag = "lab",
    params(HopsParams),
    responses(
        (status = 200, description = "Hops, oldest first; send `next` as `after`", body = HopPage),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 403, description = "Not a student or educator", body = Problem),
        (status = 429, description = "Too many requests, or too many workspaces are watched", body = Problem),
    ))]
pub(super) async fn hops(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<HopsParams>,
) -> Result<Json<HopPage>, ApiProblem> {
    caller.require_lab_reader()?;
    let limit = usize::try_from(params.limit.get()).unwrap_or(usize::MAX);
    let page = gateway
        .observatory
        .page(caller.workspace(), params.after.as_deref(), limit)?;
    Ok(Json(page))
}

impl From<ObservatoryError> for ApiProblem {
    fn from(error: ObservatoryError) -> Self {
        match error {
            ObservatoryError::BadCursor => Self::field("after", error.to_string()),
            ObservatoryError::Full => {
                let problem = Self::rate_limited(ARMED.as_secs());
                problem.with(|problem| problem.detail = error.to_string())
            }
        }
    }
}
