//! Lesson 4, two buyers and one last item: each decision is made on a version of the stream, and is stored
//! only if the stream still has that version.

use std::cmp::Ordering;

use domain::{
    lesson::Fact,
    wire::{CommandAnswer, CommandRequest, DocumentAnswer, EventPage, ExpectedVersion},
};
use futures::join;
use serde_json::{Value, json};

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, command, order_key},
};

/// The product that is nearly sold out.
pub(super) const SKU: &str = "lamp-01";

/// What the run remembers: the version that both appends have expected.
const EXPECTED: &str = "expected_version";

pub(super) const LESSON: Lesson = Lesson {
    name: "last_item",
    steps: &[
        Step::new("one_left").acts(|stage| Box::pin(one_left(stage))),
        Step::new("race")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(race(stage))),
        Step::new("conflict")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(conflict(stage))),
        Step::new("again")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(again(stage))),
    ],
};

/// Leaves one unit that can be sold: puts the others aside, or receives what is missing. The stock as it is
/// then.
pub(super) async fn leave_one(stage: &Stage) -> Result<DocumentAnswer, Failure> {
    stage.all_settled().await?;
    let document = stage.document("inventory", SKU, None).await?;
    let units = |field: &str| document.data[field].as_u64().unwrap_or_default();
    let (on_hand, wanted) = (units("on_hand"), units("reserved") + 1);
    let changed = match on_hand.cmp(&wanted) {
        Ordering::Equal => return Ok(document),
        Ordering::Less => stage.receive(SKU, wanted - on_hand).await?,
        Ordering::Greater => {
            let reserve = reserve(stage, on_hand - wanted);
            stage.send("ReserveStock", &stock(), reserve).await?
        }
    };
    stage.document("inventory", SKU, Some(&changed.token)).await
}

/// Puts all units but one aside.
async fn one_left(stage: &mut Stage) -> Result<(), Failure> {
    let document = leave_one(stage).await?;
    let available = document.data["available"].as_u64().unwrap_or_default();
    stage.expect_same(Fact::UnitsAvailable, &1, &available);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    Ok(())
}

/// Two customers order the last one at the same moment.
async fn race(stage: &mut Stage) -> Result<(), Failure> {
    let (ada, grace) = (stage.person("Ada").await?, stage.person("Grace").await?);
    // A try that has failed may have sold it.
    leave_one(stage).await?;
    let (one, other) = join!(
        stage.place_order(&ada, SKU, 1, "tok_ok"),
        stage.place_order(&grace, SKU, 1, "tok_ok")
    );
    let orders = [one?, other?];
    let (mut confirmed, mut rejected) = (0, 0);
    for order in &orders {
        stage.settled(order.correlation_id).await?;
        for event in stage.caused_by(order.correlation_id).await? {
            let is_of_stock = matches!(
                event.event_type.as_str(),
                "StockReserved" | "StockReservationFailed"
            );
            if is_of_stock {
                stage.event_seen(Fact::EventRecorded, &event);
            }
        }
        let key = order_key(&order.stream);
        let document = stage.document("orders", key, Some(&order.token)).await?;
        match document.data["status"].as_str() {
            Some("confirmed") => confirmed += 1,
            Some("rejected") => rejected += 1,
            _ => {}
        }
        stage.document_seen(Fact::OrderShown, "orders", key, &document);
    }
    stage.expect_same(Fact::OrdersConfirmed, &1, &confirmed);
    stage.expect_same(Fact::OrdersRejected, &1, &rejected);
    let document = stage.document("inventory", SKU, None).await?;
    let available = document.data["available"].as_u64();
    stage.expect(
        Fact::UnitsAvailable,
        available == Some(0),
        0,
        available.map_or_else(String::new, |units| units.to_string()),
    );
    match confirmed {
        2 => stage.show_choice(1),
        1 => stage.show_choice(2),
        _ => stage.show_choice(3),
    }
    Ok(())
}

/// Two clerks have seen the same version of the stock, and both put a unit aside.
async fn conflict(stage: &mut Stage) -> Result<(), Failure> {
    // Both would find a unit: it is the version that tells them apart, and no shortage.
    stage
        .send("ReceiveStock", &stock(), json!({"quantity": 2}))
        .await?;
    let version = stock_version(stage).await?;
    let commands = [expecting(stage, version), expecting(stage, version)];
    let (one, other) = join!(
        stage.try_send(stage.educator(), &commands[0], None),
        stage.try_send(stage.educator(), &commands[1], None)
    );
    let mut answers = [one, other];
    answers.sort_by_key(|answer| answer.status);
    let [accepted, refused] = &answers;
    stage.answer_seen(Fact::AnswerGiven, accepted);
    stage.answer_seen(Fact::AnswerGiven, refused);
    stage.expect_same(Fact::AnswerStatus, &200, &accepted.status);
    stage.expect_same(Fact::AnswerStatus, &409, &refused.status);
    let current = refused.problem().current_version;
    stage.expect(
        Fact::StreamVersion,
        current == Some(version + 1),
        version + 1,
        current.map_or_else(String::new, |version| version.to_string()),
    );
    stage.number_seen(Fact::StreamVersion, version, "");
    if accepted.status == 200 && refused.status == 409 {
        stage.show_choice(3);
    }
    stage.remember(EXPECTED, &version);
    Ok(())
}

/// The refused clerk reads what is there now, and decides again.
async fn again(stage: &mut Stage) -> Result<(), Failure> {
    let expected: u64 = stage.recall(EXPECTED)?;
    let decided_before = expecting(stage, expected);
    let repeated = stage.try_send(stage.educator(), &decided_before, None).await;
    stage.answer_seen(Fact::AnswerGiven, &repeated);
    stage.expect_same(Fact::AnswerStatus, &409, &repeated.status);
    let version = stock_version(stage).await?;
    let decided_again = expecting(stage, version);
    let answer = stage.try_send(stage.educator(), &decided_again, None).await;
    stage.answer_seen(Fact::AnswerGiven, &answer);
    stage.expect_same(Fact::AnswerStatus, &200, &answer.status);
    let reserved: CommandAnswer = answer.parsed().map_err(|problem| Failure::Refused {
        what: "ReserveStock".to_owned(),
        problem,
    })?;
    stage.expect_same(Fact::StreamVersion, &(version + 1), &reserved.version);
    if repeated.status == 409 && answer.status == 200 {
        stage.show_choice(2);
    }
    let document = stage.document("inventory", SKU, Some(&reserved.token)).await?;
    let units = |field: &str| document.data[field].as_u64().unwrap_or_default();
    stage.expect_same(
        Fact::UnitsOnHand,
        &(units("reserved") + units("available")),
        &units("on_hand"),
    );
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    Ok(())
}

pub(super) fn stock() -> String {
    format!("inventory-{SKU}")
}

/// The data that puts units aside, under an id that is no order's.
pub(super) fn reserve(stage: &Stage, quantity: u64) -> Value {
    json!({"order": format!("aside-{}", stage.new_id()), "quantity": quantity})
}

/// Puts one unit aside, if the stock still has this version.
fn expecting(stage: &Stage, version: u64) -> CommandRequest {
    CommandRequest {
        expected_version: ExpectedVersion::Exact(version),
        ..command("ReserveStock", &stock(), reserve(stage, 1))
    }
}

/// The version of the stream of the stock: that of its newest event.
async fn stock_version(stage: &Stage) -> Result<u64, Failure> {
    let path = format!("/streams/{}?order=desc&limit=1", stock());
    let page: EventPage = stage.read(&path).await?;
    let newest = page.data.first().map(|event| event.version);
    newest.ok_or_else(|| Failure::Unexpected("the stock has no event".to_owned()))
}
