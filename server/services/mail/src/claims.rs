//! Who sends which mail: a note of every mail before it is handed over, and after. It lies beside what process managers
//! remember, so servers on one database see each other's, and it is backed up with the events.

use std::sync::Arc;

use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, Effect, FIRST_GENERATION, FoldFault, Loaded, Scope,
};
use domain::{id::WorkspaceId, timestamp::Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// How long somebody's note "I am sending it" keeps others from it: longer than a mail may take.
const LEASE_MS: u64 = 40_000;

/// What is noted of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
enum Note {
    /// Somebody is about to hand it over.
    Sending { by: Uuid, since: Timestamp },
    /// A mail server answers for it.
    Sent { at: Timestamp },
}

/// What a person wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Preference {
    stopped: bool,
}

/// Whether a mail is ours to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is; nobody has tried before.
    First,
    /// It is; somebody has tried before, and it is not known what came of it.
    Again,
    /// It was sent.
    Sent,
    /// Another server is sending it.
    Elsewhere,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Claims {
    processes: Arc<dyn DocumentStore>,
    view: &'static str,
    clock: SharedClock,
    /// This server, since it was started.
    me: Uuid,
}

impl Claims {
    pub(super) fn new(processes: Arc<dyn DocumentStore>, view: &'static str, clock: SharedClock) -> Self {
        let me = clock.new_id();
        Self {
            processes,
            view,
            clock,
            me,
        }
    }

    /// Claims the mail about an event. `alone`: no other server can be at it.
    pub(super) async fn claim(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
        alone: bool,
    ) -> Result<Claim, DocumentStoreError> {
        let now = self.clock.now();
        let mut claim = Claim::First;
        self.change(workspace, &event.to_string(), &mut |note: Option<Note>| {
            claim = match &note {
                None => Claim::First,
                Some(Note::Sent { .. }) => Claim::Sent,
                Some(Note::Sending { by, since }) => {
                    if *by == self.me || alone || now.millis_since(*since) > LEASE_MS {
                        Claim::Again
                    } else {
                        Claim::Elsewhere
                    }
                }
            };
            matches!(claim, Claim::First | Claim::Again).then_some(Note::Sending {
                by: self.me,
                since: now,
            })
        })
        .await?;
        Ok(claim)
    }

    /// Whether somebody has ever begun to send the mail about an event.
    pub(super) async fn has_begun(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
    ) -> Result<bool, DocumentStoreError> {
        let read = self
            .processes
            .document(workspace, self.view, &event.to_string())
            .await?;
        Ok(read.value.is_some())
    }

    /// A mail server answers for it.
    pub(super) async fn sent(&self, workspace: WorkspaceId, event: Uuid) -> Result<(), DocumentStoreError> {
        let at = self.clock.now();
        self.change(workspace, &event.to_string(), &mut |_: Option<Note>| {
            Some(Note::Sent { at })
        })
        .await
    }

    /// A person wants no mails, or wants them again.
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

    /// Whether a person wants no mails.
    pub(super) async fn has_stopped(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
    ) -> Result<bool, DocumentStoreError> {
        let key = preference(&user.to_string());
        let read = self.processes.document(workspace, self.view, &key).await?;
        let known = read
            .value
            .map(|document| parsed::<Preference>(document.data.get()));
        Ok(known.transpose()?.unwrap_or_default().stopped)
    }

    /// Changes what is noted under a key, in one transaction; `None` leaves it as it is.
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
        let mut fold = |loaded: Loaded| {
            let before = loaded
                .documents
                .first()
                .map(|document| parsed(document.data.get()));
            let before = before.transpose().map_err(|error| fault(error.to_string()))?;
            let Some(after) = change(before) else {
                return Ok(Effect::default());
            };
            let data = serde_json::value::to_raw_value(&after).map_err(|error| fault(error.to_string()))?;
            Ok(Effect {
                writes: vec![DocumentWrite {
                    key: key.to_owned(),
                    data: Some(data.into()),
                    owner: None,
                    left: Vec::new(),
                    entered: Vec::new(),
                }],
                parked: Vec::new(),
            })
        };
        self.processes.amend(&scope, &[key.to_owned()], &mut fold).await
    }
}

fn preference(user: &str) -> String {
    format!("preference/{user}")
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, DocumentStoreError> {
    serde_json::from_str(text)
        .map_err(|error| DocumentStoreError::Corrupt(format!("a note of a mail: {error}")))
}
