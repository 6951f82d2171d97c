//! Why a command was not carried out: the only error of this box. The gateway maps it to problem+json.

use std::fmt;

use domain::{
    aggregate::CommandError,
    id::{StreamName, WorkspaceId},
    rejection::{Rejection, Violation},
};
use event_store::{AppendError, StoreError};
use identity::PeopleError;
use payment::ProviderError;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// It cannot be parsed; each invalid field is named.
    #[error("the command cannot be read: {}", joined(.violations))]
    Malformed {
        /// The fields, by their paths in the request.
        violations: Vec<Violation>,
    },
    /// No aggregate has a command of this name.
    #[error("there is no command {0}")]
    UnknownType(String),
    /// The command belongs to another kind of stream.
    #[error("{command} goes to a stream {expected}-<id>, not to {stream}")]
    WrongStream {
        /// The command's name.
        command: String,
        /// The category of its streams.
        expected: &'static str,
        /// The stream that was named.
        stream: StreamName,
    },
    /// The actor's role does not allow it.
    #[error("your role does not allow {command}")]
    Forbidden {
        /// The command's name.
        command: &'static str,
    },
    /// The stream is not at the version that the caller named, or too many other appends came first.
    #[error("{stream} is at version {current}, not as expected; look at it again")]
    Conflict {
        /// The stream.
        stream: StreamName,
        /// Its version; 0 where it has no event.
        current: u64,
    },
    /// The idempotency key was used for another command.
    #[error("this Idempotency-Key was already used for another command")]
    KeyReused,
    /// A rule does not allow it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// There is no such workspace.
    #[error("there is no workspace {0}")]
    UnknownWorkspace(WorkspaceId),
    /// The workspace would have more events than a sandbox may have.
    #[error(
        "a sandbox may have {most} events, and this one has {stored}; export what is worth keeping, and open \
         a new workspace"
    )]
    Full {
        /// The number of its events.
        stored: u64,
        /// Its limit.
        most: u64,
    },
    /// The workspace would have more documents, or more bytes of them, than a sandbox may have.
    #[error(
        "a sandbox may have {most} {unit}, and this one has {stored} already or is about to; export what is \
         worth keeping, and open a new workspace"
    )]
    StorageFull {
        /// The unit that is counted.
        unit: StorageUnit,
        /// How many it has.
        stored: u64,
        /// Its limit.
        most: u64,
    },
    /// The payment provider has no answer; a repetition with the same key is safe, and may get it.
    #[error(transparent)]
    Unanswered(#[from] ProviderError),
    /// The store failed; whether the events were stored is not known, and a repetition with the same key is
    /// safe.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
    /// Keys and credentials cannot be read or written; no event was stored.
    #[error(transparent)]
    People(#[from] PeopleError),
}

/// The unit of a quota of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageUnit {
    /// Documents of views and processes.
    Documents,
    /// The bytes of these documents.
    Bytes,
}

impl fmt::Display for StorageUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documents => "documents",
            Self::Bytes => "bytes of documents",
        })
    }
}

impl CommandFailure {
    /// One malformed field.
    pub(super) fn malformed(field: &str, message: impl Into<String>) -> Self {
        Self::Malformed {
            violations: vec![Violation {
                field: field.to_owned(),
                message: message.into(),
            }],
        }
    }

    /// Whether certainly nothing was stored, and the same command is refused again in the present state.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Rejected(_)
                | Self::Conflict { .. }
                | Self::Full { .. }
                | Self::StorageFull { .. }
                | Self::UnknownWorkspace(_)
        )
    }

    /// Whether no decision was made, so that the same command is worth another attempt.
    pub const fn is_undecided(&self) -> bool {
        match self {
            Self::Conflict { .. } => true,
            Self::Unavailable(error) => !matches!(error, StoreError::Refused(_)),
            Self::People(error) => matches!(error, PeopleError::Unavailable(_) | PeopleError::Full(_)),
            Self::Unanswered(error) => matches!(error, ProviderError::Interrupted(_)),
            _ => false,
        }
    }

    /// Whether a provider has no answer yet, which the same command may get when it is sent again.
    pub const fn is_unanswered(&self) -> bool {
        matches!(
            self,
            Self::Unanswered(ProviderError::NotYet | ProviderError::Unavailable(_))
        )
    }

    /// The outcome as a label of a metric.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::UnknownType(_) => "unknown_type",
            Self::WrongStream { .. } => "wrong_stream",
            Self::Forbidden { .. } => "forbidden",
            Self::Conflict { .. } => "conflict",
            Self::KeyReused => "key_reused",
            Self::Rejected(_) => "rejected",
            Self::UnknownWorkspace(_) => "unknown_workspace",
            Self::Full { .. } | Self::StorageFull { .. } => "full",
            Self::Unanswered(_) => "unanswered",
            Self::Unavailable(_) | Self::People(_) => "unavailable",
        }
    }
}

impl From<CommandError> for CommandFailure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::UnknownType(name) => Self::UnknownType(name),
            CommandError::WrongStream {
                command,
                expected,
                stream,
            } => Self::WrongStream {
                command,
                expected,
                stream,
            },
            CommandError::Malformed(violation) => Self::Malformed {
                violations: vec![violation],
            },
        }
    }
}

impl From<AppendError> for CommandFailure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { stream, current } => Self::Conflict { stream, current },
            AppendError::CommandReused(_) => Self::KeyReused,
            AppendError::UnknownWorkspace(id) => Self::UnknownWorkspace(id),
            AppendError::Full { stored, most } => Self::Full { stored, most },
            AppendError::Store(error) => error.into(),
        }
    }
}

fn joined(violations: &[Violation]) -> String {
    let parts: Vec<_> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.message))
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_does_not_answer_is_no_decision() {
        let reason = || "all connections are in use".to_owned();
        for failure in [
            CommandFailure::from(StoreError::Unavailable(reason())),
            PeopleError::Unavailable(reason()).into(),
            ProviderError::Interrupted(reason()).into(),
        ] {
            assert!(failure.is_undecided() && !failure.is_unanswered(), "{failure:?}");
        }
        for failure in [
            CommandFailure::from(ProviderError::Unavailable(reason())),
            PeopleError::Corrupt(reason()).into(),
        ] {
            assert!(!failure.is_undecided(), "{failure:?}");
        }
    }
}
