//! The registry of consumers: the list, and how each is built. A new consumer is a crate among the services
//! and a line here.

use std::{num::NonZeroU32, sync::Arc};

use clock::SharedClock;
use consumer::Consumer;
use documents::{DocumentStore, Opener};
use erasure::Erasure;
use event_store::EventStore;
use identity::People;
use lab::dials::{DialBoard, mail::bend};
use mail::{
    Links, Notification, StreamAddresses, Transport,
    mailbox::Mailbox,
    smtp::{Smtp, SmtpError},
};
use search::{Search, SearchError};
use warehouse::{Analytics, WarehouseError};

use crate::settings::{Settings, StoreUrl};

/// The boxes that they are built from, besides settings.
#[derive(Debug)]
pub(crate) struct Dependencies {
    /// Box 5.
    pub(crate) store: Arc<dyn EventStore>,
    /// The process store.
    pub(crate) process_store: Arc<dyn DocumentStore>,
    /// The keys and credentials of people.
    pub(crate) people: Arc<People>,
    /// Unseals personal fields.
    pub(crate) opener: Arc<dyn Opener>,
    /// Makes the links in emails.
    pub(crate) links: Arc<dyn Links>,
    /// The dials, which bend where emails go.
    pub(crate) dials: Arc<DialBoard>,
    /// The machine's clock.
    pub(crate) clock: SharedClock,
}

/// The opened consumers, with those that other boxes call.
#[derive(Debug)]
pub(crate) struct OpenConsumers {
    /// All of them.
    pub(crate) all: Vec<Arc<dyn Consumer>>,
    /// The consumer that fills the warehouse.
    pub(crate) warehouse: Arc<dyn Consumer>,
    /// The consumer that sends emails.
    pub(crate) notification: Arc<dyn Consumer>,
    /// The search index.
    pub(crate) search: Arc<Search>,
    /// The folder of emails, for servers without a mail server.
    pub(crate) mailbox: Mailbox,
}

/// Why a consumer does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// Emails cannot be sent.
    #[error("emails cannot be sent: {0}")]
    Mail(#[from] SmtpError),
    /// The warehouse cannot be opened.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// The search index.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A required consumer is not in the registry.
    #[error("the registry of consumers has no {0}")]
    Missing(&'static str),
}

/// Opens every consumer.
pub(crate) async fn open(
    settings: &Settings,
    dependencies: Dependencies,
) -> Result<OpenConsumers, ConsumerError> {
    let Dependencies {
        store,
        process_store,
        people,
        opener,
        links,
        dials,
        clock,
    } = dependencies;
    let storage = &settings.storage;
    let mailbox = Mailbox::new(storage.mailbox_folder());
    let transport = match Smtp::of(&settings.mail)? {
        Some(server) => Transport::Smtp(Arc::new(server)),
        None => Transport::Mailbox(Arc::new(mailbox.clone())),
    };
    let notification = Notification::new(mail::Dependencies {
        transport: bend(transport, dials),
        mailbox: mailbox.clone(),
        from: settings.mail.mail_from.clone(),
        addresses: Arc::new(StreamAddresses {
            store,
            opener: opener.clone(),
        }),
        links,
        process_store,
        single_server: matches!(storage.process_store(), StoreUrl::Sqlite(_)),
        per_hour: NonZeroU32::new(settings.mail.mails_per_hour),
        clock: clock.clone(),
    });
    let notification: Arc<dyn Consumer> = Arc::new(notification);
    let at = settings.warehouse().map_err(WarehouseError::from)?;
    let warehouse: Arc<dyn Consumer> = Arc::new(Analytics::open(&at, clock.clone()).await?);
    let search = Arc::new(Search::open(&storage.search_folder(), clock.new_id(), opener)?);
    Ok(OpenConsumers {
        // The registry.
        all: vec![
            notification.clone(),
            warehouse.clone(),
            search.clone(),
            Arc::new(Erasure::new(people)),
        ],
        warehouse,
        notification,
        search,
        mailbox,
    })
}
