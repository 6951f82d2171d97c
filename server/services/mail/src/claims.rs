//! Claims of mails: a record of every mail before it is handed to the mail server, and after. The records are
//! in the process store, so servers on one database see each other's, and they are backed up with the events.

use std::sync::Arc;

use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldInput, FoldOutput,
    Scope,
};
use domain::{id::WorkspaceId, timestamp::Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// How long a server's claim keeps others from a mail: longer than sending may take.
const LEASE_MS: u64 = 40_000;

/// The record of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
enum MailRecord {
    /// A server is about to hand it over.
    Sending { by: Uuid, since: Timestamp },
    /// A mail server answers for it.
    Sent { at: Timestamp },
}

/// A user's preference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Preference {
    stopped: bool,
}

/// Whether this server may send a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It may; no server has tried before.
    Fresh,
    /// It may; a server has tried before, with an unknown outcome.
    Retry,
    /// It was sent.
    Sent,
    /// Another server is sending it.
    Elsewhere,
}

/// Claims mails and records what was sent.
#[derive(Debug)]
pub(super) struct Claims {
    process_store: Arc<dyn DocumentStore>,
    view: &'static str,
    clock: SharedClock,
    /// The id of this server process.
    server_id: Uuid,
}

impl Claims {
    pub(super) fn new(process_store: Arc<dyn DocumentStore>, view: &'static str, clock: SharedClock) -> Self {
        let server_id = clock.new_id();
        Self {
            process_store,
            view,
            clock,
            server_id,
        }
    }

    /// Claims the mail about an event. `single_server`: there is no other server.
    pub(super) async fn claim(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
        single_server: bool,
    ) -> Result<Claim, DocumentStoreError> {
        let now = self.clock.now();
        let mut claim = Claim::Fresh;
        self.change(workspace, &event.to_string(), &mut |record: Option<
            MailRecord,
        >| {
            claim = match &record {
                None => Claim::Fresh,
                Some(MailRecord::Sent { .. }) => Claim::Sent,
                Some(MailRecord::Sending { by, since }) => {
                    if *by == self.server_id || single_server || now.millis_since(*since) > LEASE_MS {
                        Claim::Retry
                    } else {
                        Claim::Elsewhere
                    }
                }
            };
            matches!(claim, Claim::Fresh | Claim::Retry).then_some(MailRecord::Sending {
                by: self.server_id,
                since: now,
            })
        })
        .await?;
        Ok(claim)
    }

    /// Whether a server has ever begun to send the mail about an event.
    pub(super) async fn has_begun(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
    ) -> Result<bool, DocumentStoreError> {
        let read = self
            .process_store
            .document(workspace, self.view, &event.to_string())
            .await?;
        Ok(read.value.is_some())
    }

    /// A mail server answers for it.
    pub(super) async fn sent(&self, workspace: WorkspaceId, event: Uuid) -> Result<(), DocumentStoreError> {
        let at = self.clock.now();
        self.change(workspace, &event.to_string(), &mut |_: Option<MailRecord>| {
            Some(MailRecord::Sent { at })
        })
        .await
    }

    /// Records that a user stops or resumes mails.
    pub(super) async fn prefer(
        &self,
        workspace: WorkspaceId,
        user: &str,
        stopped: bool,
    ) -> Result<(), DocumentStoreError> {
        self.change(workspace, &preference(user), &mut |_: Option<Preference>| {
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
        let key = preference(&user.to_string());
        let read = self.process_store.document(workspace, self.view, &key).await?;
        let known = read
            .value
            .map(|document| parsed::<Preference>(document.data.get()));
        Ok(known.transpose()?.unwrap_or_default().stopped)
    }

    /// Changes the record under a key in one transaction; `None` leaves it as it is.
    async fn change<T: Serialize + DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        key: &str,
        change: &mut (dyn FnMut(Option<T>) -> Option<T> + Send),
    ) -> Result<(), DocumentStoreError> {
        let scope = Scope {
            workspace,
            view: self.view,
            generation: FIRST_GENERATION,
        };
        let fault = |reason: String| FoldFault { position: 0, reason };
        let mut fold = |loaded: FoldInput| {
            let before = loaded
                .documents
                .first()
                .map(|document| parsed(document.data.get()));
            let before = before.transpose().map_err(|error| fault(error.to_string()))?;
            let Some(after) = change(before) else {
                return Ok(FoldOutput::default());
            };
            let data = serde_json::value::to_raw_value(&after).map_err(|error| fault(error.to_string()))?;
            Ok(FoldOutput {
                writes: vec![DocumentWrite {
                    key: key.to_owned(),
                    data: Some(data.into()),
                    owner: None,
                    removed_entries: Vec::new(),
                    added_entries: Vec::new(),
                }],
                parked: Vec::new(),
            })
        };
        self.process_store
            .amend(&scope, &[key.to_owned()], &mut fold)
            .await
    }
}

fn preference(user: &str) -> String {
    format!("preference/{user}")
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, DocumentStoreError> {
    serde_json::from_str(text)
        .map_err(|error| DocumentStoreError::Corrupt(format!("a note of a mail: {error}")))
}
