//! The registry of consumers: which there are, and what each is made of. A new one is a crate among the services, and a line
//! here.

use std::{num::NonZeroU32, sync::Arc};

use clock::SharedClock;
use consumer::Consumer;
use documents::{DocumentStore, Opener};
use event_store::EventStore;
use mail::{
    Links, Notification, Post, StreamAddresses,
    mailbox::Mailbox,
    smtp::{Smtp, SmtpError},
};
use search::{Search, SearchError};
use warehouse::{Analytics, WarehouseError};

use crate::settings::{Settings, StoreUrl};

/// What they are made of, besides settings.
#[derive(Debug)]
pub(crate) struct Dependencies {
    /// Box 5.
    pub(crate) store: Arc<dyn EventStore>,
    /// Where process managers remember.
    pub(crate) processes: Arc<dyn DocumentStore>,
    /// Opens personal fields.
    pub(crate) opener: Arc<dyn Opener>,
    /// Makes links to unsubscribe.
    pub(crate) links: Arc<dyn Links>,
    /// The machine's clock.
    pub(crate) clock: SharedClock,
}

/// The consumers, and what of them others ask.
#[derive(Debug)]
pub(crate) struct Opened {
    /// All of them.
    pub(crate) all: Vec<Arc<dyn Consumer>>,
    /// The one that keeps the warehouse.
    pub(crate) warehouse: Arc<dyn Consumer>,
    /// Finds things.
    pub(crate) search: Arc<Search>,
    /// Mails that went to no server.
    pub(crate) mailbox: Mailbox,
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
    /// One that others need is not in the registry.
    #[error("the registry of consumers has no {0}")]
    Missing(&'static str),
}

/// Opens what each of them keeps.
pub(crate) async fn open(settings: &Settings, parts: Dependencies) -> Result<Opened, ConsumerError> {
    let Dependencies {
        store,
        processes,
        opener,
        links,
        clock,
    } = parts;
    let storage = &settings.storage;
    let mailbox = Mailbox::new(storage.mailbox_folder());
    let notification = Notification::new(mail::Dependencies {
        post: match Smtp::of(&settings.mail)? {
            Some(server) => Post::Smtp(server),
            None => Post::Mailbox(mailbox.clone()),
        },
        mailbox: mailbox.clone(),
        from: settings.mail.mail_from.clone(),
        addresses: Arc::new(StreamAddresses {
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
