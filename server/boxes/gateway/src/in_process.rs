//! The adapter of the port of lessons and bots: their calls are answered by the gateway's own routes, in this
//! process.
//!
//! A call is a request like that of every other client, with a token: rights, rules, quotas and the limits of
//! bodies hold for it. The limits of requests of a person and of an address do not: what begins such calls
//! was charged before. The routes know such a request by an extension, which no connection can set.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::{
        Request, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    },
    response::Response,
};
use teaching::api::{Answer, Api, Body as CallBody, Call, Sender};
use tower::ServiceExt as _;

use super::{Interface, SharedGateway};

/// How long the token of a call is good for, in seconds: an answer may wait for a view, and be long.
const TOKEN_SECONDS: u64 = 5 * 60;

/// The largest answer, in bytes: the export of a full sandbox.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Marks a request that this program sends itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct InProcess;

/// The API of this server, for calls in its own process: from when it is opened until the server stops.
#[derive(Default)]
pub struct InProcessApi(RwLock<Option<OpenApi>>);

/// The routes, and the gateway that makes tokens.
#[derive(Debug, Clone)]
struct OpenApi {
    gateway: SharedGateway,
    interface: Interface,
}

/// Without the gateway, which has what calls this.
impl fmt::Debug for InProcessApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcessApi")
    }
}

impl InProcessApi {
    /// Answers calls with these routes, until what this returns is dropped.
    pub fn open(self: &Arc<Self>, gateway: &SharedGateway, interface: &Interface) -> OpenedApi {
        let opened = OpenApi {
            gateway: SharedGateway::clone(gateway),
            interface: interface.clone(),
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        OpenedApi(Arc::clone(self))
    }

    fn opened(&self) -> Option<OpenApi> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// While it is there, calls are answered. The routes know what makes such calls, so without it nothing would
/// ever drop the one or the other.
#[derive(Debug)]
#[must_use]
pub struct OpenedApi(Arc<InProcessApi>);

impl Drop for OpenedApi {
    fn drop(&mut self) {
        *self.0.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[async_trait]
impl Api for InProcessApi {
    async fn call(&self, call: Call) -> Answer {
        let Some(OpenApi { gateway, interface }) = self.opened() else {
            return without_body(StatusCode::SERVICE_UNAVAILABLE);
        };
        match request(&gateway, call) {
            Ok(request) => {
                let Ok(response) = interface.oneshot(request).await;
                answer(response).await
            }
            Err(error) => {
                tracing::error!(%error, "a call in this process is no request");
                without_body(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

fn request(
    gateway: &SharedGateway,
    call: Call,
) -> Result<Request<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let mut request = Request::builder()
        .method(call.method.as_str())
        .uri(call.path.as_str())
        .header(HOST, "localhost")
        .extension(InProcess);
    let token = match call.sender {
        Sender::Anonymous => None,
        Sender::Token(token) => Some(token),
        Sender::Guest(workspace, actor) => Some(gateway.tokens.issue(workspace, &actor, TOKEN_SECONDS)?),
    };
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    let (media_type, body) = match call.body {
        CallBody::Empty => (None, Body::empty()),
        CallBody::Json(json) => (Some("application/json"), Body::from(serde_json::to_vec(&json)?)),
        CallBody::Lines(lines) => (Some("application/x-ndjson"), Body::from(lines)),
    };
    if let Some(media_type) = media_type {
        request = request.header(CONTENT_TYPE, media_type);
    }
    Ok(request.body(body)?)
}

async fn answer(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    let headers = parts.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let headers = headers.collect();
    match to_bytes(body, MAX_ANSWER_BYTES).await {
        Ok(body) => Answer {
            status: parts.status.as_u16(),
            headers,
            body: body.to_vec(),
        },
        Err(error) => {
            tracing::warn!(%error, "the answer to a call in this process has no end");
            without_body(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn without_body(status: StatusCode) -> Answer {
    Answer {
        status: status.as_u16(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}
