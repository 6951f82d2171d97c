//! Waits for what happens before all is settled: a timer that runs, an event of a correlation.
//!
//! Both are looked for again whenever `/settled` has waited for a moment.

use std::time::Duration;

use domain::{event::StoredEvent, token::ConsistencyToken};
use uuid::Uuid;

use super::{Stage, WAIT_MS};
use crate::{
    api::{Answer, Call},
    lesson::Failure,
};

/// How long `/settled` waits between two looks, in milliseconds.
const LOOK_MS: u64 = 50;

impl Stage {
    /// What `/settled` answers for a correlation after a moment: 200, or 504 with what is left to do.
    async fn look(&self, correlation: Uuid) -> Answer {
        let path = format!("/api/v1/settled?correlation={correlation}&timeout_ms={LOOK_MS}");
        self.call(Call::get(self.educator(), path)).await
    }

    /// Waits until a timer of a process manager runs for a correlation. Says what is left to do then.
    pub async fn await_timer(&self, policy: &str, correlation: Uuid) -> Result<Vec<String>, Failure> {
        let is_timer = |what: &String| what.starts_with(policy) && what.ends_with(" timers");
        let looked = async {
            loop {
                let answer = self.look(correlation).await;
                if answer.is_success() {
                    let done = format!("all is done, and no timer of {policy} has run");
                    return Err(Failure::Unexpected(done));
                }
                let problem = answer.problem();
                if problem.status != 504 {
                    return Err(Failure::Refused {
                        what: "settled".to_owned(),
                        problem: Box::new(problem),
                    });
                }
                if problem.waiting_for.iter().any(is_timer) {
                    return Ok::<_, Failure>(problem.waiting_for);
                }
            }
        };
        in_time(looked, &format!("a timer of {policy}")).await
    }

    /// Waits until an event of this type is recorded for a correlation, and gives the first one.
    pub async fn await_event(&self, correlation: Uuid, event_type: &str) -> Result<StoredEvent, Failure> {
        let looked = async {
            let mut is_done = false;
            loop {
                let mut events = self.caused_by(correlation).await?.into_iter();
                if let Some(found) = events.find(|event| event.event_type == event_type) {
                    return Ok::<_, Failure>(found);
                }
                if is_done {
                    let done = format!("all is done without {event_type}");
                    return Err(Failure::Unexpected(done));
                }
                is_done = self.look(correlation).await.is_success();
            }
        };
        in_time(looked, event_type).await
    }
}

/// The place of an event in the log, for a view that has to have folded it.
pub fn place_of(event: &StoredEvent) -> ConsistencyToken {
    ConsistencyToken::at(event.partition, event.position)
}

/// What comes of looking for something, unless it takes too long.
async fn in_time<T>(looked: impl Future<Output = Result<T, Failure>>, what: &str) -> Result<T, Failure> {
    let looked = tokio::time::timeout(Duration::from_millis(WAIT_MS), looked).await;
    looked.unwrap_or_else(|_| Err(Failure::Unexpected(format!("{what} has not come in time"))))
}
