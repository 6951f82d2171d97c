//! A server that sends the changes of one document to its subscribers, ours or the floor.

use anyhow::Result;
use domain::wire::Template;
use serde_json::json;

use crate::{
    case::RunSettings,
    databases::{BenchDatabases, Database},
    outside::{Connection, FloorServer, Foldline, ServerProcess, Socket, Storage, Storefront, send, sku},
};

/// The bytes of a frame with a change of our document, which the floor sends as well. The difference to the
/// real one is a few digits.
const FRAME: usize = 330;

/// What the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ours,
    Floor,
}

impl Kind {
    /// Its name in results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "bare axum and broadcast",
        }
    }
}

/// A running server, with a connection that causes changes.
pub(super) struct Feed {
    pub(super) kind: Kind,
    pub(super) server: ServerProcess,
    publisher: Connection,
    /// The educator's token, for ours.
    token: Option<String>,
}

impl Feed {
    pub(super) async fn start(
        kind: Kind,
        database: Database,
        bench_databases: &BenchDatabases,
        settings: &RunSettings,
    ) -> Result<Self> {
        if kind == Kind::Floor {
            let server = FloorServer::start().await?.0;
            return Ok(Self {
                kind,
                publisher: Connection::open(server.address, None).await?,
                server,
                token: None,
            });
        }
        let storage = Storage::new(database, bench_databases, "ours").await?;
        let server = Foldline::start(settings.foldline()?, &storage, &[])
            .await?
            .process;
        let shop = Storefront::open(server.address, Template::Empty).await?;
        shop.list_products(1).await?;
        shop.settled().await?;
        Ok(Self {
            kind,
            publisher: shop.connect().await?,
            server,
            token: Some(shop.token),
        })
    }

    /// A new subscriber, which gets every change from now on.
    pub(super) async fn subscribe(&self) -> Result<Socket> {
        let address = self.server.address;
        match self.kind {
            Kind::Floor => Socket::open(address, "/live", None).await,
            Kind::Ours => {
                let mut socket = Socket::open(address, "/api/v1/live", self.token.as_deref()).await?;
                let subscribe = json!({"op": "subscribe", "id": 1, "view": "products", "key": sku(0)});
                socket.send(subscribe.to_string()).await?;
                // The snapshot.
                socket.frame().await?;
                Ok(socket)
            }
        }
    }

    /// Causes a change; returns when the request is answered, which may be after subscribers have it.
    pub(super) async fn publish(&mut self) -> Result<()> {
        match self.kind {
            Kind::Floor => {
                self.publisher.post("/publish", frame(), None).await?;
                Ok(())
            }
            Kind::Ours => {
                let stream = format!("inventory-{}", sku(0));
                let data = json!({"quantity": 1});
                send(&mut self.publisher, "ReceiveStock", &stream, &data).await
            }
        }
    }
}

/// A frame of the floor.
fn frame() -> String {
    let begin = r#"{"op":"change","id":1,"data":""#;
    let filling = "x".repeat(FRAME - begin.len() - 2);
    format!("{begin}{filling}\"}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_the_floor_is_json_of_the_length_of_ours() {
        let frame = frame();
        assert_eq!(frame.len(), FRAME);
        let change: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(change["op"], "change");
    }
}
