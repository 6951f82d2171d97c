//! Lesson 7, duplicates that are counted: a view without the position check counts a sale as often as it was
//! delivered, stays wrong when nothing comes twice any more, and is right after a rebuild from the log.

use domain::{lesson::Fact, wire::CommandAnswer};
use serde_json::json;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::Stage,
};

/// The product that is sold.
const SKU: &str = "mug-01";
/// How many units the order has that is delivered twice.
const UNITS: u32 = 2;

/// The shop's own view of the sales, and the key of the product's document as it is in an address.
const CHECKED: (&str, &str) = ("sales", "sku%2Fmug-01");
/// The view of the run's own that compares no positions, and the key of the product's document.
const UNCHECKED: (&str, &str) = ("sold_units", SKU);

/// What the run remembers: the order that is delivered twice.
const ORDER: &str = "order";
/// What the run remembers: the units that the unchecked view counts too many.
const EXCESS: &str = "excess";

pub(super) const LESSON: Lesson = Lesson {
    name: "duplicates_counted",
    steps: &[
        Step::new("build").acts(|stage| Box::pin(build(stage))),
        Step::new("twice")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(twice(stage))),
        Step::new("truth")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(truth(stage))),
        Step::new("calm")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(calm(stage))),
        Step::new("rebuild")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(rebuild(stage))),
    ],
};

/// The units that both views count as sold.
struct Sold {
    checked: u64,
    unchecked: u64,
}

impl Sold {
    /// The units that the unchecked view counts too many.
    fn excess(&self) -> u64 {
        self.unchecked.saturating_sub(self.checked)
    }
}

/// What both views count once everything was delivered as often as it ever will be.
async fn sold(stage: &Stage) -> Result<Sold, Failure> {
    let now = stage.one_more_delivery().await?;
    Ok(Sold {
        checked: stage.number_in(CHECKED, "units", &now).await?,
        unchecked: stage.number_in(UNCHECKED, "units", &now).await?,
    })
}

/// The same, with the documents as evidence.
async fn sold_as_seen(stage: &mut Stage) -> Result<Sold, Failure> {
    let sold = sold(stage).await?;
    for (view, key) in [CHECKED, UNCHECKED] {
        if let Some(document) = stage.view(view, key, None).await? {
            stage.document_seen(Fact::SalesShown, view, &key.replace("%2F", "/"), &document);
        }
    }
    Ok(sold)
}

/// A customer orders, and everything that comes of it is done.
async fn order(stage: &mut Stage, quantity: u32) -> Result<CommandAnswer, Failure> {
    let ada = stage.person("Ada").await?;
    let order = stage.place_order(&ada, SKU, quantity, "tok_ok").await?;
    stage.settled(order.correlation_id).await?;
    Ok(order)
}

/// A view of the run's own counts the units that were sold, without looking at positions.
async fn build(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    let (name, _) = UNCHECKED;
    let definition = json!({
        "on": ["OrderConfirmed"],
        "key": "data.lines.0.sku",
        "fold": [
            {"field": "orders", "op": "count"},
            {"field": "units", "op": "sum", "of": "data.lines.0.quantity"},
        ],
        "detect_duplicates": false,
    });
    stage.create_view(name, &definition).await?;
    order(stage, 1).await?;
    let sold = sold_as_seen(stage).await?;
    stage.expect(Fact::UnitsSold, sold.checked > 0, "≥ 1", sold.checked);
    stage.expect_same(Fact::UnitsSold, &sold.checked, &sold.unchecked);
    Ok(())
}

/// An order while the broker delivers every event twice.
async fn twice(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let before = sold(stage).await?;
    stage.dials(json!({"broker": {"duplicate_every": 1}})).await?;
    let order = order(stage, UNITS).await?;
    let after = sold_as_seen(stage).await?;
    stage.dials_at_rest().await?;
    let more = after.unchecked.saturating_sub(before.unchecked);
    let expected = u64::from(UNITS);
    stage.expect_same(
        Fact::UnitsMore,
        &expected,
        &after.checked.saturating_sub(before.checked),
    );
    stage.expect_same(Fact::UnitsMore, &(2 * expected), &more);
    stage.show_number(i64::try_from(more).unwrap_or(i64::MAX));
    stage.remember(ORDER, &order);
    stage.remember(EXCESS, &after.excess());
    Ok(())
}

/// The log has the sale once, and the verifier names the view that differs from it.
async fn truth(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(ORDER)?;
    let events = stage.caused_by(order.correlation_id).await?;
    let sales = events.iter().filter(|event| event.event_type == "OrderConfirmed");
    let sales: Vec<_> = sales.collect();
    for event in &sales {
        stage.event_seen(Fact::EventRecorded, event);
    }
    stage.expect_same(Fact::EventsRecorded, &1, &sales.len());
    stage.all_settled().await?;
    let findings = stage.verify().await?.findings;
    let is_of = |view: &str| {
        findings
            .iter()
            .any(|finding| finding.starts_with(&format!("{view}: ")))
    };
    let (checked, unchecked) = (is_of(CHECKED.0), is_of(UNCHECKED.0));
    let names = |named: bool, view: &str| if named { view.to_owned() } else { "–".to_owned() };
    stage.expect(Fact::VerifyFindings, !checked, "–", names(checked, CHECKED.0));
    stage.expect(
        Fact::VerifyFindings,
        unchecked,
        UNCHECKED.0,
        names(unchecked, UNCHECKED.0),
    );
    stage.number_seen(Fact::VerifyFindings, findings.len(), "");
    if sales.len() == 1 && unchecked && !checked {
        stage.show_choice(2);
    }
    Ok(())
}

/// The broker delivers once again, and the view goes on from its wrong number.
async fn calm(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    let excess: u64 = stage.recall(EXCESS)?;
    order(stage, 1).await?;
    let sold = sold_as_seen(stage).await?;
    stage.expect(Fact::UnitsExcess, excess > 0, "≥ 1", excess);
    stage.expect_same(Fact::UnitsExcess, &excess, &sold.excess());
    match sold.excess() {
        0 => stage.show_choice(1),
        same if same == excess => stage.show_choice(2),
        _ => stage.show_choice(3),
    }
    Ok(())
}

/// A rebuild folds the log from its first event on, which has each event once.
async fn rebuild(stage: &mut Stage) -> Result<(), Failure> {
    let began = stage.now();
    stage.rebuild(UNCHECKED.0).await?;
    stage.time_seen(Fact::TimeTaken, began);
    let sold = sold_as_seen(stage).await?;
    stage.expect_same(Fact::UnitsSold, &sold.checked, &sold.unchecked);
    stage.all_settled().await?;
    let report = stage.verify().await?;
    stage.expect_same(Fact::VerifyFindings, &0, &report.findings.len());
    match sold.unchecked {
        0 => stage.show_choice(2),
        units if units == sold.checked => stage.show_choice(3),
        _ => stage.show_choice(1),
    }
    Ok(())
}
