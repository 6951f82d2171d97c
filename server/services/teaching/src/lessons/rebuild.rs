//! Lesson 15, rebuild a view while orders keep coming: a new generation is folded from the whole log beside
//! the live one, which goes on answering. It has what the old one had, and folding causes nothing.

use domain::{
    lesson::Fact,
    wire::{CommandAnswer, DocumentAnswer},
};
use futures::join;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Person, Stage, order_key},
};

/// The view that is rebuilt.
const VIEW: &str = "orders";
/// The product that is ordered.
const SKU: &str = "salt-01";
/// How many orders come during a rebuild.
const ORDERS: u64 = 3;
/// The most reads during a rebuild.
const MOST_READS: u64 = 100_000;

pub(super) const LESSON: Lesson = Lesson {
    name: "rebuild",
    steps: &[
        Step::new("meanwhile")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(meanwhile(stage))),
        Step::new("new_orders")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(new_orders(stage))),
        Step::new("same")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(same(stage))),
        Step::new("effects")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(effects(stage))),
    ],
};

/// Reads a document again and again until a rebuilt generation answers. How often it was read, and how often
/// it was as before.
async fn read_until(
    stage: &Stage,
    key: &str,
    before: &DocumentAnswer,
    generation: u64,
) -> Result<(u64, u64), Failure> {
    let mut as_before = 0;
    for reads in 1..=MOST_READS {
        let document = stage.document(VIEW, key, None).await?;
        if document.data == before.data {
            as_before += 1;
        }
        if document.generation >= generation {
            return Ok((reads, as_before));
        }
    }
    Err(Failure::Unexpected(format!(
        "{VIEW} was read {MOST_READS} times, and its rebuild has not come to its end"
    )))
}

/// A customer looks at her order while the view is rebuilt.
async fn meanwhile(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    let ada = stage.person("Ada").await?;
    let order = stage.place_order(&ada, SKU, 1, "tok_ok").await?;
    stage.settled(order.correlation_id).await?;
    stage.all_settled().await?;
    let key = order_key(&order.stream);
    let before = stage.document(VIEW, key, Some(&order.token)).await?;
    let began = stage.now();
    let progress = stage.begin_rebuild(VIEW).await?;
    let (reads, as_before) = read_until(stage, key, &before, progress.generation).await?;
    stage.time_seen(Fact::TimeTaken, began);
    stage.expect_same(Fact::ReadsAnswered, &reads, &as_before);
    let after = stage.await_generation(VIEW, progress.generation).await?;
    stage.expect(
        Fact::Generation,
        after.generation > before.generation,
        format!("> {}", before.generation),
        after.generation,
    );
    stage.number_seen(Fact::ReadsAnswered, reads, "");
    stage.number_seen(Fact::EventsRecorded, progress.events_total, "events");
    stage.number_seen(Fact::Generation, before.generation, "");
    stage.number_seen(Fact::Generation, after.generation, "");
    stage.document_seen(Fact::OrderShown, VIEW, key, &before);
    if reads == as_before {
        stage.show_choice(2);
    }
    Ok(())
}

/// Places the orders, one after the other.
async fn place_all(stage: &Stage, person: &Person) -> Result<Vec<CommandAnswer>, Failure> {
    let mut orders = Vec::new();
    for _ in 0..ORDERS {
        orders.push(stage.place_order(person, SKU, 1, "tok_ok").await?);
    }
    Ok(orders)
}

/// Orders come while the view is rebuilt: none is refused, and the new generation has them all.
async fn new_orders(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person("Ada").await?;
    let calls = &*stage;
    let (rebuilt, placed) = join!(calls.rebuild(VIEW), place_all(calls, &ada));
    let (rebuilt, placed) = (rebuilt?, placed?);
    let mut shown: u64 = 0;
    for order in &placed {
        stage.settled(order.correlation_id).await?;
        let key = order_key(&order.stream);
        let document = stage.document(VIEW, key, Some(&order.token)).await?;
        if document.generation >= rebuilt.generation && document.data["status"] == "confirmed" {
            shown += 1;
        }
        stage.document_seen(Fact::OrderShown, VIEW, key, &document);
    }
    stage.expect_same(Fact::OrdersConfirmed, &ORDERS, &shown);
    stage.number_seen(Fact::Generation, rebuilt.generation, "");
    if shown == ORDERS {
        stage.show_choice(3);
    } else {
        stage.show_choice(2);
    }
    Ok(())
}

/// The documents of the new generation are compared with those of the old one.
async fn same(stage: &mut Stage) -> Result<(), Failure> {
    stage.all_settled().await?;
    let before = stage.listing(VIEW, "all", None, None).await?;
    stage.rebuild(VIEW).await?;
    let after = stage.listing(VIEW, "all", None, None).await?;
    let is_new = after.generation > before.generation;
    stage.expect(
        Fact::Generation,
        is_new,
        format!("> {}", before.generation),
        after.generation,
    );
    let changed = before.data.iter().filter(|row| !after.data.contains(row)).count();
    stage.expect_same(Fact::DocumentsCompared, &before.data.len(), &after.data.len());
    stage.expect_same(Fact::DocumentsChanged, &0, &changed);
    let report = stage.verify().await?;
    stage.expect_same(Fact::VerifyFindings, &0, &report.findings.len());
    stage.number_seen(Fact::DocumentsCompared, before.data.len(), "");
    stage.number_seen(Fact::DocumentsChanged, changed, "");
    if is_new && changed == 0 && before.data.len() == after.data.len() {
        stage.show_choice(1);
    } else {
        stage.show_choice(2);
    }
    Ok(())
}

/// Every payment and every confirmation is folded once more. The log gets no event of it.
async fn effects(stage: &mut Stage) -> Result<(), Failure> {
    stage.all_settled().await?;
    let before = stage.verify().await?.events;
    let charges = stage.events("type=PaymentProcessed").await?.len();
    stage.rebuild(VIEW).await?;
    stage.all_settled().await?;
    let after = stage.verify().await?.events;
    let charges_after = stage.events("type=PaymentProcessed").await?.len();
    stage.expect_same(Fact::Charges, &charges, &charges_after);
    stage.expect_same(Fact::EventsRecorded, &before, &after);
    stage.number_seen(Fact::EventsRecorded, after, "events");
    stage.number_seen(Fact::Charges, charges_after, "");
    let added = after.saturating_sub(before);
    stage.show_number(i64::try_from(added).unwrap_or(i64::MAX));
    Ok(())
}
