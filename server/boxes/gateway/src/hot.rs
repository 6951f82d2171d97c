//! Hot answers: a query whose caller and whose answer are in memory is answered before it is routed.
//!
//! Routing and the layers of middleware cost several times as much as such an answer. What the layers do for
//! a query of a view is done here as well, by the same functions: the caller is authenticated, the request is
//! counted against the limit and in the metrics, and the answer has a request id and the security headers. A
//! request that needs anything else goes to the routes, and nothing was counted: one that waits for a token,
//! whose access token must be renewed or is refused, that is over the limit, whose answer is not in memory or
//! not the newest, or that is to be traced or watched in the lab.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    BoxError, Router,
    body::Body,
    extract::Request,
    http::{self, HeaderMap, Method, StatusCode, request::Parts},
    response::Response,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body::Body as HttpBody;
use telemetry::hops;
use tokio::time::Instant;
use tower::Service;
use tracing::Level;

use super::{
    SharedGateway,
    api::{encoded_answer, first_page},
    assets, auth,
    control_characters::is_plain,
    headers,
    in_process::InProcess,
    limits::Client,
    observability::{REQUEST_ID, request_id},
    origin::names_one_host,
};

/// What the paths of views begin with.
const VIEWS: &str = "/api/v1/views/";
/// The route of a document, as the metrics name it.
const DOCUMENT: &str = "/api/v1/views/{view}/{key}";
/// The route of a listing.
const LISTING: &str = "/api/v1/views/{view}";

/// The whole interface: hot queries are answered, every other request is routed.
#[derive(Debug, Clone)]
pub struct Interface {
    gateway: SharedGateway,
    /// The headers of every answer.
    headers: Arc<HeaderMap>,
    routes: Router,
}

impl Interface {
    /// Hot answers in front of all routes.
    pub(super) fn new(gateway: SharedGateway, routes: Router) -> Self {
        let mut headers = HeaderMap::new();
        headers::add_security_headers(gateway.https, false, &mut headers);
        Self {
            gateway,
            headers: Arc::new(headers),
            routes,
        }
    }
}

impl<B> Service<http::Request<B>> for Interface
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let request: Request = request.map(Body::new);
        if request.method() != Method::GET || !request.uri().path().starts_with(VIEWS) {
            return Box::pin(self.routes.call(request));
        }
        let Self {
            gateway,
            headers,
            mut routes,
        } = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            match answer(&gateway, &headers, &parts).await {
                Some(answer) => Ok(answer),
                None => routes.call(Request::from_parts(parts, body)).await,
            }
        })
    }
}

/// The answer to a hot query; `None`: the request goes to the routes, and nothing was counted.
async fn answer(gateway: &SharedGateway, headers: &HeaderMap, request: &Parts) -> Option<Response> {
    let started = Instant::now();
    let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
    if !is_plain(path) || !is_plain(query) || is_traced() {
        return None;
    }
    if !names_one_host(request.version, &request.headers, &request.uri) {
        return None;
    }
    let rest = path.strip_prefix(VIEWS)?;
    let bearer = auth::settled_bearer(gateway, &request.headers).await?;
    let (workspace, actor) = (bearer.workspace, &bearer.actor);
    if hops::is_watched(workspace) {
        return None;
    }
    let (route, encoded) = match rest.split_once('/') {
        Some((view, key)) if query.is_empty() && !key.is_empty() && !key.contains('/') => {
            let hot = gateway.queries.hot_document(workspace, actor, view, key).await;
            (DOCUMENT, hot?)
        }
        Some(_) => return None,
        None => {
            let request = first_page(rest, query)?;
            let hot = gateway.queries.hot_listing(workspace, actor, &request).await;
            (LISTING, hot?)
        }
    };
    let client = match request.extensions.get::<InProcess>() {
        Some(InProcess) => Client::InProcess,
        None => Client::Person(workspace, actor.id),
    };
    gateway.rate.count(client).ok()?;
    let mut headers = headers.clone();
    if let Some(id) = request_id(gateway, &request.headers) {
        headers.insert(REQUEST_ID, id);
    }
    let answer = encoded_answer(&encoded, assets::accepts_gzip(&request.headers), headers);
    let metrics = &gateway.request_metrics;
    metrics.record("GET", route, StatusCode::OK, started.elapsed());
    Some(answer)
}

/// Whether the spans of a query are exported, or its steps are logged.
fn is_traced() -> bool {
    tracing::enabled!(target: "gateway", Level::DEBUG) || tracing::enabled!(target: "query", Level::DEBUG)
}
