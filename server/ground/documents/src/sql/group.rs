//! A group of updates: requests of different lanes that one transaction carries out.

use super::ViewGenerations;
use crate::{Checkpoint, DocumentStoreError, FoldInput, FoldOutput, Scope};

/// The advance of a lane's checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct Advance {
    /// The lane's partition.
    pub(crate) partition: u32,
    /// The expected checkpoint; 0: the lane has none yet.
    pub(crate) from: u64,
    /// The new one.
    pub(crate) to: Checkpoint,
}

/// An update of a lane, or an amendment.
#[derive(Debug)]
pub(crate) struct Request {
    /// The generation of the view that it writes.
    pub(crate) scope: Scope,
    /// `None`: an amendment.
    pub(crate) advance: Option<Advance>,
    /// The keys of the documents that its fold reads.
    pub(crate) keys: Vec<String>,
}

/// What a transaction has read for a request.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The generations of its view. An amendment is not asked for its generation.
    pub(crate) generations: ViewGenerations,
    /// Its lane's checkpoint; 0: it has none.
    pub(crate) checkpoint: u64,
    /// The input of its fold.
    pub(crate) input: FoldInput,
}

impl Loaded {
    /// The one with this number, which a statement has returned with a row.
    pub(crate) fn of(loaded: &mut [Self], no: i64) -> Result<&mut Self, DocumentStoreError> {
        usize::try_from(no)
            .ok()
            .and_then(|no| loaded.get_mut(no))
            .ok_or_else(|| DocumentStoreError::Corrupt("a row belongs to no request".to_owned()))
    }
}

/// What a request writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// The generation of the view.
    pub(crate) scope: &'a Scope,
    /// The lane's partition; `None`: an amendment, which parks nothing.
    pub(crate) partition: Option<u32>,
    /// The lane's new checkpoint; `None`: it stays.
    pub(crate) checkpoint: Option<&'a Checkpoint>,
    /// The output of the fold.
    pub(crate) output: &'a FoldOutput,
}

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The database, or the connection to it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A value of the store.
    #[error(transparent)]
    Store(#[from] DocumentStoreError),
}

impl Failure {
    /// Whether one request may be the cause: the database has answered, so nothing was committed. If the
    /// connection was lost, the transaction may have been committed, and is not tried again.
    pub(super) fn may_be_of_one(&self) -> bool {
        match self {
            // a server that is being stopped, or a lost connection that the server reports
            Self::Database(sqlx::Error::Database(error)) => !error
                .code()
                .is_some_and(|code| code.starts_with("57P") || code.starts_with("08")),
            Self::Database(error) => matches!(
                error,
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_)
            ),
            Self::Store(_) => true,
        }
    }
}

impl From<Failure> for DocumentStoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Database(error) => error.into(),
            Failure::Store(error) => error,
        }
    }
}
