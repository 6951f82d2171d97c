//! Lesson 20, tampering: each event has a hash over its content and the hash before it, so a changed copy of
//! the log is refused by the line at which it departs; what the chain cannot show, a signed checkpoint does.

use domain::{
    event::StoredEvent,
    lesson::Fact,
    wire::{CheckpointsAnswer, CommandAnswer, SignedCheckpoint},
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use crate::{
    api::Answer,
    lesson::{Failure, Lesson, Question, Step},
    stage::Stage,
};

/// The product that is delivered.
const SKU: &str = "mug-01";

/// The units of the delivery that is tampered with, and those that the forger makes of them: one byte.
const UNITS: u64 = 10;
const FORGED_UNITS: u64 = 90;

/// What the run remembers of the two deliveries.
const DELIVERIES: &str = "deliveries";

pub(super) const LESSON: Lesson = Lesson {
    name: "tampering",
    steps: &[
        Step::new("change")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(change(stage))),
        Step::new("hide")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(hide(stage))),
        Step::new("forge")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(forge(stage))),
        Step::new("rewrite")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(rewrite(stage))),
    ],
};

/// The lines of an export, and the two deliveries in it.
struct ExportedLog {
    lines: Vec<String>,
    first: StoredEvent,
    second: StoredEvent,
    /// The index of the line of the first delivery.
    at: usize,
}

impl ExportedLog {
    /// The bytes of the file with these lines.
    fn file(lines: &[String]) -> Vec<u8> {
        let mut file = lines.join("\n").into_bytes();
        file.push(b'\n');
        file
    }

    /// The lines, with another one for the first delivery.
    fn with(&self, line: String) -> Vec<String> {
        let mut lines = self.lines.clone();
        lines[self.at] = line;
        lines
    }

    /// The line of the first delivery, with other units.
    fn changed_line(&self) -> Result<String, Failure> {
        let line = &self.lines[self.at];
        let changed = line.replacen(&quantity(UNITS), &quantity(FORGED_UNITS), 1);
        if changed == *line {
            return Err(Failure::Unexpected("the delivery has other units".to_owned()));
        }
        Ok(changed)
    }

    /// The hash of the event before the first delivery.
    fn hash_before(&self) -> Result<String, Failure> {
        let before = self.at.checked_sub(1).and_then(|before| self.lines.get(before));
        let before = before.and_then(|line| serde_json::from_str::<Value>(line).ok());
        let hash = before.as_ref().and_then(|event| event["hash"].as_str());
        hash.map(str::to_owned)
            .ok_or_else(|| Failure::Unexpected("no event is before the delivery".to_owned()))
    }
}

/// The member of a delivery's payload, as it is stored.
fn quantity(units: u64) -> String {
    format!("\"quantity\":{units}")
}

/// Two deliveries, one after the other.
async fn deliver(stage: &mut Stage) -> Result<(), Failure> {
    let stream = format!("inventory-{SKU}");
    let first = stage
        .send("ReceiveStock", &stream, json!({"quantity": UNITS}))
        .await?;
    let second = stage
        .send("ReceiveStock", &stream, json!({"quantity": 5}))
        .await?;
    stage.all_settled().await?;
    stage.remember(DELIVERIES, &[first, second]);
    Ok(())
}

/// The export of the whole log, in which the two deliveries are.
async fn exported(stage: &Stage) -> Result<ExportedLog, Failure> {
    let [first, second]: [CommandAnswer; 2] = stage.recall(DELIVERIES)?;
    let first = event_of(stage, &first).await?;
    let second = event_of(stage, &second).await?;
    let text = String::from_utf8(stage.export().await?);
    let text = text.map_err(|_| Failure::Unexpected("the export is not UTF-8".to_owned()))?;
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let id = format!("\"id\":\"{}\"", first.event_id);
    let at = lines.iter().position(|line| line.contains(&id));
    let at = at.ok_or_else(|| Failure::Unexpected("the export lacks the delivery".to_owned()))?;
    Ok(ExportedLog {
        lines,
        first,
        second,
        at,
    })
}

/// The event that a delivery has appended.
async fn event_of(stage: &Stage, delivery: &CommandAnswer) -> Result<StoredEvent, Failure> {
    let events = stage.caused_by(delivery.correlation_id).await?;
    let event = events.into_iter().next();
    event.ok_or_else(|| Failure::Unexpected("the delivery has no event".to_owned()))
}

/// Whether an import was refused by the line of this index; tells it.
fn is_refused_at(stage: &mut Stage, answer: &Answer, index: usize) -> bool {
    let line = format!("line {}", index + 1);
    let detail = answer.problem().detail;
    let names_it = !answer.is_success() && detail.contains(&format!("{line}:"));
    stage.expect_same(Fact::AnswerStatus, &400, &answer.status);
    stage.expect(Fact::LineNamed, names_it, &line, detail);
    stage.answer_seen(Fact::AnswerGiven, answer);
    stage.number_seen(Fact::LineNamed, index + 1, "");
    answer.status == 400 && names_it
}

/// One byte of the copy is changed: a delivery of ten becomes one of ninety.
async fn change(stage: &mut Stage) -> Result<(), Failure> {
    deliver(stage).await?;
    let log = exported(stage).await?;
    let lines = log.with(log.changed_line()?);
    let answer = stage.import_refused(ExportedLog::file(&lines)).await?;
    stage.event_seen(Fact::EventRecorded, &log.first);
    if is_refused_at(stage, &answer, log.at) {
        stage.show_choice(2);
    }
    Ok(())
}

/// The whole line of the delivery is cut out.
async fn hide(stage: &mut Stage) -> Result<(), Failure> {
    let log = exported(stage).await?;
    let mut lines = log.lines.clone();
    lines.remove(log.at);
    let answer = stage.import_refused(ExportedLog::file(&lines)).await?;
    stage.event_seen(Fact::EventRecorded, &log.second);
    // The line of the next event has the number of the one that is gone.
    if is_refused_at(stage, &answer, log.at) {
        stage.show_choice(2);
    }
    Ok(())
}

/// The delivery after the forger, with a hash that fits what is before it.
fn forged(log: &ExportedLog) -> Result<StoredEvent, Failure> {
    let payload = forged_payload().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let mut forged = StoredEvent {
        payload,
        ..log.first.clone()
    };
    forged.hash = forged.chain_hash(&log.hash_before()?);
    Ok(forged)
}

fn forged_payload() -> serde_json::Result<Box<RawValue>> {
    to_raw_value(&json!({"quantity": FORGED_UNITS}))
}

/// The forger knows how a hash is made, and makes the one of the changed event anew.
async fn forge(stage: &mut Stage) -> Result<(), Failure> {
    let log = exported(stage).await?;
    let made_as_the_shop_does = log.first.chain_hash(&log.hash_before()?);
    stage.expect_same(Fact::EventHash, &log.first.hash, &made_as_the_shop_does);
    let forged = forged(&log)?;
    let line = log.changed_line()?.replacen(&log.first.hash, &forged.hash, 1);
    let lines = log.with(line);
    let answer = stage.import_refused(ExportedLog::file(&lines)).await?;
    stage.event_seen(Fact::EventRecorded, &log.second);
    if is_refused_at(stage, &answer, log.at + 1) {
        stage.show_choice(3);
    }
    Ok(())
}

/// The forger makes every hash anew up to the newest one; an auditor has kept a checkpoint of it.
async fn rewrite(stage: &mut Stage) -> Result<(), Failure> {
    deliver(stage).await?;
    let checkpoints: CheckpointsAnswer = stage.read("/checkpoints").await?;
    let log = exported(stage).await?;
    let forged = forged(&log)?;
    let newest = log.second.chain_hash(&forged.hash);
    let of_partition = |signed: &&SignedCheckpoint| signed.partition == log.second.partition;
    let signed = checkpoints.data.iter().find(of_partition);
    let signed = signed.ok_or_else(|| Failure::Unexpected("no checkpoint was signed".to_owned()))?;
    stage.event_seen(Fact::EventRecorded, &log.second);
    stage.number_seen(Fact::CheckpointSigned, signed.position, "");
    stage.expect_same(Fact::CheckpointSigned, &log.second.position, &signed.position);
    stage.expect_same(Fact::EventHash, &signed.hash, &log.second.hash);
    let differs = newest != signed.hash;
    stage.expect(Fact::ForgedHash, differs, format!("≠ {}", signed.hash), &newest);

    let report = stage.verify().await?;
    stage.number_seen(Fact::EventsVerified, report.events, "events");
    let findings = report.findings.len() + report.differences.len();
    stage.expect_same(Fact::VerifyFindings, &0, &findings);
    stage.number_seen(Fact::VerifyFindings, findings, "");
    if differs && signed.hash == log.second.hash && findings == 0 {
        stage.show_choice(2);
    }
    Ok(())
}
