//! A client of one connection with as little work of its own as possible, because it shares the cores with
//! the server: HTTP/1.1 by hyper, no pool, no redirects, no cookies.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// A connection that stays open, with the token of its user.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    bearer: Option<HeaderValue>,
}

impl Connection {
    /// Connects. Without a token, requests are anonymous.
    pub(crate) async fn open(address: SocketAddr, token: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; an error of it is an error of the request.
        tokio::spawn(connection);
        let bearer = token.map(|token| HeaderValue::from_str(&format!("Bearer {token}")));
        Ok(Self {
            sender,
            host: HeaderValue::from_str(&address.to_string())?,
            bearer: bearer.transpose()?,
        })
    }

    /// The body of an answer of 200.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Bytes> {
        let (status, body) = self.try_get(path).await?;
        ensure!(status == StatusCode::OK, "GET {path}: {status} {}", text(&body));
        Ok(body)
    }

    /// An answer with its status.
    pub(crate) async fn try_get(&mut self, path: &str) -> Result<(StatusCode, Bytes)> {
        self.send(Method::GET, path, Bytes::new(), None).await
    }

    /// The body of an answer of 200, as JSON.
    pub(crate) async fn get_json<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        Ok(serde_json::from_slice(&self.get(path).await?)?)
    }

    /// Posts JSON, with an Idempotency-Key if there is one; returns the body of an answer of 200.
    pub(crate) async fn post(&mut self, path: &str, body: String, key: Option<&str>) -> Result<Bytes> {
        let (status, body) = self.send(Method::POST, path, body.into(), key).await?;
        ensure!(status == StatusCode::OK, "POST {path}: {status} {}", text(&body));
        Ok(body)
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        key: Option<&str>,
    ) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host);
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        self.sender.ready().await?;
        let answer = self.sender.send_request(request.body(Full::new(body))?).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

fn text(body: &Bytes) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(body)
}
