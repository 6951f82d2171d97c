//! The line from the server to the clients of live sockets, as far as it has faults: it may be slow, lose
//! changes, or be cut.
//!
//! Frames that a slow line holds back wait in memory of their own, one after the other, and meanwhile the
//! connection asks the query API for nothing more. So a slow line is to the server what a slow client is:
//! changes that find no room in the session's queue are replaced by a snapshot, and the connection ends if a
//! frame takes too long, or if too many are held back.

use std::{collections::VecDeque, fmt, sync::Arc};

use axum::extract::ws::Message;
use domain::id::WorkspaceId;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use super::{Disconnect, SEND_TIMEOUT};

/// Why a connection is closed whose line is cut.
pub(super) const CUT: &str = "the line is cut; connect again";

/// The most frames that a line holds back; most of them are answers to frames of the client.
const MOST_HELD: usize = 64;

/// The line to the clients of each workspace.
pub trait Line: Send + Sync + fmt::Debug {
    /// Whether frames take time on the line of a workspace. Asked for each frame.
    fn is_slow(&self, workspace: WorkspaceId) -> bool;

    /// Ends when a frame that is sent now has taken its time.
    fn delay(self: Arc<Self>, workspace: WorkspaceId) -> BoxFuture<'static, ()>;

    /// Whether the change that is to be sent now, by this frame, is lost. Asked once for each frame of a
    /// change.
    fn loses_change(&self, workspace: WorkspaceId, frame: &[u8]) -> bool;

    /// Whether the connections of a workspace are cut, each after its next answer.
    fn is_cut(&self, workspace: WorkspaceId) -> bool;

    /// Ends when the connections of a workspace that are open now are cut.
    fn cut(self: Arc<Self>, workspace: WorkspaceId) -> BoxFuture<'static, ()>;
}

/// The frames of a connection that a slow line holds back.
pub(super) struct HeldFrames {
    line: Arc<dyn Line>,
    workspace: WorkspaceId,
    frames: VecDeque<Message>,
    /// The wait of the first frame, and until when it may last.
    wait: Option<(BoxFuture<'static, ()>, Instant)>,
}

impl HeldFrames {
    /// No frames yet, on the line of a workspace.
    pub(super) fn new(line: &Arc<dyn Line>, workspace: WorkspaceId) -> Self {
        Self {
            line: Arc::clone(line),
            workspace,
            frames: VecDeque::new(),
            wait: None,
        }
    }

    /// Holds back one frame more; too many are the end of the connection.
    pub(super) fn push(&mut self, frame: Message) -> Result<(), Disconnect> {
        if self.frames.len() >= MOST_HELD {
            return Err(Disconnect::Lost);
        }
        self.frames.push_back(frame);
        Ok(())
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Waits until the first frame has taken its time; one that takes too long is the end of the connection.
    /// Cancel safe.
    async fn next(&mut self) -> Result<Message, Disconnect> {
        let (delay, end) = self.wait.get_or_insert_with(|| {
            let delay = Arc::clone(&self.line).delay(self.workspace);
            (delay, Instant::now() + SEND_TIMEOUT)
        });
        let waited = timeout_at(*end, delay).await;
        self.wait = None;
        let frame = self.frames.pop_front();
        match waited {
            Ok(()) => frame.ok_or(Disconnect::Lost),
            Err(_) => Err(Disconnect::Lost),
        }
    }
}

/// The next frame that a slow line releases; without any that it holds back, there is never one.
pub(super) async fn next_released(held: Option<&mut HeldFrames>) -> Result<Message, Disconnect> {
    match held {
        // In memory of its own: most lines have no faults.
        Some(held) => Box::pin(held.next()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures::future::select;
    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::*;

    /// A line on which each frame takes time until a test says that it has.
    #[derive(Debug)]
    struct SlowLine(Arc<Notify>);

    impl Line for SlowLine {
        fn is_slow(&self, _: WorkspaceId) -> bool {
            true
        }

        fn delay(self: Arc<Self>, _: WorkspaceId) -> BoxFuture<'static, ()> {
            let over = Arc::clone(&self.0);
            Box::pin(async move { over.notified().await })
        }

        fn loses_change(&self, _: WorkspaceId, _: &[u8]) -> bool {
            false
        }

        fn is_cut(&self, _: WorkspaceId) -> bool {
            false
        }

        fn cut(self: Arc<Self>, _: WorkspaceId) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    /// Numbered frames that a line holds back, and what ends the wait of the first of them.
    fn held(frames: usize) -> (HeldFrames, Arc<Notify>) {
        let over = Arc::new(Notify::new());
        let line: Arc<dyn Line> = Arc::new(SlowLine(Arc::clone(&over)));
        let mut held = HeldFrames::new(&line, WorkspaceId(Uuid::from_u128(1)));
        for n in 0..frames {
            held.push(Message::text(n.to_string())).unwrap();
        }
        (held, over)
    }

    /// Begins to wait for the first frame, and is interrupted.
    async fn interrupted(held: &mut HeldFrames) {
        drop(select(Box::pin(held.next()), std::future::ready(())).await);
    }

    #[tokio::test]
    async fn frames_are_released_in_their_order_also_after_an_interrupted_wait() {
        let (mut held, over) = held(3);
        for n in 0..3 {
            interrupted(&mut held).await;
            over.notify_one();
            let released = held.next().await;
            assert_eq!(released, Ok(Message::text(n.to_string())));
        }
        assert!(held.is_empty());
    }

    #[test]
    fn a_line_that_holds_too_many_frames_is_lost() {
        let (mut held, _) = held(MOST_HELD);
        assert_eq!(held.push(Message::text("one more")), Err(Disconnect::Lost));
    }

    #[tokio::test]
    async fn a_line_that_needs_too_long_for_a_frame_is_lost() {
        let (mut held, _over) = held(1);
        interrupted(&mut held).await;
        // as if the longest time had passed
        held.wait = held.wait.take().map(|(delay, _)| (delay, Instant::now()));
        assert_eq!(held.next().await, Err(Disconnect::Lost));
    }
}
