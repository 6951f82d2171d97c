//! Why a query fails, and the problem that the interface shows for it.

use std::sync::Arc;

use documents::{DocumentStoreError, SealError};
use domain::{rejection::Violation, wire::Problem};
use event_store::StoreError;

/// Appended if the view is paused, so that waiting longer would not help.
const PAUSED: &str = ": an educator has paused it in the lab, and it continues when it is resumed";

/// Why a query fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// There is no such view.
    #[error("there is no view {0}")]
    UnknownView(String),
    /// The view has no such listing.
    #[error("view {view} has no listing {listing}; it has: {known}")]
    UnknownListing {
        /// The view.
        view: String,
        /// The requested listing.
        listing: String,
        /// The listings that it has.
        known: String,
    },
    /// There is no such document, or the actor may not see it.
    #[error("there is no such document")]
    NotFound,
    /// The actor may not read this listing.
    #[error("your role may not read this listing")]
    Forbidden,
    /// `cursor` was not given by this listing.
    #[error("cursor is not one that this listing gave as next")]
    BadCursor,
    /// `after` or `resume` names a partition that no workspace has.
    #[error("the consistency token names a partition that cannot exist")]
    BadToken,
    /// The view did not fold as far as `after` in time.
    #[error("the view has not folded the awaited events in time{}", if *.paused { PAUSED } else { "" })]
    TimedOut {
        /// The lagging partitions, as in `orders 0:12 of 0:15`.
        waiting_for: Vec<String>,
        /// An educator has paused its lanes.
        paused: bool,
    },
    /// Some work is not done yet.
    #[error("not everything was done in time")]
    NotSettled {
        /// The remaining work, one phrase each.
        waiting_for: Vec<String>,
    },
    /// The live session has as many subscriptions as it may.
    #[error("a session has at most {0} subscriptions")]
    TooManySubscriptions(usize),
    /// The sandbox has as many live subscriptions as it may.
    #[error(
        "a sandbox may have {0} live subscriptions at a time; close unused pages, or open a new workspace"
    )]
    Full(u32),
    /// A database refuses a value of the request, and will refuse it again.
    #[error("a value of this request cannot be looked up; sent again, it is refused again")]
    Refused,
    /// The read model or the event store does not answer; the log says why.
    #[error("the read side does not answer at the moment")]
    Unavailable,
    /// The server stops, so waiting here is of no use.
    #[error("the server stops; another one, or this one after its start, can be asked again")]
    Stopping,
}

impl From<Arc<DocumentStoreError>> for QueryError {
    fn from(error: Arc<DocumentStoreError>) -> Self {
        tracing::error!(%error, "a query failed");
        match *error {
            DocumentStoreError::Refused(_) => Self::Refused,
            _ => Self::Unavailable,
        }
    }
}

impl From<SealError> for QueryError {
    fn from(error: SealError) -> Self {
        tracing::error!(%error, "a query failed on what is sealed in its answer");
        match error {
            SealError::Refused(_) => Self::Refused,
            SealError::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a query failed on the event store");
        match error {
            StoreError::Refused(_) => Self::Refused,
            _ => Self::Unavailable,
        }
    }
}

impl QueryError {
    /// As `application/problem+json`.
    pub fn problem(&self) -> Problem {
        let (kind, title, status) = match self {
            Self::UnknownView(_) => ("unknown-view", "There is no such view", 404),
            Self::UnknownListing { .. } => ("unknown-listing", "There is no such listing", 404),
            Self::NotFound => ("not-found", "Not found", 404),
            Self::Forbidden => ("forbidden", "Forbidden", 403),
            Self::BadCursor | Self::BadToken | Self::Refused => ("malformed", "A field is not valid", 400),
            Self::TooManySubscriptions(_) => ("too-many-subscriptions", "Too many subscriptions", 429),
            Self::Full(_) => ("quota-exceeded", "The sandbox is full", 429),
            Self::TimedOut { .. } => ("timed-out", "The view lags behind", 503),
            Self::NotSettled { .. } => ("not-settled", "Something is left to do", 504),
            Self::Unavailable | Self::Stopping => ("unavailable", "Not available at the moment", 503),
        };
        let field = match self {
            Self::BadCursor => Some("cursor"),
            Self::BadToken => Some("after"),
            _ => None,
        };
        let detail = self.to_string();
        let violation = |field: &str| Violation {
            field: field.to_owned(),
            message: detail.clone(),
        };
        Problem {
            kind: format!("/problems/{kind}"),
            title: title.to_owned(),
            status,
            violations: field.map(violation).into_iter().collect(),
            current_version: None,
            rule: None,
            waiting_for: match self {
                Self::TimedOut { waiting_for, .. } | Self::NotSettled { waiting_for } => waiting_for.clone(),
                _ => Vec::new(),
            },
            workspace: None,
            detail,
        }
        .bounded()
    }
}
