//! The browser's half: asks the HTTP API. Queries after a command carry its token, so that people read what they wrote;
//! a view that is too far behind is shown as it is, with how far that is.

use std::fmt::Write;

use domain::{
    token::ConsistencyToken,
    wire::{CommandAnswer, CommandRequest, Order, Problem, SessionInfo, VerifyReport},
};
use gloo_net::http::{Request, Response};
use leptos::prelude::*;
use send_wrapper::SendWrapper;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Events, Found, Listed, StreamPage, Written, unreachable_server};
use crate::backend::ListingQuery;

/// How long a query waits for the view to have what this tab has written.
const PATIENCE_MS: u32 = 2_000;

/// The session is the one that the page was rendered with; there is none where it was rendered without.
pub(crate) fn session() -> Option<SessionInfo> {
    None
}

/// One document.
pub(crate) fn document(view: &'static str, key: String) -> impl Future<Output = Found> + Send {
    let path = format!("views/{view}/{}?", encode(&key));
    let answer = read(path);
    SendWrapper::new(async move { (key, answer.await) })
}

/// A page of a listing.
pub(crate) fn listing(query: ListingQuery) -> impl Future<Output = Listed> + Send {
    let ListingQuery {
        view,
        listing,
        group,
        order,
        limit,
        cursor,
    } = &query;
    let order = match order {
        Order::Asc => "asc",
        Order::Desc => "desc",
    };
    let group = encode(group);
    let mut path = format!("views/{view}?listing={listing}&group={group}&order={order}&limit={limit}&");
    if let Some(cursor) = cursor {
        let _ = write!(path, "cursor={}&", encode(cursor));
    }
    let answer = read(path);
    SendWrapper::new(async move { (query, answer.await) })
}

/// A page of the streams whose names begin with `prefix`.
pub(crate) fn streams(prefix: String, cursor: Option<String>) -> impl Future<Output = StreamPage> + Send {
    SendWrapper::new(async move {
        let mut path = format!("streams?prefix={}", encode(&prefix));
        if let Some(cursor) = cursor {
            let _ = write!(path, "&cursor={}", encode(&cursor));
        }
        get(&path).await
    })
}

/// A page of a stream's events.
pub(crate) fn stream(stream: String, from: u64) -> impl Future<Output = Events> + Send {
    SendWrapper::new(async move { get(&format!("streams/{}?from={from}", encode(&stream))).await })
}

/// Computes the hash chain again and folds every view again.
pub(crate) async fn verify() -> Result<VerifyReport, Problem> {
    get("verify").await
}

/// Sends a command. The same `key` again is the same command: nothing happens twice.
pub(crate) async fn send(command: CommandRequest, key: Uuid) -> Result<CommandAnswer, Problem> {
    let request = Request::post("/api/v1/commands")
        .header("idempotency-key", &key.to_string())
        .json(&command)
        .map_err(|error| unreachable_server(error.to_string()))?;
    answer(request.send().await).await
}

/// Reads a view, not older than what this tab has written where that can be had in time. `path` ends where a parameter
/// can be added.
fn read<T: DeserializeOwned>(path: String) -> impl Future<Output = Result<T, Problem>> {
    let after: Option<ConsistencyToken> =
        use_context::<Written>().and_then(|written| written.0.get_untracked());
    async move {
        if let Some(after) = after {
            let waiting = format!(
                "{path}after={}&timeout_ms={PATIENCE_MS}",
                encode(&after.to_string())
            );
            match get(&waiting).await {
                Err(problem) if problem.status == 503 => {}
                answered => return answered,
            }
        }
        get(&path).await
    }
}

async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    answer(Request::get(&format!("/api/v1/{path}")).send().await).await
}

async fn answer<T: DeserializeOwned>(response: Result<Response, gloo_net::Error>) -> Result<T, Problem> {
    let response = response.map_err(|error| unreachable_server(error.to_string()))?;
    let text = response
        .text()
        .await
        .map_err(|error| unreachable_server(error.to_string()))?;
    if response.ok() {
        return serde_json::from_str(&text).map_err(|error| unreachable_server(error.to_string()));
    }
    Err(serde_json::from_str(&text).unwrap_or_else(|_| Problem {
        status: response.status(),
        ..unreachable_server(response.status_text())
    }))
}

fn encode(text: &str) -> String {
    js_sys::encode_uri_component(text).into()
}
