//! Mails over a real log and a real folder: each once, to users who have an address and want mails, and
//! deleted when their user is erased.

use std::{path::PathBuf, sync::Arc};

use domain::{
    access::{Actor, Role},
    aggregate::{
        inbox::{InboxEvent, MailsStopped},
        user::{
            EmailChanged, EmailConfirmationRequested, EmailConfirmed, LanguageChanged, PasswordChanged,
            PasswordResetRequested, UserErased, UserEvent, UserRegistered,
        },
    },
    event::EventPayload as _,
    language::Language,
    timestamp::Timestamp,
    wire::MailboxMessage,
};

use super::consumers_with;
use ::mail::{
    Dependencies, Links, Notification, StreamAddresses, Transport,
    mailbox::{self, Mailbox},
};
use async_trait::async_trait;
use clock::SystemClock;
use documents::sqlite::SqliteDocumentStore;
use domain::id::WorkspaceId;
use query::settled::SettleRequest;
use test_support::plaintext_opener::PlaintextOpener;
use uuid::Uuid;

use crate::{
    consumers::Consumers,
    read_side::testing::{Shop, TEST_TIMEOUT, cancelled, confirmed, created, customer},
};

#[derive(Debug)]
struct TestLinks;

#[async_trait]
impl Links for TestLinks {
    async fn unsubscribe(&self, _: WorkspaceId, user: Uuid) -> Option<String> {
        Some(format!("https://shop.test/unsubscribe?token={user}"))
    }

    async fn confirm_email(&self, _: WorkspaceId, _: Uuid, email: &str, _: Timestamp) -> Option<String> {
        let (mailbox, _) = email.split_once('@')?;
        Some(format!("https://shop.test/confirm-email?token={mailbox}"))
    }

    async fn reset_password(&self, _: WorkspaceId, _: Uuid, request: Uuid) -> Option<String> {
        Some(format!("https://shop.test/reset-password?token={request}"))
    }
}

fn mailbox(shop: &Shop) -> Mailbox {
    Mailbox::new(shop.folder.path().join("mailbox"))
}

async fn running(shop: &Shop) -> Arc<Consumers> {
    let process_store = SqliteDocumentStore::open(&shop.folder.path().join("consumers.db"))
        .await
        .unwrap();
    let notification = Notification::new(Dependencies {
        transport: Transport::Mailbox(Arc::new(mailbox(shop))),
        mailbox: mailbox(shop),
        from: "Shop <shop@shop.test>".parse().unwrap(),
        addresses: Arc::new(StreamAddresses {
            store: shop.store.clone(),
            opener: Arc::new(PlaintextOpener),
        }),
        links: Arc::new(TestLinks),
        process_store: Arc::new(process_store),
        single_server: true,
        per_hour: None,
        clock: Arc::new(SystemClock),
    });
    consumers_with(shop, "consumers.db", vec![Arc::new(notification)]).await
}

async fn settled(shop: &Shop) {
    let settle = SettleRequest {
        timeout: TEST_TIMEOUT,
        ..SettleRequest::default()
    };
    shop.read
        .settlement
        .settled(shop.workspace, &settle)
        .await
        .unwrap();
}

async fn register(shop: &Shop, person: &Actor) {
    register_in(Language::En, shop, person).await;
}

async fn register_in(language: Language, shop: &Shop, person: &Actor) {
    let registered = UserRegistered {
        email: format!("{}@post.test", person.id),
        display_name: "Ada <b>".to_owned(),
        role: Role::Customer,
        language,
    };
    let registered = UserEvent::from(registered).into_domain();
    // Only a confirmed address is greeted by name.
    let confirmed = UserEvent::from(EmailConfirmed {}).into_domain();
    shop.append(&format!("user-{}", person.id), &[registered, confirmed])
        .await;
    // An order of theirs may lie on another partition, and a user without an address gets no mail.
    settled(shop).await;
}

async fn mails(shop: &Shop, user: Option<Uuid>) -> Vec<MailboxMessage> {
    let page = mailbox::Page {
        user,
        before: None,
        limit: 100,
    };
    mailbox(shop).list(shop.workspace, page).await.unwrap().0
}

fn files(shop: &Shop) -> Vec<PathBuf> {
    let folder = shop
        .folder
        .path()
        .join("mailbox")
        .join(shop.workspace.to_string());
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mail_is_written_once_to_the_user_concerned() {
    let shop = Shop::open(2).await;
    let ada = customer(1);
    let consumers = running(&shop).await;
    register(&shop, &ada).await;
    shop.append("order-7", &[created(&ada), confirmed(), cancelled()])
        .await;
    settled(&shop).await;
    let mails_of_ada = mails(&shop, Some(ada.id)).await;
    let about = |subject: &str| {
        let found: Vec<_> = mails_of_ada
            .iter()
            .filter(|mail| mail.subject == subject)
            .collect();
        assert_eq!(found.len(), 1, "{subject}");
        found[0]
    };
    assert_eq!(mails_of_ada.len(), 3);
    about("Welcome");
    assert!(about("Your order is cancelled").text.contains("changed my mind"));
    let confirmation = about("Your order is confirmed");
    assert!(
        confirmation.text.contains("1 × Mug: 9.00 EUR"),
        "{}",
        confirmation.text
    );
    assert!(
        confirmation.html.contains("Ada &lt;b&gt;"),
        "{}",
        confirmation.html
    );
    assert!(mails(&shop, Some(customer(2).id)).await.is_empty());
    let before: Vec<_> = files(&shop)
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    let text = String::from_utf8(before[0].clone()).unwrap();
    assert!(
        text.contains("List-Unsubscribe: <https://shop.test/unsubscribe?token="),
        "{text}"
    );
    // Every event is delivered again to a consumer that has lost its store.
    consumers.stop().await;
    std::fs::remove_file(shop.folder.path().join("consumers.db")).unwrap();
    let shop = shop.restart().await;
    let consumers = running(&shop).await;
    settled(&shop).await;
    let after: Vec<_> = files(&shop)
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert_eq!(after, before, "the same mails, to the byte");
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_is_in_the_language_of_its_recipient() {
    let shop = Shop::open(1).await;
    let ada = customer(1);
    let consumers = running(&shop).await;
    // Given a person who reads German,
    register_in(Language::De, &shop, &ada).await;
    // when an order of theirs is confirmed, and another once they read Arabic,
    shop.append("order-1", &[created(&ada), confirmed()]).await;
    settled(&shop).await;
    let changed = LanguageChanged {
        language: Language::Ar,
    };
    shop.append(
        &format!("user-{}", ada.id),
        &[UserEvent::from(changed).into_domain()],
    )
    .await;
    settled(&shop).await;
    shop.append("order-2", &[created(&ada), confirmed()]).await;
    settled(&shop).await;
    // then each email is in the language of its time.
    let mails = mails(&shop, Some(ada.id)).await;
    let [arabic, german, welcome] = mails.as_slice() else {
        panic!("three emails: {mails:?}");
    };
    assert_eq!(
        (welcome.subject.as_str(), welcome.language),
        ("Willkommen", Language::De)
    );
    assert_eq!(
        (german.subject.as_str(), german.language),
        ("Ihre Bestellung ist bestätigt", Language::De)
    );
    for part in ["Guten Tag Ada <b>,", "1 × Mug: 9,00 EUR", "Keine E-Mails mehr"] {
        assert!(german.text.contains(part), "{}", german.text);
    }
    assert!(
        german.html.contains("<html lang=\"de\" dir=\"ltr\">"),
        "{}",
        german.html
    );
    assert_eq!(
        (arabic.subject.as_str(), arabic.language),
        ("تم تأكيد طلبك", Language::Ar)
    );
    assert!(
        arabic.text.contains("\u{2068}2\u{2069}") && arabic.text.contains("\u{2068}9.00 EUR\u{2069}"),
        "the order and the amount are isolated: {}",
        arabic.text
    );
    assert!(
        arabic.html.contains("<html lang=\"ar\" dir=\"rtl\">"),
        "{}",
        arabic.html
    );
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_and_users_who_stopped_mails_get_none_and_erased_users_keep_none() {
    let shop = Shop::open(1).await;
    let ada = customer(1);
    let consumers = running(&shop).await;
    shop.append("order-1", &[created(&ada), confirmed()]).await;
    settled(&shop).await;
    assert!(mails(&shop, None).await.is_empty(), "a guest has no address");
    register(&shop, &ada).await;
    shop.append(
        &format!("inbox-{}", ada.id),
        &[InboxEvent::from(MailsStopped {}).into_domain()],
    )
    .await;
    shop.append("order-2", &[created(&ada), confirmed()]).await;
    settled(&shop).await;
    let subjects: Vec<_> = mails(&shop, None)
        .await
        .into_iter()
        .map(|mail| mail.subject)
        .collect();
    assert_eq!(subjects, ["Welcome"]);
    shop.append(
        &format!("user-{}", ada.id),
        &[UserEvent::from(UserErased {}).into_domain()],
    )
    .await;
    settled(&shop).await;
    assert!(files(&shop).is_empty());
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_address_is_told_once_that_the_email_was_changed() {
    let shop = Shop::open(1).await;
    let ada = customer(1);
    let stream = format!("user-{}", ada.id);
    let consumers = running(&shop).await;
    register(&shop, &ada).await;
    let wants_none = InboxEvent::from(MailsStopped {}).into_domain();
    shop.append(&format!("inbox-{}", ada.id), &[wants_none]).await;
    let old = format!("{}@post.test", ada.id);
    for email in ["countess@post.test", "countess@post.test", "lovelace@post.test"] {
        let changed = EmailChanged {
            email: email.to_owned(),
        };
        shop.append(&stream, &[UserEvent::from(changed).into_domain()])
            .await;
    }
    settled(&shop).await;
    let notifications: Vec<_> = mails(&shop, Some(ada.id))
        .await
        .into_iter()
        .filter(|mail| mail.subject == "The email of your account was changed")
        .collect();
    // The newest first; setting the same email again is no change.
    let [second, first] = notifications.as_slice() else {
        panic!("two mails: {notifications:?}");
    };
    assert!(first.to.contains(&old), "{first:?}");
    assert!(second.to.contains("countess@post.test"), "{second:?}");
    for mail in [first, second] {
        assert_eq!(mail.subject, "The email of your account was changed");
        assert!(
            !mail.text.contains('@') && !mail.text.contains("Stop emails"),
            "{}",
            mail.text
        );
    }
    // Delivered again to a server that has lost its store, after the user was erased.
    let erased = UserEvent::from(UserErased {}).into_domain();
    shop.append(&stream, &[erased]).await;
    settled(&shop).await;
    consumers.stop().await;
    std::fs::remove_file(shop.folder.path().join("consumers.db")).unwrap();
    let shop = shop.restart().await;
    let consumers = running(&shop).await;
    settled(&shop).await;
    assert!(files(&shop).is_empty());
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_about_the_account_have_their_links_and_reach_those_who_stopped_mails_once() {
    let shop = Shop::open(1).await;
    let ada = customer(1);
    let stream = format!("user-{}", ada.id);
    let consumers = running(&shop).await;
    register(&shop, &ada).await;
    let wants_none = InboxEvent::from(MailsStopped {}).into_domain();
    shop.append(&format!("inbox-{}", ada.id), &[wants_none]).await;
    let changed = EmailChanged {
        email: "countess@post.test".to_owned(),
    };
    let events: [UserEvent; 4] = [
        EmailConfirmationRequested {}.into(),
        PasswordResetRequested {}.into(),
        PasswordChanged {}.into(),
        changed.into(),
    ];
    for event in events {
        shop.append(&stream, &[event.into_domain()]).await;
        // An email goes to the address of the time when it is written.
        settled(&shop).await;
    }
    let all = mails(&shop, Some(ada.id)).await;
    let said: Vec<_> = all.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(
        said,
        [
            "Confirm your email address",
            "The email of your account was changed",
            "Your password was changed",
            "Set a new password",
            "Confirm your email address",
            "Welcome",
        ]
    );
    let has = |n: usize, link: &str, to: &str| {
        let mail = &all[n];
        assert!(mail.to.contains(to), "{mail:?}");
        assert!(mail.text.contains(&format!("\n{link}")), "{}", mail.text);
        // The template writes a slash in an attribute as a reference.
        let html = mail.html.replace("&#x2F;", "/");
        assert!(html.contains(&format!("href=\"{link}")), "{html}");
    };
    // The confirmation of a new address goes to the new one.
    let old = format!("{}@post.test", ada.id);
    has(
        0,
        "https://shop.test/confirm-email?token=countess",
        "countess@post.test",
    );
    has(3, "https://shop.test/reset-password?token=", &old);
    for n in [4, 5] {
        has(
            n,
            &format!("https://shop.test/confirm-email?token={}", ada.id),
            &old,
        );
    }
    let before: Vec<_> = files(&shop)
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    // Every event is delivered again to a consumer that has lost its store.
    consumers.stop().await;
    std::fs::remove_file(shop.folder.path().join("consumers.db")).unwrap();
    let shop = shop.restart().await;
    let consumers = running(&shop).await;
    settled(&shop).await;
    let after: Vec<_> = files(&shop)
        .into_iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    assert_eq!(after, before, "the same mails, to the byte");
    consumers.stop().await;
}
