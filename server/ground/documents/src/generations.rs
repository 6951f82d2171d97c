//! Generations: a rebuild folds a new generation of a view beside the live one, and then switches to it.
//!
//! A view that was never rebuilt is at its first generation and needs no record. A number is never used
//! twice, so the rows of a cancelled generation are never mistaken for those of another.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken};

use super::{DocumentStoreError, Scope};

/// A generation as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGeneration {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The view's name; the program may not have this view any more.
    pub view: String,
    /// The generation.
    pub generation: u64,
}

/// The outcome of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchOutcome {
    /// The generation is live; it has folded up to this token.
    Done(ConsistencyToken),
    /// It has folded less than the live one in some partition, so readers would see an older state. Nothing
    /// was changed.
    Behind,
    /// It is not being built, because it was cancelled. Nothing was changed.
    NotBuilding,
}

/// The generations of a document store's views. Part of [`DocumentStore`](super::DocumentStore).
#[async_trait]
pub trait Generations: Send + Sync + Debug {
    /// The live generation of a view.
    async fn live_generation(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError>;

    /// Begins a new generation of a view beside the live one; returns its number, or that of one that is
    /// being built already.
    async fn begin_build(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError>;

    /// Every generation that is being built.
    async fn builds(&self) -> Result<Vec<StoredGeneration>, DocumentStoreError>;

    /// The token up to which a generation has folded.
    async fn folded(&self, scope: &Scope) -> Result<ConsistencyToken, DocumentStoreError>;

    /// In one transaction: makes the generation that is being built the live one, unless it is behind.
    async fn switch(&self, scope: &Scope) -> Result<SwitchOutcome, DocumentStoreError>;

    /// The same for a view that has folded more than the log has: the generation becomes the live one
    /// although it is behind, if the live one has folded exactly up to `live`.
    async fn switch_from(
        &self,
        scope: &Scope,
        live: &ConsistencyToken,
    ) -> Result<SwitchOutcome, DocumentStoreError>;

    /// In one transaction: makes a new generation that has folded nothing the live one, and cancels a build;
    /// returns its number. For a view whose documents are of another history than the log. What is left of
    /// the other generations are leftovers.
    async fn restart(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError>;

    /// Whether a generation has a document, an entry of a listing or a parked event.
    async fn has_rows(&self, scope: &Scope) -> Result<bool, DocumentStoreError>;

    /// In one transaction: deletes the checkpoints of a generation and its parked events, and its documents
    /// too if `documents` says so. For a process manager or a consumer, which has only its first generation,
    /// and begins again at the first event.
    async fn reset(&self, scope: &Scope, documents: bool) -> Result<(), DocumentStoreError>;

    /// Cancels a build; returns whether it was being built. Its lanes cannot write from then on.
    async fn cancel_build(&self, scope: &Scope) -> Result<bool, DocumentStoreError>;

    /// Generations with rows that are neither live nor being built.
    async fn leftovers(&self) -> Result<Vec<StoredGeneration>, DocumentStoreError>;

    /// Deletes up to `limit` rows of each kind of a generation that is neither live nor being built; returns
    /// whether rows may be left.
    async fn remove(&self, leftover: &StoredGeneration, limit: u32) -> Result<bool, DocumentStoreError>;
}
