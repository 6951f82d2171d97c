//! Generations: a view is rebuilt by folding a new generation beside the live one, and then making it the live one.
//!
//! A view that was never rebuilt is at its first generation and needs no record. A number is never used twice, so what is
//! left of a generation that was given up can never be mistaken for part of another.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken};

use super::{DocumentStoreError, Scope};

/// A generation as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGeneration {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The view's name; perhaps one that this program no longer has.
    pub view: String,
    /// The generation.
    pub generation: u64,
}

/// What became of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switched {
    /// The generation is the live one from now on; it has folded as far as this.
    Done(ConsistencyToken),
    /// It has folded less than the live one somewhere: readers would go back. Nothing was changed.
    Behind,
    /// It is not being built: it was cancelled. Nothing was changed.
    NotBuilding,
}

/// The generations of a document store's views. Part of [`DocumentStore`](super::DocumentStore).
#[async_trait]
pub trait Generations: Send + Sync + Debug {
    /// The generation of a view that is read.
    async fn live_generation(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError>;

    /// Begins a new generation of a view beside the live one; its number. Where one is being built already, its number.
    async fn begin_build(&self, workspace: WorkspaceId, view: &str) -> Result<u64, DocumentStoreError>;

    /// Every generation that is being built.
    async fn builds(&self) -> Result<Vec<StoredGeneration>, DocumentStoreError>;

    /// How far a generation has folded.
    async fn folded(&self, scope: &Scope) -> Result<ConsistencyToken, DocumentStoreError>;

    /// In one transaction: makes the generation that is being built the live one, unless readers would go back.
    async fn switch(&self, scope: &Scope) -> Result<Switched, DocumentStoreError>;

    /// Gives a build up; whether it was being built. Its lanes cannot write from then on.
    async fn cancel_build(&self, scope: &Scope) -> Result<bool, DocumentStoreError>;

    /// Generations that are neither live nor being built, and of which something is left.
    async fn leftovers(&self) -> Result<Vec<StoredGeneration>, DocumentStoreError>;

    /// Removes up to `limit` rows of each kind of a generation that is neither live nor being built; whether anything is
    /// left of it.
    async fn remove(&self, leftover: &StoredGeneration, limit: u32) -> Result<bool, DocumentStoreError>;
}
