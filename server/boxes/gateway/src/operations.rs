//! What operators and load balancers ask: is it alive, is it ready, with which keys does it sign.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use axum::{Json, extract::State, http::StatusCode};
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;

use super::SharedGateway;

/// How often old entries of limits and metrics are forgotten.
const UPKEEP: Duration = Duration::from_secs(10);

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "alive"
}

/// What the boxes behind the gateway say of being ready.
#[async_trait]
pub trait Readiness: Send + Sync + Debug {
    /// What keeps them from it, one sentence each, for any client to read; none where all are ready.
    async fn complaints(&self) -> Vec<String>;
}

/// Whether the server may be sent requests, and what is not ready.
#[derive(Debug, Serialize)]
pub(super) struct ReadinessAnswer {
    ready: bool,
    waiting_for: Vec<String>,
}

/// `GET /readyz`: 200, or 503 with what is not ready. It says nothing of what a database said and of whom it is: anyone may
/// ask.
pub(super) async fn ready(State(gateway): State<SharedGateway>) -> (StatusCode, Json<ReadinessAnswer>) {
    let mut waiting_for = gateway.readiness.complaints().await;
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

/// `GET /.well-known/jwks.json`: the public keys, so that others can verify our tokens.
pub(super) async fn public_keys(State(gateway): State<SharedGateway>) -> Json<JwkSet> {
    Json(gateway.tokens.keys().public().clone())
}

/// Forgets what is old, until the server stops.
pub(super) async fn upkeep(gateway: SharedGateway) {
    while gateway
        .stopping
        .run_until_cancelled(tokio::time::sleep(UPKEEP))
        .await
        .is_some()
    {
        gateway.metrics.run_upkeep();
        gateway.rate.forget_idle();
        gateway.opening.forget_idle();
        gateway.sign_ins.forget_idle();
    }
}
