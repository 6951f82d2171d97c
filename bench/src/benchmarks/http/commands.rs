//! Commands with a token and an Idempotency-Key: stock is received, as in the benchmark `commands`. Either
//! every view is paused by the lab, or all views, process managers and consumers work at the same time.

use std::{path::Path, time::Duration};

use anyhow::Result;
use async_trait::async_trait;
use domain::wire::{ProjectionStatus, Template};
use serde_json::json;

use crate::{
    callers::{Caller, Target},
    databases::{BenchDatabases, Database},
    ours::STREAM,
    outside::{Connection, Foldline, Storage, Storefront, send},
};

pub(super) struct Commands {
    name: &'static str,
    foldline: Foldline,
    shop: Storefront,
}

impl Commands {
    pub(super) const AT_REST: &'static str = "ours, projections paused";
    pub(super) const AT_WORK: &'static str = "ours, projections at work";

    pub(super) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        program: &Path,
        at_rest: bool,
    ) -> Result<Self> {
        let storage = Storage::new(database, bench_databases, "ours").await?;
        let foldline = Foldline::start(program, &storage, &[]).await?;
        let shop = Storefront::open(foldline.process.address, Template::Empty).await?;
        if at_rest {
            let mut educator = shop.connect().await?;
            let projections: Vec<ProjectionStatus> = educator.get_json("/api/v1/lab/projections").await?;
            for ProjectionStatus { view, .. } in projections {
                let path = format!("/api/v1/lab/projections/{view}/pause");
                educator.post(&path, String::new(), None).await?;
            }
        }
        Ok(Self {
            name: if at_rest { Self::AT_REST } else { Self::AT_WORK },
            foldline,
            shop,
        })
    }
}

#[async_trait]
impl Target for Commands {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(ReceivingCaller::new(self.shop.connect().await?, number)))
    }

    fn cpu(&self) -> Result<Option<Duration>> {
        Ok(Some(self.foldline.process.cpu()?))
    }
}

/// A caller who receives stock, ten times for each stream.
pub(crate) struct ReceivingCaller {
    connection: Connection,
    number: usize,
    sent: u64,
}

impl ReceivingCaller {
    pub(crate) fn new(connection: Connection, number: usize) -> Self {
        Self {
            connection,
            number,
            sent: 0,
        }
    }
}

#[async_trait]
impl Caller for ReceivingCaller {
    async fn call(&mut self) -> Result<()> {
        let stream = format!("inventory-{}-{}", self.number, self.sent / STREAM);
        self.sent += 1;
        send(
            &mut self.connection,
            "ReceiveStock",
            &stream,
            &json!({"quantity": 1}),
        )
        .await
    }
}
