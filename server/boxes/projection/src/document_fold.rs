//! A document while a batch is folded into it: how it was read, and how it is by now.

use std::{collections::HashSet, sync::Arc};

use domain::{
    event::TypedEvent,
    view::{AnyView, DocumentError, Folding, ListingEntry},
};

use super::folded::{DocumentState, Folded};
use broker::PublishedEvent;
use cache::Topic;
use documents::{DocumentWrite, Scope, StoredDocument};

/// A document before and after an event.
pub(super) type BeforeAndAfter = (Option<Arc<DocumentState>>, Option<Arc<DocumentState>>);

/// See the module.
pub(super) struct DocumentFold {
    folding: Box<dyn Folding>,
    stored: Option<Arc<DocumentState>>,
    current: Option<Arc<DocumentState>>,
    position: u64,
}

impl DocumentFold {
    /// A document as it was read, or one that does not exist yet.
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

    /// Folds an event; what it did, where somebody looks closely and it did something.
    pub(super) fn fold(
        &mut self,
        event: &PublishedEvent,
        typed: &TypedEvent,
        closely: bool,
    ) -> Result<Option<BeforeAndAfter>, DocumentError> {
        self.position = event.position;
        self.folding.fold(typed);
        if !closely {
            return Ok(None);
        }
        let before = self.current.clone();
        Ok(self.refresh()?.then(|| (before, self.current.clone())))
    }

    /// The position of the last event that was folded into it.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Brings `current` up to what was folded; whether that changed anything.
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

    /// What the batch has done to it.
    pub(super) fn finish(self, scope: &Scope, key: &str, folded: &mut Folded) {
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
            left: was.iter().filter(|entry| !is.contains(entry)).cloned().collect(),
            entered: is.iter().filter(|entry| !was.contains(entry)).cloned().collect(),
        });
    }
}

/// A document stands once in a group, wherever its view puts it twice.
fn unique(mut entries: Vec<ListingEntry>) -> Vec<ListingEntry> {
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert((entry.listing, entry.group.clone())));
    entries
}
