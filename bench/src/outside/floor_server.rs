//! The floor of a server: bare axum. Trivial JSON, a body or a page of any length from memory, a fan-out of
//! one frame by `tokio::sync::broadcast`, and a page that shows such frames as rows. It runs in a process of
//! its own, as ours does: this program again, with `--floor-server`.

use std::{env, process::Command};

use anyhow::Result;
use axum::{
    Json, Router,
    body::Body,
    extract::{
        Path, State,
        ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    http::{StatusCode, header::CONTENT_TYPE},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt as _,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::broadcast};

use super::ServerProcess;

/// The frames that a slow subscriber may be behind.
const BEHIND: usize = 64;

/// The longest body.
const LONGEST: usize = 1 << 20;

/// How a page begins. Its icon is in it, so that a browser asks for nothing else.
const PAGE: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>The floor</title>
<link rel="icon" href="data:,"><p>"#;

/// The rows of the frames, the newest first and at most as many as our lists have.
const ROWS: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>The floor</title>
<link rel="icon" href="data:,"><button>Place order</button><table><tbody></tbody></table><script>
const rows = document.querySelector("tbody");
new WebSocket(`ws://${location.host}/live`, ["foldline.v1"]).onmessage = ({ data }) => {
  const { key, status } = JSON.parse(data);
  const row = document.createElement("tr");
  row.dataset.order = key;
  row.insertCell().textContent = key;
  row.insertCell().textContent = status;
  rows.prepend(row);
  if (rows.rows.length > 1000) rows.lastChild.remove();
};
document.querySelector("button").addEventListener("click", () => {
  const frame = { op: "change", key: crypto.randomUUID(), status: "confirmed" };
  fetch("/publish", { method: "POST", body: JSON.stringify(frame) });
});
</script>"#;

/// The process of the floor.
#[derive(Debug)]
pub(crate) struct FloorServer(pub(crate) ServerProcess);

impl FloorServer {
    /// Starts it.
    pub(crate) async fn start() -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("--floor-server");
        Ok(Self(ServerProcess::start(command).await?))
    }
}

#[derive(Clone)]
struct Floor {
    /// As many spaces as the longest body has bytes.
    bytes: Bytes,
    frames: broadcast::Sender<Utf8Bytes>,
}

/// Serves until it is killed.
pub(crate) async fn serve() -> Result<()> {
    let floor = Floor {
        bytes: vec![b' '; LONGEST].into(),
        frames: broadcast::Sender::new(BEHIND),
    };
    let routes = Router::new()
        .route("/json", get(json_answer))
        .route("/bytes/{length}", get(bytes_answer))
        .route("/page/{length}", get(page_answer))
        .route("/rows", get(rows_answer))
        .route("/publish", post(publish))
        .route("/live", get(live))
        .with_state(floor);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("The floor is ready at http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // As ours does; without it, only latencies suffer.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn json_answer() -> Json<Value> {
    Json(json!({"ok": true}))
}

async fn bytes_answer(State(floor): State<Floor>, Path(length): Path<usize>) -> Response {
    let body = Body::from(floor.bytes.slice(..length.min(LONGEST)));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// A page of this length that has nothing but text.
async fn page_answer(Path(length): Path<usize>) -> Html<String> {
    let filler = "A bare page. ".bytes().cycle();
    let rest = length.min(LONGEST).saturating_sub(PAGE.len());
    let text: String = filler.take(rest).map(char::from).collect();
    Html(format!("{PAGE}{text}"))
}

/// A page whose button publishes a frame, and which shows each frame as a row.
async fn rows_answer() -> Html<&'static str> {
    Html(ROWS)
}

/// Sends the body to all subscribers.
async fn publish(State(floor): State<Floor>, frame: String) -> StatusCode {
    // An error says that there are no subscribers.
    let _ = floor.frames.send(frame.into());
    StatusCode::OK
}

async fn live(State(floor): State<Floor>, upgrade: WebSocketUpgrade) -> Response {
    // Before the upgrade is answered, so that no frame is missed.
    let frames = floor.frames.subscribe();
    upgrade
        .protocols(["foldline.v1"])
        .on_upgrade(move |socket| deliver(socket, frames))
}

async fn deliver(mut socket: WebSocket, mut frames: broadcast::Receiver<Utf8Bytes>) {
    loop {
        tokio::select! {
            frame = frames.recv() => {
                let Ok(frame) = frame else { return };
                if socket.send(Message::Text(frame)).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => {
                if !matches!(message, Some(Ok(_))) {
                    return;
                }
            }
        }
    }
}
