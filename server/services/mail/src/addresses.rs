//! Where somebody gets mails: what their own stream says, opened for the moment of writing to them and kept nowhere.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
};
use event_store::{Direction, EventStore};
use serde::Deserialize;
use uuid::Uuid;

use consumer::EffectError;
use documents::Opener;

/// Events of a person that are read at a time.
const PAGE: u32 = 100;

/// A person, to write to.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// As in `ada@example.com`.
    pub email: String,
    /// As in `Ada`.
    pub name: String,
}

impl Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(…)")
    }
}

/// Knows where to write to.
#[async_trait]
pub trait Addresses: Send + Sync + Debug {
    /// The address of a person; `None`: they have none, as guests, or were erased.
    async fn of(&self, workspace: WorkspaceId, user: Uuid) -> Result<Option<Address>, EffectError>;

    /// The address that a person had before an event of theirs changed it; `None`: they had none, it is the same one, or
    /// they were erased.
    async fn before(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        version: u64,
    ) -> Result<Option<Address>, EffectError>;
}

/// From the people's own streams.
#[derive(Debug)]
pub struct StreamAddresses {
    /// Box 5.
    pub store: Arc<dyn EventStore>,
    /// Opens what is sealed in it.
    pub opener: Arc<dyn Opener>,
}

/// The personal fields of a person's events, each as far as the event has it.
#[derive(Deserialize)]
struct Personal {
    email: Option<String>,
    display_name: Option<String>,
}

/// What a person's stream says of where to write to; sealed.
#[derive(Default)]
struct Told {
    /// Before a version.
    before: Option<String>,
    /// With that version.
    since: Option<String>,
    name: Option<String>,
}

impl StreamAddresses {
    /// `None`: the person was erased.
    async fn told(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        version: u64,
    ) -> Result<Option<Told>, EffectError> {
        let Ok(stream) = format!("user-{user}").parse::<StreamName>() else {
            return Ok(None);
        };
        let (mut told, mut from) = (Told::default(), 1);
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
                told.name = personal.display_name.or(told.name);
                if event.version < version {
                    told.before = personal.email.or(told.before);
                } else if event.version == version {
                    told.since = personal.email;
                }
            }
            let Some(last) = page.last().filter(|_| page.len() == PAGE as usize) else {
                return Ok(Some(told));
            };
            from = last.version + 1;
        }
    }

    /// What cannot be opened any more is no address.
    async fn opened(
        &self,
        workspace: WorkspaceId,
        email: Option<String>,
        name: Option<String>,
    ) -> Result<Option<Address>, EffectError> {
        let Some(email) = email else { return Ok(None) };
        let email = self.opener.open_text(workspace, &email).await?;
        let name = self
            .opener
            .open_text(workspace, &name.unwrap_or_default())
            .await?;
        Ok(email.contains('@').then_some(Address { email, name }))
    }
}

#[async_trait]
impl Addresses for StreamAddresses {
    async fn of(&self, workspace: WorkspaceId, user: Uuid) -> Result<Option<Address>, EffectError> {
        let Some(told) = self.told(workspace, user, u64::MAX).await? else {
            return Ok(None);
        };
        self.opened(workspace, told.before, told.name).await
    }

    async fn before(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        version: u64,
    ) -> Result<Option<Address>, EffectError> {
        let Some(told) = self.told(workspace, user, version).await? else {
            return Ok(None);
        };
        let since = self.opened(workspace, told.since, None).await?;
        let before = self.opened(workspace, told.before, told.name).await?;
        let is_another = |before: &Address| since.is_none_or(|since| since.email != before.email);
        Ok(before.filter(is_another))
    }
}

fn personal(event: &StoredEvent) -> Personal {
    // Of another shape is of no use here; the lanes complain about it.
    serde_json::from_str(event.payload.get()).unwrap_or(Personal {
        email: None,
        display_name: None,
    })
}
