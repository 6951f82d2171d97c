//! `PlaceOrder`: the decision reads the products of the order's lines, from their own streams.

use domain::{
    aggregate::{
        order::{Order, OrderEvidence, PlaceOrder},
        product::Product,
    },
    decider::Decider as _,
    id::{StreamName, WorkspaceId},
    wire::CommandAnswer,
};
use event_store::{AppendAnswer, StoreError};

use crate::{
    aggregate_loader::Freshness,
    failure::CommandFailure,
    intent::Intent,
    repository::{Repository, decide},
    retry::AttemptError,
};

/// Places an order at the current names and prices. The append does not check the products' versions: a price
/// may be as old as a cached state of another stream may be.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    order: PlaceOrder,
) -> Result<CommandAnswer, CommandFailure> {
    let mut attempts = repository.attempts(intent).await;
    let appended = loop {
        let attempt = place(repository, intent, &order, attempts.freshness()).await;
        if let Some(outcome) = attempts.after(attempt).await {
            break outcome;
        }
    };
    repository.answer(intent, appended).await
}

async fn place(
    repository: &Repository,
    intent: &Intent,
    order: &PlaceOrder,
    freshness: Freshness,
) -> Result<AppendAnswer, AttemptError> {
    let loaded = repository.load::<Order>(intent, freshness).await?;
    let products = products(repository, intent.workspace, order, freshness).await?;
    let context = repository.context(intent, products);
    let decision = decide::<Order>(intent, &loaded, freshness, order.clone().into(), &context)?;
    repository.append::<Order>(intent, &loaded, decision, &[]).await
}

/// The products of an order's lines.
async fn products(
    repository: &Repository,
    workspace: WorkspaceId,
    order: &PlaceOrder,
    freshness: Freshness,
) -> Result<OrderEvidence, StoreError> {
    let mut products = Vec::new();
    for sku in order.skus() {
        // A text that is not valid in a stream's name is no product.
        let Ok(stream) = StreamName::new(Product::CATEGORY, sku) else {
            continue;
        };
        let product = repository
            .loader
            .load_foreign::<Product>(workspace, &stream, freshness)
            .await?;
        products.push((sku.to_owned(), product.state.clone()));
    }
    Ok(products.into_iter().collect())
}
