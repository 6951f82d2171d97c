//! Who is woken by the progress of a workspace.

use std::sync::Arc;

use broker::{PartitionId, relay::Heads};
use domain::id::WorkspaceId;
use futures::poll;
use uuid::Uuid;

use crate::progress::Progress;

#[tokio::test]
async fn work_wakes_the_tasks_of_its_own_workspace_only() {
    let progress = Progress::default();
    let [here, there] = [1, 2].map(|n| WorkspaceId(Uuid::from_u128(n)));
    let partition = PartitionId {
        workspace: here,
        partition: 0,
    };
    // Notified after its creation and before it is polled: not missed.
    let mut woken = std::pin::pin!(progress.work_changed(here));
    let mut other = std::pin::pin!(progress.work_changed(there));
    progress.stored(partition, 1);
    progress.folded("inventory", partition, 1);
    assert!(poll!(woken.as_mut()).is_pending(), "an event is no work");
    progress.wake_waiting(here);
    assert!(poll!(woken.as_mut()).is_ready());
    assert!(poll!(other.as_mut()).is_pending());
    progress.end(there).await;
    assert!(poll!(other.as_mut()).is_ready(), "its workspace has ended");
}

#[test]
fn the_progress_of_other_lanes_is_told_what_the_relay_reports() {
    let (progress, other) = (Arc::new(Progress::default()), Arc::new(Progress::default()));
    let workspace = WorkspaceId(Uuid::from_u128(1));
    let partition = PartitionId {
        workspace,
        partition: 0,
    };
    progress.share_heads(&other);
    let heads: Arc<dyn Heads> = progress;
    heads.stored(partition, 3);
    assert_eq!(other.head(workspace).position(0), 3);
    let view = other.of(workspace, "inventory").unwrap();
    assert_eq!(view.folded().behind(&view.head()), 3);
    assert!(view.behind_for().is_some());
    other.folded("inventory", partition, 3);
    assert!(view.behind_for().is_none());
}

#[test]
fn a_partition_stops_for_a_reason_until_the_event_is_folded() {
    let progress = Progress::default();
    let partition = PartitionId {
        workspace: WorkspaceId(Uuid::from_u128(1)),
        partition: 0,
    };
    progress.stored(partition, 3);
    let view = progress.of(partition.workspace, "inventory").unwrap();
    progress.note_unreadable(partition, 2);
    assert_eq!(view.stop_reason(0), None, "the event before it is not folded yet");
    progress.folded("inventory", partition, 1);
    let reason = view.stop_reason(0).unwrap();
    assert!(reason.contains("position 2"), "{reason}");
    assert_eq!(view.stop_reason(1), None);
    progress.folded("inventory", partition, 2);
    assert_eq!(view.stop_reason(0), None, "it was mended");
}
