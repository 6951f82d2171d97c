//! `foldline tail`: follows the log of a workspace, from the files of a data folder or from a running server.
//!
//! A server is followed without polling: a live subscription tells when its views have moved on, and then the
//! events after the last token are read. Files cannot notify, so their newest positions are polled a few
//! times a second.

use std::{io::Write, time::Duration};

use domain::{event::StoredEvent, id::WorkspaceId, token::ConsistencyToken};
use futures::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _, http::HeaderValue};
use url::Url;

use super::terminal::{Format, MonitorError, find, write_event};
use event_store::{EventFilter, EventStore};

/// Events that are read at a time.
const PAGE: u32 = 200;

/// How often the files are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Follows the files of a data folder, from a token on, until the output is closed.
pub async fn follow_files(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    mut after: ConsistencyToken,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let workspace = find(store, workspace).await?;
    let mut poll = tokio::time::interval(POLL_INTERVAL);
    loop {
        loop {
            let (events, token) = store
                .read_events(workspace.id, &EventFilter::default(), &after, PAGE)
                .await?;
            for event in &events {
                write_event(event, format, out)?;
            }
            after = token;
            if events.is_empty() {
                break;
            }
        }
        out.flush()?;
        poll.tick().await;
    }
}

/// The address and the access token of a server.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its address, as in `https://shop.example`.
    pub url: Url,
    /// An access token of a user who may read the lab.
    pub token: String,
}

/// The fields of a page of events that are read.
#[derive(Deserialize)]
struct Events {
    data: Vec<StoredEvent>,
    next: Option<String>,
}

/// The fields of a frame that are read: whether the views have moved on, or the subscription was refused.
#[derive(Deserialize)]
struct Frame {
    op: String,
    problem: Option<domain::wire::Problem>,
}

/// Follows a running server, from a token on, until it closes the connection.
pub async fn follow_server(
    remote: &Remote,
    mut after: ConsistencyToken,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<(), MonitorError> {
    let mut socket = connect(remote).await?;
    // Any subscription is told of every event, because its view's position moves with each. This one has no
    // rows to send.
    let subscribe =
        r#"{"op":"subscribe","id":1,"view":"orders","listing":"by_status","group":"none","limit":1}"#;
    socket
        .send(tungstenite::Message::text(subscribe))
        .await
        .map_err(remote_error)?;
    let client = reqwest::Client::new();
    while let Some(message) = socket.next().await {
        let tungstenite::Message::Text(text) = message.map_err(remote_error)? else {
            continue;
        };
        let frame: Frame = serde_json::from_str(&text).map_err(remote_error)?;
        match frame.op.as_str() {
            "ping" => {
                socket
                    .send(tungstenite::Message::text(r#"{"op":"pong"}"#))
                    .await
                    .map_err(remote_error)?;
            }
            "snapshot" | "change" | "caught_up" | "behind" => {
                after = read_events_after(&client, remote, after, format, out).await?;
            }
            "error" => {
                let detail = frame
                    .problem
                    .map_or_else(|| "the server refused".to_owned(), |problem| problem.detail);
                return Err(MonitorError::Remote(detail));
            }
            _ => {}
        }
    }
    Err(MonitorError::Remote(
        "the server closed the connection".to_owned(),
    ))
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(remote: &Remote) -> Result<Socket, MonitorError> {
    let mut address = remote.url.join("/api/v1/live").map_err(remote_error)?;
    let scheme = if address.scheme() == "https" { "wss" } else { "ws" };
    address
        .set_scheme(scheme)
        .map_err(|()| MonitorError::Remote(format!("{} is not an HTTP address", remote.url)))?;
    let mut request = address.as_str().into_client_request().map_err(remote_error)?;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", remote.token)).map_err(remote_error)?;
    request.headers_mut().insert("authorization", bearer);
    request
        .headers_mut()
        .insert("sec-websocket-protocol", HeaderValue::from_static("foldline.v1"));
    let (socket, _) = tokio_tungstenite::connect_async(request)
        .await
        .map_err(remote_error)?;
    Ok(socket)
}

/// Writes the events after a token, and returns the token after them.
async fn read_events_after(
    client: &reqwest::Client,
    remote: &Remote,
    mut after: ConsistencyToken,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<ConsistencyToken, MonitorError> {
    loop {
        let mut address = remote.url.join("/api/v1/events").map_err(remote_error)?;
        address
            .query_pairs_mut()
            .append_pair("after", &after.to_string())
            .append_pair("limit", &PAGE.to_string());
        let answer = client
            .get(address)
            .bearer_auth(&remote.token)
            .send()
            .await
            .map_err(remote_error)?;
        let status = answer.status();
        let body = answer.text().await.map_err(remote_error)?;
        if !status.is_success() {
            return Err(MonitorError::Remote(format!(
                "the server answered {status}: {body}"
            )));
        }
        let page: Events = serde_json::from_str(&body).map_err(remote_error)?;
        for event in &page.data {
            after.advance(event.partition, event.position);
            write_event(event, format, out)?;
        }
        out.flush()?;
        if page.data.is_empty() || page.next.is_none() {
            return Ok(after);
        }
    }
}

fn remote_error(error: impl std::fmt::Display) -> MonitorError {
    MonitorError::Remote(error.to_string())
}
