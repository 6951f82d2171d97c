//! What every document store must do, whatever its database: one suite, written against the trait. An adapter runs it with
//! [`conformance_suite!`], so that no adapter can leave a promise out.

mod documents;
mod purged;
mod rebuilt;
mod refused;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{id::WorkspaceId, view::ListingEntry};
use serde_json::value::RawValue;

use super::{
    DocumentStore, DocumentStoreError, DocumentWrite, Effect, LaneId, Loaded, Scope, StoredDocument, Updated,
};
use clock::{Clock as _, SystemClock};

pub(super) use documents::*;
pub(super) use purged::*;
pub(super) use rebuilt::*;
pub(super) use refused::*;

/// A database of one test. A document store is opened on it, and again.
#[async_trait(?Send)]
pub(super) trait Bench: Sized {
    /// Makes a database.
    async fn new() -> Self;

    /// Opens its document store.
    async fn open(&self) -> Result<Arc<dyn DocumentStore>, DocumentStoreError>;

    /// Runs a statement past the document store, as anybody could.
    async fn run(&self, statement: &'static str);
}

/// Makes one test of each promise, for a [`Bench`].
macro_rules! conformance_suite {
    ($bench:ty) => {
        $crate::conformance::conformance_suite!($bench;
            an_update_changes_documents_listings_and_checkpoint_together
            a_checkpoint_that_was_moved_refuses_and_changes_nothing
            a_fold_that_fails_changes_nothing
            lanes_that_share_a_document_lose_no_update
            an_amendment_changes_documents_and_no_checkpoint
            a_listing_is_read_in_the_order_of_its_bytes_both_ways
            a_document_leaves_and_enters_listings_and_goes
            everything_is_of_one_moment
            what_was_folded_is_there_after_a_restart
            a_newer_schema_is_refused_with_a_sentence
            a_generation_is_built_beside_the_live_one_and_switched_in
            readers_never_go_back_and_a_build_can_be_given_up
            what_is_left_of_a_generation_is_removed_piece_by_piece
            what_is_parked_is_held_released_and_counted
            what_is_discarded_holds_back_nothing
            dead_letters_are_paged_in_their_order
            a_purge_takes_everything_of_one_workspace_and_nothing_of_another
        );
    };
    ($bench:ty; $($promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let bench = <$bench as $crate::conformance::Bench>::new().await;
                $crate::conformance::$promise(bench).await;
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

/// A document with a number, newly listed at these places.
fn write(key: &str, number: u64, entered: Vec<ListingEntry>) -> DocumentWrite {
    DocumentWrite {
        key: key.to_owned(),
        data: Some(
            RawValue::from_string(format!("{{\"number\":{number}}}"))
                .unwrap()
                .into(),
        ),
        owner: None,
        left: Vec::new(),
        entered,
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
) -> Updated {
    let keys: Vec<_> = writes.iter().map(|write| write.key.clone()).collect();
    let mut effect = |_: Loaded| {
        Ok(Effect {
            writes: writes.clone(),
            parked: Vec::new(),
        })
    };
    model.update(lane, from, to, &keys, &mut effect).await.unwrap()
}
