//! Lesson 10, a poison event: a projection that cannot apply an event tries it a few times, puts it aside as
//! a dead letter and goes on; only the event's own stream waits, until the cause is mended and the dead
//! letter is tried again.

use domain::{lesson::Fact, token::ConsistencyToken, wire::DeadLetterInfo};
use serde_json::{Value, json};

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::Stage,
};

/// The view that cannot apply an event.
const VIEW: &str = "inventory";
/// The product whose delivery is poison.
const MUGS: &str = "mug-01";
/// The product that nothing happens to.
const TEA: &str = "tea-01";
/// How many units are delivered.
const DELIVERED: u64 = 10;
/// How many units of each product are put aside.
const PUT_ASIDE: u64 = 2;

/// What the run remembers: the mugs on hand before the delivery.
const BEFORE: &str = "mugs_before";
/// What the run remembers: the reserved mugs before any were put aside.
const RESERVED: &str = "mugs_reserved";

pub(super) const LESSON: Lesson = Lesson {
    name: "poison_event",
    steps: &[
        Step::new("poison")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(poison(stage))),
        Step::new("behind")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(behind(stage))),
        Step::new("retry")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(retry(stage))),
        Step::new("mend")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(mend(stage))),
    ],
};

fn stock(sku: &str) -> String {
    format!("inventory-{sku}")
}

/// A field of the document of a product's stock.
fn units(data: &Value, field: &str) -> u64 {
    data[field].as_u64().unwrap_or_default()
}

/// The dead letter of the mugs in the view; `None`: there is none.
async fn dead_letter(stage: &Stage) -> Result<Option<DeadLetterInfo>, Failure> {
    let letters = stage.dead_letters().await?;
    let mut of_view = letters.into_iter().filter(|letter| letter.view == VIEW);
    Ok(of_view.find(|letter| letter.stream == stock(MUGS)))
}

/// The dead letter that the steps before have led to.
async fn known_dead_letter(stage: &Stage) -> Result<DeadLetterInfo, Failure> {
    let letter = dead_letter(stage).await?;
    letter.ok_or_else(|| Failure::Unexpected("the view has no dead letter of the mugs".to_owned()))
}

/// A delivery arrives that the view cannot apply: it is put aside after some attempts, and the view goes on.
async fn poison(stage: &mut Stage) -> Result<(), Failure> {
    // A try that has failed may have left its dead letter.
    stage.dials_at_rest().await?;
    if let Some(letter) = dead_letter(stage).await? {
        stage.retry(&letter).await?;
    }
    stage.all_settled().await?;
    let document = stage.document(VIEW, MUGS, None).await?;
    let before = units(&document.data, "on_hand");
    stage.remember(BEFORE, &before);
    stage.remember(RESERVED, &units(&document.data, "reserved"));
    stage
        .dials(json!({"projections": {VIEW: {"poison_type": "StockReceived"}}}))
        .await?;
    let delivered = stage
        .send("ReceiveStock", &stock(MUGS), json!({"quantity": DELIVERED}))
        .await?;
    for event in stage.caused_by(delivered.correlation_id).await? {
        stage.event_seen(Fact::EventRecorded, &event);
    }
    // It has the position of the delivery, although the delivery is not in the document.
    let document = stage.document(VIEW, MUGS, Some(&delivered.token)).await?;
    let shown = units(&document.data, "on_hand");
    stage.expect_same(Fact::UnitsOnHand, &before, &shown);
    stage.expect_same(Fact::EventsBehind, &0, &document.behind);
    stage.document_seen(Fact::StockShown, VIEW, MUGS, &document);
    let letter = dead_letter(stage).await?;
    stage.expect_same(Fact::DeadLetters, &1, &usize::from(letter.is_some()));
    if let Some(letter) = letter {
        stage.expect(Fact::Attempts, letter.attempts > 1, "> 1", letter.attempts);
        stage.number_seen(Fact::Attempts, letter.attempts, "");
        if shown == before && document.behind == 0 {
            stage.show_choice(3);
        }
    }
    Ok(())
}

/// Puts some units of a product aside, under an id that is no order's.
async fn put_aside(stage: &mut Stage, sku: &str) -> Result<ConsistencyToken, Failure> {
    let data = json!({"order": format!("aside-{}", stage.new_id()), "quantity": PUT_ASIDE});
    let answer = stage.send("ReserveStock", &stock(sku), data).await?;
    for event in stage.caused_by(answer.correlation_id).await? {
        stage.event_seen(Fact::EventRecorded, &event);
    }
    Ok(answer.token)
}

/// Mugs and tea are put aside: the event of the tea is folded, that of the mugs waits behind the dead letter.
async fn behind(stage: &mut Stage) -> Result<(), Failure> {
    let reserved_before: u64 = stage.recall(RESERVED)?;
    let tea_before = stage.document(VIEW, TEA, None).await?;
    let tea_before = units(&tea_before.data, "reserved");
    // What a try that has failed has put aside waits already.
    let waiting = known_dead_letter(stage).await?.waiting;
    let of_mugs = if waiting == 0 {
        Some(put_aside(stage, MUGS).await?)
    } else {
        None
    };
    let of_tea = put_aside(stage, TEA).await?;
    let mugs = stage.document(VIEW, MUGS, of_mugs.as_ref()).await?;
    let tea = stage.document(VIEW, TEA, Some(&of_tea)).await?;
    let (tea_shown, mugs_shown) = (units(&tea.data, "reserved"), units(&mugs.data, "reserved"));
    stage.expect_same(Fact::UnitsReserved, &(tea_before + PUT_ASIDE), &tea_shown);
    stage.expect_same(Fact::UnitsReserved, &reserved_before, &mugs_shown);
    stage.document_seen(Fact::StockShown, VIEW, TEA, &tea);
    stage.document_seen(Fact::StockShown, VIEW, MUGS, &mugs);
    let letter = known_dead_letter(stage).await?;
    stage.expect_same(Fact::EventsWaiting, &1, &letter.waiting);
    stage.number_seen(Fact::EventsWaiting, letter.waiting, "events");
    let is_tea_folded = tea_shown == tea_before + PUT_ASIDE;
    match (is_tea_folded, mugs_shown == reserved_before) {
        (true, true) => stage.show_choice(1),
        (true, false) => stage.show_choice(2),
        (false, _) => stage.show_choice(3),
    }
    Ok(())
}

/// The dead letter is tried again while the cause is still there.
async fn retry(stage: &mut Stage) -> Result<(), Failure> {
    let letter = known_dead_letter(stage).await?;
    let outcome = stage.retry(&letter).await?;
    stage.expect_same(Fact::EventsApplied, &0, &outcome.applied);
    stage.number_seen(Fact::EventsApplied, outcome.applied, "events");
    let still = dead_letter(stage).await?;
    stage.expect_same(Fact::DeadLetters, &1, &usize::from(still.is_some()));
    match still {
        Some(still) => {
            let is_counted = still.attempts > letter.attempts;
            stage.expect(
                Fact::Attempts,
                is_counted,
                format!("> {}", letter.attempts),
                still.attempts,
            );
            stage.expect_same(Fact::EventsWaiting, &letter.waiting, &still.waiting);
            stage.number_seen(Fact::Attempts, still.attempts, "");
            if outcome.applied == 0 {
                stage.show_choice(2);
            }
        }
        None if outcome.applied > 0 => stage.show_choice(1),
        None => stage.show_choice(3),
    }
    Ok(())
}

/// The cause is mended, and the dead letter is tried again: it is applied, and what has waited behind it.
async fn mend(stage: &mut Stage) -> Result<(), Failure> {
    let before: u64 = stage.recall(BEFORE)?;
    let reserved_before: u64 = stage.recall(RESERVED)?;
    stage.dials_at_rest().await?;
    let letter = known_dead_letter(stage).await?;
    let outcome = stage.retry(&letter).await?;
    stage.expect_same(Fact::EventsApplied, &(letter.waiting + 1), &outcome.applied);
    stage.number_seen(Fact::EventsApplied, outcome.applied, "events");
    stage.show_number(i64::try_from(outcome.applied).unwrap_or(i64::MAX));
    let document = stage.document(VIEW, MUGS, None).await?;
    stage.expect_same(
        Fact::UnitsOnHand,
        &(before + DELIVERED),
        &units(&document.data, "on_hand"),
    );
    stage.expect_same(
        Fact::UnitsReserved,
        &(reserved_before + PUT_ASIDE),
        &units(&document.data, "reserved"),
    );
    stage.document_seen(Fact::StockShown, VIEW, MUGS, &document);
    let letters = stage.dead_letters().await?;
    stage.expect_same(Fact::DeadLetters, &0, &letters.len());
    stage.all_settled().await?;
    let report = stage.verify().await?;
    stage.expect(
        Fact::VerifyFindings,
        report.findings.is_empty(),
        0,
        report.findings.len(),
    );
    Ok(())
}
