//! The one who writes to the index: a thread that takes what lanes have waiting, folds it, and commits it together.
//!
//! A commit costs some milliseconds however little is in it, so those who wait share one. Documents and the inbox of their
//! partition are in the same commit, so an event is in the index once, whatever is delivered, and wherever this stops.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{event::TypedEvent, id::WorkspaceId, view::Folding};
use tantivy::{IndexWriter, TantivyDocument, Term};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use uuid::Uuid;

use super::{
    entry::{Kept, Piece, joined, place, views},
    index::{Fields, Files, SearchError, clear_away, inbox_place, owner_term},
};
use documents::{FoldFault, Opener};
use projection::effect::{EffectError, ProcessedPositions, Work};

/// How many pieces of work share a commit.
const TOGETHER: usize = 64;

/// Commits come no faster than this, so that a shop that is busy does not keep the disk busy with its index.
const EVERY: Duration = Duration::from_millis(50);

/// How often it is tried to get rid of what was deleted, where merges of the index's own are in the way.
const ATTEMPTS: u32 = 20;

/// What is asked of the writer.
pub(super) enum Job {
    /// To index events.
    Index(Work, oneshot::Sender<Result<(), EffectError>>),
    /// To forget a workspace.
    Forget(WorkspaceId, oneshot::Sender<Result<(), EffectError>>),
}

/// See the module.
pub(super) struct Writer {
    pub(super) files: Arc<Files>,
    pub(super) index: IndexWriter,
    pub(super) opener: Arc<dyn Opener>,
    pub(super) runtime: Handle,
}

/// What is written by the next commit, and not in the index yet.
#[derive(Default)]
struct Pending {
    /// By place.
    kept: BTreeMap<String, (WorkspaceId, Kept)>,
    inboxes: HashMap<String, (WorkspaceId, ProcessedPositions)>,
    forgotten: BTreeSet<WorkspaceId>,
    /// Somebody was erased: what was deleted must go from the files as well.
    erased: bool,
}

impl Writer {
    /// Works until nobody can ask any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::with_capacity(TOGETHER);
        while jobs.blocking_recv_many(&mut waiting, TOGETHER) > 0 {
            let begun = Instant::now();
            self.work(std::mem::take(&mut waiting));
            pause(EVERY.saturating_sub(begun.elapsed()));
        }
        if let Err(error) = self.index.wait_merging_threads() {
            tracing::warn!(%error, "the search index was closed while it was being merged");
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let mut pending = Pending::default();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Index(work, answer) => {
                    // What was half done is not among what is pending.
                    let done = catch_unwind(AssertUnwindSafe(|| self.index(&work, &pending)));
                    let done = done.unwrap_or_else(|_| Err(unavailable("a fold panicked")));
                    match done {
                        Ok(more) => {
                            pending.add(more);
                            answers.push(answer);
                        }
                        Err(error) => drop(answer.send(Err(error))),
                    }
                }
                Job::Forget(workspace, answer) => {
                    pending.forget(workspace);
                    answers.push(answer);
                }
            }
        }
        let written = catch_unwind(AssertUnwindSafe(|| self.write(pending)));
        let failed = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the search index panicked".to_owned()),
        };
        if let Some(reason) = &failed
            && let Err(error) = self.take_back()
        {
            tracing::error!(reason, %error, "the search index cannot take back what it could not write");
        }
        for answer in answers {
            // Who asked may have gone.
            let _ = answer.send(match &failed {
                None => Ok(()),
                Some(reason) => Err(unavailable(reason)),
            });
        }
    }

    /// Forgets what was not committed, also what of it is in files.
    fn take_back(&mut self) -> tantivy::Result<()> {
        self.index.rollback()?;
        clear_away(&self.index)
    }

    /// Folds the events of some work that have not been folded before.
    fn index(&self, work: &Work, before: &Pending) -> Result<Pending, EffectError> {
        let workspace = work.partition.workspace;
        let at = inbox_place(workspace, work.partition.partition);
        let mut inbox = match before.inboxes.get(&at) {
            Some((_, inbox)) => inbox.clone(),
            None => self.files.inbox(&at).map_err(failed)?,
        };
        let mut folds: BTreeMap<String, (Kept, Box<dyn Folding>)> = BTreeMap::new();
        let mut erased = BTreeSet::new();
        for event in work.events.iter().filter(|event| inbox.wants(event.position)) {
            let Ok(typed) = &event.decoded else { continue };
            self.fold(workspace, typed, before, &mut folds)?;
            if typed.event_type == "UserErased" {
                erased.extend(typed.stream.id().parse::<Uuid>());
            }
        }
        let mut more = Pending::default();
        let must_be_noted = inbox.note(work);
        for (place, (mut kept, folding)) in folds {
            let unreadable = |error: domain::view::DocumentError| unavailable(&error.to_string());
            kept.data = folding.document().map_err(unreadable)?;
            kept.owner = folding.owner();
            kept.listed = !folding.listings().is_empty();
            more.kept.insert(place, (workspace, kept));
        }
        for user in erased {
            self.erase(workspace, user, before, &mut more)?;
        }
        if must_be_noted || !more.kept.is_empty() {
            more.inboxes.insert(at, (workspace, inbox));
        }
        Ok(more)
    }

    fn fold(
        &self,
        workspace: WorkspaceId,
        event: &TypedEvent,
        before: &Pending,
        folds: &mut BTreeMap<String, (Kept, Box<dyn Folding>)>,
    ) -> Result<(), EffectError> {
        let fault = |error: domain::view::DocumentError| FoldFault {
            position: event.position,
            reason: error.to_string(),
        };
        for (kind, view) in views() {
            for key in view.keys(event) {
                let place = place(workspace, kind, &key);
                if !folds.contains_key(&place) {
                    let kept = match before.kept.get(&place) {
                        Some((_, kept)) => Some(kept.clone()),
                        None => self.files.kept(&place).map_err(failed)?,
                    };
                    let kept = kept.unwrap_or(Kept {
                        kind,
                        key: key.clone(),
                        owner: None,
                        listed: false,
                        erased: false,
                        data: None,
                    });
                    let folding = view.load(&key, kept.data.as_deref()).map_err(fault)?;
                    folds.insert(place.clone(), (kept, folding));
                }
                if let Some((_, folding)) = folds.get_mut(&place) {
                    folding.fold(event);
                }
            }
        }
        Ok(())
    }

    /// Writes everything of a person again, without what is theirs alone.
    fn erase(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        before: &Pending,
        more: &mut Pending,
    ) -> Result<(), EffectError> {
        let stored = self.files.kept_of(workspace, user).map_err(failed)?;
        let stored = stored.into_iter().map(|kept| (kept.place(workspace), kept));
        let of_person = |(place, (of, kept)): (&String, &(WorkspaceId, Kept))| {
            (*of == workspace && kept.owner == Some(user)).then(|| (place.clone(), kept.clone()))
        };
        let newer: Vec<_> = before
            .kept
            .iter()
            .chain(&more.kept)
            .filter_map(of_person)
            .collect();
        // Later ones take the place of earlier ones.
        let of_person: BTreeMap<_, _> = stored.chain(newer).collect();
        for (place, mut kept) in of_person {
            kept.erased = true;
            more.kept.insert(place, (workspace, kept));
        }
        more.erased = true;
        Ok(())
    }

    /// Writes what is pending, in one commit.
    fn write(&mut self, pending: Pending) -> Result<(), SearchError> {
        let Pending {
            kept,
            inboxes,
            forgotten,
            erased,
        } = pending;
        if kept.is_empty() && inboxes.is_empty() && forgotten.is_empty() {
            return Ok(());
        }
        let fields = self.files.fields;
        for workspace in &forgotten {
            self.index
                .delete_term(Term::from_field_text(fields.workspace, &workspace.to_string()));
        }
        for (place, (workspace, kept)) in kept {
            let document = self.document(&place, workspace, &kept)?;
            self.index
                .delete_term(Term::from_field_text(fields.place, &place));
            self.index.add_document(document)?;
        }
        for (place, (workspace, inbox)) in inboxes {
            let mut document = TantivyDocument::new();
            document.add_text(fields.place, &place);
            document.add_text(fields.workspace, workspace.to_string());
            document.add_text(fields.kept, serde_json::to_string(&inbox)?);
            self.index
                .delete_term(Term::from_field_text(fields.place, &place));
            self.index.add_document(document)?;
        }
        self.index.commit()?;
        self.files.reader.reload()?;
        if erased || !forgotten.is_empty() {
            self.purge()?;
        }
        Ok(())
    }

    fn document(
        &self,
        place: &str,
        workspace: WorkspaceId,
        kept: &Kept,
    ) -> Result<TantivyDocument, SearchError> {
        let Fields {
            place: place_field,
            workspace: workspace_field,
            kind,
            owner,
            title,
            text,
            tag,
            status,
            kept: kept_field,
        } = self.files.fields;
        let mut document = TantivyDocument::new();
        document.add_text(place_field, place);
        document.add_text(workspace_field, workspace.to_string());
        document.add_text(kept_field, serde_json::to_string(kept)?);
        if let Some(of) = kept.owner {
            document.add_text(owner, owner_term(workspace, of));
        }
        // Without a kind it is found by no query.
        if kept.listed {
            let words = kept.words();
            document.add_text(kind, kept.kind.as_str());
            document.add_text(title, self.opened(workspace, words.title)?);
            document.add_text(text, self.opened(workspace, words.text)?);
            for word in words.tags {
                document.add_text(tag, word);
            }
            if let Some(word) = words.status {
                document.add_text(status, word);
            }
        }
        Ok(document)
    }

    fn opened(&self, workspace: WorkspaceId, pieces: Vec<Piece>) -> Result<String, SearchError> {
        let open = |piece| match piece {
            Piece::Plain(text) => Ok(text),
            Piece::Personal(text) => self.runtime.block_on(self.opener.open_text(workspace, &text)),
        };
        let opened: Result<Vec<_>, _> = pieces.into_iter().map(open).collect();
        Ok(joined(opened?))
    }

    /// Gets rid of the files that hold what was deleted: a deleted document stays in its segment until that is merged.
    fn purge(&mut self) -> Result<(), SearchError> {
        for _ in 0..ATTEMPTS {
            let metas = self.files.index.searchable_segment_metas()?;
            let segments: Vec<_> = metas
                .iter()
                .filter(|meta| meta.num_deleted_docs() > 0)
                .map(tantivy::SegmentMeta::id)
                .collect();
            if segments.is_empty() {
                break;
            }
            // One that is being merged already goes with that merge.
            if self.index.merge(&segments).wait().is_err() {
                pause(EVERY);
            }
            self.files.reader.reload()?;
        }
        self.index.garbage_collect_files().wait()?;
        Ok(())
    }
}

impl Pending {
    fn add(&mut self, more: Self) {
        self.kept.extend(more.kept);
        self.inboxes.extend(more.inboxes);
        self.erased |= more.erased;
    }

    fn forget(&mut self, workspace: WorkspaceId) {
        self.kept.retain(|_, (of, _)| *of != workspace);
        self.inboxes.retain(|_, (of, _)| *of != workspace);
        self.forgotten.insert(workspace);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer has a thread of its own, on which nothing else waits"
)]
fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn failed(error: SearchError) -> EffectError {
    unavailable(&error.to_string())
}

fn unavailable(reason: &str) -> EffectError {
    EffectError::Unavailable(reason.to_owned())
}
