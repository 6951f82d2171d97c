//! Lesson 17, an old event version: what was stored years ago stays as it was, and an upcaster has it read as
//! if it were written today.

use domain::{
    event::StoredEvent,
    lesson::Fact,
    token::ConsistencyToken,
    wire::{DocumentAnswer, OwnView},
};
use serde_json::{Value, json};

use crate::{
    api::{Call, Method},
    lesson::{Failure, Lesson, Question, Step},
    stage::{Sandbox, Stage},
};

/// The export of a shop of 2024: two reservations of lamps have failed, as events of version 1.
const SHOP_OF_2024: &str = include_str!("shop_of_2024.ndjson");

/// The stream of the stock in it.
const STOCK: &str = "inventory-lamp-01";

/// The event that has two versions.
const FAILED: &str = "StockReservationFailed";

/// The old events in the export, and the units that they say were wanted.
const OLD_EVENTS: u64 = 2;
const OLD_UNITS: u64 = 7;

/// The units of the reservation of today.
const NEW_UNITS: u64 = 5;

/// The view that the lesson adds: units that were wanted and not there.
const VIEW: &str = "wanted_in_vain";

/// The first old event in the export: its line, counted from 1, and what a well-meaning person changes in it.
const OLD_LINE: usize = 4;
const MODERNISED: [(&str, &str); 3] = [
    ("\"quantity\":", "\"requested\":"),
    ("\"schemaversion\":1", "\"schemaversion\":2"),
    ("StockReservationFailed:1", "StockReservationFailed:2"),
];

/// What the run remembers: the workspace that was imported.
const IMPORTED: &str = "imported";

pub(super) const LESSON: Lesson = Lesson {
    name: "old_version",
    steps: &[
        Step::new("import")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(import(stage))),
        Step::new("upcast")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(upcast(stage))),
        Step::new("grow")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(grow(stage))),
        Step::new("rewrite")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(rewrite(stage))),
    ],
};

/// Goes on in the workspace that was imported.
fn enter(stage: &mut Stage) -> Result<(), Failure> {
    let imported: Sandbox = stage.recall(IMPORTED)?;
    stage.enter(imported);
    Ok(())
}

/// The reservations that have failed, oldest first.
async fn failed(stage: &Stage) -> Result<Vec<StoredEvent>, Failure> {
    let events = stage.stream(STOCK).await?;
    let failed = events.into_iter().filter(|event| event.event_type == FAILED);
    Ok(failed.collect())
}

/// Whether an event is stored in the form of version 1; tells it.
fn is_as_of_version_1(stage: &mut Stage, event: &StoredEvent) -> bool {
    let payload = event.payload.get();
    let members: Value = serde_json::from_str(payload).unwrap_or_default();
    let has_its_form = members.get("quantity").is_some() && members.get("requested").is_none();
    stage.expect_same(Fact::SchemaVersion, &1, &event.schema_version);
    stage.expect(Fact::PayloadStored, has_its_form, "quantity", payload);
    stage.event_seen(Fact::EventRecorded, event);
    event.schema_version == 1 && has_its_form
}

/// The export of 2024 becomes a workspace; its events are stored as they were.
async fn import(stage: &mut Stage) -> Result<(), Failure> {
    if let Ok(earlier) = stage.recall::<Sandbox>(IMPORTED) {
        // A try that has failed has left it.
        stage.close(&earlier).await?;
    }
    let imported = stage.import(SHOP_OF_2024.as_bytes().to_vec()).await?;
    stage.remember(IMPORTED, &imported);
    stage.enter(imported);
    stage.all_settled().await?;
    let events = failed(stage).await?;
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    stage.expect_same(Fact::EventsRecorded, &OLD_EVENTS, &count);
    let mut are_old = count == OLD_EVENTS;
    for event in &events {
        are_old &= is_as_of_version_1(stage, event);
    }
    if are_old {
        stage.show_choice(3);
    }
    Ok(())
}

/// The sums of the added view, once it has folded an event.
async fn sums(stage: &Stage, newest: &StoredEvent) -> Result<DocumentAnswer, Failure> {
    let token = ConsistencyToken::at(newest.partition, newest.position);
    stage.document(VIEW, STOCK, Some(&token)).await
}

/// A view sums the field that the old events do not have.
async fn upcast(stage: &mut Stage) -> Result<(), Failure> {
    enter(stage)?;
    // A try that has failed may have added it.
    let path = format!("/api/v1/lab/views/{VIEW}");
    stage
        .call(Call::new(stage.educator(), Method::Delete, path))
        .await;
    let definition = json!({
        "name": VIEW,
        "on": [FAILED],
        "key": "stream",
        "fold": [
            {"field": "attempts", "op": "count"},
            {"field": "units", "op": "sum", "of": "data.requested"},
        ],
    });
    let add = Call::post(stage.educator(), "/api/v1/lab/views", definition);
    let _: OwnView = stage.answered("adding the view", add).await?;
    stage.all_settled().await?;
    let events = failed(stage).await?;
    let newest = events.last();
    let newest = newest.ok_or_else(|| Failure::Unexpected(format!("there is no {FAILED}")))?;
    let document = sums(stage, newest).await?;
    let units = document.data["units"].as_i64().unwrap_or_default();
    let attempts = document.data["attempts"].as_u64().unwrap_or_default();
    stage.expect_same(Fact::EventsRecorded, &OLD_EVENTS, &attempts);
    stage.expect(
        Fact::UnitsWanted,
        u64::try_from(units) == Ok(OLD_UNITS),
        OLD_UNITS,
        units,
    );
    stage.document_seen(Fact::ViewShown, VIEW, STOCK, &document);
    stage.show_number(units);
    Ok(())
}

/// Another reservation fails today: its event has the newest version, in the same stream.
async fn grow(stage: &mut Stage) -> Result<(), Failure> {
    enter(stage)?;
    let order = format!("aside-{}", stage.new_id());
    let wanted = json!({"order": order, "quantity": NEW_UNITS});
    let answer = stage.send("ReserveStock", STOCK, wanted).await?;
    stage.settled(answer.correlation_id).await?;
    let events = failed(stage).await?;
    let versions: Vec<_> = events.iter().map(|event| event.schema_version).collect();
    let (old, new) = (count_of(&versions, 1), count_of(&versions, 2));
    let newest = events.last();
    let newest = newest.ok_or_else(|| Failure::Unexpected(format!("there is no {FAILED}")))?;
    stage.expect_same(Fact::SchemaVersion, &2, &newest.schema_version);
    stage.expect_same(Fact::EventsRecorded, &OLD_EVENTS, &old);
    for event in &events {
        stage.event_seen(Fact::EventRecorded, event);
        stage.number_seen(Fact::SchemaVersion, event.schema_version, "");
    }
    let document = sums(stage, newest).await?;
    let units = document.data["units"].as_u64().unwrap_or_default();
    stage.expect_same(Fact::UnitsWanted, &(OLD_UNITS + NEW_UNITS * new), &units);
    stage.document_seen(Fact::ViewShown, VIEW, STOCK, &document);
    if newest.schema_version == 2 && old == OLD_EVENTS {
        stage.show_choice(2);
    }
    Ok(())
}

fn count_of(versions: &[u32], version: u32) -> u64 {
    let same = versions.iter().filter(|other| **other == version);
    u64::try_from(same.count()).unwrap_or(u64::MAX)
}

/// The export with its first old event in the form of today.
fn modernised() -> Vec<u8> {
    let mut file = String::new();
    for (line, number) in SHOP_OF_2024.lines().zip(1..) {
        let mut line = line.to_owned();
        if number == OLD_LINE {
            for (old, new) in MODERNISED {
                line = line.replacen(old, new, 1);
            }
        }
        file.push_str(&line);
        file.push('\n');
    }
    file.into_bytes()
}

/// An old event is put into the form of today in the file, where its hash does not fit it any more.
async fn rewrite(stage: &mut Stage) -> Result<(), Failure> {
    enter(stage)?;
    let answer = stage.import_refused(modernised()).await?;
    let detail = answer.problem().detail;
    let line = format!("line {OLD_LINE}");
    let names_it = detail.contains(&format!("{line}:")) && detail.contains("hash");
    stage.expect_same(Fact::AnswerStatus, &400, &answer.status);
    stage.expect(Fact::LineNamed, names_it, line, detail);
    stage.answer_seen(Fact::AnswerGiven, &answer);

    let report = stage.verify().await?;
    stage.number_seen(Fact::EventsVerified, report.events, "events");
    stage.expect_same(Fact::VerifyFindings, &0, &report.findings.len());
    if answer.status == 400 && names_it && report.findings.is_empty() {
        stage.show_choice(3);
    }
    let imported = stage.sandbox().clone();
    stage.close(&imported).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_modernised_has_an_event_of_version_1_in_it() {
        let old = SHOP_OF_2024.lines().nth(OLD_LINE - 1).unwrap();
        for (before, _) in MODERNISED {
            assert_eq!(old.matches(before).count(), 1, "{before}");
        }
        let file = String::from_utf8(modernised()).unwrap();
        let new = file.lines().nth(OLD_LINE - 1).unwrap();
        for (_, after) in MODERNISED {
            assert!(new.contains(after), "{after}");
        }
        assert_eq!(file.lines().count(), SHOP_OF_2024.lines().count());
    }
}
