//! The checks of one workspace, pass by pass: what is new in the log, what bent boxes have reported, the
//! documents of the views, and a page of the commands that were answered.
//!
//! A pass with nothing new reads nothing of the log, and one document: what cures have counted as known.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use broker::PublishedEvent;
use domain::{
    event::TypedEvent,
    id::{StreamName, WorkspaceId},
    token::ConsistencyToken,
    wire::{Arrow, Dials, Evidence, Invariant, SequenceStep},
};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    Dependencies, InvariantError, MAX_EVENTS, PASS, Watch,
    explanation::{Explanation, Shown},
    known_breaks::{Known, KnownBreaks},
    lights::{Break, Finding, Lights, is_covered, shortened},
    log_checks::{EventPlace, LogChecks, place_of},
    view_checks::{Compared, Comparison, ViewChecks},
    witness::Report,
};

/// How many events are read at a time.
const PAGE: u32 = 250;

/// How many answered commands are read at a time.
const COMMANDS_PAGE: u32 = 200;

/// How often the answered commands are read on.
const INTERVAL: Duration = Duration::from_secs(1);

/// The most wrong documents that are explained in a pass.
const MAX_EXPLAINED: usize = 8;

/// The most events before their append that are remembered.
const MAX_PHANTOMS: usize = 256;

/// The longest that an append may take after its events were published, if it is not told how it ended.
const APPEND_TIME: Duration = Duration::from_secs(5);

/// For how long the documents are compared that an event changes which the log does not have.
const SUSPICION: Duration = Duration::from_secs(30);

/// Counts the passes, for an operator; at rest it does not move.
const PASSES: &str = "foldline_lab_invariant_passes_total";

/// An event that was published before its append.
#[derive(Debug)]
struct Phantom {
    event: Arc<PublishedEvent>,
    since: Instant,
    /// Whether its append was refused.
    is_refused: bool,
    /// Whether it was found that the log does not have it.
    is_lost: bool,
}

impl Phantom {
    /// Whether it changes a document that was compared.
    fn changes(&self, comparison: &Comparison) -> bool {
        let event = self.event.decoded.as_ref();
        event.is_ok_and(|event| comparison.view.keys(event).contains(&comparison.key))
    }
}

/// Checks one workspace.
pub(super) struct Watcher {
    workspace: WorkspaceId,
    dependencies: Arc<Dependencies>,
    known_breaks: KnownBreaks,
    known: Known,
    lights: Lights,
    log: LogChecks,
    /// Folded beside only while a dial is bent, or a document is wrong.
    views: Option<ViewChecks>,
    /// The views of its own that the workspace has: their ids and names.
    own: Vec<(Uuid, String)>,
    checked_to: ConsistencyToken,
    phantoms: Vec<Phantom>,
    /// The answered command after which the next page begins.
    commands_after: Option<Uuid>,
    /// When that is read.
    next_reading: Instant,
}

impl Watcher {
    /// Nothing is read yet.
    pub(super) fn new(workspace: WorkspaceId, dependencies: Arc<Dependencies>) -> Self {
        Self {
            workspace,
            known_breaks: KnownBreaks::new(Arc::clone(&dependencies.process_store), workspace),
            known: Known::default(),
            lights: Lights::new(dependencies.clock.now()),
            log: LogChecks::default(),
            views: None,
            own: Vec::new(),
            checked_to: ConsistencyToken::default(),
            phantoms: Vec::new(),
            commands_after: None,
            next_reading: Instant::now(),
            dependencies,
        }
    }

    /// Checks until it is aborted, and publishes every pass.
    pub(super) async fn run(mut self, watch: Arc<Watch>) {
        loop {
            let pass = watch.begun.fetch_add(1, Ordering::AcqRel) + 1;
            metrics::counter!(PASSES).increment(1);
            match self.pass().await {
                Ok(dials) => watch.publish(pass, self.lights.answer(&dials, &self.checked_to)),
                Err(error) => {
                    tracing::warn!(
                        workspace = %self.workspace, %error, "invariants could not be checked; trying again"
                    );
                }
            }
            tokio::select! {
                () = watch.wanted.notified() => {}
                () = sleep(PASS) => {}
            }
        }
    }

    /// One pass. Returns the dials that were bent in it.
    async fn pass(&mut self) -> Result<Dials, InvariantError> {
        // Before the log is read: what was done before this pass is in it.
        self.read_known().await?;
        self.read_own_views();
        let bent = self.dependencies.dials.board().of(self.workspace);
        let wants_views = bent.is_some() || self.known.has_wrong_views || self.lights.have_wrong_documents();
        if wants_views && self.views.is_none() {
            // The fold begins with the first event, so the log is read again.
            let views = self.dependencies.progress.views_in(self.workspace);
            self.views = Some(ViewChecks::new(&views));
            self.log = LogChecks::that_remember_events();
            self.checked_to = ConsistencyToken::default();
        } else if !wants_views {
            self.views = None;
        }
        let reports = self.dependencies.witness.take(self.workspace);
        let head = self.read_log().await?;
        self.take_reports(reports);
        self.settle_phantoms();
        let is_compared = self.compare_views().await?;
        self.note_wrong_views(is_compared).await?;
        self.read_commands(&head).await?;
        Ok(bent.map(|bent| bent.dials.clone()).unwrap_or_default())
    }

    /// Follows the views of its own that the workspace creates and deletes: with others than before, the
    /// folds begin again.
    fn read_own_views(&mut self) {
        let defined = self.dependencies.progress.own_views().defined(self.workspace);
        let own = defined
            .iter()
            .map(|own| (own.id, own.plan.definition().name.clone()));
        let own: Vec<_> = own.collect();
        if own == self.own {
            return;
        }
        let now = self.dependencies.clock.now();
        for (_, name) in self.own.iter().filter(|known| !own.contains(known)) {
            self.lights.forget_view(name, now);
        }
        self.own = own;
        self.views = None;
    }

    /// Reads what cures have counted as known, here or at another server, and forgets it.
    async fn read_known(&mut self) -> Result<(), InvariantError> {
        let known = self.known_breaks.read().await?;
        let now = self.dependencies.clock.now();
        for (invariant, acknowledged) in &known.acknowledged {
            if self.known.acknowledged.get(invariant) != Some(acknowledged) {
                self.lights.acknowledge(*invariant, &acknowledged.to, now);
                if *invariant == Invariant::NothingLost {
                    self.phantoms.retain(|phantom| !phantom.is_lost);
                }
            }
        }
        self.known = known;
        Ok(())
    }

    /// Applies what checks have found, unless a cure has counted it as known.
    fn apply(&mut self, findings: Vec<Finding>) {
        let now = self.dependencies.clock.now();
        for finding in findings {
            let is_known = match &finding {
                Finding::Broken(found) => {
                    let place = found.evidence.partition.zip(found.evidence.position);
                    let acknowledged = self.known.acknowledged.get(&found.invariant);
                    // A mail or a frame is about an event that may be older than the cure.
                    let is_of_log = !matches!(found.invariant, Invariant::MailedOnce | Invariant::NoGap)
                        && found.evidence.view.is_none();
                    is_of_log
                        && acknowledged
                            .zip(place)
                            .is_some_and(|(acknowledged, place)| is_covered(&acknowledged.to, place))
                }
                Finding::Mended { .. } => false,
            };
            if !is_known {
                self.lights.apply(finding, now);
            }
        }
    }

    /// Reads the log as far as it is known to be, and returns that head.
    async fn read_log(&mut self) -> Result<ConsistencyToken, InvariantError> {
        let dependencies = Arc::clone(&self.dependencies);
        let head = dependencies.progress.head(self.workspace);
        let mut left = MAX_EVENTS;
        for (partition, last) in head.iter() {
            while self.checked_to.position(partition) < last && left > 0 {
                let after = self.checked_to.position(partition);
                let events = dependencies
                    .events
                    .read_partition(self.workspace, partition, after, PAGE)
                    .await?;
                let Some(newest) = events.last().map(|event| event.position) else {
                    break;
                };
                left = left.saturating_sub(newest - after);
                for event in &events {
                    match event.decode() {
                        Ok(event) => self.read_event(&event),
                        // It changes no document either.
                        Err(_) => self.log.note_unreadable(event),
                    }
                }
                self.checked_to.advance(partition, newest);
                tokio::task::yield_now().await;
            }
        }
        Ok(head)
    }

    fn read_event(&mut self, event: &TypedEvent) {
        let findings = self.log.apply(event);
        self.apply(findings);
        if let Some(views) = &mut self.views {
            views.fold(event, Instant::now());
        }
    }

    /// Takes what bent boxes have reported before the log was read, and compares it with the log.
    fn take_reports(&mut self, reports: VecDeque<Report>) {
        let mut findings = Vec::new();
        for report in reports {
            match report {
                Report::Published(event) => {
                    if self.phantoms.len() >= MAX_PHANTOMS {
                        self.phantoms.remove(0);
                    }
                    self.phantoms.push(Phantom {
                        event,
                        since: Instant::now(),
                        is_refused: false,
                        is_lost: false,
                    });
                }
                Report::Refused(event) => {
                    let mut phantoms = self.phantoms.iter_mut();
                    if let Some(phantom) = phantoms.find(|phantom| phantom.event.event_id == event) {
                        phantom.is_refused = true;
                    }
                }
                Report::MailRepeated { event, mail } => {
                    findings.push(mailed_again(event, mail, self.log.place(event)));
                }
                Report::FrameLost { view, event } => {
                    let place = event.and_then(|event| self.log.place(event));
                    findings.push(frame_lost(view, event, place));
                }
            }
        }
        self.apply(findings);
    }

    /// An event that was published and is not in the log, although its append must have ended, is lost.
    fn settle_phantoms(&mut self) {
        let mut findings = Vec::new();
        let log = &self.log;
        self.phantoms.retain_mut(|phantom| {
            let id = phantom.event.event_id;
            if log.has_event(id) != Some(false) {
                if phantom.is_lost {
                    findings.push(Finding::Mended {
                        invariant: Invariant::NothingLost,
                        subject: id.to_string(),
                    });
                }
                return false;
            }
            let is_over = phantom.is_refused || phantom.since.elapsed() >= APPEND_TIME;
            if !phantom.is_lost && is_over {
                phantom.is_lost = true;
                findings.push(lost(&phantom.event));
            }
            true
        });
        if let Some(views) = &mut self.views {
            for phantom in &self.phantoms {
                if let Ok(event) = &phantom.event.decoded
                    && phantom.is_lost
                    && phantom.since.elapsed() < SUSPICION
                {
                    views.suspect(event, Instant::now());
                }
            }
        }
        self.apply(findings);
    }

    /// Compares documents of the views. Returns whether views are compared at all.
    async fn compare_views(&mut self) -> Result<bool, InvariantError> {
        let dependencies = Arc::clone(&self.dependencies);
        let Some(views) = &mut self.views else {
            return Ok(false);
        };
        let with = Compared {
            events: &*dependencies.events,
            read_model: &*dependencies.read_model,
            progress: &dependencies.progress,
            workspace: self.workspace,
            checked_to: &self.checked_to,
        };
        let compared = views.compare(&with, Instant::now()).await?;
        let ahead = views.ahead(&with);
        // A view may be ahead of what is folded here, and not of the log.
        let is_log_read = ahead.is_empty() || {
            let head = dependencies.events.head(self.workspace).await?;
            self.checked_to.covers(&head)
        };
        // What a view has folded early was reported before: it is judged once its append has ended.
        let reports = dependencies.witness.take(self.workspace);
        self.take_reports(reports);
        if is_log_read && self.phantoms.iter().all(|phantom| phantom.is_lost) {
            self.compare_positions(&ahead);
        }
        let mut explained = 0;
        for comparison in compared {
            let view = comparison.view.name_in(self.workspace);
            let subject = format!("{view}/{}", comparison.key);
            if comparison.is_right() {
                let mended = |invariant| {
                    let subject = subject.clone();
                    Finding::Mended { invariant, subject }
                };
                let both = [Invariant::ViewEqualsFold, Invariant::ReservedPlusAvailable];
                self.apply(both.map(mended).into());
                continue;
            }
            let is_known = self.lights.broken(Invariant::ViewEqualsFold, &subject).is_some();
            let mut pending = self.phantoms.iter().filter(|phantom| !phantom.is_lost);
            if is_known || pending.any(|phantom| phantom.changes(&comparison)) {
                continue;
            }
            let explanation = if explained < MAX_EXPLAINED {
                explained += 1;
                explain((&*dependencies, self.workspace), &self.phantoms, &comparison).await?
            } else {
                None
            };
            let findings = wrong_document(&comparison, (&*view, subject.as_str()), explanation.as_ref());
            self.apply(findings);
        }
        Ok(true)
    }

    /// Notes which views are ahead of the log, now that it was read to its end: they have folded an event
    /// that it does not have, and would skip the one that takes its place.
    fn compare_positions(&mut self, ahead: &[(&'static str, ConsistencyToken)]) {
        let mut findings = Vec::new();
        for view in self.dependencies.progress.views_in(self.workspace) {
            let (lane, view) = (view.name(), view.name_in(self.workspace));
            let Some((_, folded)) = ahead.iter().find(|(name, _)| *name == lane) else {
                findings.push(Finding::Mended {
                    invariant: Invariant::ViewEqualsFold,
                    subject: view.into_owned(),
                });
                continue;
            };
            let is_last = |phantom: &&Phantom| {
                let position = phantom.event.position;
                folded.iter().any(|(_, last)| last == position)
            };
            let phantom = self
                .phantoms
                .iter()
                .filter(|phantom| phantom.is_lost)
                .find(is_last);
            let explanation = phantom.map(|phantom| Explanation::NotInLog(phantom.event.event_id));
            findings.push(Finding::Broken(Box::new(Break {
                invariant: Invariant::ViewEqualsFold,
                subject: view.clone().into_owned(),
                event: explanation.map(Explanation::event),
                witness: explanation.map(Explanation::witness).unwrap_or_default(),
                evidence: Evidence {
                    view: Some(view.into_owned()),
                    expected: Some(self.checked_to.to_string()),
                    found: Some(folded.to_string()),
                    ..Evidence::default()
                },
                sequence: explanation.map(Explanation::sequence).unwrap_or_default(),
            })));
        }
        self.apply(findings);
    }

    /// Stores whether a view is wrong when that changes, so that its light stays red after a restart.
    /// `is_compared`: the views are folded beside.
    async fn note_wrong_views(&mut self, is_compared: bool) -> Result<(), InvariantError> {
        let are_wrong = self.lights.have_wrong_documents();
        // The views are right only once all of them were compared.
        let is_sure = are_wrong || (is_compared && self.are_compared_whole());
        if are_wrong != self.known.has_wrong_views && is_sure {
            self.known_breaks.note_wrong_views(are_wrong).await?;
            self.known.has_wrong_views = are_wrong;
        }
        Ok(())
    }

    /// Whether every document was compared since the views are folded beside.
    fn are_compared_whole(&self) -> bool {
        self.views.as_ref().is_some_and(ViewChecks::is_compared_whole)
    }

    /// Reads a page of the commands that were answered: each event that an answer names is in the log.
    async fn read_commands(&mut self, head: &ConsistencyToken) -> Result<(), InvariantError> {
        let now = Instant::now();
        if now < self.next_reading || !self.checked_to.covers(head) {
            return Ok(());
        }
        self.next_reading = now + INTERVAL;
        let (events, after) = (&self.dependencies.events, self.commands_after);
        let page = events.commands(self.workspace, after, COMMANDS_PAGE).await?;
        self.commands_after = page.last().map(|command| command.command_id);
        let mut findings = Vec::new();
        for command in page {
            for stream in command.streams()?.into_iter().filter(|stream| stream.count > 0) {
                let last = stream.first.saturating_add(stream.count - 1);
                let place = (stream.partition, last);
                let subject = command.command_id.to_string();
                // An answer that is younger than what was read of the log has its turn later.
                let is_read = is_covered(&self.checked_to, place);
                if is_read && self.log.has_command(command.command_id) == Some(false) {
                    findings.push(answered(subject, &stream.stream, place));
                }
            }
        }
        self.apply(findings);
        Ok(())
    }
}

/// Finds the event that explains a wrong document, with its place if it is in the log.
async fn explain(
    (dependencies, workspace): (&Dependencies, WorkspaceId),
    phantoms: &[Phantom],
    comparison: &Comparison,
) -> Result<Option<(Explanation, Evidence)>, InvariantError> {
    let mut events = Vec::new();
    for (partition, position) in &comparison.touches {
        let before = position.saturating_sub(1);
        let read = dependencies
            .events
            .read_partition(workspace, *partition, before, 1)
            .await?;
        events.extend(read.first().and_then(|event| event.decode().ok()));
    }
    events.sort_by_key(|event| (event.recorded_at, event.partition, event.position));
    let phantoms: Vec<&TypedEvent> = phantoms
        .iter()
        .filter(|phantom| phantom.is_lost && phantom.changes(comparison))
        .filter_map(|phantom| phantom.event.decoded.as_ref().ok())
        .collect();
    let shown = Shown {
        view: comparison.view,
        key: &comparison.key,
        document: comparison.found.as_ref(),
        base: comparison.base.as_deref(),
    };
    let Some(explanation) = shown.explain(&events, &phantoms) else {
        return Ok(None);
    };
    let named = |event: &TypedEvent| event.event_id == explanation.event();
    let of_phantom = || {
        let phantom = phantoms.iter().find(|event| named(event));
        phantom.map(|event| not_in_log(event)).unwrap_or_default()
    };
    let place = events
        .iter()
        .find(|event| named(event))
        .map_or_else(of_phantom, place_of);
    Ok(Some((explanation, place)))
}

/// An event of an answer is not in the log.
fn answered(subject: String, stream: &StreamName, (partition, position): (u32, u64)) -> Finding {
    Finding::Broken(Box::new(Break {
        invariant: Invariant::NothingLost,
        event: None,
        witness: Vec::new(),
        evidence: Evidence {
            stream: Some(stream.to_string()),
            partition: Some(partition),
            position: Some(position),
            key: Some(subject.clone()),
            ..Evidence::default()
        },
        sequence: vec![SequenceStep {
            arrow: Arrow::AppendEvents,
            event_id: None,
        }],
        subject,
    }))
}

fn steps(arrows: &[Arrow], event: Uuid) -> Vec<SequenceStep> {
    let step = |arrow: &Arrow| SequenceStep {
        arrow: *arrow,
        event_id: Some(event),
    };
    arrows.iter().map(step).collect()
}

/// The evidence of an event that the log does not have: it has no place there.
fn not_in_log(event: &TypedEvent) -> Evidence {
    Evidence {
        stream: Some(event.stream.to_string()),
        event_type: Some(event.event_type.clone()),
        ..Evidence::default()
    }
}

/// An event was published, and its append was refused.
fn lost(event: &PublishedEvent) -> Finding {
    let id = event.event_id;
    Finding::Broken(Box::new(Break {
        invariant: Invariant::NothingLost,
        subject: id.to_string(),
        event: Some(id),
        witness: vec![id],
        evidence: Evidence {
            stream: Some(event.stream.to_string()),
            event_type: Some(event.event_type.clone()),
            ..Evidence::default()
        },
        sequence: steps(&[Arrow::ValidateCommand, Arrow::PublishedDomainEvents], id),
    }))
}

/// Where an event is, of which no more is known here.
fn evidence_at((partition, position): EventPlace) -> Evidence {
    Evidence {
        partition: Some(partition),
        position: Some(position),
        ..Evidence::default()
    }
}

/// The mail about an event was sent again.
fn mailed_again(event: Uuid, mail: Uuid, place: Option<EventPlace>) -> Finding {
    let arrows = [Arrow::EmailPush, Arrow::HistoricalEvents, Arrow::EmailPush];
    Finding::Broken(Box::new(Break {
        invariant: Invariant::MailedOnce,
        subject: event.to_string(),
        event: Some(event),
        witness: vec![event],
        evidence: Evidence {
            key: Some(mail.to_string()),
            expected: Some("1".to_owned()),
            found: Some("2".to_owned()),
            ..place.map(evidence_at).unwrap_or_default()
        },
        sequence: steps(&arrows, event),
    }))
}

/// A frame that tells the change that an event made did not reach its client.
fn frame_lost(view: String, event: Option<Uuid>, place: Option<EventPlace>) -> Finding {
    let arrows = [Arrow::EventSubscription, Arrow::UpsertProjection];
    Finding::Broken(Box::new(Break {
        invariant: Invariant::NoGap,
        subject: event.map(|event| event.to_string()).unwrap_or_default(),
        event,
        witness: event.into_iter().collect(),
        evidence: Evidence {
            view: Some(view).filter(|view| !view.is_empty()),
            ..place.map(evidence_at).unwrap_or_default()
        },
        sequence: event.map_or_else(Vec::new, |event| steps(&arrows, event)),
    }))
}

/// A document is not the fold of its events; and in the inventory, perhaps its numbers do not add up.
fn wrong_document(
    comparison: &Comparison,
    (view, subject): (&str, &str),
    explanation: Option<&(Explanation, Evidence)>,
) -> Vec<Finding> {
    let text = |document: Option<&Value>| document.map(|document| shortened(&document.to_string()));
    let place = explanation.map(|(_, place)| place.clone()).unwrap_or_default();
    let explanation = explanation.map(|(explanation, _)| *explanation);
    let broken = |invariant, expected, found| {
        Finding::Broken(Box::new(Break {
            invariant,
            subject: subject.to_owned(),
            event: explanation.map(Explanation::event),
            witness: explanation.map(Explanation::witness).unwrap_or_default(),
            evidence: Evidence {
                view: Some(view.to_owned()),
                key: Some(comparison.key.clone()),
                expected,
                found,
                ..place.clone()
            },
            sequence: explanation.map(Explanation::sequence).unwrap_or_default(),
        }))
    };
    let (expected, found) = (
        text(comparison.expected.as_ref()),
        text(comparison.found.as_ref()),
    );
    let mut findings = vec![broken(Invariant::ViewEqualsFold, expected, found)];
    if let Some((together, on_hand)) = shown_stock(comparison)
        && together != on_hand
    {
        let (expected, found) = (Some(on_hand.to_string()), Some(together.to_string()));
        findings.push(broken(Invariant::ReservedPlusAvailable, expected, found));
    }
    findings
}

/// What is reserved and available together, and what is on hand, as the inventory shows it.
fn shown_stock(comparison: &Comparison) -> Option<(u64, u64)> {
    let document = comparison
        .found
        .as_ref()
        .filter(|_| comparison.view.name() == "inventory")?;
    let units = |name: &str| document.get(name).and_then(Value::as_u64);
    let together = units("reserved")?.saturating_add(units("available")?);
    Some((together, units("on_hand")?))
}
