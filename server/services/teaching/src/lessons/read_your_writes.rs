//! Lesson 3, read your own writes: a reader who comes right after a command may meet a view that is behind;
//! with the command's consistency token the view answers once it has folded what the command wrote.

use domain::{
    lesson::Fact,
    token::ConsistencyToken,
    wire::{CommandAnswer, Problem},
};
use futures::join;
use serde_json::json;

use crate::{
    api::Call,
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, order_key},
};

/// The product that is ordered.
const SKU: &str = "tea-01";

/// How long the last step is ready to wait for the view, in milliseconds.
const SHORT_WAIT_MS: u32 = 200;

/// What the run remembers of the order.
const ORDER: &str = "order";

pub(super) const LESSON: Lesson = Lesson {
    name: "read_your_writes",
    steps: &[
        Step::new("broken")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(broken(stage))),
        Step::new("token")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(token(stage))),
        Step::new("wait")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(wait(stage))),
        Step::new("timeout")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(timeout(stage))),
    ],
};

/// Holds the projection of orders, or lets it go on.
async fn hold(stage: &Stage, is_held: bool) -> Result<(), Failure> {
    stage
        .dials(json!({"projections": {"orders": {"paused": is_held}}}))
        .await?;
    Ok(())
}

/// A customer places an order, and opens it before the view has folded it.
async fn broken(stage: &mut Stage) -> Result<(), Failure> {
    hold(stage, true).await?;
    let ada = stage.person("Ada").await?;
    let order = stage.place_order(&ada, SKU, 1, "tok_ok").await?;
    let path = format!("/api/v1/views/orders/{}", order_key(&order.stream));
    let page = stage.call(Call::get(stage.sender(&ada), path)).await;
    stage.expect_same(Fact::AnswerStatus, &404, &page.status);
    stage.answer_seen(Fact::OrderShown, &page);
    if let Some(event) = stage.stream(&order.stream).await?.first() {
        stage.event_seen(Fact::EventRecorded, event);
    }
    if page.status == 404 {
        stage.show_choice(2);
    }
    stage.remember(ORDER, &order);
    Ok(())
}

/// The command's answer names how far a view has to be.
async fn token(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(ORDER)?;
    let event = order.events.first();
    let event = event.ok_or_else(|| Failure::Unexpected("the order has no event".to_owned()))?;
    let place = ConsistencyToken::at(event.partition, event.position);
    stage.expect(
        Fact::TokenGiven,
        order.token.covers(&place),
        format!("≥ {place}"),
        &order.token,
    );
    let (position, named) = (event.position, order.token.position(event.partition));
    if let Some(event) = stage.stream(&order.stream).await?.first() {
        stage.event_seen(Fact::EventRecorded, event);
    }
    stage.number_seen(Fact::TokenGiven, named, "");
    if position == named {
        stage.show_choice(2);
    }
    Ok(())
}

/// The reader sends the token; the view answers as soon as it has folded the order.
async fn wait(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(ORDER)?;
    let key = order_key(&order.stream);
    let began = stage.now();
    let (document, let_go) = join!(
        stage.document("orders", key, Some(&order.token)),
        hold(stage, false)
    );
    let_go?;
    let document = document?;
    stage.time_seen(Fact::TimeTaken, began);
    let shown = document.data["id"].as_str().unwrap_or_default().to_owned();
    stage.expect_same(Fact::OrderShown, &key, &shown.as_str());
    stage.expect(
        Fact::TokenGiven,
        document.as_of.covers(&order.token),
        format!("≥ {}", order.token),
        &document.as_of,
    );
    if shown == key {
        stage.show_choice(1);
    }
    stage.document_seen(Fact::OrderShown, "orders", key, &document);
    stage.settled(order.correlation_id).await?;
    Ok(())
}

/// The view stays behind for longer than the reader waits: the answer says what lags, and shows nothing old.
async fn timeout(stage: &mut Stage) -> Result<(), Failure> {
    hold(stage, true).await?;
    let ada = stage.person("Ada").await?;
    let order = stage.place_order(&ada, SKU, 1, "tok_ok").await?;
    let key = order_key(&order.stream);
    let path = format!(
        "/api/v1/views/orders/{key}?after={}&timeout_ms={SHORT_WAIT_MS}",
        order.token
    );
    let began = stage.now();
    let answer = stage.call(Call::get(stage.sender(&ada), path)).await;
    stage.time_seen(Fact::TimeTaken, began);
    stage.expect_same(Fact::AnswerStatus, &503, &answer.status);
    stage.answer_seen(Fact::AnswerGiven, &answer);
    let problem: Problem = answer.problem();
    let names_it = problem.waiting_for.iter().any(|view| view.starts_with("orders"));
    stage.expect(
        Fact::EventsBehind,
        names_it,
        "orders",
        problem.waiting_for.join(", "),
    );
    if answer.status == 503 && names_it {
        stage.show_choice(3);
    }
    hold(stage, false).await?;
    stage.settled(order.correlation_id).await?;
    Ok(())
}
