//! The pace at which a live socket's data is read, in bytes.
//!
//! The frames of a socket are counted when a whole message has arrived. A message may consist of any number
//! of fragments, also of empty ones, which cost work before there is anything to count. So the bytes have a
//! limit as well, far above that of a client within its rate: a faster one is read more slowly, and its own
//! network stops it. Nothing is lost, and no connection is closed.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use crate::settings::Limits;

/// The bytes for each frame that the rate limit permits: several times an average command.
const BYTES_PER_FRAME: u64 = 1_024;
/// The fewest bytes a second, also under a small rate limit.
const LEAST_BYTES_PER_SECOND: u64 = 65_536;
/// The bytes that may come at once, beside one frame of the largest size.
const BURST: u64 = 1_048_576;
/// How long reading pauses at least.
const PAUSE: Duration = Duration::from_millis(20);

/// The limit of bytes of one live socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    bytes_per_second: u64,
    burst: u64,
}

impl Pace {
    /// The pace that fits a limit of requests; `None`: there is no such limit.
    pub(super) fn new(limits: &Limits) -> Option<Self> {
        let frames_per_second = u64::from(limits.rate()?.get()).div_ceil(60);
        Some(Self {
            bytes_per_second: (frames_per_second * BYTES_PER_FRAME).max(LEAST_BYTES_PER_SECOND),
            burst: BURST.saturating_add(limits.max_body_bytes as u64),
        })
    }
}

/// The bytes that a socket may still send without a pause.
#[derive(Debug)]
pub(super) struct PacedReads {
    pace: Pace,
    left: u64,
    counted_at: Instant,
    pause: Option<Pin<Box<Sleep>>>,
}

impl PacedReads {
    /// A socket that begins now.
    pub(super) fn new(pace: Pace, now: Instant) -> Self {
        Self {
            pace,
            left: pace.burst,
            counted_at: now,
            pause: None,
        }
    }

    /// Ready when data may be read; until then the task is woken at the end of a pause.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            if self.left > 0 {
                return Poll::Ready(());
            }
            self.refill(Instant::now());
            if self.left == 0 {
                self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
            }
        }
    }

    /// Counts bytes that were read.
    pub(super) fn note(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
    }

    fn refill(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.counted_at).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        let gained = self.pace.bytes_per_second.saturating_mul(millis) / 1_000;
        if gained > 0 {
            self.left = self.left.saturating_add(gained).min(self.pace.burst);
            self.counted_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        bytes_per_second: 1_000,
        burst: 500,
    };

    fn after(begin: Instant, millis: u64) -> Instant {
        begin + Duration::from_millis(millis)
    }

    #[test]
    fn a_socket_has_its_burst_at_once_and_then_its_bytes_a_second() {
        let begin = Instant::now();
        let mut reads = PacedReads::new(PACE, begin);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(reads.poll_ready(&mut context).is_ready());
        reads.note(500);
        assert_eq!(reads.left, 0);
        for (millis, left) in [(0, 0), (100, 100), (200, 200), (300, 300), (10_000, 500)] {
            reads.refill(after(begin, millis));
            assert_eq!(reads.left, left, "after {millis} ms");
        }
        reads.note(9_999);
        assert_eq!(
            reads.left, 0,
            "a read may be larger than what is left, and is not owed"
        );
    }

    #[tokio::test]
    async fn a_socket_without_bytes_left_pauses() {
        // a pace whose next byte comes after the test
        let never = Pace {
            bytes_per_second: 0,
            burst: 1,
        };
        let mut reads = PacedReads::new(never, Instant::now());
        reads.note(1);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(reads.poll_ready(&mut context).is_pending());
        assert!(reads.pause.is_some());
    }
}
