//! The conformance suite of document stores, written against the trait. An adapter runs it with
//! [`conformance_suite!`], so that no adapter can leave a test out.

mod documents;
mod generations;
mod groups;
mod histories;
mod parking;
mod purge;
mod snapshot;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{id::WorkspaceId, view::ListingEntry};
use serde_json::value::RawValue;

use super::{
    DocumentStore, DocumentStoreError, DocumentWrite, FoldInput, FoldOutput, LaneId, Scope, StoredDocument,
    UpdateOutcome,
};
use clock::{Clock as _, SystemClock};

pub(super) use documents::*;
pub(super) use generations::*;
pub(super) use groups::*;
pub(super) use histories::*;
pub(super) use parking::*;
pub(super) use purge::*;
pub(super) use snapshot::*;

/// The database of one test, on which document stores are opened.
#[async_trait(?Send)]
pub(super) trait TestDatabase: Sized {
    /// Creates a database.
    async fn new() -> Self;

    /// Opens its document store.
    async fn open(&self) -> Result<Arc<dyn DocumentStore>, DocumentStoreError>;

    /// Runs a statement on the database, bypassing the document store.
    async fn run(&self, statement: &'static str);
}

/// Generates one test of each function of the suite, for a [`TestDatabase`].
macro_rules! conformance_suite {
    ($database:ty) => {
        $crate::conformance::conformance_suite!($database;
            an_update_changes_documents_listings_and_checkpoint_together
            a_checkpoint_that_was_moved_refuses_and_changes_nothing
            a_fold_that_fails_changes_nothing
            lanes_that_share_a_document_lose_no_update
            an_amendment_changes_documents_and_no_checkpoint
            a_listing_is_read_in_the_order_of_its_bytes_both_ways
            a_document_leaves_and_enters_listings_and_goes
            the_workspaces_of_a_listing_are_those_with_an_entry
            documents_are_read_by_a_list_of_keys
            the_usage_counts_the_live_documents_of_one_workspace
            the_contents_of_a_view_are_of_one_snapshot
            a_snapshot_is_read_in_pages_of_any_size
            a_snapshot_does_not_see_later_updates
            a_document_that_cannot_be_read_hides_no_other
            contents_with_an_entry_of_no_document_are_corrupt
            what_was_folded_is_there_after_a_restart
            a_newer_schema_is_refused_with_a_sentence
            a_generation_is_built_beside_the_live_one_and_switched_in
            readers_never_go_back_and_a_build_can_be_given_up
            a_generation_replaces_one_that_is_known_to_be_ahead_of_the_log
            what_is_left_of_a_generation_is_removed_piece_by_piece
            a_checkpoint_keeps_the_hash_of_its_history
            a_view_begins_again_with_an_empty_generation
            lanes_begin_again_with_their_documents_or_without
            a_generation_whose_checkpoints_are_lost_is_left_over
            what_is_parked_is_held_released_and_counted
            what_is_discarded_holds_back_nothing
            dead_letters_are_paged_in_their_order
            a_purge_takes_everything_of_one_workspace_and_nothing_of_another
            lanes_that_wait_together_are_each_committed_once
            a_failure_is_of_the_lane_that_caused_it
            a_caller_that_goes_away_takes_no_other_with_it
            lanes_of_one_view_in_several_groups_lose_no_update
            a_batch_of_any_size_is_written
        );
    };
    ($database:ty; $($test:ident)*) => {
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

/// The view of these tests.
const VIEW: &str = "orders";

fn workspace() -> WorkspaceId {
    WorkspaceId(SystemClock.new_id())
}

/// A generation of the view.
fn scope(workspace: WorkspaceId, generation: u64) -> Scope {
    Scope {
        workspace,
        view: VIEW,
        generation,
    }
}

/// A lane of a generation of the view.
fn lane(workspace: WorkspaceId, generation: u64, partition: u32) -> LaneId {
    LaneId {
        scope: scope(workspace, generation),
        partition,
    }
}

fn entry(group: &str, sort: &str) -> ListingEntry {
    ListingEntry {
        listing: "by_customer",
        group: group.to_owned(),
        sort: sort.to_owned(),
    }
}

/// A document with a number, with new entries in listings.
fn write(key: &str, number: u64, added_entries: Vec<ListingEntry>) -> DocumentWrite {
    DocumentWrite {
        key: key.to_owned(),
        data: Some(
            RawValue::from_string(format!("{{\"number\":{number}}}"))
                .unwrap()
                .into(),
        ),
        owner: None,
        removed_entries: Vec::new(),
        added_entries,
    }
}

/// The number of a document.
fn number(document: &StoredDocument) -> u64 {
    serde_json::from_str::<serde_json::Value>(document.data.get()).unwrap()["number"]
        .as_u64()
        .unwrap()
}

/// Moves a lane's checkpoint, and writes these documents.
async fn fold(
    model: &dyn DocumentStore,
    lane: &LaneId,
    from: u64,
    to: u64,
    writes: Vec<DocumentWrite>,
) -> UpdateOutcome {
    let keys: Vec<_> = writes.iter().map(|write| write.key.clone()).collect();
    let mut effect = |_: FoldInput| {
        Ok(FoldOutput {
            writes: writes.clone(),
            ..FoldOutput::default()
        })
    };
    model
        .update(lane, from, &to.into(), &keys, &mut effect)
        .await
        .unwrap()
}
