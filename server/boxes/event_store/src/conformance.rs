//! The conformance suite of event stores, written against the trait. An adapter runs it with
//! [`conformance_suite!`], so that no adapter can leave a test out.

mod appends;
mod audit_reads;
mod commands;
mod durability;
mod lifecycle;
mod model;
mod process_kill;
mod reads;
mod times;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    access::Role,
    event::{ActorRef, GENESIS_HASH, Metadata, StoredEvent},
    id::{StreamName, WorkspaceId},
    wire::Template,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Append, CommitObserver, Direction, EventStore, Expected, NewEvent, StoreError, StreamAppend, Workspace,
};
use clock::{Clock as _, SharedClock, SystemClock};

pub(super) use appends::*;
pub(super) use audit_reads::*;
pub(super) use commands::*;
pub(super) use durability::*;
pub(super) use lifecycle::*;
pub(super) use model::*;
pub(super) use process_kill::*;
pub(super) use reads::*;
pub(super) use times::*;

/// The database of one test, on which stores are opened.
#[async_trait(?Send)]
pub(super) trait TestDatabase: Sized {
    /// Removes the trigger that refuses updates of events.
    const UNLOCK: &str;
    /// Makes the database refuse every event with the quantity 666, as a full disk would.
    const REFUSE: &str;
    /// Reverts [`REFUSE`](Self::REFUSE).
    const RELENT: &str;
    /// Moves the command of the first event of `order-1` to a row, as it was stored before events had columns
    /// for their commands; after [`UNLOCK`](Self::UNLOCK).
    const MOVE_COMMANDS_TO_ROWS: &[&str];

    /// Creates a database.
    async fn new() -> Self;

    /// Its path or URL, for another process.
    fn place(&self) -> String;

    /// Opens the store at a path or URL, with this clock.
    async fn open_with(
        place: &str,
        clock: SharedClock,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Arc<dyn EventStore>, StoreError>;

    /// Opens the store at a path or URL.
    async fn open_at(
        place: &str,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Arc<dyn EventStore>, StoreError> {
        Self::open_with(place, Arc::new(SystemClock), observer).await
    }

    /// Runs a statement on the database, bypassing the store.
    async fn run(&self, statement: &'static str) -> Result<(), sqlx::Error>;

    /// The number that a query on the database returns, bypassing the store.
    async fn number(&self, query: &'static str) -> i64;

    /// Opens its store.
    async fn open(&self) -> Arc<dyn EventStore> {
        Self::open_at(&self.place(), None).await.unwrap()
    }
}

/// Generates one test of each function of the suite, for a [`TestDatabase`].
macro_rules! conformance_suite {
    ($database:ty) => {
        $crate::conformance::conformance_suite!(store $database;
            an_append_is_read_back_as_it_was_written
            positions_are_dense_in_each_partition_under_concurrency
            an_expected_version_is_met_or_nothing_happens
            of_64_appends_that_expect_one_version_one_wins
            of_64_appends_that_expect_nothing_all_are_accepted
            an_append_to_several_streams_is_stored_whole_or_not_at_all
            several_appends_of_one_caller_are_stored_all_or_none
            an_append_without_events_still_checks_versions
            a_repeated_command_is_answered_as_the_first_time
            a_command_repeated_concurrently_is_stored_once
            a_repetition_is_answered_also_behind_others_of_its_stream
            a_command_id_with_another_body_is_refused
            an_unknown_workspace_is_named
            a_stream_is_read_forwards_backwards_and_in_pages
            a_partition_is_read_behind_a_position
            the_log_is_filtered_and_paged_by_token
            streams_are_listed_by_prefix_in_pages
            heads_are_where_the_last_events_are
            the_hash_chain_holds_over_concurrent_appends
            workspaces_do_not_see_each_other
            workspaces_are_found_and_join_codes_are_unique
            the_newest_snapshot_is_kept
            a_tail_begins_at_the_snapshot_of_its_schema
            event_types_that_the_program_cannot_read_are_named
            a_closed_store_refuses_and_has_kept_everything
            concurrent_appends_behave_like_the_model
            a_full_workspace_takes_no_more_and_repeats_its_answers
            what_does_not_fit_is_refused_whole
            people_are_admitted_until_a_workspace_is_full
            a_workspace_without_activity_is_idle
            a_workspace_is_replaced_under_its_join_code_or_nothing_happens
            a_workspace_begins_with_the_content_of_another_and_goes_on_by_itself
            an_id_of_a_command_without_events_is_not_used_again
            commands_are_listed_by_id_from_events_and_rows
            the_chain_is_known_at_its_heads_and_at_each_position
            a_snapshot_ahead_of_its_stream_is_listed_and_not_used
            blocks_of_types_are_listed_by_range
        );
        $crate::conformance::conformance_suite!(database $database;
            the_database_refuses_to_change_or_delete_an_event
            schemas_are_kept_once_and_a_change_is_named
            tampering_past_the_triggers_is_visible_in_the_chain
            what_was_appended_is_there_after_a_restart_and_continues
            a_newer_schema_is_refused_with_a_sentence
            one_bad_append_does_not_fail_its_neighbours_and_the_store_recovers
            an_observer_receives_every_commit_in_order
            an_observer_that_panics_does_not_end_the_store
            a_purge_takes_everything_of_one_workspace_and_nothing_of_another
            nothing_is_deleted_in_part
            only_a_command_without_events_has_a_row
            a_command_whose_row_is_older_than_its_events_columns_is_answered
            digests_without_a_key_get_one_and_their_commands_are_still_recognised
            nothing_but_a_digest_without_a_key_can_be_changed
            events_of_a_type_are_found_in_every_block
            times_are_in_the_order_of_positions_though_the_clock_is_put_back
            events_have_the_time_of_their_workspace_also_in_one_group
            a_row_that_cannot_be_read_hides_no_other
        );

        /// The child process that is killed. Run as a test, it does nothing.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_process_that_is_killed() {
            $crate::conformance::append_until_killed::<$database>().await;
        }

        #[tokio::test]
        async fn an_acknowledged_append_survives_a_kill() {
            let database = <$database as $crate::conformance::TestDatabase>::new().await;
            $crate::conformance::an_acknowledged_append_survives_a_kill(&database, module_path!()).await;
        }

        /// The child process with the purge that is killed. Run as a test, it does nothing.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_purge_that_is_killed() {
            $crate::conformance::purge_until_killed::<$database>().await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_purge_that_is_killed_goes_on() {
            let database = <$database as $crate::conformance::TestDatabase>::new().await;
            $crate::conformance::a_purge_that_is_killed_goes_on(&database, module_path!()).await;
        }
    };
    (store $database:ty; $($test:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let database = <$database as $crate::conformance::TestDatabase>::new().await;
                let store = $crate::conformance::TestDatabase::open(&database).await;
                $crate::conformance::$test(store).await;
            }
        )*
    };
    (database $database:ty; $($test:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let database = <$database as $crate::conformance::TestDatabase>::new().await;
                $crate::conformance::$test(database).await;
            }
        )*
    };
}
pub(super) use conformance_suite;

/// A new id.
pub(super) fn id() -> Uuid {
    SystemClock.new_id()
}

/// A stream's name.
pub(super) fn name(text: &str) -> StreamName {
    text.parse().unwrap()
}

/// Creates a workspace with `shards` partitions.
pub(super) async fn open_workspace(store: &dyn EventStore, shards: u32) -> WorkspaceId {
    let workspace = Workspace {
        id: WorkspaceId(id()),
        name: "A class".to_owned(),
        template: Template::Empty,
        shards,
        join_code: id().to_string(),
        created_at: SystemClock.now(),
    };
    assert!(store.create_workspace(&workspace).await.unwrap());
    workspace.id
}

/// An event with its number in the payload.
pub(super) fn event(number: u64) -> NewEvent {
    NewEvent {
        event_id: id(),
        event_type: "StockReceived".to_owned(),
        schema_version: 1,
        payload: RawValue::from_string(format!("{{\"quantity\":{number}}}")).unwrap(),
    }
}

/// The part of an append for one stream.
pub(super) fn part(stream: &str, expected: Expected, events: Vec<NewEvent>) -> StreamAppend {
    StreamAppend {
        stream: name(stream),
        expected,
        events,
    }
}

/// An append under a new command id.
pub(super) fn append(workspace: WorkspaceId, streams: Vec<StreamAppend>) -> Append {
    Append {
        workspace,
        body_digest: [7; 32],
        streams,
        max_events: None,
        metadata: Metadata {
            correlation_id: id(),
            causation_id: None,
            command_id: id(),
            actor: ActorRef {
                id: id(),
                role: Role::Staff,
            },
            traceparent: None,
        },
    }
}

/// An append of one event to one stream.
pub(super) fn one(workspace: WorkspaceId, stream: &str, expected: Expected) -> Append {
    append(workspace, vec![part(stream, expected, vec![event(1)])])
}

/// Every event of a stream.
pub(super) async fn whole_stream(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    stream: &str,
) -> Vec<StoredEvent> {
    store
        .read_stream(workspace, &name(stream), 1, Direction::Forwards, 100_000)
        .await
        .unwrap()
}

/// Every event of a partition, checked: positions and versions have no gap, and the hash chain holds.
pub(super) async fn checked_partition(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    partition: u32,
) -> Vec<StoredEvent> {
    let events = store
        .read_partition(workspace, partition, 0, 1_000_000)
        .await
        .unwrap();
    let mut versions = std::collections::HashMap::new();
    let mut previous = GENESIS_HASH.to_owned();
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position, position, "positions are dense");
        let version = versions.entry(event.stream.clone()).or_insert(0);
        *version += 1;
        assert_eq!(event.version, *version, "versions of {} are dense", event.stream);
        assert_eq!(
            event.chain_hash(&previous),
            event.hash,
            "the chain holds at {position}"
        );
        previous.clone_from(&event.hash);
    }
    events
}
