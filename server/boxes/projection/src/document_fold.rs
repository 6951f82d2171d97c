//! A document while a batch is folded into it: its stored state and its current one.

use std::{collections::HashSet, sync::Arc};

use domain::{
    event::TypedEvent,
    view::{AnyView, DocumentError, FoldTarget, ListingEntry},
};

use super::fold_result::{DocumentState, FoldResult};
use broker::PublishedEvent;
use cache::Topic;
use documents::{DocumentWrite, Scope, StoredDocument};

/// A document before and after an event.
pub(super) type BeforeAndAfter = (Option<Arc<DocumentState>>, Option<Arc<DocumentState>>);

/// One document of a batch: folds events into it, and yields the write that the batch needs.
pub(super) struct DocumentFold {
    folding: Box<dyn FoldTarget>,
    stored: Option<Arc<DocumentState>>,
    current: Option<Arc<DocumentState>>,
    position: u64,
}

impl DocumentFold {
    /// Starts from a document as it was read, or from none.
    pub(super) fn load(
        view: &'static dyn AnyView,
        key: &str,
        document: Option<StoredDocument>,
    ) -> Result<Self, DocumentError> {
        let folding = view.load(key, document.as_ref().map(|document| &*document.data))?;
        let stored = document.map(|document| {
            Arc::new(DocumentState {
                data: document.data.into(),
                owner: document.owner,
                listings: unique(folding.listings()),
            })
        });
        Ok(Self {
            folding,
            current: stored.clone(),
            stored,
            position: 0,
        })
    }

    /// Folds an event. Returns the states before and after it, if `track_changes` asks for them and the event
    /// changed the document.
    pub(super) fn fold(
        &mut self,
        event: &PublishedEvent,
        typed: &TypedEvent,
        track_changes: bool,
    ) -> Result<Option<BeforeAndAfter>, DocumentError> {
        self.position = event.position;
        self.folding.fold(typed);
        if !track_changes {
            return Ok(None);
        }
        let before = self.current.clone();
        Ok(self.refresh()?.then(|| (before, self.current.clone())))
    }

    /// The position of the last folded event.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Brings `current` up to the last folded event. Returns whether that changed anything.
    pub(super) fn refresh(&mut self) -> Result<bool, DocumentError> {
        let data = self.folding.document()?;
        let same = match (&self.current, &data) {
            (Some(current), Some(data)) => current.data.get() == data.get(),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(false);
        }
        self.current = data.map(|data| {
            Arc::new(DocumentState {
                data: data.into(),
                owner: self.folding.owner(),
                listings: unique(self.folding.listings()),
            })
        });
        Ok(true)
    }

    /// Adds the batch's write and invalidated topics for this document to `folded`.
    pub(super) fn finish(self, scope: &Scope, key: &str, folded: &mut FoldResult) {
        let (before, after) = (self.stored, self.current);
        let unchanged = match (&before, &after) {
            (Some(before), Some(after)) => before.data.get() == after.data.get(),
            (None, None) => true,
            _ => false,
        };
        if unchanged {
            return;
        }
        let listed = |state: &Option<Arc<DocumentState>>| -> Vec<ListingEntry> {
            state
                .as_ref()
                .map(|state| state.listings.clone())
                .unwrap_or_default()
        };
        let (was, is) = (listed(&before), listed(&after));
        let groups: HashSet<_> = was
            .iter()
            .chain(&is)
            .map(|entry| (entry.listing, entry.group.clone()))
            .collect();
        folded.topics.push(Topic::Document {
            workspace: scope.workspace,
            view: scope.view,
            key: key.to_owned(),
        });
        folded
            .topics
            .extend(groups.into_iter().map(|(listing, group)| Topic::Group {
                workspace: scope.workspace,
                view: scope.view,
                listing,
                group,
            }));
        folded.writes.push(DocumentWrite {
            key: key.to_owned(),
            data: after.as_ref().map(|state| state.data.clone()),
            owner: after.as_ref().and_then(|state| state.owner),
            removed_entries: was.iter().filter(|entry| !is.contains(entry)).cloned().collect(),
            added_entries: is.iter().filter(|entry| !was.contains(entry)).cloned().collect(),
        });
    }
}

/// A document is listed once in a group, even if its view lists it twice.
fn unique(mut entries: Vec<ListingEntry>) -> Vec<ListingEntry> {
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert((entry.listing, entry.group.clone())));
    entries
}
