//! What handles events: a projection, a process manager or a consumer. All three share one runner, and with
//! it checkpoints, retries, dead letters, pauses and restarts.

use std::{borrow::Cow, fmt::Debug};

use async_trait::async_trait;
use domain::{
    event::TypedEvent,
    id::WorkspaceId,
    view::{AnyView, View as _, inventory::InventoryView},
    wire::{HandlerKind, hops::Arrow},
};

use super::{
    effect::{EffectError, Work},
    log_history::LogHistory,
    refused_commands::RefusedCommands,
};

/// The arrows of the drawing that events cross on the lanes of a handler, for the live map. A handler that is
/// not drawn has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneArrows {
    /// From the message broker to the handler.
    pub delivery: &'static [Arrow],
    /// From the event store to the handler.
    pub history: &'static [Arrow],
    /// From the handler to what it writes.
    pub write: &'static [Arrow],
}

impl LaneArrows {
    /// Those of a view.
    pub const VIEW: Self = Self {
        delivery: &[Arrow::EventSubscription],
        history: &[Arrow::HistoricalEvents],
        write: &[Arrow::UpsertProjection],
    };

    /// Those of the view of the inventory, which is a box of its own on the sheet of the business.
    const INVENTORY: Self = Self {
        delivery: &[Arrow::EventSubscription, Arrow::InventoryConsumer],
        history: &[Arrow::HistoricalEvents],
        write: &[Arrow::UpsertProjection, Arrow::InventoryDb],
    };
}

/// Handles the events of every partition, in the order of each partition, on lanes of its own.
#[async_trait]
pub trait EventHandler: Send + Sync + Debug {
    /// The name of its lanes, in checkpoints, dead letters, metrics and `/settled`. It is stored, and never
    /// changes.
    fn name(&self) -> &'static str;

    /// The name that people of a workspace know it by: that of a view of their own is another one than that
    /// of its lanes.
    fn name_in(&self, workspace: WorkspaceId) -> Cow<'static, str> {
        match self.documents() {
            Some(view) => view.name_in(workspace),
            None => Cow::Borrowed(self.name()),
        }
    }

    /// The view that events are folded into, for a projection or a process manager. Its documents change in
    /// the transaction that moves the checkpoint.
    fn documents(&self) -> Option<&'static dyn AnyView> {
        None
    }

    /// The commands in its documents that were refused for good, for a process manager: dead letters as well.
    fn refused_commands(&self) -> Option<&dyn RefusedCommands> {
        None
    }

    /// Whether its documents follow from the log alone, so that another generation of them can be folded
    /// beside the live one: a view. Those of a process manager do not.
    fn is_rebuildable(&self) -> bool {
        self.documents().is_some() && self.refused_commands().is_none()
    }

    /// What it is, for the people who look at it.
    fn kind(&self) -> HandlerKind {
        if self.is_rebuildable() {
            HandlerKind::View
        } else if self.documents().is_some() {
            HandlerKind::ProcessManager
        } else {
            HandlerKind::Consumer
        }
    }

    /// The arrows that its events cross: those of a view for a view, and none for another handler.
    fn arrows(&self) -> LaneArrows {
        if self.is_rebuildable() {
            LaneArrows::VIEW
        } else {
            LaneArrows::default()
        }
    }

    /// Whether it writes anything because of an event, for a handler without documents: only then does the
    /// event cross the arrow to what it writes. Asked after the event was performed, and for the live map
    /// alone.
    fn writes(&self, _event: &TypedEvent) -> bool {
        true
    }

    /// Prepares to handle every event of a workspace again from the first one on, because its checkpoint is
    /// of another history than the log. What it has done for events that the log has must not be repeated,
    /// and output of events that the log does not have must go. Called while none of its lanes is in the
    /// middle of its work there.
    async fn begin_again(
        &self,
        _workspace: WorkspaceId,
        _history: &mut LogHistory<'_>,
    ) -> Result<(), EffectError> {
        Ok(())
    }

    /// Performs these events durably; for a handler without documents. Some or all of them may have come
    /// before.
    async fn perform(&self, _work: &Work) -> Result<(), EffectError> {
        Ok(())
    }
}

/// A projection: folds the events into a view.
#[derive(Debug, Clone, Copy)]
pub struct Projection(pub &'static dyn AnyView);

impl EventHandler for Projection {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn documents(&self) -> Option<&'static dyn AnyView> {
        Some(self.0)
    }

    fn arrows(&self) -> LaneArrows {
        if self.name() == InventoryView::NAME {
            LaneArrows::INVENTORY
        } else {
            LaneArrows::VIEW
        }
    }
}
