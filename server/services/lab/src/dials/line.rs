//! The dials of live sockets: their lines are slow, lose changes, or are cut. The gateway sends the frames,
//! and is told of these faults through a trait of its own, which the program adapts to these functions.
//!
//! A client cannot notice a lost change: the tokens of a subscription are not dense, and a later one passes
//! it. So it shows as a document that stays as it was on that client until it changes again, or until the
//! client gets a snapshot.

use std::sync::Arc;

use domain::id::WorkspaceId;
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{board::DialBoard, hold::hold};
use crate::invariants::Witness;

/// The frame of a change, as far as it is told of when it is lost.
#[derive(Deserialize)]
struct LostChange {
    event: LostCause,
}

#[derive(Deserialize)]
struct LostCause {
    id: Uuid,
}

/// Whether frames take time on the line of a workspace.
pub fn is_slow(board: &DialBoard, workspace: WorkspaceId) -> bool {
    board
        .of(workspace)
        .is_some_and(|bent| bent.dials.live.delay_ms > 0)
}

/// Ends when a frame that is sent now has taken its time, or the dial is at rest.
pub async fn delay(board: Arc<DialBoard>, workspace: WorkspaceId) {
    hold(&board, workspace, Instant::now(), |dials| dials.live.delay_ms).await;
}

/// Whether the change that is to be sent now, by this frame, is lost. One that is lost is reported.
pub fn loses_change(board: &DialBoard, witness: &Witness, workspace: WorkspaceId, frame: &[u8]) -> bool {
    let bent = board.of(workspace);
    let is_lost = bent.is_some_and(|bent| bent.strikes("live.lose_frame", "", bent.dials.live.lost_frames()));
    if is_lost {
        let lost: Option<LostChange> = serde_json::from_slice(frame).ok();
        witness.frame_lost(workspace, "", lost.map(|lost| lost.event.id));
    }
    is_lost
}

/// Whether the lines of a workspace are cut.
pub fn is_cut(board: &DialBoard, workspace: WorkspaceId) -> bool {
    board.of(workspace).is_some_and(|bent| bent.dials.live.cut)
}

/// Ends when the line of a connection that is open now is cut. One that was opened while lines are cut is not
/// cut by that alone: its client gets an answer first.
pub fn cut(board: Arc<DialBoard>, workspace: WorkspaceId) -> impl Future<Output = ()> + Send + 'static {
    let mut changes = board.changes();
    let mut was_cut = is_cut(&board, workspace);
    async move {
        while changes.changed().await.is_ok() {
            let cut_now = is_cut(&board, workspace);
            if cut_now && !was_cut {
                return;
            }
            was_cut = cut_now;
        }
        // The board has ended, and no line is cut any more.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::{Dials, LiveDials};
    use futures::FutureExt as _;

    use super::*;

    const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
    const OTHER: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

    fn dials(live: LiveDials) -> Dials {
        Dials {
            live,
            ..Dials::default()
        }
    }

    fn cut_lines() -> Dials {
        dials(LiveDials {
            cut: true,
            ..LiveDials::default()
        })
    }

    #[test]
    fn an_open_connection_is_cut_and_one_that_is_opened_meanwhile_is_not_cut_at_once() {
        let board = Arc::new(DialBoard::default());
        let (open, elsewhere) = (cut(Arc::clone(&board), CLASS), cut(Arc::clone(&board), OTHER));
        assert!(!is_cut(&board, CLASS));
        board.show(CLASS, 1, cut_lines());
        assert_eq!(open.now_or_never(), Some(()));
        assert_eq!(elsewhere.now_or_never(), None);
        assert!(is_cut(&board, CLASS) && !is_cut(&board, OTHER));
        let mut new = Box::pin(cut(Arc::clone(&board), CLASS));
        assert_eq!((&mut new).now_or_never(), None);
        board.show(CLASS, 2, Dials::default());
        assert_eq!((&mut new).now_or_never(), None);
        board.show(CLASS, 3, cut_lines());
        assert_eq!(new.now_or_never(), Some(()));
    }

    #[test]
    fn every_third_change_is_lost_until_the_dial_is_at_rest_and_none_of_another_workspace() {
        let (board, witness) = (DialBoard::default(), Witness::default());
        let loses = |workspace| loses_change(&board, &witness, workspace, b"{}");
        let live = LiveDials {
            lose_frame_every: 3,
            ..LiveDials::default()
        };
        board.show(CLASS, 1, dials(live));
        let lost: Vec<bool> = (0..6).map(|_| loses(CLASS)).collect();
        assert_eq!(lost, [false, false, true, false, false, true]);
        assert!((0..6).all(|_| !loses(OTHER)));
        board.show(CLASS, 2, Dials::default());
        assert!((0..6).all(|_| !loses(CLASS)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_takes_its_time_on_a_slow_line_and_none_on_another() {
        let board = Arc::new(DialBoard::default());
        let live = LiveDials {
            delay_ms: 60_000,
            ..LiveDials::default()
        };
        board.show(CLASS, 1, dials(live));
        assert!(is_slow(&board, CLASS) && !is_slow(&board, OTHER));
        assert_eq!(delay(Arc::clone(&board), OTHER).now_or_never(), Some(()));
        let mut frame = Box::pin(delay(Arc::clone(&board), CLASS));
        assert_eq!((&mut frame).now_or_never(), None);
        board.show(CLASS, 2, Dials::default());
        assert_eq!(frame.now_or_never(), Some(()));
    }
}
