//! The conformance suite on PostgreSQL, and the tests that only this adapter has: several servers on one
//! database, delayed commits, and a database that crashes.

mod command_ids;
mod crash;
mod notifications;
mod several_servers;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{ConnectionLimit, PostgresEventStore};
use clock::SharedClock;
use test_postgres::Database;

use crate::{
    CommitObserver, EventStore, StoreError,
    conformance::{TestDatabase, conformance_suite},
};

/// A connection to the database that bypasses the store.
async fn raw(database: &Database) -> PgConnection {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    connection
        .execute("set search_path to foldline_events")
        .await
        .unwrap();
    connection
}

#[async_trait(?Send)]
impl TestDatabase for Database {
    const UNLOCK: &str = "drop trigger events_are_never_changed on events";
    const REFUSE: &str = "alter table events add constraint no_room check (payload <> '{\"quantity\":666}')";
    const RELENT: &str = "alter table events drop constraint no_room";
    const MOVE_COMMANDS_TO_ROWS: &[&str] = &[
        "insert into earlier_commands (workspace_no, command_id, body_digest, correlation_id, answer)
         select workspace_no, command_id, body_digest, correlation_id,
             '{\"token\":\"0:1\",\"streams\":[[\"order-1\",1,0,1,1]]}'
         from events where workspace_no is not null",
        "update events set workspace_no = null, body_digest = null, event_count = null",
        "update workspaces set has_earlier_commands = true",
    ];

    async fn new() -> Self {
        Self::new().await
    }

    fn place(&self) -> String {
        self.url.clone()
    }

    async fn open_with(
        place: &str,
        clock: SharedClock,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Arc<dyn EventStore>, StoreError> {
        let limit = ConnectionLimit::default();
        let store = PostgresEventStore::open(place, limit, clock, observer).await?;
        Ok(Arc::new(store))
    }

    async fn run(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        raw(self).await.execute(statement).await?;
        Ok(())
    }

    async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(&mut raw(self).await)
            .await
            .unwrap()
    }
}

conformance_suite!(Database);
