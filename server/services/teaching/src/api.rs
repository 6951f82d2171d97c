//! The port to the API: lessons, bots and copies are clients of the interface that every program has, and
//! reach the pipeline in no other way.
//!
//! The program's adapter answers a [`Call`] with the gateway's own routes, in process. Rights, rules, quotas
//! and the limits of bodies hold as for every client; the limits of requests of a person or an address do
//! not, because what begins such calls was charged before. So a call is never one that a caller has composed.

use std::fmt;

use async_trait::async_trait;
use domain::{access::Actor, id::WorkspaceId, wire::Problem};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The HTTP method of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or begins something.
    Post,
    /// Sets the whole.
    Put,
    /// Changes a part.
    Patch,
    /// Takes away.
    Delete,
}

impl Method {
    /// The name in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The sender of a call.
#[derive(Clone)]
pub enum Sender {
    /// A client without a session, which opens or joins a workspace.
    Anonymous,
    /// The bearer of this access token, as the API has given it.
    Token(String),
    /// A guest of a sandbox that this service has opened or joined for itself; the adapter makes a token. So
    /// no token is ever stored.
    Guest(WorkspaceId, Actor),
}

/// A token is not printed.
impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::Guest(workspace, actor) => write!(f, "Guest({workspace}, {})", actor.id),
        }
    }
}

/// The body of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// None.
    Empty,
    /// `application/json`.
    Json(Value),
    /// `application/x-ndjson`: an export.
    Lines(Vec<u8>),
}

/// A request to the API.
#[derive(Debug, Clone)]
pub struct Call {
    /// The sender.
    pub sender: Sender,
    /// The method.
    pub method: Method,
    /// The path with its query, as in `/api/v1/views/orders?limit=1`.
    pub path: String,
    /// Headers besides those of the sender and the body, in lower case, as in `idempotency-key`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

impl Call {
    /// A call without a body.
    pub fn new(sender: Sender, method: Method, path: impl Into<String>) -> Self {
        Self {
            sender,
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Body::Empty,
        }
    }

    /// `GET` of a path.
    pub fn get(sender: Sender, path: impl Into<String>) -> Self {
        Self::new(sender, Method::Get, path)
    }

    /// `POST` of a JSON to a path.
    pub fn post(sender: Sender, path: impl Into<String>, json: Value) -> Self {
        Self::new(sender, Method::Post, path).with_body(Body::Json(json))
    }

    /// The call with this body.
    #[must_use]
    pub fn with_body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// The call with one more header, its name in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, their names in lower case; those that are not text are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the call did what it asks for.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body of a success as a `T`; otherwise the problem.
    pub fn parsed<T: DeserializeOwned>(&self) -> Result<T, Box<Problem>> {
        if !self.is_success() {
            return Err(Box::new(self.problem()));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            Box::new(Problem {
                detail: format!("the answer is not the JSON that is expected: {error}"),
                ..self.problem()
            })
        })
    }

    /// The problem that it is, or one that has nothing but the status.
    pub fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| Problem {
            kind: "about:blank".to_owned(),
            title: String::new(),
            status: self.status,
            detail: format!("the answer has the status {}", self.status),
            violations: Vec::new(),
            current_version: None,
            rule: None,
            waiting_for: Vec::new(),
            workspace: None,
        })
    }
}

/// Answers calls with the API of this server.
#[async_trait]
pub trait Api: fmt::Debug + Send + Sync {
    /// Carries out a call. While the server starts or stops, the answer is 503.
    async fn call(&self, call: Call) -> Answer;
}
