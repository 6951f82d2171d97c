//! The programs of the client: which page loads which. Nothing lives on a page outside of a workspace but its frame, so the first
//! page that anybody sees loads a small program; the other one knows everything, and is fetched ahead.

/// A part of the client that is built and loaded by itself: `frontend/src/bin/<name>.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Program {
    /// For whoever is in no workspace: to come in, to sign in.
    #[default]
    Entry,
    /// For whoever is in one.
    Workspace,
}

impl Program {
    /// Its name in the build.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Workspace => "workspace",
        }
    }

    /// The program that brings the pages of somebody to life.
    pub const fn of(is_inside: bool) -> Self {
        if is_inside { Self::Workspace } else { Self::Entry }
    }

    /// The program that is likely to be wanted next.
    #[cfg(feature = "ssr")]
    pub(crate) const fn next(self) -> Option<Self> {
        match self {
            Self::Entry => Some(Self::Workspace),
            Self::Workspace => None,
        }
    }
}
