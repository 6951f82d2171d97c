//! A view as it is stored, copied from one snapshot into the scratch database.

use std::collections::{HashMap, HashSet};

use domain::{
    event::{StoredEvent, TypedEvent},
    id::WorkspaceId,
    token::ConsistencyToken,
    view::AnyView,
};

use super::{MAX_FINDINGS, VerifyError, findings::Findings, scratch::Scratch};
use documents::{Checkpoint, DocumentStore, DocumentStoreError, Moment, RawDocument};

/// What a snapshot of a view says besides its documents and entries.
pub(super) struct StoredView {
    pub(super) view: &'static dyn AnyView,
    /// The name that people know it by.
    pub(super) name: String,
    /// The token up to which it is folded.
    pub(super) as_of: ConsistencyToken,
    /// The number of its documents.
    pub(super) documents: u64,
    /// The partition and the position of every event that was parked.
    pub(super) passed: HashSet<(u32, u64)>,
    /// The checkpoints of its lanes, by partition.
    checkpoints: HashMap<u32, Checkpoint>,
    /// The first documents whose rows cannot be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
    /// Why it cannot be read as a whole; then it is not compared.
    pub(super) damage: Option<String>,
}

impl StoredView {
    /// Copies a view. A page is written while the next one is read.
    pub(super) async fn copy(
        read_model: &dyn DocumentStore,
        workspace: WorkspaceId,
        view: &'static dyn AnyView,
        page_size: u32,
        scratch: &mut Scratch,
    ) -> Result<Self, VerifyError> {
        let mut stored = Self {
            view,
            name: view.name_in(workspace).into_owned(),
            as_of: ConsistencyToken::default(),
            documents: 0,
            passed: HashSet::new(),
            checkpoints: HashMap::new(),
            unreadable: Vec::new(),
            damage: None,
        };
        match stored.read(read_model, workspace, page_size, scratch).await {
            Err(VerifyError::ReadModel(DocumentStoreError::Corrupt(reason))) => {
                stored.damage = Some(reason);
                Ok(stored)
            }
            read => read.map(|()| stored),
        }
    }

    async fn read(
        &mut self,
        read_model: &dyn DocumentStore,
        workspace: WorkspaceId,
        page_size: u32,
        scratch: &mut Scratch,
    ) -> Result<(), VerifyError> {
        let name = self.view.name();
        let Moment {
            value: mut snapshot,
            as_of,
            ..
        } = read_model.snapshot(workspace, name).await?;
        self.as_of = as_of;
        self.checkpoints = snapshot.checkpoints().await?.into_iter().collect();
        let mut page = snapshot.raw_documents(page_size).await?;
        while !page.is_empty() {
            self.documents += page.len() as u64;
            self.note_unreadable(&page);
            let (added, next) =
                tokio::join!(scratch.add_stored(name, &page), snapshot.raw_documents(page_size));
            added?;
            page = next?;
        }
        let mut page = snapshot.entries(page_size).await?;
        while !page.is_empty() {
            let (added, next) = tokio::join!(scratch.add_listed(name, &page), snapshot.entries(page_size));
            added?;
            page = next?;
        }
        self.passed = snapshot.passed().await?.into_iter().collect();
        Ok(())
    }

    fn note_unreadable(&mut self, documents: &[RawDocument]) {
        let unreadable = documents.iter().filter_map(|document| {
            let reason = document.content.as_ref().err()?;
            Some((document.key.clone(), reason.clone()))
        });
        let room = MAX_FINDINGS.saturating_sub(self.unreadable.len());
        self.unreadable.extend(unreadable.take(room));
    }

    /// Whether the stored view has folded this event: it is not after its token, and it was not parked.
    pub(super) fn has_folded(&self, event: &TypedEvent) -> bool {
        let TypedEvent {
            partition, position, ..
        } = event;
        *position <= self.as_of.position(*partition) && !self.passed.contains(&(*partition, *position))
    }

    /// What is wrong with the checkpoint at this event, if a lane has one there.
    pub(super) fn checkpoint_fault(&self, event: &StoredEvent) -> Option<String> {
        let checkpoint = self.checkpoints.get(&event.partition)?;
        let is_other = checkpoint.position == event.position
            && checkpoint.hash.as_ref().is_some_and(|hash| *hash != event.hash);
        is_other.then(|| {
            format!(
                "{}: its checkpoint of partition {} at position {} is of another history than the log",
                self.name, event.partition, event.position
            )
        })
    }

    /// Adds the checkpoints that are ahead of the log, which was read as far as a token.
    pub(super) fn compare_checkpoints(&self, read_to: &ConsistencyToken, findings: &mut Findings) {
        let mut ahead: Vec<(u32, u64)> = self
            .checkpoints
            .iter()
            .map(|(partition, checkpoint)| (*partition, checkpoint.position))
            .filter(|(partition, position)| *position > read_to.position(*partition))
            .collect();
        ahead.sort_unstable();
        for (partition, position) in ahead {
            findings.add(format!(
                "{}: its checkpoint of partition {partition} is at {position}, and the log ends at {}",
                self.name,
                read_to.position(partition)
            ));
        }
    }
}
