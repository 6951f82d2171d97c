//! The commands of an inbox: `ReadNotifications` marks only notifications that its owner has, which the
//! stored documents know. A notification that is not folded yet cannot be marked yet: no client has seen it.

use domain::{
    aggregate::inbox::{Inbox, InboxCommand, MAX_READ, OwnNotifications},
    wire::CommandAnswer,
};
use event_store::StoreError;

use crate::{failure::CommandFailure, intent::Intent, repository::Repository};

/// Carries out a command of an inbox.
pub(crate) async fn handle(
    repository: &Repository,
    intent: &Intent,
    command: InboxCommand,
) -> Result<CommandAnswer, CommandFailure> {
    let own = own_notifications(repository, intent, &command).await?;
    repository.execute::<Inbox>(intent, command, own).await
}

/// Those of the command's events that are notifications of its sender. The decision refuses an inbox of
/// another person, and a list that is too long: of neither is anything read here.
async fn own_notifications(
    repository: &Repository,
    intent: &Intent,
    command: &InboxCommand,
) -> Result<OwnNotifications, StoreError> {
    let InboxCommand::ReadNotifications(read) = command else {
        return Ok(OwnNotifications::default());
    };
    let Some(documents) = repository
        .documents
        .as_ref()
        .filter(|_| read.events.len() <= MAX_READ)
    else {
        return Ok(OwnNotifications::default());
    };
    let person = intent.actor.id;
    let own = documents
        .notifications(intent.workspace, person, &read.events)
        .await?;
    Ok(OwnNotifications(own))
}
