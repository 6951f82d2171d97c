//! The browser's half, over the HTTP API. Queries after a command carry its token, so that people read their
//! own writes; a view that is too far behind is shown as it is, with its lag.

use std::{fmt::Write, pin::Pin};

use domain::{
    token::ConsistencyToken,
    wire::{CommandAnswer, CommandRequest, DocumentAnswer, ListingAnswer, Order, Problem, VerifyReport},
};
use gloo_net::http::{Request, Response};
use leptos::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;
use wasm_bindgen::JsCast;
use web_sys::HtmlDocument;

use super::{HOST_COOKIE_PREFIX, LastWrite, unreachable_server};
use crate::{backend::ListingQuery, language::language, live::store::typed, person};

/// The longest wait of a query for the tab's last write.
const MAX_WAIT_MS: u32 = 2_000;

/// One document.
pub(crate) fn document(
    view: &str,
    key: &str,
) -> impl Future<Output = Result<DocumentAnswer, Problem>> + use<> {
    read(["views/", view, "/", &encode(key), "?"].concat())
}

/// A page of a listing.
pub(crate) fn listing(query: &ListingQuery) -> impl Future<Output = Result<ListingAnswer, Problem>> + use<> {
    let ListingQuery {
        view,
        listing,
        group,
        order,
        limit,
        cursor,
    } = query;
    let order = match order {
        Order::Asc => "asc",
        Order::Desc => "desc",
    };
    let group = encode(group);
    let mut path = format!("views/{view}?listing={listing}&group={group}&order={order}&limit={limit}&");
    if let Some(cursor) = cursor {
        let _ = write!(path, "cursor={}&", encode(cursor));
    }
    read(path)
}

/// Searches the products, with the query of a catalogue page's address.
pub(crate) fn search<T: DeserializeOwned>(address: &str) -> impl Future<Output = Result<T, Problem>> {
    let (_, parameters) = address.split_once('?').unwrap_or_default();
    read(["search?kinds=products&limit=50&", parameters, "&"].concat())
}

/// Verifies the hash chain and every view.
pub(crate) async fn verify() -> Result<VerifyReport, Problem> {
    get("verify").await
}

/// What is bent in the workspace, in the words of the page's language.
pub(crate) async fn dials_in_words() -> Result<Vec<String>, Problem> {
    get(&["lab/dials/words?lang=", language().code()].concat()).await
}

/// How the session of a page has ended.
pub(crate) enum SessionEnd {
    /// It is over, or its workspace was purged.
    Over,
    /// Its workspace was reset: the page is led to another one when it is loaded again.
    Moved,
}

/// Whether and how the session of the page has ended; `None`: it has not, as far as the server says.
pub(crate) async fn session_end() -> Option<SessionEnd> {
    let answer = Request::get("/api/v1/session").send().await.ok()?;
    match answer.status() {
        401 => Some(SessionEnd::Over),
        410 => {
            let text = answer.text().await.unwrap_or_default();
            if text.contains("/problems/workspace-moved") {
                Some(SessionEnd::Moved)
            } else {
                Some(SessionEnd::Over)
            }
        }
        _ => None,
    }
}

/// Sends a command as the person for whom the page was rendered, even if another one has signed in in another
/// tab since. The same `key` again is the same command, and has no second effect.
pub(crate) async fn send(command: CommandRequest, key: Uuid) -> Result<CommandAnswer, Problem> {
    let person = person::of_page().map(|person| person.id).unwrap_or_default();
    let request = Request::post("/api/v1/commands")
        .header("idempotency-key", &key.to_string())
        .header("foldline-actor", &person.to_string())
        .json(&command)
        .map_err(|error| unreachable_server(error.to_string()))?;
    answer(request.send().await).await
}

/// Reads a view that covers the tab's last write, or as it is if that takes too long. A query parameter can
/// be appended to `path`.
fn read<T: DeserializeOwned>(path: String) -> impl Future<Output = Result<T, Problem>> {
    let after: Option<ConsistencyToken> =
        use_context::<LastWrite>().and_then(|written| written.token.get_untracked());
    async move {
        if let Some(after) = after {
            let waiting = format!(
                "{path}after={}&timeout_ms={MAX_WAIT_MS}",
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

pub(super) async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    value_of(get_json(path.to_owned()).await?)
}

pub(super) async fn answer<T: DeserializeOwned>(
    response: Result<Response, gloo_net::Error>,
) -> Result<T, Problem> {
    value_of(answer_json(response).await?)
}

/// An answer that is read to the end; compiled once for all types.
type JsonAnswer = Pin<Box<dyn Future<Output = Result<Value, Problem>>>>;

fn get_json(path: String) -> JsonAnswer {
    Box::pin(async move { answer_json(Request::get(&["/api/v1/", &path].concat()).send().await).await })
}

fn answer_json(response: Result<Response, gloo_net::Error>) -> JsonAnswer {
    Box::pin(async move {
        let response = response.map_err(|error| unreachable_server(error.to_string()))?;
        let text = response
            .text()
            .await
            .map_err(|error| unreachable_server(error.to_string()))?;
        // By way of `Value`, so that the text reader is compiled once, and only a small value reader for
        // each type.
        let json = serde_json::from_str(&text).unwrap_or_default();
        if response.ok() {
            return Ok(json);
        }
        Err(typed(&json).unwrap_or_else(|| Problem {
            status: response.status(),
            ..unreachable_server(response.status_text())
        }))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it ends here")]
fn value_of<T: DeserializeOwned>(json: Value) -> Result<T, Problem> {
    typed(&json).ok_or_else(|| unreachable_server(json.to_string()))
}

pub(super) fn encode(text: &str) -> String {
    js_sys::encode_uri_component(text).into()
}

fn html_document() -> Option<HtmlDocument> {
    leptos::prelude::document().dyn_into().ok()
}

/// The beginning of a cookie's name, and the attribute that it needs: see [`HOST_COOKIE_PREFIX`].
fn host_cookie() -> (&'static str, &'static str) {
    let protocol = leptos::prelude::window().location().protocol();
    if protocol.is_ok_and(|protocol| protocol == "https:") {
        (HOST_COOKIE_PREFIX, "; Secure")
    } else {
        ("", "")
    }
}

/// The value of a cookie.
pub(super) fn cookie(name: &str) -> Option<String> {
    let (prefix, _) = host_cookie();
    let cookies = html_document()?.cookie().ok()?;
    cookies
        .split(';')
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(of, value)| (of.strip_prefix(prefix)? == name).then(|| value.to_owned()))
}

/// Sets a cookie for `seconds`. A refusal by the browser is ignored.
pub(super) fn set_cookie(name: &str, value: &str, seconds: u32) {
    let (prefix, secure) = host_cookie();
    if let Some(document) = html_document() {
        let _ = document.set_cookie(&format!(
            "{prefix}{name}={value}; Path=/; Max-Age={seconds}; SameSite=Lax{secure}"
        ));
    }
}
