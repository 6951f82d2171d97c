//! What every request passes: the log and the metrics, a span with an id, a counter, and a histogram of
//! latency by route; the refusal of control characters, and of a request without one host; and the security
//! headers.
//!
//! The route is the pattern that matched and never the path, so that neither labels nor logs grow with what
//! clients send. Nothing of a request's headers or body is logged.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use telemetry::hop_span;
use tokio::time::Instant;
use tracing::{Instrument as _, Level};

use super::{
    SharedGateway, auth, control_characters,
    headers::{add_security_headers, is_cacheable},
    limits::count_metrics,
    origin::names_one_host,
    problem::{ApiProblem, Kind},
    proxies,
};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long the text of the metrics is answered again.
const RENDERED_FOR: Duration = Duration::from_secs(1);
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

/// The metrics of requests by route and method. Each is looked up in the recorder once.
#[derive(Debug, Default)]
pub(super) struct RequestMetrics(RwLock<HashMap<Box<str>, Vec<Arc<RouteMetrics>>>>);

/// The metrics of one method of a route.
#[derive(Debug)]
struct RouteMetrics {
    method: &'static str,
    durations: Histogram,
    /// By status.
    answers: RwLock<Vec<(StatusCode, Counter)>>,
}

impl RequestMetrics {
    /// Counts an answer, with the time that it took.
    pub(super) fn record(&self, method: &'static str, route: &str, status: StatusCode, took: Duration) {
        let metrics = self.of(method, route);
        metrics.durations.record(took.as_secs_f64());
        metrics.count(route, status);
    }

    fn of(&self, method: &'static str, route: &str) -> Arc<RouteMetrics> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(routes.get(route), method) {
            return known;
        }
        drop(routes);
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let methods = routes.entry(route.into()).or_default();
        find(Some(&*methods), method).unwrap_or_else(|| {
            let new = Arc::new(RouteMetrics::new(method, route));
            methods.push(Arc::clone(&new));
            new
        })
    }
}

fn find(methods: Option<&Vec<Arc<RouteMetrics>>>, method: &str) -> Option<Arc<RouteMetrics>> {
    methods?.iter().find(|known| known.method == method).cloned()
}

impl RouteMetrics {
    fn new(method: &'static str, route: &str) -> Self {
        Self {
            method,
            durations: metrics::histogram!(DURATION, "method" => method, "route" => route.to_owned()),
            answers: RwLock::default(),
        }
    }

    fn count(&self, route: &str, status: StatusCode) {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, counter)) = answers.iter().find(|(known, _)| *known == status) {
            counter.increment(1);
            return;
        }
        drop(answers);
        let (method, route) = (self.method, route.to_owned());
        let status_label = status.as_str().to_owned();
        let counter =
            metrics::counter!(REQUESTS, "method" => method, "route" => route, "status" => status_label);
        counter.increment(1);
        // Of two requests that come here at once, both may add the same counter.
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.push((status, counter));
    }
}

/// Middleware: traces, logs and counts a request from its arrival to its answer, refuses a URL with control
/// characters, and adds the security headers.
pub(super) async fn receive(State(gateway): State<SharedGateway>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let is_cacheable = is_cacheable(request.uri().path());
    let id = request_id(&gateway, request.headers());
    let id_text = id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default();
    let span = hop_span!(
        Level::INFO,
        "API Gateway",
        request.id = %id_text,
        http.method = method,
        http.route = %route
    );
    telemetry::continue_from(
        &span,
        request
            .headers()
            .get(telemetry::TRACEPARENT)
            .and_then(|value| value.to_str().ok()),
    );
    let parameters = matched.as_ref().map(MatchedPath::as_str);
    let violation = if names_one_host(request.version(), request.headers(), request.uri()) {
        control_characters::find_violation(request.uri(), parameters)
    } else {
        Some(ApiProblem::field(
            "Host",
            "is exactly one header, with a host and its port",
        ))
    };
    let mut response = match violation {
        Some(problem) => problem.into_response(),
        None => next.run(request).instrument(span.clone()).await,
    };
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
    gateway.request_metrics.record(method, route, status, elapsed);
    add_security_headers(gateway.https, is_cacheable, response.headers_mut());
    if let Some(id) = id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The id of a request: that of its client, or a new one.
pub(super) fn request_id(gateway: &SharedGateway, headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers.get(REQUEST_ID).filter(|id| is_safe_id(id)).cloned();
    given.or_else(|| {
        let mut text = uuid::Uuid::encode_buffer();
        let id = gateway.clock.new_id();
        HeaderValue::from_bytes(id.hyphenated().encode_lower(&mut text).as_bytes()).ok()
    })
}

/// The answer to a request whose handler panicked. The panic itself was reported where it happened.
pub(super) fn panic_response(_payload: Box<dyn std::any::Any + Send>) -> Response {
    ApiProblem::internal("a handler panicked").into_response()
}

/// The metrics as text. They are rendered by one request at a time, and once in [`RENDERED_FOR`] at most:
/// that takes as long as an order, and every client at an allowed address may ask.
#[derive(Debug, Default)]
pub(super) struct RenderedMetrics(tokio::sync::Mutex<Option<(Instant, Bytes)>>);

impl RenderedMetrics {
    /// The text for a request that came at `now`.
    async fn text(&self, now: Instant, render: impl FnOnce() -> String) -> Bytes {
        let mut rendered = self.0.lock().await;
        if let Some((at, text)) = &*rendered
            && now.saturating_duration_since(*at) < RENDERED_FOR
        {
            return text.clone();
        }
        let text = Bytes::from(render());
        *rendered = Some((now, text.clone()));
        text
    }
}

/// `GET /metrics`, in the text format of Prometheus, for the addresses that the settings name.
pub(super) async fn metrics(
    State(gateway): State<SharedGateway>,
    request: Request,
) -> Result<Response, ApiProblem> {
    let limits = &gateway.limits;
    let address = auth::peer(&request)
        .and_then(|peer| proxies::certain_address(&limits.trusted_proxies, peer, request.headers()));
    let is_allowed = address.is_some_and(|address| {
        let mut networks = limits.metrics_from.iter();
        networks.any(|network| network.contains(address))
    });
    if !is_allowed {
        let detail = "the metrics are for the addresses of --metrics-from alone";
        return Err(ApiProblem::new(Kind::NotFound, detail));
    }
    count_metrics(&gateway, auth::address_of(&gateway, &request))?;
    let render = || gateway.metrics.render();
    let text = gateway.rendered_metrics.text(Instant::now(), render).await;
    let mut response = text.into_response();
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    Ok(response)
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn metrics_are_rendered_once_a_second_for_any_number_of_requests() {
        let (metrics, renderings) = (RenderedMetrics::default(), AtomicUsize::new(0));
        let render = || renderings.fetch_add(1, Ordering::Relaxed).to_string();
        let begin = Instant::now();
        for (now, expected) in [
            (begin, "0"),
            (begin + RENDERED_FOR / 2, "0"),
            (begin + RENDERED_FOR, "1"),
        ] {
            let asked = (0..32).map(|_| metrics.text(now, render));
            for text in futures::future::join_all(asked).await {
                assert_eq!(text, expected);
            }
        }
    }

    #[test]
    fn only_safe_request_ids_are_accepted() {
        assert!(is_safe_id(&HeaderValue::from_static("0198c1a2-7b1c_X")));
        for id in ["", "a b", "x\"y", "<script>"] {
            assert!(!is_safe_id(&HeaderValue::from_str(id).unwrap()), "{id}");
        }
        assert!(!is_safe_id(&HeaderValue::from_str(&"a".repeat(65)).unwrap()));
    }
}
