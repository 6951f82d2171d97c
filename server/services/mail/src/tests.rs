//! Mails over a real log and a real folder, without lanes: what a delivery looks up, and what it stores.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use broker::{PartitionId, decode};
use bytes::Bytes;
use clock::SystemClock;
use consumer::{Consumer as _, EventHandler as _, Work};
use documents::{Opener, SealError, sqlite::SqliteDocumentStore};
use domain::{
    access::Role,
    aggregate::{
        inbox::{InboxEvent, MailsStopped},
        user::{
            EmailChanged, EmailConfirmed, PasswordChanged, PasswordResetRequested, UserErased, UserEvent,
            UserRegistered,
        },
    },
    event::{DomainEvent, EventPayload as _},
    id::WorkspaceId,
    language::Language,
    timestamp::Timestamp,
};
use event_store::{EventStore as _, SqliteEventStore};
use serde_json::value::RawValue;
use tempfile::TempDir;
use test_support::{append, confirmed, customer, open_workspace, plaintext_opener::PlaintextOpener};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use super::{
    Address, AddressError, Addresses, Dependencies, Links, MailSettings, Notification, StreamAddresses,
    Transport,
    mailbox::{Mailbox, Page},
    smtp::Smtp,
};

/// Counts look-ups.
#[derive(Debug)]
struct CountedAddresses {
    inner: StreamAddresses,
    count: AtomicUsize,
}

#[async_trait]
impl Addresses for CountedAddresses {
    async fn of(&self, workspace: WorkspaceId, user: Uuid) -> Result<Option<Address>, AddressError> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.inner.of(workspace, user).await
    }

    async fn before(
        &self,
        workspace: WorkspaceId,
        user: Uuid,
        version: u64,
    ) -> Result<Option<Address>, AddressError> {
        self.inner.before(workspace, user, version).await
    }
}

#[derive(Debug)]
struct NoLinks;

#[async_trait]
impl Links for NoLinks {
    async fn unsubscribe(&self, _: WorkspaceId, _: Uuid) -> Option<String> {
        None
    }

    async fn confirm_email(&self, _: WorkspaceId, _: Uuid, _: &str, _: Timestamp) -> Option<String> {
        None
    }

    async fn reset_password(&self, _: WorkspaceId, _: Uuid, _: Uuid) -> Option<String> {
        None
    }
}

/// A log with one partition, and a consumer that writes into a folder.
struct Fixture {
    store: Arc<SqliteEventStore>,
    workspace: WorkspaceId,
    notification: Notification,
    mailbox: Mailbox,
    addresses: Arc<CountedAddresses>,
    _folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(None, None).await
    }

    /// `transport`: another one than the folder.
    async fn with(transport: Option<Transport>, per_hour: Option<NonZeroU32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteEventStore::open(&folder.path().join("events.db"), Arc::new(SystemClock), None)
            .await
            .unwrap();
        let workspace = open_workspace(&store, 1).await;
        let store = Arc::new(store);
        let addresses = Arc::new(CountedAddresses {
            inner: StreamAddresses {
                store: store.clone(),
                opener: Arc::new(PlaintextOpener),
            },
            count: AtomicUsize::new(0),
        });
        let mailbox = Mailbox::new(folder.path().join("mailbox"));
        let process_store = SqliteDocumentStore::open(&folder.path().join("processes.db"))
            .await
            .unwrap();
        let notification = Notification::new(Dependencies {
            transport: transport.unwrap_or_else(|| Transport::Mailbox(Arc::new(mailbox.clone()))),
            mailbox: mailbox.clone(),
            from: "Shop <shop@shop.test>".parse().unwrap(),
            addresses: addresses.clone(),
            links: Arc::new(NoLinks),
            process_store: Arc::new(process_store),
            single_server: true,
            per_hour,
            clock: Arc::new(SystemClock),
        });
        Self {
            store,
            workspace,
            notification,
            mailbox,
            addresses,
            _folder: folder,
        }
    }

    async fn append(&self, stream: &str, events: &[DomainEvent]) {
        append(&*self.store, self.workspace, stream, events).await;
    }

    async fn perform(&self) {
        self.notification.perform(&self.work().await).await.unwrap();
    }

    /// All events of the log, as one delivery.
    async fn work(&self) -> Work {
        let events = self
            .store
            .read_partition(self.workspace, 0, 0, 100)
            .await
            .unwrap();
        Work {
            partition: PartitionId {
                workspace: self.workspace,
                partition: 0,
            },
            passed: Some((0, events.len() as u64)),
            events: decode(&events),
        }
    }

    /// The subjects of the mails in the folder, sorted.
    async fn subjects(&self) -> Vec<String> {
        let page = Page {
            user: None,
            before: None,
            limit: 100,
        };
        let (mails, _) = self.mailbox.list(self.workspace, page).await.unwrap();
        let mut subjects: Vec<_> = mails.into_iter().map(|mail| mail.subject).collect();
        subjects.sort();
        subjects
    }
}

fn user() -> String {
    format!("user-{}", customer(1).id)
}

fn registered() -> DomainEvent {
    let registered = UserRegistered {
        email: "ada@post.test".to_owned(),
        display_name: "Ada".to_owned(),
        role: Role::Customer,
        language: Language::En,
    };
    UserEvent::from(registered).into_domain()
}

/// An opener without the keys of people.
#[derive(Debug)]
struct WithoutKeys {
    /// Whether it once had them.
    is_known: bool,
}

#[async_trait]
impl Opener for WithoutKeys {
    async fn open_text(&self, _: WorkspaceId, _: &str) -> Result<String, SealError> {
        Ok("erased".to_owned())
    }

    async fn open_json(&self, _: WorkspaceId, json: Box<RawValue>) -> Result<Box<RawValue>, SealError> {
        Ok(json)
    }

    async fn open_bytes(&self, _: WorkspaceId, json: Bytes) -> Result<Bytes, SealError> {
        Ok(json)
    }

    async fn knows_person(&self, _: WorkspaceId, _: Uuid) -> Result<bool, SealError> {
        Ok(self.is_known)
    }
}

/// A registered person whose address cannot be read is no one without an address, unless they were erased, or
/// registered in another installation.
#[tokio::test]
async fn an_address_that_cannot_be_read_is_a_failure() {
    let fixture = Fixture::new().await;
    let ada = customer(1).id;
    let find = async |is_known: bool| {
        let addresses = StreamAddresses {
            store: fixture.store.clone(),
            opener: Arc::new(WithoutKeys { is_known }),
        };
        addresses.of(fixture.workspace, ada).await
    };
    assert_eq!(find(true).await.unwrap(), None, "a guest has none");
    fixture.append(&user(), &[registered()]).await;
    assert!(matches!(find(true).await, Err(AddressError::Unreadable)));
    assert_eq!(find(false).await.unwrap(), None);
    let erased = UserEvent::from(UserErased {}).into_domain();
    fixture.append(&user(), &[erased]).await;
    assert_eq!(find(true).await.unwrap(), None);
}

fn smtp(url: &str) -> Transport {
    let settings = MailSettings {
        smtp_url: Some(url.parse().unwrap()),
        smtp_password_file: None,
        smtp_ca: None,
        mail_from: "Shop <shop@shop.test>".parse().unwrap(),
        mails_per_hour: 0,
        public_url: None,
    };
    Transport::Smtp(Arc::new(Smtp::of(&settings).unwrap().unwrap()))
}

/// The subjects of the mails that a mail server has taken.
type Taken = Arc<Mutex<Vec<String>>>;

/// A mail server that takes every mail: its URL, and what it has taken.
async fn accepting_mail_server() -> (String, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let taken = Taken::default();
    let subjects = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(take_mails(connection, Arc::clone(&subjects)));
        }
    });
    (url, taken)
}

async fn take_mails(connection: TcpStream, subjects: Taken) {
    let (reader, mut writer) = connection.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut is_mail = false;
    let mut answer = "220 mail.test\r\n";
    while writer.write_all(answer.as_bytes()).await.is_ok() {
        answer = loop {
            let Ok(Some(line)) = lines.next_line().await else {
                return;
            };
            if !is_mail {
                is_mail = line.starts_with("DATA");
                break if is_mail { "354 go on\r\n" } else { "250 yes\r\n" };
            }
            if let Some(subject) = line.strip_prefix("Subject: ") {
                subjects.lock().unwrap().push(subject.to_owned());
            }
            if line == "." {
                is_mail = false;
                break "250 taken\r\n";
            }
        };
    }
}

/// Orders of a customer, or of another person in their name, use up nothing of what tells of a changed
/// account.
#[tokio::test]
async fn warnings_are_sent_when_the_mails_about_orders_are_used_up() {
    let (url, taken) = accepting_mail_server().await;
    for is_confirmed in [true, false] {
        let fixture = Fixture::with(Some(smtp(&url)), NonZeroU32::new(6)).await;
        fixture.append(&user(), &[registered()]).await;
        if is_confirmed {
            let confirmed = UserEvent::from(EmailConfirmed {}).into_domain();
            fixture.append(&user(), &[confirmed]).await;
        }
        for n in 0..20 {
            fixture.append(&format!("order-{n}"), &[confirmed()]).await;
        }
        let moved = EmailChanged {
            email: "countess@post.test".to_owned(),
        };
        let changes: [UserEvent; 2] = [PasswordChanged {}.into(), moved.into()];
        for change in changes {
            fixture.perform().await;
            fixture.append(&user(), &[change.into_domain()]).await;
        }
        fixture.perform().await;
        let mut subjects = std::mem::take(&mut *taken.lock().unwrap());
        subjects.sort();
        let orders = if is_confirmed { 6 } else { 2 };
        let mut expected = vec!["The email of your account was changed", "Welcome"];
        expected.extend(vec!["Your order is confirmed"; orders]);
        expected.push("Your password was changed");
        assert_eq!(subjects, expected);
    }
}

/// A mail server that takes connections and never says anything.
#[tokio::test]
async fn an_interrupted_consumer_does_not_wait_for_its_mail_server() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    let fixture = Fixture::with(Some(smtp(&url)), None).await;
    fixture.append(&user(), &[registered()]).await;
    let work = fixture.work().await;
    let interrupt = async {
        let connection = silent.accept().await.unwrap();
        fixture.notification.interrupt();
        connection
    };
    let (performed, _connection) = tokio::join!(fixture.notification.perform(&work), interrupt);
    assert_eq!(performed.unwrap_err().to_string(), "this server stops");
}

#[tokio::test]
async fn a_recipient_is_looked_up_once_for_all_their_mails_of_a_delivery() {
    let fixture = Fixture::new().await;
    fixture.append(&user(), &[registered()]).await;
    for n in 0..5 {
        fixture.append(&format!("order-{n}"), &[confirmed()]).await;
    }
    fixture.perform().await;
    assert_eq!(fixture.subjects().await.len(), 6);
    assert_eq!(fixture.addresses.count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_recipient_who_stops_mails_or_is_erased_within_a_delivery_gets_no_more() {
    let fixture = Fixture::new().await;
    fixture.append(&user(), &[registered()]).await;
    fixture.append("order-1", &[confirmed()]).await;
    let stopped = InboxEvent::from(MailsStopped {}).into_domain();
    fixture
        .append(&format!("inbox-{}", customer(1).id), &[stopped])
        .await;
    fixture.append("order-2", &[confirmed()]).await;
    fixture.perform().await;
    assert_eq!(fixture.subjects().await, ["Welcome", "Your order is confirmed"]);
    let erased = UserEvent::from(UserErased {}).into_domain();
    fixture.append(&user(), &[erased]).await;
    fixture.perform().await;
    assert!(fixture.subjects().await.is_empty());
}

/// An email that is for a link says nothing without it; the welcome does.
#[tokio::test]
async fn an_email_that_is_for_a_link_is_not_written_without_it() {
    let fixture = Fixture::new().await;
    let requested = UserEvent::from(PasswordResetRequested {}).into_domain();
    fixture.append(&user(), &[registered(), requested]).await;
    fixture.perform().await;
    assert_eq!(fixture.subjects().await, ["Welcome"]);
}
