//! Why a command was not carried out. The one error of this box; the gateway maps it to problem+json, and nothing else
//! does.

use domain::{
    aggregate::CommandError,
    id::{StreamName, WorkspaceId},
    rejection::{Rejection, Violation},
};
use event_store::StoreError;
use identity::PeopleError;
use payment::NoAnswer;

/// Why a command was not carried out. In every case nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// It cannot be read; each field that is wrong is named.
    #[error("the command cannot be read: {}", sentence(.violations))]
    Malformed {
        /// The fields, by their paths in the request.
        violations: Vec<Violation>,
    },
    /// No aggregate knows a command of this name.
    #[error("there is no command {0}")]
    UnknownType(String),
    /// The command belongs to another kind of stream.
    #[error("{command} goes to a stream {expected}-<id>, not to {stream}")]
    WrongStream {
        /// The command's name.
        command: String,
        /// The category it belongs to.
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
    /// The stream is not at the version that the caller named, or too many others were faster.
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
    /// The workspace would have more events than a sandbox may.
    #[error(
        "a sandbox may have {most} events, and this one has {stored}; export what is worth keeping, and open a new \
         workspace"
    )]
    Full {
        /// What it has.
        stored: u64,
        /// What it may have.
        most: u64,
    },
    /// The payment provider has no answer; repeating it with the same key is safe, and the way to hear of it.
    #[error(transparent)]
    Unanswered(#[from] NoAnswer),
    /// The store did not do it; whether it was stored is not known, and repeating it with the same key is safe.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
    /// Keys and credentials cannot be read or written; nothing was stored.
    #[error(transparent)]
    People(#[from] PeopleError),
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

    /// Whether it is certain that nothing was stored, and that the same command is refused again as things are.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Rejected(_) | Self::Conflict { .. } | Self::Full { .. } | Self::UnknownWorkspace(_)
        )
    }

    /// Whether the command did not get as far as a decision, so that the same one is worth another attempt.
    pub const fn is_undecided(&self) -> bool {
        match self {
            Self::Conflict { .. } => true,
            Self::Unavailable(error) => !matches!(error, StoreError::Refused(_)),
            _ => false,
        }
    }

    /// Whether a provider has no answer yet, which is heard of by sending the same command again.
    pub const fn is_unanswered(&self) -> bool {
        matches!(
            self,
            Self::Unanswered(NoAnswer::NotYet | NoAnswer::Unavailable(_))
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
            Self::Full { .. } => "full",
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

fn sentence(violations: &[Violation]) -> String {
    let parts: Vec<_> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.message))
        .collect();
    parts.join("; ")
}
