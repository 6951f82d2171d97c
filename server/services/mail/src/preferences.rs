//! Which users have stopped mails.

use documents::DocumentStoreError;
use domain::id::WorkspaceId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::records::Records;

/// A user's preference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Preference {
    stopped: bool,
}

/// Records preferences.
#[derive(Debug)]
pub(super) struct Preferences(Records);

impl Preferences {
    /// The preferences among the records.
    pub(super) fn new(records: Records) -> Self {
        Self(records)
    }

    /// Records that a user stops or resumes mails.
    pub(super) async fn prefer(
        &self,
        workspace: WorkspaceId,
        user: &str,
        stopped: bool,
    ) -> Result<(), DocumentStoreError> {
        let records = &self.0;
        records
            .change(workspace, &key(user), &mut |_: Option<Preference>| {
                Some(Preference { stopped })
            })
            .await
    }

    /// Whether a user has stopped mails.
    pub(super) async fn has_stopped(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
    ) -> Result<bool, DocumentStoreError> {
        let key = key(&user.to_string());
        let preference = self.0.read::<Preference>(workspace, &key);
        Ok(preference.await?.unwrap_or_default().stopped)
    }
}

fn key(user: &str) -> String {
    format!("preference/{user}")
}
