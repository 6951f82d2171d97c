//! Live watchers: each keeps the state of a subscription, and resumes it with its token after every lost
//! connection, at the next server. With several servers it also changes the server by itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{token::ConsistencyToken, wire::Row};
use futures::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use super::{
    clients::Access,
    record::{History, Observation, ObservedState},
};
use crate::running::TEST_TIMEOUT;

/// Complete listings are recorded this often, because each is long.
const FULL_RECORD_INTERVAL: u64 = 25;

/// With several servers, a watcher changes the server after about this many frames.
const FRAMES_AT_A_SERVER: u32 = 200;

/// How long a watcher waits for its connection, and before it connects again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const BACK_OFF: Duration = Duration::from_millis(20);

/// The target of a subscription.
#[derive(Debug, Clone, Copy)]
enum WatchTarget {
    Document {
        key: &'static str,
    },
    Listing {
        listing: &'static str,
        group: &'static str,
    },
}

/// The fields of a frame that are read.
#[derive(Debug, Deserialize)]
struct Frame {
    op: String,
    as_of: Option<ConsistencyToken>,
    generation: Option<u64>,
    key: Option<String>,
    data: Option<Value>,
    next: Option<String>,
    #[serde(default)]
    problem: Value,
}

/// How a connection ended.
enum ConnectionEnd {
    /// The whole log was shown.
    SeenAll,
    /// The server is gone, or could not answer.
    Gone,
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

pub(crate) struct Watcher {
    access: Access,
    history: Arc<History>,
    pub(crate) name: String,
    view: &'static str,
    followed: WatchTarget,
    /// The current state: the rows of the listing, or the document under its key.
    rows: BTreeMap<String, Value>,
    as_of: Option<ConsistencyToken>,
    generation: Option<u64>,
    frames: u64,
}

impl Watcher {
    pub(crate) fn all(access: &Access, history: &Arc<History>) -> Vec<Self> {
        let listing = |listing, group| WatchTarget::Listing { listing, group };
        [
            ("inventory", listing("all", "")),
            ("inventory", listing("low_stock", "")),
            ("orders", listing("by_status", "created")),
            ("orders", listing("by_status", "confirmed")),
            ("products", listing("all", "")),
            ("inventory", WatchTarget::Document { key: "mug-0" }),
            ("products", WatchTarget::Document { key: "mug-1" }),
        ]
        .into_iter()
        .enumerate()
        .map(|(number, (view, followed))| Self {
            access: access.at(number),
            history: Arc::clone(history),
            name: format!("watcher {number}"),
            view,
            followed,
            rows: BTreeMap::new(),
            as_of: None,
            generation: None,
            frames: 0,
        })
        .collect()
    }

    /// Follows across restarts of the servers until the whole log was shown.
    pub(crate) async fn watch(mut self) {
        loop {
            let server = self.access.current();
            let url = self.access.servers.url(server);
            if let Some(mut socket) = self.connect(&url).await
                && let ConnectionEnd::SeenAll = self.follow(&mut socket).await
            {
                return;
            }
            self.access.turn_from(server);
            tokio::time::sleep(BACK_OFF).await;
        }
    }

    async fn connect(&self, url: &str) -> Option<Socket> {
        let url = format!("{}/api/v1/live", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {}", self.access.token);
        for (name, value) in [
            ("authorization", bearer.as_str()),
            ("sec-websocket-protocol", "foldline.v1"),
        ] {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).unwrap());
        }
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect_async(request)).await;
        let mut socket = connected.ok()?.ok()?.0;
        let mut subscribe = json!({"op": "subscribe", "id": 1, "view": self.view});
        match self.followed {
            WatchTarget::Document { key } => subscribe["key"] = json!(key),
            WatchTarget::Listing { listing, group } => {
                subscribe["listing"] = json!(listing);
                subscribe["group"] = json!(group);
                subscribe["limit"] = json!(200);
            }
        }
        if let (Some(as_of), Some(generation)) = (&self.as_of, self.generation) {
            subscribe["resume"] = json!(as_of);
            subscribe["generation"] = json!(generation);
        }
        socket.send(Message::text(subscribe.to_string())).await.ok()?;
        Some(socket)
    }

    /// Follows one connection to its end.
    async fn follow(&mut self, socket: &mut Socket) -> ConnectionEnd {
        let history = Arc::clone(&self.history);
        let mut ended = false;
        let may_move = self.access.servers.count() > 1;
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(TEST_TIMEOUT, socket.next()) => {
                    message.unwrap_or_else(|_| panic!("{}: not even a ping in {TEST_TIMEOUT:?}", self.name))
                }
                () = history.ended(), if !ended => {
                    ended = true;
                    if self.has_seen_all() {
                        return ConnectionEnd::SeenAll;
                    }
                    continue;
                }
            };
            let Some(Ok(message)) = message else {
                return ConnectionEnd::Gone;
            };
            let Message::Text(text) = message else {
                continue;
            };
            let frame: Frame = serde_json::from_str(&text).unwrap();
            if frame.op == "ping" {
                if socket.send(Message::text(r#"{"op":"pong"}"#)).await.is_err() {
                    return ConnectionEnd::Gone;
                }
                continue;
            }
            // Like a request that is answered with 503.
            if frame.op == "error" && frame.problem["status"] == 503 {
                return ConnectionEnd::Gone;
            }
            if !self.take(frame) {
                return ConnectionEnd::Gone;
            }
            if ended && self.has_seen_all() {
                return ConnectionEnd::SeenAll;
            }
            if may_move && rand::random_ratio(1, FRAMES_AT_A_SERVER) {
                return ConnectionEnd::Gone;
            }
        }
    }

    fn has_seen_all(&self) -> bool {
        let all = self
            .as_of
            .as_ref()
            .is_some_and(|as_of| self.history.is_all(as_of));
        if all {
            self.record_everything();
        }
        all
    }

    /// Takes a frame. Returns whether the connection goes on: after a finding it begins anew.
    fn take(&mut self, frame: Frame) -> bool {
        self.frames += 1;
        if frame.op == "error" {
            self.find(&format!("an error of the subscription: {}", frame.problem));
            return false;
        }
        if let Some(as_of) = &frame.as_of {
            if let Some(before) = &self.as_of
                && !as_of.covers(before)
            {
                self.find(&format!("{} went back from {before} to {as_of}", frame.op));
                self.as_of = None;
                return false;
            }
            self.as_of = Some(as_of.clone());
        }
        match frame.op.as_str() {
            "snapshot" => {
                if frame.next.is_some() {
                    self.find("a listing does not fit into one page, so that nothing is checked");
                }
                self.generation = frame.generation;
                self.rows = self.snapshot(frame.data);
                self.record_everything();
            }
            "change" => {
                let key = frame.key.expect("a change has a key");
                match &frame.data {
                    Some(data) => self.rows.insert(key.clone(), data.clone()),
                    None => self.rows.remove(&key),
                };
                self.record(match self.followed {
                    WatchTarget::Document { .. } => ObservedState::Document {
                        key,
                        data: frame.data,
                    },
                    WatchTarget::Listing { listing, group } => ObservedState::Listed {
                        listing,
                        group,
                        key,
                        data: frame.data,
                    },
                });
            }
            "caught_up" if self.frames.is_multiple_of(FULL_RECORD_INTERVAL) => self.record_everything(),
            _ => {}
        }
        true
    }

    fn find(&self, what: &str) {
        let Self {
            name, view, followed, ..
        } = self;
        self.history
            .find(name.clone(), format!("{name}, of {view} {followed:?}: {what}"));
    }

    fn snapshot(&self, data: Option<Value>) -> BTreeMap<String, Value> {
        match self.followed {
            WatchTarget::Document { key } => data.map(|data| (key.to_owned(), data)).into_iter().collect(),
            WatchTarget::Listing { .. } => {
                let rows: Vec<Row> = serde_json::from_value(data.expect("a listing has rows")).unwrap();
                rows.into_iter().map(|row| (row.key, row.data)).collect()
            }
        }
    }

    fn record_everything(&self) {
        self.record(match self.followed {
            WatchTarget::Document { key } => ObservedState::Document {
                key: key.to_owned(),
                data: self.rows.get(key).cloned(),
            },
            WatchTarget::Listing { listing, group } => ObservedState::Listing {
                listing,
                group,
                rows: self.rows.clone(),
            },
        });
    }

    fn record(&self, what: ObservedState) {
        self.history.observe(Observation {
            by: self.name.clone(),
            view: self.view,
            as_of: self.as_of.clone().expect("frames carry their moment"),
            what,
        });
    }
}
