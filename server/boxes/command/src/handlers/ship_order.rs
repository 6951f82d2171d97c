//! `ShipOrder`: the decision reads the stock that is reserved for the order, and its payment, from their own
//! streams.
//!
//! They are read after the order, and from the store. What is reserved then stays so until another event of
//! the order, which the append would find: fulfilment alone takes it away, because of such an event.

use domain::{
    aggregate::{
        inventory::Inventory,
        order::{Goods, Order, OrderEvidence, OrderStatus, PlacedOrder, ShipOrder},
        payment::{Payment, PaymentState},
    },
    decider::Decider as _,
    id::StreamName,
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

/// Ships an order whose goods are reserved and paid.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    command: ShipOrder,
) -> Result<CommandAnswer, CommandFailure> {
    let mut attempts = repository.attempts(intent).await;
    let appended = loop {
        let attempt = ship(repository, intent, &command, attempts.freshness()).await;
        if let Some(outcome) = attempts.after(attempt).await {
            break outcome;
        }
    };
    repository.answer(intent, appended).await
}

async fn ship(
    repository: &Repository,
    intent: &Intent,
    command: &ShipOrder,
    freshness: Freshness,
) -> Result<AppendAnswer, AttemptError> {
    let loaded = repository.load::<Order>(intent, freshness).await?;
    let goods = match &loaded.state.placed {
        Some(placed) if placed.status == OrderStatus::Confirmed => goods(repository, intent, placed).await?,
        // The status refuses it.
        _ => Goods::default(),
    };
    let context = repository.context(intent, OrderEvidence::Goods(goods));
    let decision = decide::<Order>(intent, &loaded, freshness, command.clone().into(), &context)?;
    repository.append::<Order>(intent, &loaded, decision, &[]).await
}

/// The goods of the order of the intent's stream. A text that is not valid in a stream's name has no stream.
async fn goods(repository: &Repository, intent: &Intent, placed: &PlacedOrder) -> Result<Goods, StoreError> {
    let order = intent.stream.id();
    let (loader, workspace) = (&repository.loader, intent.workspace);
    let mut goods = Goods::default();
    for line in &placed.lines {
        let Ok(stream) = StreamName::new(Inventory::CATEGORY, &line.sku) else {
            continue;
        };
        let stock = loader
            .load_foreign::<Inventory>(workspace, &stream, Freshness::Read)
            .await?;
        if let Some(quantity) = stock.state.reservations.get(order) {
            goods.reserved.insert(line.sku.clone(), *quantity);
        }
    }
    if let Ok(stream) = StreamName::new(Payment::CATEGORY, order) {
        let payment = loader
            .load_foreign::<Payment>(workspace, &stream, Freshness::Read)
            .await?;
        goods.is_paid = matches!(payment.state, PaymentState::Processed { .. });
    }
    Ok(goods)
}
