//! The registry of effect consumers: who they are, and what each is made of. A new one is a file beside this one, and a line
//! here.

use std::{num::NonZeroU32, sync::Arc};

use super::{
    analytics::{Analytics, WarehouseError},
    effects::Consumer,
    notification::{
        self, Links, Notification, OfStreams, Post,
        mailbox::Mailbox,
        smtp::{Smtp, SmtpError},
    },
    seals::Opener,
    search::{Search, SearchError},
};
use clock::SharedClock;
use documents::ReadModel;
use event_store::EventStore;

use crate::settings::{Settings, StoreUrl};

/// What they are made of, besides settings.
#[derive(Debug)]
pub struct Parts {
    /// Box 5.
    pub store: Arc<dyn EventStore>,
    /// Where process managers remember.
    pub processes: Arc<dyn ReadModel>,
    /// Opens personal fields.
    pub opener: Arc<dyn Opener>,
    /// Makes links to unsubscribe.
    pub links: Arc<dyn Links>,
    /// The machine's clock.
    pub clock: SharedClock,
}

/// The effect consumers, and what of them others ask.
#[derive(Debug)]
pub struct Opened {
    /// All of them.
    pub all: Vec<Arc<dyn Consumer>>,
    /// The one that keeps the warehouse.
    pub warehouse: Arc<dyn Consumer>,
    /// Finds things.
    pub search: Arc<Search>,
    /// Mails that went to no server.
    pub mailbox: Mailbox,
}

/// Why one of them does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// Mails.
    #[error("mails cannot be sent: {0}")]
    Mail(#[from] SmtpError),
    /// The warehouse.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// The search index.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// Opens what each of them keeps.
pub async fn open(settings: &Settings, parts: Parts) -> Result<Opened, ConsumerError> {
    let Parts {
        store,
        processes,
        opener,
        links,
        clock,
    } = parts;
    let storage = &settings.storage;
    let mailbox = Mailbox::new(storage.mailbox_folder());
    let notification = Notification::new(notification::Parts {
        post: match Smtp::of(&settings.mail)? {
            Some(server) => Post::Smtp(server),
            None => Post::Mailbox(mailbox.clone()),
        },
        mailbox: mailbox.clone(),
        from: settings.mail.mail_from.clone(),
        addresses: Arc::new(OfStreams {
            store,
            opener: opener.clone(),
        }),
        links,
        processes,
        alone: matches!(storage.processes(), StoreUrl::Sqlite(_)),
        per_hour: NonZeroU32::new(settings.mail.mails_per_hour),
        clock: clock.clone(),
    });
    let at = settings.warehouse().map_err(WarehouseError::from)?;
    let warehouse: Arc<dyn Consumer> = Arc::new(Analytics::open(&at, clock.clone()).await?);
    let search = Arc::new(Search::open(&storage.search_folder(), clock.new_id(), opener)?);
    Ok(Opened {
        // The registry.
        all: vec![Arc::new(notification), warehouse.clone(), search.clone()],
        warehouse,
        search,
        mailbox,
    })
}
