//! Ours: `CommandService::handle`, with the request as it arrives from the API.

use std::sync::Arc;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use domain::{
    id::StreamName,
    wire::{CommandRequest, ExpectedVersion},
};
use event_store::Expected;
use serde_json::{json, value::RawValue};

use command::CommandService;

use crate::{
    callers::{Caller, Target},
    databases::{BenchDatabases, Database},
    ours::{STREAM, Shop, clock, event, short_pause},
};

/// The batch size while a stream is prepared.
const PAGE: u64 = 1_000;

/// The length from which a stream has a snapshot.
const HAS_SNAPSHOT: u64 = 100;

async fn receive_stock(service: &CommandService, shop: &Shop, stream: String) -> Result<()> {
    let request = CommandRequest {
        command_type: "ReceiveStock".to_owned(),
        stream,
        data: json!({ "quantity": 1 }),
        expected_version: ExpectedVersion::Any,
        correlation_id: None,
    };
    let answer = service
        .handle(shop.workspace, &shop.actor, &request, None, None)
        .await
        .map_err(|failure| anyhow::anyhow!("the command failed: {failure:?}"))?;
    ensure!(answer.events.len() == 1, "the command changed nothing");
    Ok(())
}

/// Many short streams.
pub(super) struct Ours {
    shop: Shop,
    service: Arc<CommandService>,
}

impl Ours {
    pub(super) async fn new(database: Database, bench_databases: &BenchDatabases) -> Result<Self> {
        let url = bench_databases.store_url(database, "ours").await?;
        let shop = Shop::open(&url, None).await?;
        let service = Arc::new(CommandService::new(shop.store.clone(), clock()));
        Ok(Self { shop, service })
    }
}

#[async_trait]
impl Target for Ours {
    fn name(&self) -> String {
        "ours".to_owned()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(CommandCaller {
            shop: self.shop.clone(),
            service: self.service.clone(),
            number,
            sent: 0,
        }))
    }

    async fn close(&self) -> Result<()> {
        self.shop.store.close().await;
        Ok(())
    }
}

struct CommandCaller {
    shop: Shop,
    service: Arc<CommandService>,
    number: usize,
    sent: u64,
}

#[async_trait]
impl Caller for CommandCaller {
    async fn call(&mut self) -> Result<()> {
        let stream = format!("inventory-{}-{}", self.number, self.sent / STREAM);
        self.sent += 1;
        receive_stock(&self.service, &self.shop, stream).await
    }
}

/// Whether the state of a stream is in memory when a command arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// As for every recently used stream.
    Warm,
    /// As after a start: it is loaded from a snapshot and the events after it.
    Cold,
}

/// Streams of one length. None grows by more than a tenth before it is replaced.
pub(super) struct FixedLengthStreams {
    shop: Shop,
    length: u64,
    memory: Memory,
}

impl FixedLengthStreams {
    pub(super) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        length: u64,
        memory: Memory,
    ) -> Result<Self> {
        let url = bench_databases.store_url(database, "ours").await?;
        Ok(Self {
            shop: Shop::open(&url, None).await?,
            length,
            memory,
        })
    }

    /// Its name in results.
    pub(super) fn named(length: u64, memory: Memory) -> String {
        let memory = match memory {
            Memory::Warm => "in memory",
            Memory::Cold => "not in memory",
        };
        format!("ours, {length} events, {memory}")
    }
}

#[async_trait]
impl Target for FixedLengthStreams {
    fn name(&self) -> String {
        Self::named(self.length, self.memory)
    }

    async fn caller(&self, _number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(FixedLengthCaller {
            shop: self.shop.clone(),
            service: CommandService::new(self.shop.store.clone(), clock()),
            length: self.length,
            memory: self.memory,
            streams: 0,
            left: 0,
        }))
    }

    async fn close(&self) -> Result<()> {
        self.shop.store.close().await;
        Ok(())
    }
}

struct FixedLengthCaller {
    shop: Shop,
    service: CommandService,
    length: u64,
    memory: Memory,
    streams: u64,
    /// The remaining commands of the current stream.
    left: u64,
}

impl FixedLengthCaller {
    fn stream(&self) -> Result<StreamName> {
        Ok(StreamName::new("inventory", self.streams)?)
    }

    async fn begin_stream(&mut self) -> Result<()> {
        self.streams += 1;
        self.left = (self.length / 10).max(1);
        let stream = self.stream()?;
        let mut version = 0;
        while version < self.length {
            let page = PAGE.min(self.length - version);
            let mut events = Vec::new();
            for _ in 0..page {
                let payload = RawValue::from_string(r#"{"quantity":1}"#.to_owned())?;
                events.push(event("StockReceived", payload));
            }
            let append = self.shop.append(stream.clone(), Expected::Exact(version), events);
            self.shop.store.append(append).await?;
            version += page;
        }
        // Loads it into memory and creates the snapshot.
        receive_stock(&self.service, &self.shop, stream.to_string()).await?;
        if self.length >= HAS_SNAPSHOT {
            while self
                .shop
                .store
                .snapshot(self.shop.workspace, &stream)
                .await?
                .is_none()
            {
                short_pause().await;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Caller for FixedLengthCaller {
    async fn prepare(&mut self) -> Result<bool> {
        let begins = self.left == 0;
        if begins {
            self.begin_stream().await?;
        }
        if self.memory == Memory::Cold {
            self.service = CommandService::new(self.shop.store.clone(), clock());
        }
        Ok(begins || self.memory == Memory::Cold)
    }

    async fn call(&mut self) -> Result<()> {
        self.left = self.left.saturating_sub(1);
        let stream = self.stream()?.to_string();
        receive_stock(&self.service, &self.shop, stream).await
    }
}
