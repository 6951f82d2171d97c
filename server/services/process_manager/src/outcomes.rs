//! The outcomes of one process's commands, gathered until they are recorded in one transaction.

use std::time::Duration;

use domain::policy::SendOutcome;
use tokio::time::Instant;
use uuid::Uuid;

use super::command_queue::CommandLease;

/// How long an accepted command waits for the lane that folds its events. Lanes need milliseconds; but they
/// need not concern this process.
const LANE_DELAY: Duration = Duration::from_millis(250);

/// How long a started timer waits to be scheduled together with the first outcome.
const SCHEDULING_DELAY: Duration = Duration::from_millis(50);

/// A queue whose commands were sent.
#[derive(Debug)]
pub(super) struct SentQueue {
    pub(super) lease: CommandLease,
    pub(super) outcomes: Vec<(Uuid, SendOutcome)>,
    /// The command that got no answer.
    pub(super) unanswered: Option<Uuid>,
    /// Whether lanes are expected to remove the commands.
    pub(super) awaits_lanes: bool,
}

impl SentQueue {
    fn are_carried_out(&self) -> bool {
        self.lease
            .are_carried_out(self.outcomes.iter().map(|(id, _)| *id))
    }

    /// Frees the queue. A command without an answer backs off.
    pub(super) fn release(self) {
        self.lease.release(self.unanswered.as_slice());
    }
}

/// The outcomes of one process that are to be recorded.
#[derive(Debug)]
pub(super) struct Outcomes {
    sent: Vec<SentQueue>,
    must_schedule: bool,
    /// When they are recorded at the latest.
    at: Option<Instant>,
}

impl Outcomes {
    /// None yet. Timers to schedule wait for the first outcome, if there will be one.
    pub(super) fn new(must_schedule: bool, will_send: bool) -> Self {
        let delay = if will_send {
            SCHEDULING_DELAY
        } else {
            Duration::ZERO
        };
        Self {
            sent: Vec::new(),
            must_schedule,
            at: must_schedule.then(|| Instant::now() + delay),
        }
    }

    /// When they are to be recorded; `None`: there is nothing to record.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Adds a queue; one without an outcome is released.
    pub(super) fn add(&mut self, queue: SentQueue) {
        if queue.outcomes.is_empty() {
            queue.release();
            return;
        }
        let delay = if queue.awaits_lanes {
            LANE_DELAY
        } else {
            Duration::ZERO
        };
        let at = Instant::now() + delay;
        self.at = Some(self.at.map_or(at, |earlier| earlier.min(at)));
        self.sent.push(queue);
    }

    /// Releases the queues whose commands were all removed by lanes.
    pub(super) fn release_carried_out(&mut self) {
        for queue in self.sent.extract_if(.., |queue| queue.are_carried_out()) {
            queue.release();
        }
        if self.sent.is_empty() && !self.must_schedule {
            self.at = None;
        }
    }

    /// Takes all of them, if the time has come to record them.
    pub(super) fn take_due(&mut self) -> Option<Vec<SentQueue>> {
        self.at.filter(|at| *at <= Instant::now())?;
        self.at = None;
        self.must_schedule = false;
        Some(std::mem::take(&mut self.sent))
    }
}
