//! The floor: four rows for an order, each in a group commit after the one before is acknowledged, as
//! `OrderCreated`, `StockReserved`, `PaymentProcessed` and `OrderConfirmed` follow each other.

use anyhow::Result;
use async_trait::async_trait;

use crate::{
    callers::{Caller, Target},
    databases::{BenchDatabases, Database},
    floors::GroupCommit,
};

/// The events of an order of one line.
const EVENTS: usize = 4;

pub(super) struct FourCommits(GroupCommit);

impl FourCommits {
    pub(super) const NAME: &'static str = "bare group commit, 4 rows an order";

    pub(super) async fn new(database: Database, bench_databases: &BenchDatabases) -> Result<Self> {
        Ok(Self(GroupCommit::new(database, bench_databases).await?))
    }
}

#[async_trait]
impl Target for FourCommits {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(OrderCaller(self.0.caller(number).await?)))
    }
}

struct OrderCaller(Box<dyn Caller>);

#[async_trait]
impl Caller for OrderCaller {
    async fn call(&mut self) -> Result<()> {
        for _ in 0..EVENTS {
            self.0.call().await?;
        }
        Ok(())
    }
}
