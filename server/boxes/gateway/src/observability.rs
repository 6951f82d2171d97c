//! The log and the metrics of requests: a span with an id, a counter, and a histogram of latency by route.
//!
//! The route is the pattern that matched and never the path, so that neither labels nor logs grow with what
//! clients send. Nothing of a request's headers or body is logged.

use std::sync::{Mutex, PoisonError};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    SharedGateway,
    problem::{ApiProblem, Kind},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const DURATION: &str = "foldline_http_request_duration_seconds";
const REQUESTS: &str = "foldline_http_requests_total";
/// Upper bounds in seconds: from a cached view to the longest wait.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// The metrics recorder of this process. A process has one, also where a test runs several servers in it.
pub fn recorder() -> Result<PrometheusHandle, Box<dyn std::error::Error + Send + Sync>> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    // Held until the recorder is installed: of two servers that start at once, the second gets the first
    // one's.
    let mut installed = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    metrics::describe_counter!(REQUESTS, "Requests by method, route and status");
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "Time to an answer by method and route"
    );
    *installed = Some(handle.clone());
    Ok(handle)
}

/// Middleware: traces, logs and counts a request from its arrival to its answer.
pub(super) async fn trace_request(
    State(gateway): State<SharedGateway>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let id = request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| is_safe_id(id))
        .cloned()
        .or_else(|| HeaderValue::try_from(gateway.clock.new_id().to_string()).ok());
    let id_text = id
        .as_ref()
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let span =
        tracing::info_span!("API Gateway", request.id = %id_text, http.method = method, http.route = %route);
    telemetry::continue_from(
        &span,
        request
            .headers()
            .get(telemetry::TRACEPARENT)
            .and_then(|value| value.to_str().ok()),
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    let elapsed = started.elapsed();
    let duration_ms = elapsed.as_secs_f64() * 1_000.0;
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(http.status = status.as_u16(), duration_ms, "a request failed");
        } else {
            tracing::debug!(
                http.status = status.as_u16(),
                duration_ms,
                "a request was answered"
            );
        }
    });
    let status = status.as_str().to_owned();
    metrics::counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!(DURATION, "method" => method, "route" => route).record(elapsed.as_secs_f64());
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The answer to a request whose handler panicked. The panic itself was reported where it happened.
pub(super) fn panic_response(_payload: Box<dyn std::any::Any + Send>) -> Response {
    ApiProblem::internal("a handler panicked").into_response()
}

/// `GET /metrics`, in the text format of Prometheus.
pub(super) async fn metrics(State(gateway): State<SharedGateway>) -> Response {
    let mut response = gateway.metrics.render().into_response();
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

/// The answer to a method that a path does not support.
pub(super) async fn method_not_allowed(method: Method) -> ApiProblem {
    ApiProblem::new(
        Kind::MethodNotAllowed,
        format!("this path does not know {}", method_label(&method)),
    )
}

/// The label of a method; a client must not be able to make labels up.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other methods",
    }
}

/// Whether a client's request id may go into our log: it is short, and has no character that a log reader
/// interprets.
fn is_safe_id(id: &HeaderValue) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&id.len()) && id.as_bytes().iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_request_ids_are_accepted() {
        assert!(is_safe_id(&HeaderValue::from_static("0198c1a2-7b1c_X")));
        for id in ["", "a b", "x\"y", "<script>"] {
            assert!(!is_safe_id(&HeaderValue::from_str(id).unwrap()), "{id}");
        }
        assert!(!is_safe_id(&HeaderValue::from_str(&"a".repeat(65)).unwrap()));
    }
}
