//! The floor of a server: bare axum. Trivial JSON, a body of any length from memory, and a fan-out of one
//! frame by `tokio::sync::broadcast`. It runs in a process of its own, as ours does: this program again, with
//! `--floor-server`.

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
    response::{IntoResponse, Response},
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
