//! Lesson 18, a cache under load: queries for the same answer share one read of the database, a commit makes
//! an answer invalid, and without that a reader gets what is no longer true.

use std::time::Duration;

use domain::{
    lesson::Fact,
    token::ConsistencyToken,
    wire::{Arrow, CommandAnswer, DocumentAnswer, HopPage},
};
use futures::future::join_all;
use serde_json::json;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::Stage,
};

/// The product that all want to see.
const SKU: &str = "mug-01";

/// The people who open its page at the same moment.
const READERS: usize = 20;

/// By how much its price rises, in minor units.
const RISE: i64 = 100;

/// The most hops of a page.
const PAGE: usize = 1_000;

/// How often the hops are looked at until all answers are among them, and for how long.
const HOP_LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_secs(20);

pub(super) const LESSON: Lesson = Lesson {
    name: "cache_stampede",
    steps: &[
        Step::new("stampede")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(stampede(stage))),
        Step::new("off")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(off(stage))),
        Step::new("fresh")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(fresh(stage))),
        Step::new("stale")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(stale(stage))),
    ],
};

/// The product as its page shows it.
async fn product(stage: &Stage, after: Option<&ConsistencyToken>) -> Result<DocumentAnswer, Failure> {
    stage.document("products", SKU, after).await
}

/// Its price, in minor units.
fn price_of(product: &DocumentAnswer) -> i64 {
    product.data["price"]["amount"].as_i64().unwrap_or_default()
}

/// Raises the price that the page shows, and waits until every view has it.
async fn raise(stage: &Stage, shown: &DocumentAnswer) -> Result<(CommandAnswer, i64), Failure> {
    let risen = price_of(shown) + RISE;
    let price = json!({"amount": risen, "currency": shown.data["price"]["currency"]});
    let stream = format!("product-{SKU}");
    let raised = stage
        .send("ChangePrice", &stream, json!({"price": price}))
        .await?;
    stage.settled(raised.correlation_id).await?;
    Ok((raised, risen))
}

/// The hops behind a place.
async fn hops(stage: &Stage, after: Option<&str>) -> Result<HopPage, Failure> {
    let after = after.map_or_else(String::new, |place| format!("&after={place}"));
    stage.read(&format!("/lab/hops?limit={PAGE}{after}")).await
}

/// Begins to watch the pipeline; the place behind the newest hop.
async fn watch(stage: &Stage) -> Result<String, Failure> {
    let mut page = hops(stage, None).await?;
    while page.data.len() == PAGE {
        page = hops(stage, Some(&page.next)).await?;
    }
    Ok(page.next)
}

/// All readers open the page at the same moment; how many of their queries have read the database.
async fn read_at_once(stage: &Stage, after: &ConsistencyToken) -> Result<u64, Failure> {
    let place = watch(stage).await?;
    let readers = (0..READERS).map(|_| product(stage, Some(after)));
    for read in join_all(readers).await {
        read?;
    }
    let counted = tokio::time::timeout(LONGEST_LOOK, database_reads(stage, place)).await;
    counted.unwrap_or_else(|_| {
        Err(Failure::Unexpected(
            "the answers were not seen on their arrows in time".to_owned(),
        ))
    })
}

/// The reads of the database behind a place, once the answers of all readers are among the hops: the read of
/// a query ends before its answer.
async fn database_reads(stage: &Stage, mut place: String) -> Result<u64, Failure> {
    let (mut answers, mut reads) = (0, 0);
    loop {
        let page = hops(stage, Some(&place)).await?;
        let of_products = page
            .data
            .iter()
            .filter(|hop| hop.lane.as_deref() == Some("products"));
        for hop in of_products {
            match hop.arrow {
                Arrow::JsonResponse200 => answers += 1,
                Arrow::QueryProjection => reads += 1,
                _ => {}
            }
        }
        if answers >= READERS {
            return Ok(reads);
        }
        place = page.next;
        tokio::time::sleep(HOP_LOOK).await;
    }
}

/// Tells how many of the queries have read the database.
fn tell_reads(stage: &mut Stage, expected: u64, reads: u64) {
    stage.expect_same(Fact::DatabaseReads, &expected, &reads);
    stage.number_seen(Fact::QueriesSent, READERS, "");
    stage.number_seen(Fact::DatabaseReads, reads, "");
}

/// The price has changed, so the cache has no answer; twenty people ask at once.
async fn stampede(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let (raised, _) = raise(stage, &product(stage, None).await?).await?;
    let reads = read_at_once(stage, &raised.token).await?;
    tell_reads(stage, 1, reads);
    stage.show_number(i64::try_from(reads).unwrap_or(i64::MAX));
    Ok(())
}

/// The same without the cache.
async fn off(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials(json!({"cache": {"off": true}})).await?;
    let (raised, _) = raise(stage, &product(stage, None).await?).await?;
    let reads = read_at_once(stage, &raised.token).await;
    stage.dials(json!({"cache": {"off": false}})).await?;
    let reads = reads?;
    let all = u64::try_from(READERS).unwrap_or(u64::MAX);
    tell_reads(stage, all, reads);
    match reads {
        0 => stage.show_choice(3),
        1 => stage.show_choice(1),
        reads if reads == all => stage.show_choice(2),
        _ => {}
    }
    Ok(())
}

/// Tells the price that a page shows.
fn tell_price(stage: &mut Stage, expected: i64, shown: &DocumentAnswer) {
    stage.expect_same(Fact::PriceShown, &expected, &price_of(shown));
    stage.document_seen(Fact::ProductShown, "products", SKU, shown);
}

/// The cache has the old price when it changes.
async fn fresh(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let before = product(stage, None).await?;
    stage.document_seen(Fact::ProductShown, "products", SKU, &before);
    let (raised, risen) = raise(stage, &before).await?;
    if let Some(event) = stage.caused_by(raised.correlation_id).await?.first() {
        stage.event_seen(Fact::EventRecorded, event);
    }
    let after = product(stage, None).await?;
    tell_price(stage, risen, &after);
    if price_of(&after) == risen {
        stage.show_choice(2);
    } else if price_of(&after) == price_of(&before) {
        stage.show_choice(1);
    }
    Ok(())
}

/// The same while no commit makes an answer invalid.
async fn stale(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    stage.dials(json!({"cache": {"skip_invalidation": true}})).await?;
    let before = product(stage, None).await?;
    let (raised, risen) = raise(stage, &before).await?;
    let after = product(stage, None).await?;
    tell_price(stage, price_of(&before), &after);
    stage.expect_same(Fact::EventsBehind, &0, &after.behind);
    stage.number_seen(Fact::EventsBehind, after.behind, "events");
    let says_it_is_current = after.behind == 0 && after.as_of.covers(&raised.token);
    if price_of(&after) == price_of(&before) && says_it_is_current {
        stage.show_choice(1);
    } else if price_of(&after) == risen {
        stage.show_choice(3);
    }
    // What was kept meanwhile is not kept any longer.
    stage
        .dials(json!({"cache": {"skip_invalidation": false}}))
        .await?;
    let mended = product(stage, None).await?;
    tell_price(stage, risen, &mended);
    Ok(())
}
