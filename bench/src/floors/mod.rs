//! The floors: the minimal work of a database for the same rows, written as well as we can. A table of events
//! with a position and a unique version in each stream, and nothing else: no chain, no stored answers, no
//! stream heads.

mod group_commit;
mod one_row;
mod postgres;
mod sqlite;

pub(crate) use group_commit::GroupCommit;
pub(crate) use one_row::OneRow;
pub(crate) use postgres::PostgresLog;
pub(crate) use sqlite::SqliteLog;

use std::sync::Arc;

use anyhow::Result;
use clock::{Clock as _, SystemClock};
use domain::event::Metadata;
use uuid::Uuid;

use crate::ours::{STREAM, order_created};

/// A stored row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) stream: String,
    pub(crate) version: i64,
    pub(crate) event_id: Uuid,
    pub(crate) event_type: &'static str,
    pub(crate) payload: Arc<str>,
    pub(crate) metadata: Arc<str>,
    pub(crate) recorded_at: i64,
}

/// The rows of one caller: the same streams and events as ours.
#[derive(Debug, Clone)]
struct Rows {
    number: usize,
    made: u64,
    payload: Arc<str>,
    metadata: Arc<str>,
}

impl Rows {
    fn of_caller(number: usize) -> Result<Self> {
        let actor = SystemClock.new_id();
        let metadata = Metadata {
            correlation_id: SystemClock.new_id(),
            causation_id: None,
            command_id: SystemClock.new_id(),
            actor: domain::event::ActorRef {
                id: actor,
                role: domain::access::Role::Educator,
            },
            traceparent: None,
        };
        Ok(Self {
            number,
            made: 0,
            payload: order_created(actor).into(),
            metadata: serde_json::to_string(&metadata)?.into(),
        })
    }

    fn next(&mut self) -> Result<Row> {
        let (stream, version) = (self.made / STREAM, self.made % STREAM + 1);
        self.made += 1;
        Ok(Row {
            stream: format!("order-{}-{stream}", self.number),
            version: i64::try_from(version)?,
            event_id: SystemClock.new_id(),
            event_type: "OrderCreated",
            payload: self.payload.clone(),
            metadata: self.metadata.clone(),
            recorded_at: SystemClock.now().as_micros(),
        })
    }
}
