//! The fold of a view from the first event on. Documents that are folded now are in memory, up to a limit;
//! the others are in the scratch database.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use domain::{
    event::TypedEvent,
    view::{AnyView, DocumentError, FoldTarget},
};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{VerifyError, blocking, log::CheckedPage, scratch::Scratch};

/// A document after the events so far.
pub(super) struct FoldedDocument {
    pub(super) key: String,
    /// Its JSON; `None`: its events have deleted it.
    pub(super) document: Option<Box<RawValue>>,
    /// The person who owns it, if any.
    pub(super) owner: Option<String>,
    /// Listing, group and sort key of each of its entries, in order and each once, as JSON.
    pub(super) entries: String,
}

impl FoldedDocument {
    fn new(view: &dyn AnyView, key: String, folding: &dyn FoldTarget) -> Result<Self, DocumentError> {
        let mut entries: Vec<_> = folding
            .listings()
            .into_iter()
            .map(|entry| (entry.listing, entry.group, entry.sort))
            .collect();
        entries.sort_unstable();
        // A view may list a document twice in one group, as for a repeated tag; the read model has it once.
        entries.dedup();
        let entries = serde_json::to_string(&entries).map_err(|source| DocumentError {
            view: view.name(),
            source,
        })?;
        Ok(Self {
            key,
            document: folding.document()?,
            owner: folding.owner().map(|owner| owner.to_string()),
            entries,
        })
    }
}

/// The fold of one view.
pub(super) struct ViewFold {
    view: &'static dyn AnyView,
    in_memory: HashMap<String, Box<dyn FoldTarget>>,
    /// Whether documents were moved to the scratch database.
    has_moved: bool,
}

impl ViewFold {
    pub(super) fn new(view: &'static dyn AnyView) -> Self {
        Self {
            view,
            in_memory: HashMap::new(),
            has_moved: false,
        }
    }

    /// Those of the touched documents that may be in the scratch database.
    fn elsewhere<'a>(&self, touched: &'a [Touched]) -> Vec<&'a str> {
        if !self.has_moved {
            return Vec::new();
        }
        let keys: HashSet<&str> = touched
            .iter()
            .map(|touched| touched.key.as_str())
            .filter(|key| !self.in_memory.contains_key(*key))
            .collect();
        keys.into_iter().collect()
    }

    /// Brings documents back into memory.
    fn recall(&mut self, documents: Vec<(String, String)>) -> Result<(), DocumentError> {
        for (key, document) in documents {
            let document = RawValue::from_string(document).map_err(|source| DocumentError {
                view: self.view.name(),
                source,
            })?;
            let folding = self.view.load(&key, Some(&document))?;
            self.in_memory.insert(key, folding);
        }
        Ok(())
    }

    fn fold(&mut self, key: String, event: &TypedEvent) -> Result<(), DocumentError> {
        match self.in_memory.entry(key) {
            Entry::Occupied(mut folding) => folding.get_mut().fold(event),
            Entry::Vacant(vacant) => {
                let mut folding = self.view.load(vacant.key(), None)?;
                folding.fold(event);
                vacant.insert(folding);
            }
        }
        Ok(())
    }

    /// Removes every document from memory, in the order in which the scratch database has them.
    fn take(&mut self) -> Result<Moved, DocumentError> {
        self.has_moved = true;
        let mut documents = Vec::with_capacity(self.in_memory.len());
        for (key, folding) in self.in_memory.drain() {
            documents.push(FoldedDocument::new(self.view, key, &*folding)?);
        }
        documents.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Ok(Moved {
            view: self.view.name(),
            documents,
        })
    }
}

/// A document that an event of a page changes.
pub(super) struct Touched {
    /// The index of the event in its page.
    pub(super) event: usize,
    /// The document's key.
    pub(super) key: String,
}

/// Documents of one view on their way to the scratch database.
struct Moved {
    view: &'static str,
    documents: Vec<FoldedDocument>,
}

/// Folds the pages of a partition. A view that has more than `limit` documents in memory afterwards moves
/// them to the scratch database.
pub(super) async fn fold_pages(
    mut folds: Vec<ViewFold>,
    mut pages: mpsc::Receiver<CheckedPage>,
    limit: usize,
    scratch: &mut Scratch,
) -> Result<Vec<ViewFold>, VerifyError> {
    while let Some(page) = pages.recv().await {
        let mut recalled = Vec::with_capacity(folds.len());
        // Exclusively: a fold can be sent to another thread, and not be shared by two.
        for (fold, touched) in folds.iter_mut().zip(&page.touched) {
            let view = fold.view.name();
            let keys = fold.elsewhere(touched);
            recalled.push(if keys.is_empty() {
                Vec::new()
            } else {
                scratch.folded(view, &keys).await?
            });
        }
        let (kept, moved) = blocking(move || fold_page(folds, page, recalled, limit)).await??;
        folds = kept;
        for moved in moved {
            scratch.put_folded(moved.view, &moved.documents).await?;
        }
    }
    Ok(folds)
}

fn fold_page(
    mut folds: Vec<ViewFold>,
    page: CheckedPage,
    recalled: Vec<Vec<(String, String)>>,
    limit: usize,
) -> Result<(Vec<ViewFold>, Vec<Moved>), DocumentError> {
    let mut moved = Vec::new();
    let CheckedPage { events, touched } = page;
    for ((fold, touched), recalled) in folds.iter_mut().zip(touched).zip(recalled) {
        fold.recall(recalled)?;
        for Touched { event, key } in touched {
            fold.fold(key, &events[event])?;
        }
        if fold.in_memory.len() > limit {
            moved.push(fold.take()?);
        }
    }
    Ok((folds, moved))
}

/// Moves what is left in memory to the scratch database.
pub(super) async fn finish(folds: Vec<ViewFold>, scratch: &mut Scratch) -> Result<(), VerifyError> {
    for mut fold in folds {
        let moved = blocking(move || fold.take()).await??;
        scratch.put_folded(moved.view, &moved.documents).await?;
    }
    Ok(())
}
