//! The endpoints for operators and load balancers: liveness, readiness, and the public keys.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use axum::{Json, extract::State, http::StatusCode};
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;
use telemetry::security;

use super::{SharedGateway, account_mails};

/// The interval at which old entries of limits and metrics are dropped, changed passwords are recorded that
/// a crash has left, and the security log gets the numbers of what it has left out.
const UPKEEP: Duration = Duration::from_secs(10);

/// `GET /healthz`: the process answers.
pub(super) async fn liveness() -> &'static str {
    "alive"
}

/// Whether the boxes behind the gateway are ready.
#[async_trait]
pub trait Readiness: Send + Sync + Debug {
    /// The reasons why they are not, one sentence each; empty where all are ready. Any client may read them.
    async fn unready_reasons(&self) -> Vec<String>;
}

/// Whether the server takes requests, and what is not ready.
#[derive(Debug, Serialize)]
pub(super) struct ReadinessAnswer {
    ready: bool,
    waiting_for: Vec<String>,
}

/// `GET /readyz`: 200, or 503 with what is not ready. The endpoint is public, so an answer names neither a
/// database nor its error.
pub(super) async fn readiness(State(gateway): State<SharedGateway>) -> (StatusCode, Json<ReadinessAnswer>) {
    let mut waiting_for = gateway.readiness.unready_reasons().await;
    if gateway.stopping.is_cancelled() {
        waiting_for.push("the server is stopping".to_owned());
    }
    let ready = waiting_for.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ReadinessAnswer { ready, waiting_for }))
}

/// `GET /.well-known/jwks.json`: the public keys, with which other programs verify our tokens.
pub(super) async fn public_keys(State(gateway): State<SharedGateway>) -> Json<JwkSet> {
    Json(gateway.tokens.keys().public().clone())
}

/// Drops old entries of limits and metrics, and records what a crash has left, until the server stops.
pub(super) async fn upkeep(gateway: SharedGateway) {
    loop {
        account_mails::record_left_changes(&gateway).await;
        let pause = tokio::time::sleep(UPKEEP);
        if gateway.stopping.run_until_cancelled(pause).await.is_none() {
            return;
        }
        gateway.metrics.run_upkeep();
        gateway.rate.forget_idle();
        gateway.opening.forget_idle();
        security::write_suppressed();
    }
}
