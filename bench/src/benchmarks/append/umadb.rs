//! The peer UmaDB: an event store of today, with dynamic consistency boundaries instead of streams, a file of
//! its own, and a server in a process of its own, which its Rust client calls over gRPC. There is no other
//! way to call it, so the calls are in its figures. A stream is a tag, and an expected version is a
//! condition: no event of this tag after the last one that the caller knows.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use clock::{Clock as _, SystemClock};
use domain::event::{ActorRef, Metadata};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreAsync as _, DcbQuery, DcbQueryItem};
use umadb_server::{ServerOptions, StorageOptions, start_server_with_options};

use crate::{
    callers::{Caller, Target},
    databases::BenchDatabases,
    ours::{STREAM, order_created},
    outside::ServerProcess,
};

/// How often its address is tried until it listens.
const ATTEMPT: Duration = Duration::from_millis(10);

pub(super) struct UmaDb(ServerProcess);

impl UmaDb {
    pub(super) const NAME: &'static str = "UmaDB, over gRPC";

    pub(super) async fn start(bench_databases: &BenchDatabases) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("--umadb-server").arg(bench_databases.file("umadb"));
        Ok(Self(ServerProcess::start(command).await?))
    }
}

/// Serves a file until it is killed: the process of the peer.
pub(crate) async fn serve(file: &Path) -> Result<()> {
    let address = free_address().await?;
    let (_stop, stopped) = oneshot::channel();
    let options = ServerOptions {
        listen_addr: address.to_string(),
        tls: None,
        api_key: None,
        storage: StorageOptions::default().db_path(PathBuf::from(file)),
    };
    let announced = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(ATTEMPT).await;
        }
        println!("UmaDB is ready at http://{address}");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = start_server_with_options(options, stopped) => ended.map_err(|error| anyhow!("{error}")),
        () = announced => Ok(()),
    }
}

/// An address that was free a moment ago: the server takes no port 0.
async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

#[async_trait]
impl Target for UmaDb {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        let url = format!("http://{}", self.0.address);
        let metadata = Metadata {
            correlation_id: SystemClock.new_id(),
            causation_id: None,
            command_id: SystemClock.new_id(),
            actor: ActorRef {
                id: SystemClock.new_id(),
                role: domain::access::Role::Educator,
            },
            traceparent: None,
        };
        Ok(Box::new(AppendCaller {
            client: UmaDbClient::new(url).connect_async().await?,
            payload: order_created(SystemClock.new_id()),
            metadata: serde_json::to_string(&metadata)?,
            number,
            stored: 0,
            last: None,
        }))
    }

    fn cpu(&self) -> Result<Option<Duration>> {
        Ok(Some(self.0.cpu()?))
    }
}

struct AppendCaller {
    client: AsyncUmaDbClient,
    payload: String,
    metadata: String,
    number: usize,
    stored: u64,
    /// The position of the stream's last event.
    last: Option<u64>,
}

#[async_trait]
impl Caller for AppendCaller {
    async fn call(&mut self) -> Result<()> {
        if self.stored.is_multiple_of(STREAM) {
            self.last = None;
        }
        let stream = format!("order-{}-{}", self.number, self.stored / STREAM);
        let of_stream = DcbQuery::new().item(DcbQueryItem::new().tags([stream.clone()]));
        let event = DcbEvent::new()
            .event_type("OrderCreated")
            .tags([stream])
            .data(self.payload.as_bytes())
            .uuid(SystemClock.new_id())
            .metadata_entry("metadata", self.metadata.as_str());
        let condition = DcbAppendCondition::new(of_stream).after(self.last);
        self.last = Some(self.client.append(vec![event], Some(condition), None).await?);
        self.stored += 1;
        Ok(())
    }
}
