//! When to retry, and when an event has used up its attempts.
//!
//! Each failure doubles the pause before the next attempt. An event that cannot be applied is tried a few
//! times, because the cause may be temporary or fixed by a deployment; then it is poison, and the lane passes
//! it as a dead letter. A store that does not answer makes no event poison: the lane retries without end,
//! slowly.

use std::time::Duration;

use super::{fold::PoisonEvent, lane_error::LaneError};
use documents::{DocumentStoreError, FoldFault};

/// How often an event is tried before it is a dead letter.
pub const EVENT_ATTEMPTS: u32 = 5;

/// A lane that has failed this often in a row is reported as stopped.
pub const STOPPED_AFTER: u32 = 8;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The consecutive failures of one piece of work.
#[derive(Debug, Default)]
pub struct Retry {
    failures: u32,
    fault: Option<(FoldFault, u32)>,
}

impl Retry {
    /// For work that has failed this often before.
    pub fn after(failures: u32) -> Self {
        Self {
            failures,
            fault: None,
        }
    }

    /// Notes a failure.
    pub fn failed(&mut self, error: &LaneError) {
        let LaneError::Documents(DocumentStoreError::Fault(fault)) = error else {
            self.failures = self.failures.saturating_add(1);
            return;
        };
        let attempts = match self.fault.take() {
            Some((before, attempts)) if before.position == fault.position => attempts + 1,
            // The lane has made progress since the last fault.
            _ => 1,
        };
        self.failures = attempts;
        self.fault = Some((fault.clone(), attempts));
    }

    /// Notes a panic.
    pub fn panicked(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// The failures so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The event that has used up its attempts.
    pub fn poison(&self) -> Option<PoisonEvent> {
        let (fault, attempts) = self.fault.as_ref()?;
        (*attempts >= EVENT_ATTEMPTS).then(|| PoisonEvent {
            position: fault.position,
            reason: fault.reason.clone(),
            attempts: *attempts,
        })
    }

    /// How long to wait: exponential backoff with jitter: 20 ms, doubled each time, up to 30 s, times 0.5 to
    /// 1.5. Zero if the next attempt differs because it passes the event.
    pub fn pause(&self) -> Duration {
        if self.poison().is_some() {
            return Duration::ZERO;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        doubled.min(LONGEST_PAUSE).mul_f64(0.5 + rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(position: u64) -> LaneError {
        DocumentStoreError::Fault(FoldFault {
            position,
            reason: "no".to_owned(),
        })
        .into()
    }

    #[test]
    fn an_event_is_poison_after_its_attempts_and_no_other() {
        let mut retry = Retry::default();
        for _ in 0..EVENT_ATTEMPTS - 1 {
            retry.failed(&fault(3));
            assert_eq!(retry.poison(), None);
        }
        retry.failed(&fault(3));
        assert_eq!(retry.poison().map(|it| it.position), Some(3));
        retry.failed(&fault(4));
        assert_eq!(retry.poison(), None);
    }

    #[test]
    fn a_store_that_does_not_answer_makes_no_event_poison() {
        let mut retry = Retry::default();
        for _ in 0..100 {
            retry.failed(&LaneError::Documents(DocumentStoreError::Unavailable(
                "gone".to_owned(),
            )));
        }
        assert_eq!((retry.poison(), retry.failures()), (None, 100));
        assert!(retry.pause() <= LONGEST_PAUSE * 2);
    }
}
