//! Claims of mails: a record of every mail before it is handed to the mail server, and after. The records are
//! in the process store, so servers on one database see each other's, and they are backed up with the events.
//!
//! A claim names its server, which renews it while it sends. A server that is gone renews nothing, so after
//! [`LEASE_MS`] without a change another server takes the mail over. Each measures that time with its own
//! clock. A single server takes over at once: there is no other.
//!
//! If the outcome of an attempt is unknown, the mail server may have the mail. So the record counts these
//! attempts, and the next one waits for a pause that grows with their number, at whichever server.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clock::SharedClock;
use documents::DocumentStoreError;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::records::Records;

/// The interval at which a server renews the claim of a mail that it is sending.
pub(super) const RENEWAL: Duration = Duration::from_secs(1);

/// How long a claim keeps others from a mail without being renewed.
const LEASE_MS: u64 = 4_000;

/// A claim that is older than this keeps no server from a mail, also none that sees it for the first time. No
/// mail takes so long.
const LONGEST_LEASE_MS: u64 = 40_000;

/// The pause after the first attempt with an unknown outcome; each further one doubles it.
const FIRST_PAUSE_MS: u64 = 2_000;

/// The longest pause.
const LONGEST_PAUSE_MS: u64 = 60_000;

/// The record of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
enum MailRecord {
    /// A server is about to hand it over, or has tried.
    Sending(Attempt),
    /// A mail server answers for it.
    Sent { at: Timestamp },
}

/// The last attempt to send a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Attempt {
    /// The server.
    by: Uuid,
    /// When it began, was renewed for the last time, or ended with an unknown outcome.
    since: Timestamp,
    /// The ended attempts with an unknown outcome.
    #[serde(default)]
    unknown: u32,
    /// Whether it has ended: then the mail is free.
    #[serde(default)]
    ended: bool,
}

impl Attempt {
    /// Whether the pause after attempts with an unknown outcome is over.
    fn may_be_repeated(&self, now: Timestamp) -> bool {
        let Some(doublings) = self.unknown.checked_sub(1) else {
            return true;
        };
        let pause_ms = (FIRST_PAUSE_MS << doublings.min(5)).min(LONGEST_PAUSE_MS);
        now.millis_since(self.since) >= pause_ms
    }
}

/// Whether this server may send a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It may; no server has tried before.
    Fresh,
    /// It may; a server has tried before.
    Retry,
    /// It was sent.
    Sent,
    /// Another server is sending it.
    Elsewhere,
    /// The outcome of the last attempt is unknown, and the pause after it is not over.
    Paused,
}

/// How an attempt ended that no mail server answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The mail server does not have the mail.
    NotAccepted,
    /// The mail server may have the mail.
    Unknown,
}

/// A mail: its workspace, and the event that it is about.
type MailId = (WorkspaceId, Uuid);

/// Claims mails and records what was sent.
#[derive(Debug)]
pub(super) struct Claims {
    records: Records,
    clock: SharedClock,
    /// The id of this server process.
    server_id: Uuid,
    /// Whether no other server has claims in this store.
    single_server: bool,
    /// The claims of other servers that keep this one from a mail, and since when they have not changed.
    watched: Mutex<HashMap<MailId, (Attempt, Timestamp)>>,
    /// Mails that a mail server has accepted, and whose record could not be written yet.
    accepted: Mutex<HashSet<MailId>>,
}

impl Claims {
    /// The claims of a server that has just started.
    pub(super) fn new(records: Records, clock: SharedClock, single_server: bool) -> Self {
        let server_id = clock.new_id();
        Self {
            records,
            clock,
            server_id,
            single_server,
            watched: Mutex::default(),
            accepted: Mutex::default(),
        }
    }

    /// Claims the mail about an event.
    pub(super) async fn claim(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
    ) -> Result<Claim, DocumentStoreError> {
        let mail = (workspace, event);
        let is_accepted = lock(&self.accepted).contains(&mail);
        if is_accepted {
            self.sent(workspace, event).await?;
            return Ok(Claim::Sent);
        }
        let now = self.clock.now();
        let mut claim = Claim::Fresh;
        let mut decide = |record: Option<MailRecord>| {
            let unknown = match record {
                None => {
                    claim = Claim::Fresh;
                    0
                }
                Some(MailRecord::Sent { .. }) => {
                    claim = Claim::Sent;
                    return None;
                }
                Some(MailRecord::Sending(attempt)) => {
                    claim = self.claim_after(mail, attempt, now);
                    // An attempt whose server did not note its end has an unknown outcome, too.
                    attempt.unknown.saturating_add(u32::from(!attempt.ended))
                }
            };
            matches!(claim, Claim::Fresh | Claim::Retry).then_some(MailRecord::Sending(Attempt {
                by: self.server_id,
                since: now,
                unknown,
                ended: false,
            }))
        };
        let key = event.to_string();
        let records = &self.records;
        records.change::<MailRecord>(workspace, &key, &mut decide).await?;
        if claim != Claim::Elsewhere {
            lock(&self.watched).remove(&mail);
        }
        Ok(claim)
    }

    fn claim_after(&self, mail: MailId, attempt: Attempt, now: Timestamp) -> Claim {
        let is_free = attempt.ended || self.single_server || attempt.by == self.server_id;
        if !is_free && !self.is_abandoned(mail, attempt, now) {
            Claim::Elsewhere
        } else if attempt.may_be_repeated(now) {
            Claim::Retry
        } else {
            Claim::Paused
        }
    }

    /// Whether another server's claim was not renewed for so long that its server must be gone.
    fn is_abandoned(&self, mail: MailId, attempt: Attempt, now: Timestamp) -> bool {
        if now.millis_since(attempt.since) > LONGEST_LEASE_MS {
            return true;
        }
        let mut watched = lock(&self.watched);
        let (last, unchanged_since) = watched.entry(mail).or_insert((attempt, now));
        if *last != attempt {
            (*last, *unchanged_since) = (attempt, now);
        }
        now.millis_since(*unchanged_since) > LEASE_MS
    }

    /// Renews the claim of a mail that this server is sending.
    pub(super) async fn renew(&self, workspace: WorkspaceId, event: Uuid) -> Result<(), DocumentStoreError> {
        let now = self.clock.now();
        self.change_own(workspace, event, |attempt| Attempt {
            since: now,
            ..attempt
        })
        .await
    }

    /// Ends this server's claim of a mail that it could not send: any server may claim it.
    pub(super) async fn end(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
        failed: Failed,
    ) -> Result<(), DocumentStoreError> {
        let now = self.clock.now();
        self.change_own(workspace, event, |attempt| match failed {
            Failed::NotAccepted => Attempt {
                ended: true,
                ..attempt
            },
            Failed::Unknown => Attempt {
                since: now,
                unknown: attempt.unknown.saturating_add(1),
                ended: true,
                ..attempt
            },
        })
        .await
    }

    /// Changes the attempt of this server; one that another server has taken over stays as it is.
    async fn change_own(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
        change: impl Fn(Attempt) -> Attempt + Send + Sync,
    ) -> Result<(), DocumentStoreError> {
        let mut change = |record: Option<MailRecord>| match record {
            Some(MailRecord::Sending(attempt)) if attempt.by == self.server_id && !attempt.ended => {
                Some(MailRecord::Sending(change(attempt)))
            }
            _ => None,
        };
        let (records, key) = (&self.records, event.to_string());
        records.change::<MailRecord>(workspace, &key, &mut change).await
    }

    /// Whether a server has ever begun to send the mail about an event.
    pub(super) async fn has_begun(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
    ) -> Result<bool, DocumentStoreError> {
        let key = event.to_string();
        let record = self.records.read::<MailRecord>(workspace, &key);
        Ok(record.await?.is_some())
    }

    /// A mail server answers for it. If this cannot be recorded now, the next claim records it.
    pub(super) async fn sent(&self, workspace: WorkspaceId, event: Uuid) -> Result<(), DocumentStoreError> {
        lock(&self.accepted).insert((workspace, event));
        let at = self.clock.now();
        self.records
            .change(workspace, &event.to_string(), &mut |_: Option<MailRecord>| {
                Some(MailRecord::Sent { at })
            })
            .await?;
        lock(&self.accepted).remove(&(workspace, event));
        Ok(())
    }
}

/// Code that holds one of these locks does not panic; even if it did, the state would be consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
