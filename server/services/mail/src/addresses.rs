//! The mail addresses of users: read from their own streams, unsealed only while a mail is written, and
//! stored nowhere else.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    language::Language,
};
use event_store::{Direction, EventStore};
use serde::Deserialize;
use uuid::Uuid;

use consumer::EffectError;
use documents::{FoldFault, Opener};

/// Events of a user that are read at a time.
const PAGE: u32 = 100;

/// The name and the address of a recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// As in `ada@example.com`.
    pub email: String,
    /// As in `Ada`.
    pub name: String,
    /// The language in which the recipient reads emails.
    pub language: Language,
    /// Whether the recipient has confirmed that the address is theirs.
    pub confirmed: bool,
}

impl Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Why an address was not found.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The user has one, and it cannot be unsealed.
    #[error("the recipient's address cannot be unsealed")]
    Unreadable,
    /// A store failed.
    #[error(transparent)]
    Store(#[from] EffectError),
}

impl AddressError {
    /// The failure of the event at this position. An unreadable address is tried again with the event, which
    /// becomes a dead letter if that does not help.
    pub(super) fn at(self, position: u64) -> EffectError {
        match self {
            Self::Unreadable => EffectError::Event(FoldFault {
                position,
                reason: self.to_string(),
            }),
            Self::Store(error) => error,
        }
    }
}

/// Finds the addresses of users.
#[async_trait]
pub trait Addresses: Send + Sync + Debug {
    /// The address of a user; `None`: they have none here, like guests and people who registered in another
    /// installation, or were erased.
    async fn of(&self, workspace: WorkspaceId, user: Uuid) -> Result<Option<Address>, AddressError>;

    /// The address that a user had before an event of theirs changed it; `None`: they had none, it is the
    /// same, or they were erased.
    async fn before(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        version: u64,
    ) -> Result<Option<Address>, AddressError>;
}

/// Reads addresses from the users' own streams.
#[derive(Debug)]
pub struct StreamAddresses {
    /// Box 5.
    pub store: Arc<dyn EventStore>,
    /// Unseals personal fields.
    pub opener: Arc<dyn Opener>,
}

/// The personal fields of a user's events, as far as the event has them.
#[derive(Deserialize)]
struct Personal {
    email: Option<String>,
    display_name: Option<String>,
    language: Option<Language>,
}

/// The addresses and the name in a user's stream; sealed.
#[derive(Default)]
struct StoredContact {
    /// The address before a version.
    before: Option<String>,
    /// The address of that version.
    current: Option<String>,
    name: Option<String>,
    /// English for people whose registration is older than languages.
    language: Language,
    /// Whether the address before the version is confirmed.
    confirmed: bool,
}

impl StreamAddresses {
    /// Reads a user's stream. `None`: the user was erased.
    async fn stored_contact(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        version: u64,
    ) -> Result<Option<StoredContact>, EffectError> {
        let Ok(stream) = format!("user-{user}").parse::<StreamName>() else {
            return Ok(None);
        };
        let (mut stored, mut from) = (StoredContact::default(), 1);
        loop {
            let page = self
                .store
                .read_stream(workspace, &stream, from, Direction::Forwards, PAGE)
                .await?;
            for event in &page {
                if event.event_type == "UserErased" {
                    return Ok(None);
                }
                let personal = personal(event);
                stored.name = personal.display_name.or(stored.name);
                stored.language = personal.language.unwrap_or(stored.language);
                if event.version < version {
                    let is_confirmed = personal.email.is_none() && stored.confirmed;
                    stored.confirmed = is_confirmed || event.event_type == "EmailConfirmed";
                    stored.before = personal.email.or(stored.before);
                } else if event.version == version {
                    stored.current = personal.email;
                }
            }
            let Some(last) = page.last().filter(|_| page.len() == PAGE as usize) else {
                return Ok(Some(stored));
            };
            from = last.version + 1;
        }
    }

    /// Unseals an address; `None`: there is none, or its user is of another installation, and their key was
    /// never here.
    async fn open(
        &self,
        (workspace, user): (WorkspaceId, Uuid),
        email: Option<String>,
        name: Option<String>,
        (language, confirmed): (Language, bool),
    ) -> Result<Option<Address>, AddressError> {
        let Some(email) = email else { return Ok(None) };
        let email = self.open_text(workspace, &email).await?;
        if !email.contains('@') {
            let is_known = self.opener.knows_person(workspace, user).await;
            return if is_known.map_err(EffectError::from)? {
                Err(AddressError::Unreadable)
            } else {
                Ok(None)
            };
        }
        let name = self.open_text(workspace, &name.unwrap_or_default()).await?;
        Ok(Some(Address {
            email,
            name,
            language,
            confirmed,
        }))
    }

    async fn open_text(&self, workspace: WorkspaceId, text: &str) -> Result<String, EffectError> {
        Ok(self.opener.open_text(workspace, text).await?)
    }
}

#[async_trait]
impl Addresses for StreamAddresses {
    async fn of(&self, workspace: WorkspaceId, user: Uuid) -> Result<Option<Address>, AddressError> {
        let Some(stored) = self.stored_contact(workspace, user, u64::MAX).await? else {
            return Ok(None);
        };
        let read = (stored.language, stored.confirmed);
        self.open((workspace, user), stored.before, stored.name, read)
            .await
    }

    async fn before(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        version: u64,
    ) -> Result<Option<Address>, AddressError> {
        let Some(stored) = self.stored_contact(workspace, user, version).await? else {
            return Ok(None);
        };
        let of = (workspace, user);
        let current = self
            .open(of, stored.current, None, (stored.language, false))
            .await?;
        let read = (stored.language, stored.confirmed);
        let before = self.open(of, stored.before, stored.name, read).await?;
        let is_another = |before: &Address| current.is_none_or(|current| current.email != before.email);
        Ok(before.filter(is_another))
    }
}

fn personal(event: &StoredEvent) -> Personal {
    // Another payload has no personal fields for this; the lanes report it.
    serde_json::from_str(event.payload.get()).unwrap_or(Personal {
        email: None,
        display_name: None,
        language: None,
    })
}
