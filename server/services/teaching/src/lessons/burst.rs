//! Lesson 19, a burst: the log takes what an overloaded projection does not. Its lag grows and drains, and
//! no other view waits for it.

use domain::{lesson::Fact, token::ConsistencyToken, wire::DocumentAnswer};
use serde_json::json;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::Stage,
};

/// The product that is delivered.
const SKU: &str = "mug-01";

/// The deliveries of a burst, and the units of each.
const DELIVERIES: u64 = 20;
const UNITS: u64 = 10;

/// How long the projection takes for an event during the burst, in milliseconds: it folds none meanwhile.
const OVERLOADED_MS: u64 = 60_000;

/// How long it takes for an event while its lag drains: where that is measured, and where readers look on.
const DRAINING_MS: u64 = 100;
const WATCHED_MS: u64 = 20;

/// Of how many numbers that readers see one is evidence.
const ONE_OF: u64 = 4;

pub(super) const LESSON: Lesson = Lesson {
    name: "burst",
    steps: &[
        Step::new("wave")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(wave(stage))),
        Step::new("others")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(others(stage))),
        Step::new("drain")
            .asks(Question::Number { tolerance: 1 })
            .acts(|stage| Box::pin(drain(stage))),
        Step::new("prefix")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(prefix(stage))),
    ],
};

/// What a burst was.
struct Burst {
    /// The units on hand before it.
    before: u64,
    /// The token of each delivery, in order.
    tokens: Vec<ConsistencyToken>,
    /// How long the senders have waited for all answers, in milliseconds.
    took_ms: u64,
}

impl Burst {
    fn newest(&self) -> Result<&ConsistencyToken, Failure> {
        let newest = self.tokens.last();
        newest.ok_or_else(|| Failure::Unexpected("the burst had no delivery".to_owned()))
    }
}

/// Has the projection of the stock take so long for each event; 0 puts it to rest.
async fn slow(stage: &Stage, slow_ms: u64) -> Result<(), Failure> {
    stage
        .dials(json!({"projections": {"inventory": {"slow_ms": slow_ms}}}))
        .await?;
    Ok(())
}

/// The stock as its view has it.
async fn stock(stage: &Stage, after: Option<&ConsistencyToken>) -> Result<DocumentAnswer, Failure> {
    stage.document("inventory", SKU, after).await
}

fn on_hand(stock: &DocumentAnswer) -> u64 {
    stock.data["on_hand"].as_u64().unwrap_or_default()
}

/// Many deliveries, one right after the other, while the projection of the stock is overloaded.
async fn burst(stage: &Stage) -> Result<Burst, Failure> {
    slow(stage, 0).await?;
    stage.all_settled().await?;
    let before = on_hand(&stock(stage, None).await?);
    slow(stage, OVERLOADED_MS).await?;
    let stream = format!("inventory-{SKU}");
    let began = stage.now();
    let mut tokens = Vec::new();
    for _ in 0..DELIVERIES {
        let delivered = stage
            .send("ReceiveStock", &stream, json!({"quantity": UNITS}))
            .await?;
        tokens.push(delivered.token);
    }
    Ok(Burst {
        before,
        tokens,
        took_ms: stage.now().millis_since(began),
    })
}

/// Tells how far the view of the stock is behind, and whether that is the whole burst.
fn is_whole_burst_behind(stage: &mut Stage, stock: &DocumentAnswer) -> bool {
    stage.expect_same(Fact::EventsBehind, &DELIVERIES, &stock.behind);
    stage.document_seen(Fact::StockShown, "inventory", SKU, stock);
    stage.number_seen(Fact::EventsBehind, stock.behind, "events");
    stock.behind == DELIVERIES
}

/// The senders of the commands do not notice that a projection is slow.
async fn wave(stage: &mut Stage) -> Result<(), Failure> {
    let burst = burst(stage).await?;
    stage.number_seen(Fact::TimeTaken, burst.took_ms, "ms");
    let shown = stock(stage, None).await?;
    let accepted = u64::try_from(burst.tokens.len()).unwrap_or(u64::MAX);
    stage.expect_same(Fact::EventsRecorded, &DELIVERIES, &accepted);
    stage.number_seen(Fact::EventsRecorded, accepted, "events");
    stage.expect_same(Fact::UnitsOnHand, &burst.before, &on_hand(&shown));
    if is_whole_burst_behind(stage, &shown) && accepted == DELIVERIES {
        stage.show_choice(2);
    }
    slow(stage, 0).await
}

/// Another view of the same events has its own lanes.
async fn others(stage: &mut Stage) -> Result<(), Failure> {
    let burst = burst(stage).await?;
    let product = stage.document("products", SKU, Some(burst.newest()?)).await?;
    let shown = stock(stage, None).await?;
    stage.expect_same(Fact::EventsBehind, &0, &product.behind);
    stage.document_seen(Fact::ProductShown, "products", SKU, &product);
    stage.number_seen(Fact::EventsBehind, product.behind, "events");
    if is_whole_burst_behind(stage, &shown) && product.behind == 0 {
        stage.show_choice(2);
    }
    slow(stage, 0).await
}

/// The lag drains at the pace of the projection.
async fn drain(stage: &mut Stage) -> Result<(), Failure> {
    let burst = burst(stage).await?;
    let began = stage.now();
    slow(stage, DRAINING_MS).await?;
    let shown = stock(stage, Some(burst.newest()?)).await?;
    let took_ms = stage.now().millis_since(began);
    // The first event has waited long enough before.
    let least_ms = (DELIVERIES - 1) * DRAINING_MS;
    stage.expect(
        Fact::TimeTaken,
        took_ms >= least_ms,
        format!("≥ {least_ms} ms"),
        format!("{took_ms} ms"),
    );
    stage.number_seen(Fact::TimeTaken, took_ms, "ms");
    let after = burst.before + DELIVERIES * UNITS;
    stage.expect_same(Fact::UnitsOnHand, &after, &on_hand(&shown));
    stage.document_seen(Fact::StockShown, "inventory", SKU, &shown);
    let seconds = (took_ms + 500) / 1_000;
    stage.show_number(i64::try_from(seconds).unwrap_or(i64::MAX));
    slow(stage, 0).await
}

/// While the lag drains, readers look on: each number is one that the stock has had.
async fn prefix(stage: &mut Stage) -> Result<(), Failure> {
    let burst = burst(stage).await?;
    slow(stage, WATCHED_MS).await?;
    let mut last = burst.before;
    let mut was_each_a_state = true;
    for (delivery, token) in (1..).zip(&burst.tokens) {
        let units = on_hand(&stock(stage, Some(token)).await?);
        let folded = units.saturating_sub(burst.before) / UNITS;
        let is_state = units == burst.before + folded * UNITS;
        let has_all_before = (delivery..=DELIVERIES).contains(&folded);
        was_each_a_state &= is_state && has_all_before && units >= last;
        last = units;
        if delivery % ONE_OF == 0 {
            stage.number_seen(Fact::UnitsOnHand, units, "units");
        }
    }
    slow(stage, 0).await?;
    let shown = stock(stage, Some(burst.newest()?)).await?;
    let after = burst.before + DELIVERIES * UNITS;
    stage.expect(
        Fact::NumbersInOrder,
        was_each_a_state,
        format!("{} … {after}", burst.before),
        format!("… {last}"),
    );
    stage.expect_same(Fact::UnitsOnHand, &after, &on_hand(&shown));
    stage.document_seen(Fact::StockShown, "inventory", SKU, &shown);
    stage.all_settled().await?;
    if was_each_a_state && on_hand(&shown) == after {
        stage.show_choice(2);
    }
    Ok(())
}
