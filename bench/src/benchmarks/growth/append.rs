//! An append to an event store that is filled already.

use anyhow::Result;
use async_trait::async_trait;
use domain::id::StreamName;
use event_store::Expected;
use serde_json::value::RawValue;

use super::filled_log::{EVENT_TYPE, PAYLOAD};
use crate::{
    callers::{Caller, Target},
    ours::{STREAM, Shop, event},
};

pub(super) struct Append {
    name: String,
    shop: Shop,
}

impl Append {
    pub(super) fn new(name: String, shop: Shop) -> Self {
        Self { name, shop }
    }

    /// Closes the store, which a server is to open.
    pub(super) async fn end(&self) {
        self.shop.store.close().await;
    }
}

#[async_trait]
impl Target for Append {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(AppendCaller {
            shop: self.shop.clone(),
            payload: RawValue::from_string(PAYLOAD.to_owned())?,
            number,
            stored: 0,
        }))
    }

    async fn close(&self) -> Result<()> {
        self.end().await;
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
        let stream = StreamName::new("inventory", format_args!("appended-{}-{stream}", self.number))?;
        let events = vec![event(EVENT_TYPE, self.payload.clone())];
        let append = self.shop.append(stream, Expected::Exact(version), events);
        self.shop.store.append(append).await?;
        self.stored += 1;
        Ok(())
    }
}
