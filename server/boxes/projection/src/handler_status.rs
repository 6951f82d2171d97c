//! Where the handlers of a server's lanes are in a workspace, and what each has done with an event.

use documents::{DocumentStoreError, LaneId, ParkedState, Scope};
use domain::{
    event::StoredEvent,
    id::WorkspaceId,
    wire::{HandledBy, HandlerStatus, Handling},
};

use super::{Projections, refused_commands};

impl Projections {
    /// The status of every handler in a workspace. A command of a process manager that was refused for good
    /// counts as a dead letter.
    pub async fn handlers(&self, workspace: WorkspaceId) -> Result<Vec<HandlerStatus>, DocumentStoreError> {
        let context = &self.context;
        let mut handlers = Vec::new();
        for (handler, mut status) in self.lane_status(workspace).await? {
            let Some(progress) = context.progress.of(workspace, handler.name()) else {
                continue;
            };
            let refused = refused_commands::list(context, workspace, Some(handler.name())).await?;
            let refused = u64::try_from(refused.len()).unwrap_or(u64::MAX);
            status.dead_letters = status.dead_letters.saturating_add(refused);
            let behind_for = progress.behind_for().filter(|_| status.behind > 0);
            handlers.push(HandlerStatus {
                kind: handler.kind(),
                behind_ms: behind_for.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
                status,
            });
        }
        Ok(handlers)
    }

    /// What every handler has done with an event of the log.
    pub async fn handled(
        &self,
        workspace: WorkspaceId,
        event: &StoredEvent,
    ) -> Result<Vec<HandledBy>, DocumentStoreError> {
        let mut answers = Vec::new();
        for handler in self.context.progress.handlers() {
            let Some(progress) = self.context.progress.of(workspace, handler.name()) else {
                continue;
            };
            let (handling, reason) = if progress.folded().position(event.partition) < event.position {
                (Handling::Behind, None)
            } else {
                let scope = Scope {
                    workspace,
                    view: handler.name(),
                    generation: progress.generation(),
                };
                self.passed(scope, event).await?
            };
            answers.push(HandledBy {
                name: handler.name_in(workspace).into_owned(),
                kind: handler.kind(),
                handling,
                reason,
            });
        }
        Ok(answers)
    }

    /// What was done with an event that the checkpoint has passed, and why it was not applied.
    async fn passed(
        &self,
        scope: Scope,
        event: &StoredEvent,
    ) -> Result<(Handling, Option<String>), DocumentStoreError> {
        let lane = LaneId {
            scope,
            partition: event.partition,
        };
        let before = event.position.saturating_sub(1);
        let documents = &self.context.documents;
        let parked = documents.parked_events(&lane, &event.stream, before, 1).await?;
        let parked = parked
            .into_iter()
            .find(|parked| parked.event_id == event.event_id);
        Ok(match parked.map(|parked| parked.state) {
            None => (Handling::Handled, None),
            Some(ParkedState::Dead { reason, .. }) => (Handling::DeadLetter, Some(reason)),
            Some(ParkedState::Waiting) => (Handling::Waiting, None),
            Some(ParkedState::Discarded { reason, .. }) => (Handling::Discarded, Some(reason)),
        })
    }
}
