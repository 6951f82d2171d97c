//! The clients' records. Times are ticks of one counter: an action that ended before another began has the
//! smaller tick, and only this order counts.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clock::{Clock as _, SystemClock};
use domain::{event::StoredEvent, token::ConsistencyToken, wire::CommandAnswer};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::running::TEST_TIMEOUT;

/// The recent commands from which readers choose.
const RECENT: usize = 16;

/// The findings of which the history is printed, those that are kept at all, and the lines of each.
const MAX_FINDINGS: usize = 5;
const MAX_KEPT_FINDINGS: usize = 1_000;
const MAX_LINES: usize = 60;

/// A command that was accepted.
#[derive(Debug)]
pub(crate) struct AcknowledgedCommand {
    /// Before it was sent for the first time.
    pub(crate) sent: u64,
    /// After its answer had come.
    pub(crate) answered: u64,
    /// The attempts before the one that was answered, for messages.
    pub(crate) attempts: String,
    pub(crate) answer: CommandAnswer,
}

/// A client's observation of a view.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The client, for messages.
    pub(crate) by: String,
    pub(crate) view: &'static str,
    /// The token that the answer names.
    pub(crate) as_of: ConsistencyToken,
    pub(crate) what: ObservedState,
}

#[derive(Debug)]
pub(crate) enum ObservedState {
    /// A document, or its absence.
    Document { key: String, data: Option<Value> },
    /// A document in a group of a listing, or its absence.
    Listed {
        listing: &'static str,
        group: &'static str,
        key: String,
        data: Option<Value>,
    },
    /// A complete group of a listing.
    Listing {
        listing: &'static str,
        group: &'static str,
        rows: BTreeMap<String, Value>,
    },
}

/// What should not be.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) what: String,
    /// The key of the document, the id of the stream, or the name of the client that it is about: the history
    /// of this alone is printed.
    pub(crate) about: String,
}

/// All records of a run.
#[derive(Debug)]
pub(crate) struct History {
    ticks: AtomicU64,
    commands: Mutex<Vec<AcknowledgedCommand>>,
    /// The correlation ids of commands that were refused after an attempt without an answer.
    uncertain: Mutex<HashSet<Uuid>>,
    observations: Mutex<Vec<Observation>>,
    findings: Mutex<Vec<Finding>>,
    actions: Mutex<Vec<(u64, String)>>,
    acknowledged: watch::Sender<u64>,
    /// Writers stop while this many commands are acknowledged.
    allowed: watch::Sender<u64>,
    phase: watch::Sender<RunPhase>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            ticks: AtomicU64::default(),
            commands: Mutex::default(),
            uncertain: Mutex::default(),
            observations: Mutex::default(),
            findings: Mutex::default(),
            actions: Mutex::default(),
            acknowledged: watch::Sender::default(),
            allowed: watch::Sender::new(u64::MAX),
            phase: watch::Sender::default(),
        }
    }
}

/// The phase of the run: writers stop first, and watchers stop at the end of the log.
#[derive(Debug, Default)]
struct RunPhase {
    no_more_commands: bool,
    head: Option<ConsistencyToken>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    pub(crate) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self, sent: u64, attempts: String, answer: CommandAnswer) {
        let answered = self.tick();
        self.commands().push(AcknowledgedCommand {
            sent,
            answered,
            attempts,
            answer,
        });
        self.acknowledged.send_modify(|count| *count += 1);
    }

    /// A command was refused, but an attempt before had no answer: that one may still be stored.
    pub(crate) fn refused_after_silence(&self, correlation: Uuid) {
        locked(&self.uncertain).insert(correlation);
    }

    pub(crate) fn uncertain(&self) -> HashSet<Uuid> {
        locked(&self.uncertain).clone()
    }

    pub(crate) fn observe(&self, observation: Observation) {
        locked(&self.observations).push(observation);
    }

    pub(crate) fn commands(&self) -> MutexGuard<'_, Vec<AcknowledgedCommand>> {
        locked(&self.commands)
    }

    pub(crate) fn observations(&self) -> MutexGuard<'_, Vec<Observation>> {
        locked(&self.observations)
    }

    /// Records a finding, about a document, a stream or a client.
    pub(crate) fn find(&self, about: impl Into<String>, what: impl Into<String>) {
        let (about, what) = (about.into(), what.into());
        let mut findings = locked(&self.findings);
        if findings.len() < MAX_KEPT_FINDINGS {
            findings.push(Finding { what, about });
        }
    }

    /// Records a finding unless a condition holds.
    pub(crate) fn require(&self, holds: bool, about: &str, what: impl FnOnce() -> String) {
        if !holds {
            self.find(about, what());
        }
    }

    /// Records an action on the servers, and returns its tick.
    pub(crate) fn act(&self, action: String) -> u64 {
        let tick = self.tick();
        locked(&self.actions).push((tick, action));
        tick
    }

    /// The stream and the token of a recent command on products, stock or orders.
    pub(crate) fn recent(&self) -> Option<(String, ConsistencyToken)> {
        let commands = self.commands();
        let is_read = |command: &&AcknowledgedCommand| !command.answer.stream.starts_with("user-");
        let recent: Vec<_> = commands.iter().rev().filter(is_read).take(RECENT).collect();
        let chosen = recent.get(rand::random_range(0..recent.len().max(1)))?;
        Some((chosen.answer.stream.clone(), chosen.answer.token.clone()))
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    pub(crate) async fn until_acknowledged(&self, count: u64) {
        assert!(
            self.acknowledged_within(count, TEST_TIMEOUT).await,
            "{} commands were acknowledged within {TEST_TIMEOUT:?}, and not {count}",
            self.acknowledged()
        );
    }

    /// Waits until this many commands are acknowledged, for a limited time.
    pub(crate) async fn acknowledged_within(&self, count: u64, time: Duration) -> bool {
        let mut acknowledged = self.acknowledged.subscribe();
        let reached = acknowledged.wait_for(|so_far| *so_far >= count);
        tokio::time::timeout(time, reached).await.is_ok()
    }

    /// Waits for the next acknowledged command, or for the end of the log.
    pub(crate) async fn more(&self) {
        let mut acknowledged = self.acknowledged.subscribe();
        tokio::select! {
            _ = acknowledged.changed() => {}
            () = self.ended() => {}
        }
    }

    /// Writers go on until this many commands are acknowledged.
    pub(crate) fn allow(&self, commands: u64) {
        self.allowed.send_replace(commands);
    }

    /// Waits until more commands are allowed. Returns whether there are to be any.
    pub(crate) async fn takes_commands(&self) -> bool {
        let mut allowed = self.allowed.subscribe();
        let _ = allowed.wait_for(|allowed| self.acknowledged() < *allowed).await;
        !self.phase.borrow().no_more_commands
    }

    pub(crate) fn no_more_commands(&self) {
        self.phase.send_modify(|phase| phase.no_more_commands = true);
        self.allow(u64::MAX);
    }

    pub(crate) fn ends_at(&self, head: ConsistencyToken) {
        self.phase.send_modify(|phase| phase.head = Some(head));
    }

    /// Waits until the end of the log is known.
    pub(crate) async fn ended(&self) {
        let mut phase = self.phase.subscribe();
        let _ = phase.wait_for(|phase| phase.head.is_some()).await;
    }

    /// Whether a client with this token has seen the whole log.
    pub(crate) fn is_all(&self, as_of: &ConsistencyToken) -> bool {
        let phase = self.phase.borrow();
        phase.head.as_ref().is_some_and(|head| as_of.covers(head))
    }

    /// Panics if there are findings, with the history of what they are about. `run` says how to repeat it.
    pub(crate) fn require_no_findings(&self, run: &str, log: &[StoredEvent]) {
        let findings = std::mem::take(&mut *locked(&self.findings));
        if findings.is_empty() {
            return;
        }
        let mut text = format!("{} findings in {run}\n", findings.len());
        for finding in findings.iter().take(MAX_FINDINGS) {
            let _ = writeln!(text, "\n{}", finding.what);
            let lines = self.about(&finding.about, log);
            let left_out = lines.len().saturating_sub(MAX_LINES);
            if left_out > 0 {
                let _ = writeln!(text, "  … {left_out} earlier lines");
            }
            for line in &lines[left_out..] {
                let _ = writeln!(text, "  {line}");
            }
        }
        let others = findings.iter().skip(MAX_FINDINGS);
        for finding in others.take(MAX_LINES) {
            let _ = writeln!(text, "\nalso: {}", finding.what);
        }
        panic!("{text}");
    }

    /// What is recorded of a document, a stream or a client: commands and actions by tick, then observations
    /// and events.
    fn about(&self, about: &str, log: &[StoredEvent]) -> Vec<String> {
        let mut ticks: Vec<(u64, String)> = locked(&self.actions)
            .iter()
            .map(|(tick, action)| (*tick, format!("tick {tick}: {action}")))
            .collect();
        let commands = self.commands();
        let commands = commands
            .iter()
            .filter(|command| names(&command.answer.stream, about));
        ticks.extend(commands.map(|command| {
            let AcknowledgedCommand {
                sent,
                answered,
                attempts,
                answer,
            } = command;
            let line = format!(
                "tick {sent} to {answered}: {} of {} got version {} at {}{attempts}",
                answer.command_id, answer.stream, answer.version, answer.token
            );
            (*sent, line)
        }));
        ticks.sort();
        let observations = self.observations();
        let observations = observations.iter().filter_map(|seen| {
            let Observation {
                by,
                view,
                as_of,
                what,
            } = seen;
            let shown = match what {
                ObservedState::Document { key, data } | ObservedState::Listed { key, data, .. } => {
                    (key == about).then_some(data.as_ref())
                }
                ObservedState::Listing { rows, .. } => rows.get(about).map(Some),
            };
            let data = shown.or_else(|| (by == about).then_some(None))?;
            let data = data.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            Some(format!("{by} saw {view} {about} as of {as_of}: {data}"))
        });
        let events = log
            .iter()
            .filter(|event| names(event.stream.as_str(), about) || event.payload.get().contains(about));
        let events = events.map(|event| {
            format!(
                "event {}:{} {} version {}: {} by command {}, {:?}",
                event.partition,
                event.position,
                event.stream,
                event.version,
                event.event_type,
                event.metadata.command_id,
                event.metadata.actor.role
            )
        });
        let lines = ticks.into_iter().map(|(_, line)| line);
        lines.chain(observations).chain(events).collect()
    }
}

/// Whether a stream is about this document: its id is the document's key.
fn names(stream: &str, about: &str) -> bool {
    stream.split_once('-').is_some_and(|(_, id)| id == about)
}

/// A unique id.
pub(crate) fn unique() -> Uuid {
    SystemClock.new_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "1 findings in seed 7")]
    fn a_finding_fails_the_run_with_its_seed() {
        let history = History::default();
        history.require(true, "mug-1", || unreachable!("it holds"));
        history.require_no_findings("seed 7", &[]);
        history.find("mug-1", "one too many");
        history.require_no_findings("seed 7", &[]);
    }

    #[tokio::test]
    async fn writers_wait_while_enough_commands_are_acknowledged() {
        let history = History::default();
        assert!(history.takes_commands().await);
        history.allow(0);
        assert!(
            tokio::time::timeout(Duration::ZERO, history.takes_commands())
                .await
                .is_err(),
            "none is allowed"
        );
        history.no_more_commands();
        assert!(!history.takes_commands().await);
    }
}
