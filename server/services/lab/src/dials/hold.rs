//! Holds something back for as long as the present dials of its workspace say. A change of the dials is
//! followed at once, so that nothing is held by a dial that is at rest.

use std::time::Duration;

use domain::{id::WorkspaceId, wire::Dials};
use tokio::time::{Instant, sleep_until};

use super::board::DialBoard;

/// Waits until so many milliseconds have passed since `since` as the dials of a workspace say by then.
pub(super) async fn hold(
    board: &DialBoard,
    workspace: WorkspaceId,
    since: Instant,
    millis: impl Fn(&Dials) -> u32,
) {
    let mut changes = board.changes();
    loop {
        let until = match board.of(workspace) {
            Some(bent) => since + Duration::from_millis(u64::from(millis(&bent.dials))),
            None => return,
        };
        tokio::select! {
            () = sleep_until(until) => return,
            told = changes.changed() => {
                // The board has ended.
                if told.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::LiveDials;
    use uuid::Uuid;

    use super::*;

    const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

    fn slow(delay_ms: u32) -> Dials {
        Dials {
            live: LiveDials {
                delay_ms,
                ..LiveDials::default()
            },
            ..Dials::default()
        }
    }

    async fn held(board: &DialBoard) -> Duration {
        let begin = Instant::now();
        hold(board, CLASS, begin, |dials| dials.live.delay_ms).await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_waits_as_long_as_the_dial_says_and_no_longer_once_it_is_at_rest() {
        let board = DialBoard::default();
        assert_eq!(held(&board).await, Duration::ZERO);
        board.show(CLASS, 1, slow(400));
        board.show(WorkspaceId(Uuid::from_u128(2)), 1, slow(60_000));
        let waited = held(&board).await;
        assert!((400..60_000).contains(&waited.as_millis()), "{waited:?}");
        board.show(CLASS, 2, slow(60_000));
        let reset = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            board.show(CLASS, 3, Dials::default());
        };
        let (waited, ()) = tokio::join!(held(&board), reset);
        assert!(waited < Duration::from_mins(1), "{waited:?}");
    }
}
