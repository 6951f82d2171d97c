//! A subscriber: a WebSocket that reads frames as text. It parses only what a benchmark needs.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest as _, http::HeaderValue},
};

/// How the frames of interest begin: `op` is the first field of every frame.
const CHANGE: &str = r#"{"op":"change""#;
const PING: &str = r#"{"op":"ping""#;
const ERROR: &str = r#"{"op":"error""#;

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects. A token is sent as an `Authorization` header.
    pub(crate) async fn open(address: SocketAddr, path: &str, token: Option<&str>) -> Result<Self> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("foldline.v1"));
        if let Some(token) = token {
            headers.insert(
                "authorization",
                HeaderValue::from_str(&format!("Bearer {token}"))?,
            );
        }
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = client_async(request, stream).await?;
        Ok(Self(socket))
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: String) -> Result<()> {
        Ok(self.0.send(Message::text(frame)).await?)
    }

    /// The next frame. Answers pings.
    pub(crate) async fn frame(&mut self) -> Result<Utf8Bytes> {
        loop {
            let message = self
                .0
                .next()
                .await
                .context("the server has closed the socket")??;
            let Message::Text(text) = message else {
                continue;
            };
            if text.starts_with(PING) {
                self.send(r#"{"op":"pong"}"#.to_owned()).await?;
                continue;
            }
            if text.starts_with(ERROR) {
                bail!("a subscription failed: {}", text.as_str());
            }
            return Ok(text);
        }
    }

    /// The next change.
    pub(crate) async fn change(&mut self) -> Result<Utf8Bytes> {
        loop {
            let frame = self.frame().await?;
            if frame.starts_with(CHANGE) {
                return Ok(frame);
            }
        }
    }
}
