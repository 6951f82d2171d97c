//! Optimistic concurrency: a command is decided again where another append came first.
//!
//! A refusal is only ever given on what has just been read: the first attempt may see a cached state, and where that leads
//! to a refusal, the next one reads again.

use std::time::Duration;

use domain::{id::StreamName, rejection::Rejection};
use tokio::sync::MutexGuard;

use super::{aggregates::Freshness, failure::CommandFailure, intent::Intent};
use event_store::{Appended, Expected, StoreError};
use identity::PeopleError;

/// How often a command is decided before its caller hears of a conflict. Many, because another process that writes to
/// the same stream without a pause wins more often than not: it knows the newest state, and we have to read it first.
const MAX_ATTEMPTS: u32 = 64;

/// The first attempts follow at once; pausing only leaves the stream to the writer that has just won.
const HASTY_ATTEMPTS: u32 = 4;

/// Why an attempt appended nothing.
#[derive(Debug)]
pub(super) enum Setback {
    /// The stream is not at the version that the caller named.
    OtherVersion {
        /// Its version, as far as the attempt saw it.
        current: u64,
    },
    /// A rule does not allow it in the state that the attempt saw.
    Refused(Rejection),
    /// Another append to a stream came between loading it and appending to it.
    Overtaken {
        /// The stream.
        stream: StreamName,
        /// Its version now.
        current: u64,
    },
    /// Another attempt would not help.
    Failed(CommandFailure),
}

impl From<Rejection> for Setback {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<PeopleError> for Setback {
    fn from(error: PeopleError) -> Self {
        Self::Failed(error.into())
    }
}

/// The attempts of one command, in the turn of its stream.
pub(super) struct Attempts<'a> {
    intent: &'a Intent,
    turn: Option<MutexGuard<'a, ()>>,
    freshness: Freshness,
    /// The version that an attempt was overtaken by.
    conflict: u64,
    made: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(intent: &'a Intent, turn: MutexGuard<'a, ()>) -> Self {
        Self {
            intent,
            turn: Some(turn),
            freshness: Freshness::Cached,
            conflict: 0,
            made: 0,
        }
    }

    /// How new the states must be on which the next attempt decides.
    pub(super) const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// What an attempt led to: `None`, and another one is to be made; or the outcome, with which the turn ends.
    pub(super) async fn after(
        &mut self,
        attempt: Result<Appended, Setback>,
    ) -> Option<Result<Appended, CommandFailure>> {
        let outcome = match attempt {
            Ok(appended) => Some(Ok(appended)),
            Err(setback) => self.recover(setback).await.err().map(Err),
        };
        if outcome.is_some() {
            self.turn = None;
        }
        outcome
    }

    async fn recover(&mut self, setback: Setback) -> Result<(), CommandFailure> {
        self.made += 1;
        match setback {
            Setback::Failed(failure) => return Err(failure),
            Setback::OtherVersion { .. } | Setback::Refused(_) if self.freshness == Freshness::Cached => {}
            Setback::OtherVersion { current } => return Err(self.conflict_at(current)),
            Setback::Refused(rejection) => return Err(rejection.into()),
            // A caller that named a version wants to hear of it; a retry could only fail again.
            Setback::Overtaken { stream, current }
                if stream == self.intent.stream
                    && matches!(self.intent.expected, Expected::Exact(_) | Expected::NoStream) =>
            {
                return Err(self.conflict_at(current));
            }
            Setback::Overtaken { current, .. } => {
                self.conflict = current;
                metrics::counter!("foldline_command_retries_total").increment(1);
                if self.made > HASTY_ATTEMPTS {
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
