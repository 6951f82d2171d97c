//! `ReserveStock`, `ReleaseStock`, `ShipStock`: the decision on a person's command reads whether an order has
//! the reservation's id, from the order's own stream.
//!
//! It is read after the stock, and from the store. So a reservation that the decision sees and that is an
//! order's is known as such, and one that is made later changes the stream that the append expects.

use domain::{
    access::Role,
    aggregate::{
        inventory::{Inventory, InventoryCommand, ReservationOwner},
        order::Order,
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

/// Carries out a command of an inventory. Fulfilment moves the stock of its orders without a question.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    command: InventoryCommand,
) -> Result<CommandAnswer, CommandFailure> {
    if intent.actor.role == Role::System || command.order().is_none() {
        let owner = ReservationOwner::default();
        return repository.execute::<Inventory>(intent, command, owner).await;
    }
    let mut attempts = repository.attempts(intent).await;
    let appended = loop {
        let attempt = move_stock(repository, intent, &command, attempts.freshness()).await;
        if let Some(outcome) = attempts.after(attempt).await {
            break outcome;
        }
    };
    repository.answer(intent, appended).await
}

async fn move_stock(
    repository: &Repository,
    intent: &Intent,
    command: &InventoryCommand,
    freshness: Freshness,
) -> Result<AppendAnswer, AttemptError> {
    let loaded = repository.load::<Inventory>(intent, freshness).await?;
    let owner = owner(repository, intent.workspace, command).await?;
    let context = repository.context(intent, owner);
    let decision = decide::<Inventory>(intent, &loaded, freshness, command.clone(), &context)?;
    repository
        .append::<Inventory>(intent, &loaded, decision, &[])
        .await
}

/// To whom the id of the command's reservation belongs. A text that is not valid in a stream's name is the id
/// of no order.
async fn owner(
    repository: &Repository,
    workspace: WorkspaceId,
    command: &InventoryCommand,
) -> Result<ReservationOwner, StoreError> {
    let id = command.order().unwrap_or_default();
    let Ok(stream) = StreamName::new(Order::CATEGORY, id) else {
        return Ok(ReservationOwner::Staff);
    };
    let order = repository
        .loader
        .load_foreign::<Order>(workspace, &stream, Freshness::Read)
        .await?;
    Ok(match order.state.placed {
        Some(_) => ReservationOwner::Order,
        None => ReservationOwner::Staff,
    })
}
