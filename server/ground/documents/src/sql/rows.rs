//! The rows that the requests of a group write, table by table.

use domain::view::ListingEntry;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::group::Change;
use crate::{
    DocumentStoreError, ParkedEvent, Scope,
    columns::{self, stored},
};

/// The columns of a generation of a view, with which every row begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScopeColumns {
    pub(crate) workspace: Uuid,
    pub(crate) view: &'static str,
    pub(crate) generation: i64,
}

impl TryFrom<&Scope> for ScopeColumns {
    type Error = DocumentStoreError;

    fn try_from(scope: &Scope) -> Result<Self, DocumentStoreError> {
        Ok(Self {
            workspace: scope.workspace.0,
            view: scope.view,
            generation: stored(scope.generation)?,
        })
    }
}

/// A new checkpoint.
pub(crate) struct NewCheckpoint<'a> {
    pub(crate) scope: ScopeColumns,
    pub(crate) partition: i64,
    pub(crate) position: i64,
    pub(crate) hash: Option<&'a str>,
}

/// A document that is inserted or replaced.
pub(crate) struct NewDocument<'a> {
    pub(crate) scope: ScopeColumns,
    pub(crate) key: &'a str,
    pub(crate) data: &'a str,
    pub(crate) owner: Option<Uuid>,
}

/// The key of a document.
pub(crate) struct DocumentKey<'a> {
    pub(crate) scope: ScopeColumns,
    pub(crate) key: &'a str,
}

/// An entry of a listing.
pub(crate) struct Entry<'a> {
    pub(crate) scope: ScopeColumns,
    pub(crate) listing: &'static str,
    pub(crate) group: &'a str,
    pub(crate) sort: &'a str,
    pub(crate) key: &'a str,
}

impl<'a> Entry<'a> {
    fn new(scope: ScopeColumns, key: &'a str, entry: &'a ListingEntry) -> Self {
        Self {
            scope,
            listing: entry.listing,
            group: &entry.group,
            sort: &entry.sort,
            key,
        }
    }
}

/// An event that is parked.
pub(crate) struct NewParked<'a> {
    pub(crate) scope: ScopeColumns,
    pub(crate) partition: i64,
    pub(crate) position: i64,
    pub(crate) id: Uuid,
    pub(crate) stream: &'a str,
    pub(crate) version: i64,
    pub(crate) event_id: Uuid,
    pub(crate) event_type: &'a str,
    pub(crate) correlation_id: Uuid,
    pub(crate) state: &'static str,
    pub(crate) reason: &'a str,
    pub(crate) attempts: i64,
    pub(crate) parked_at: i64,
}

impl<'a> NewParked<'a> {
    fn new(scope: ScopeColumns, partition: u32, event: &'a ParkedEvent) -> Result<Self, DocumentStoreError> {
        let (state, reason, attempts) = columns::state(event);
        Ok(Self {
            scope,
            partition: i64::from(partition),
            position: stored(event.position)?,
            id: event.id,
            stream: event.stream.as_str(),
            version: stored(event.version)?,
            event_id: event.event_id,
            event_type: &event.event_type,
            correlation_id: event.correlation_id,
            state,
            reason,
            attempts: i64::from(attempts),
            parked_at: event.parked_at.as_micros(),
        })
    }
}

/// What a lane hands over to other servers.
pub(crate) struct NewChanges<'a> {
    pub(crate) scope: ScopeColumns,
    pub(crate) partition: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) content: Option<&'a str>,
}

/// Everything that is written, in the order of the requests.
#[derive(Default)]
pub(crate) struct Rows<'a> {
    pub(crate) checkpoints: Vec<NewCheckpoint<'a>>,
    pub(crate) written: Vec<NewDocument<'a>>,
    pub(crate) deleted: Vec<DocumentKey<'a>>,
    pub(crate) removed: Vec<Entry<'a>>,
    pub(crate) added: Vec<Entry<'a>>,
    pub(crate) parked: Vec<NewParked<'a>>,
    /// Only of PostgreSQL: a file has no other servers.
    pub(crate) shared: Vec<NewChanges<'a>>,
}

impl<'a> Rows<'a> {
    /// The rows of these changes.
    pub(crate) fn of(changes: &[Change<'a>]) -> Result<Self, DocumentStoreError> {
        let mut rows = Self::default();
        for change in changes {
            rows.add(change)?;
        }
        Ok(rows)
    }

    fn add(&mut self, change: &Change<'a>) -> Result<(), DocumentStoreError> {
        let scope = ScopeColumns::try_from(change.scope)?;
        if let Some((partition, checkpoint)) = change.partition.zip(change.checkpoint) {
            self.checkpoints.push(NewCheckpoint {
                scope,
                partition: i64::from(partition),
                position: stored(checkpoint.position)?,
                hash: checkpoint.hash.as_deref(),
            });
            if let Some(shared) = &change.output.shared {
                self.shared.push(NewChanges {
                    scope,
                    partition: i64::from(partition),
                    from: stored(shared.from)?,
                    to: stored(checkpoint.position)?,
                    content: shared.content.as_deref(),
                });
            }
        }
        for write in &change.output.writes {
            let key = write.key.as_str();
            match write.data.as_deref().map(RawValue::get) {
                Some(data) => self.written.push(NewDocument {
                    scope,
                    key,
                    data,
                    owner: write.owner,
                }),
                None => self.deleted.push(DocumentKey { scope, key }),
            }
            let entry = |entry| Entry::new(scope, key, entry);
            self.removed.extend(write.removed_entries.iter().map(entry));
            self.added.extend(write.added_entries.iter().map(entry));
        }
        if let Some(partition) = change.partition {
            for event in &change.output.parked {
                self.parked.push(NewParked::new(scope, partition, event)?);
            }
        }
        Ok(())
    }
}
