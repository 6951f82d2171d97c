//! Optimistic concurrency: a command is decided again where another append came first.
//!
//! A refusal always relies on a state that was read for it: the first attempt may use a cached state, and if
//! that leads to a refusal, the next one reads the store.

use std::time::Duration;

use domain::{id::StreamName, rejection::Rejection};
use tokio::sync::MutexGuard;

use super::{aggregate_loader::Freshness, failure::CommandFailure, intent::Intent};
use event_store::{AppendAnswer, Expected, StoreError};
use identity::PeopleError;

/// How often a command is decided before its caller gets a conflict. Many, because another server that writes
/// to the same stream without a pause usually wins: it has the newest state, and this one has to read it
/// first.
const MAX_ATTEMPTS: u32 = 64;

/// The attempts that follow without a pause: a pause would leave the stream to the writer that has just won.
const IMMEDIATE_ATTEMPTS: u32 = 4;

/// Why an attempt appended nothing.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// The stream is not at the version that the caller named.
    VersionMismatch {
        /// Its version, as far as the attempt saw it.
        current: u64,
    },
    /// A rule does not allow it in the state that the attempt saw.
    Refused(Rejection),
    /// Another append came between loading a stream and appending to it.
    Conflict {
        /// The stream.
        stream: StreamName,
        /// Its version now.
        current: u64,
    },
    /// Another attempt would not help.
    Failed(CommandFailure),
}

impl From<Rejection> for AttemptError {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<StoreError> for AttemptError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<PeopleError> for AttemptError {
    fn from(error: PeopleError) -> Self {
        Self::Failed(error.into())
    }
}

/// The attempts of one command, under the lock of its stream if its commands wait for each other.
pub(super) struct Attempts<'a> {
    intent: &'a Intent,
    stream_lock: Option<MutexGuard<'a, ()>>,
    freshness: Freshness,
    /// The current version at the last conflict.
    conflict: u64,
    made: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        intent: &'a Intent,
        stream_lock: Option<MutexGuard<'a, ()>>,
        freshness: Freshness,
    ) -> Self {
        Self {
            intent,
            stream_lock,
            freshness,
            conflict: 0,
            made: 0,
        }
    }

    /// How new the states of the next attempt must be.
    pub(super) const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Evaluates an attempt. `None`: another one is to be made; otherwise the outcome, and the lock is
    /// released.
    pub(super) async fn after(
        &mut self,
        attempt: Result<AppendAnswer, AttemptError>,
    ) -> Option<Result<AppendAnswer, CommandFailure>> {
        let outcome = match attempt {
            Ok(appended) => Some(Ok(appended)),
            Err(error) => self.recover(error).await.err().map(Err),
        };
        if outcome.is_some() {
            self.stream_lock = None;
        }
        outcome
    }

    async fn recover(&mut self, error: AttemptError) -> Result<(), CommandFailure> {
        self.made += 1;
        match error {
            AttemptError::Failed(failure) => return Err(failure),
            AttemptError::VersionMismatch { .. } | AttemptError::Refused(_)
                if self.freshness == Freshness::Cached => {}
            AttemptError::VersionMismatch { current } => return Err(self.conflict_at(current)),
            AttemptError::Refused(rejection) => return Err(rejection.into()),
            // A caller that named a version gets the conflict; a retry could only fail again.
            AttemptError::Conflict { stream, current }
                if stream == self.intent.stream
                    && matches!(self.intent.expected, Expected::Exact(_) | Expected::NoStream) =>
            {
                return Err(self.conflict_at(current));
            }
            AttemptError::Conflict { current, .. } => {
                self.conflict = current;
                metrics::counter!("foldline_command_retries_total").increment(1);
                if self.made > IMMEDIATE_ATTEMPTS {
                    tokio::time::sleep(jitter()).await;
                }
            }
        }
        self.freshness = Freshness::Read;
        if self.made == MAX_ATTEMPTS {
            return Err(self.conflict_at(self.conflict));
        }
        Ok(())
    }

    fn conflict_at(&self, current: u64) -> CommandFailure {
        CommandFailure::Conflict {
            stream: self.intent.stream.clone(),
            current,
        }
    }
}

/// Up to 4 milliseconds: writers that collided several times should not collide again.
fn jitter() -> Duration {
    Duration::from_micros(rand::random_range(0..4_000))
}
