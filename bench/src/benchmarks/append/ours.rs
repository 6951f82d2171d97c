//! Ours: `EventStore::append`, with the version that the caller knows.

use anyhow::Result;
use async_trait::async_trait;
use domain::id::StreamName;
use event_store::Expected;
use serde_json::value::RawValue;

use crate::{
    callers::{Caller, Target},
    databases::{BenchDatabases, Database},
    ours::{STREAM, Shop, event, order_created},
};

pub(super) struct Ours(Shop);

impl Ours {
    pub(super) async fn new(database: Database, bench_databases: &BenchDatabases) -> Result<Self> {
        let url = bench_databases.store_url(database, "ours").await?;
        Ok(Self(Shop::open(&url, None).await?))
    }
}

#[async_trait]
impl Target for Ours {
    fn name(&self) -> String {
        "ours".to_owned()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(AppendCaller {
            shop: self.0.clone(),
            payload: RawValue::from_string(order_created(self.0.actor.id))?,
            number,
            stored: 0,
        }))
    }

    async fn close(&self) -> Result<()> {
        self.0.store.close().await;
        Ok(())
    }
}

struct AppendCaller {
    shop: Shop,
    payload: Box<RawValue>,
    number: usize,
    stored: u64,
}

#[async_trait]
impl Caller for AppendCaller {
    async fn call(&mut self) -> Result<()> {
        let (stream, version) = (self.stored / STREAM, self.stored % STREAM);
        let stream = StreamName::new("order", format_args!("{}-{stream}", self.number))?;
        let events = vec![event("OrderCreated", self.payload.clone())];
        let append = self.shop.append(stream, Expected::Exact(version), events);
        self.shop.store.append(append).await?;
        self.stored += 1;
        Ok(())
    }
}
