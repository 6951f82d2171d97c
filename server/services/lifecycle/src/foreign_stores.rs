//! Detects foreign stores: separate stores that belong to another event store.
//!
//! Views, the states of process managers and the data of people belong to one event store. With another event
//! store, a server would answer from views without events, and send commands to workspaces that do not exist.
//! So it does not start if the event store has never had any of the workspaces of such a store. If it has had
//! some of them, the server starts, and leaves the others unchanged: see [`Purger`](super::Purger).

use documents::{DocumentStore, DocumentStoreError};
use domain::id::WorkspaceId;
use event_store::{EventStore, StoreError};
use identity::{PeopleError, PeopleStore};

/// Why a server does not start on these stores.
#[derive(Debug, thiserror::Error)]
pub enum ForeignStoresError {
    /// A store belongs to another event store.
    #[error(
        "{what} {setting} names {hold} workspaces, and the event store that --event-store names, or else \
         --data-dir, has never had one of them; let {setting} and --event-store name stores of one server"
    )]
    Foreign {
        /// The store.
        what: &'static str,
        /// The verb of the message.
        hold: &'static str,
        /// The setting that names it.
        setting: &'static str,
    },
    /// The event store cannot be read.
    #[error(transparent)]
    Events(#[from] StoreError),
    /// A document store cannot be read.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
    /// The people store cannot be read.
    #[error(transparent)]
    People(#[from] PeopleError),
}

/// The stores that are separate from the event store.
#[derive(Debug, Clone, Copy)]
pub struct SeparateStores<'a> {
    /// The read model, box 8.
    pub read_model: &'a dyn DocumentStore,
    /// The process store.
    pub process_store: &'a dyn DocumentStore,
    /// Keys and credentials.
    pub people: &'a dyn PeopleStore,
}

impl SeparateStores<'_> {
    /// Refuses stores of another event store. `read_model_setting` is the setting that names the read model.
    pub async fn check_belong_to(
        &self,
        events: &dyn EventStore,
        read_model_setting: &'static str,
    ) -> Result<(), ForeignStoresError> {
        for (what, hold, setting, workspaces) in [
            (
                "the read model that",
                "holds",
                read_model_setting,
                self.read_model.workspaces().await?,
            ),
            (
                "the process store that",
                "holds",
                "--data-dir",
                self.process_store.workspaces().await?,
            ),
            (
                "the keys and credentials that",
                "are of",
                "--data-dir",
                self.people.workspaces().await?,
            ),
        ] {
            if !workspaces.is_empty() && !has_had_any(events, &workspaces).await? {
                return Err(ForeignStoresError::Foreign { what, hold, setting });
            }
        }
        Ok(())
    }

    /// Whether the stores that share the event store's database are empty.
    pub async fn are_empty_beside_events(&self) -> Result<bool, ForeignStoresError> {
        Ok(self.process_store.workspaces().await?.is_empty() && self.people.workspaces().await?.is_empty())
    }
}

/// Whether one of these workspaces exists, is being purged, or was purged.
async fn has_had_any(events: &dyn EventStore, workspaces: &[WorkspaceId]) -> Result<bool, StoreError> {
    for workspace in workspaces {
        if events.workspace(*workspace).await?.is_some() || events.was_purged(*workspace).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
