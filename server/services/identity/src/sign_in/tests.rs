//! What a sign-in costs and finds, with real stores.

use std::sync::Arc;

use clock::{Clock as _, SharedClock, SystemClock};
use domain::{
    access::{Actor, Role},
    aggregate::{
        email::EmailReleased,
        user::{UserEvent, UserRegistered},
    },
    event::Metadata,
    language::Language,
    wire::Template,
};
use event_store::{Append, EventStore, Expected, NewEvent, SqliteEventStore, StreamAppend, Workspace};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{SqlitePeople, passwords::HashCost};

const EMAIL: &str = "ada@example.org";
const RIGHT: &str = "correct horse";
const WRONG: &str = "battery staple";

struct Accounts {
    people: People,
    rows: Arc<SqlitePeople>,
    events: Arc<dyn EventStore>,
    _folder: TempDir,
}

/// A person who has registered.
struct Registered {
    of: PersonId,
    command: Uuid,
}

fn password(text: &str) -> Password {
    Password::from(text.to_owned())
}

impl Accounts {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let [log, people] = ["events.db", "people.db"].map(|file| folder.path().join(file));
        let events = SqliteEventStore::open(&log, Arc::clone(&clock), None);
        let events: Arc<dyn EventStore> = Arc::new(events.await.unwrap());
        let rows = SqlitePeople::open(&people);
        let rows = Arc::new(rows.await.unwrap());
        let people = People::new(
            Arc::clone(&rows) as _,
            Arc::clone(&events),
            folder.path(),
            HashCost::Least,
            clock,
        );
        Self {
            people: people.unwrap(),
            rows,
            events,
            _folder: folder,
        }
    }

    async fn workspace(&self) -> WorkspaceId {
        let id = WorkspaceId(SystemClock.new_id());
        let workspace = Workspace {
            id,
            name: "A class".to_owned(),
            template: Template::Empty,
            shards: 1,
            join_code: event_store::new_join_code(),
            created_at: SystemClock.now(),
        };
        assert!(self.events.create_workspace(&workspace).await.unwrap());
        id
    }

    /// Registers an account in a new workspace, as the command service does.
    async fn register(&self, email: &str, password_text: &str) -> Registered {
        let of = PersonId {
            workspace: self.workspace().await,
            person: SystemClock.new_id(),
        };
        let command = SystemClock.new_id();
        let secret = password(password_text);
        let people = &self.people;
        people
            .registering(of, command, email, Some(&secret), None)
            .await
            .unwrap();
        let registered = UserEvent::from(UserRegistered {
            email: email.to_owned(),
            display_name: "Ada".to_owned(),
            role: Role::Customer,
            language: Language::En,
        });
        let reserved = EmailEvent::from(EmailReserved { user: of.person });
        let user = StreamName::new("user", of.person).unwrap();
        self.append(of, command, user, &registered.into_domain()).await;
        let reservation = people.reservation(of.workspace, email).await.unwrap().unwrap();
        self.append(of, SystemClock.new_id(), reservation, &reserved.into_domain())
            .await;
        people.registered(of, Some(email)).await;
        Registered { of, command }
    }

    /// The person gives the email up.
    async fn release(&self, of: PersonId, email: &str) {
        let released = EmailEvent::from(EmailReleased { user: of.person });
        let reservation = self
            .people
            .reservation(of.workspace, email)
            .await
            .unwrap()
            .unwrap();
        self.append(of, SystemClock.new_id(), reservation, &released.into_domain())
            .await;
    }

    async fn append(&self, of: PersonId, command: Uuid, stream: StreamName, event: &DomainEvent) {
        let actor = Actor {
            id: of.person,
            role: Role::Customer,
            name: "Ada".to_owned(),
        };
        let stream = StreamAppend {
            stream,
            expected: Expected::Any,
            events: vec![NewEvent {
                event_id: SystemClock.new_id(),
                event_type: event.event_type().name.to_owned(),
                schema_version: event.event_type().schema_version,
                payload: event.encode().unwrap(),
            }],
        };
        let append = Append {
            workspace: of.workspace,
            body_digest: [0; 32],
            streams: vec![stream],
            max_events: None,
            metadata: Metadata {
                correlation_id: command,
                causation_id: None,
                command_id: command,
                actor: actor.reference(),
                traceparent: None,
            },
        };
        self.events.append(append).await.unwrap();
    }

    /// Gives a password the hash that an earlier version stored, with a salt of its own.
    async fn salt_as_before(&self, registered: &Registered, text: &str) {
        let hash = self
            .people
            .passwords
            .hash(&password(text), [9; 16])
            .await
            .unwrap();
        let updated = sqlx::query("update credentials set hash = ?1, email_salt = 0 where command_id = ?2")
            .bind(hash)
            .bind(registered.command)
            .execute(&self.rows.pool)
            .await
            .unwrap();
        assert_eq!(updated.rows_affected(), 1);
    }

    /// The outcome of a sign-in, and how many hashes it took.
    async fn sign_in(
        &self,
        email: &str,
        text: &str,
        workspace: Option<WorkspaceId>,
    ) -> (Result<Uuid, SignInError>, u64) {
        let before = self.people.password_hashes();
        let signed_in = self.people.sign_in(email, &password(text), workspace).await;
        let hashes = self.people.password_hashes() - before;
        (signed_in.map(|session| session.account.of.person), hashes)
    }

    async fn logins(&self, email: &str) -> Vec<PersonId> {
        let login = self.people.login(email).unwrap();
        self.people.store.logins(&login, None, 100).await.unwrap()
    }
}

#[tokio::test]
async fn without_a_workspace_a_sign_in_takes_one_hash_whatever_accounts_there_are() {
    let accounts = Accounts::open().await;
    for _ in 0..6 {
        accounts.register(EMAIL, "of a stranger").await;
    }
    let owner = accounts.register(EMAIL, RIGHT).await;
    for _ in 0..6 {
        accounts.register(EMAIL, "of a stranger").await;
    }
    let (found, hashes) = accounts.sign_in(EMAIL, RIGHT, None).await;
    assert_eq!((found.unwrap(), hashes), (owner.of.person, 1));
    for (email, text) in [(EMAIL, WRONG), ("eve@example.org", RIGHT)] {
        let (refused, hashes) = accounts.sign_in(email, text, None).await;
        assert!(matches!(refused, Err(SignInError::WrongCredentials)), "{email}");
        assert_eq!(hashes, 1, "{email}");
    }
}

#[tokio::test]
async fn in_a_workspace_a_sign_in_takes_one_hash_whether_there_is_an_account_or_not() {
    let accounts = Accounts::open().await;
    let owner = accounts.register(EMAIL, RIGHT).await;
    let here = Some(owner.of.workspace);
    let elsewhere = Some(accounts.workspace().await);
    for (email, text, workspace, expected) in [
        (EMAIL, RIGHT, here, Some(owner.of.person)),
        (EMAIL, WRONG, here, None),
        ("eve@example.org", RIGHT, here, None),
        (EMAIL, RIGHT, elsewhere, None),
    ] {
        let (outcome, hashes) = accounts.sign_in(email, text, workspace).await;
        assert_eq!((outcome.ok(), hashes), (expected, 1), "{email} {text}");
    }
}

#[tokio::test]
async fn several_accounts_with_one_password_are_told_and_a_released_one_does_not_count() {
    let accounts = Accounts::open().await;
    let first = accounts.register(EMAIL, RIGHT).await;
    let second = accounts.register(EMAIL, RIGHT).await;
    let (several, hashes) = accounts.sign_in(EMAIL, RIGHT, None).await;
    assert!(matches!(several, Err(SignInError::SeveralWorkspaces)));
    assert_eq!(hashes, 1);
    accounts.release(first.of, EMAIL).await;
    let (found, _) = accounts.sign_in(EMAIL, RIGHT, None).await;
    assert_eq!(found.unwrap(), second.of.person);
}

#[tokio::test]
async fn hashes_of_an_earlier_version_are_found_at_a_cost_that_does_not_depend_on_the_email() {
    let accounts = Accounts::open().await;
    // These would fill the tries, if what was released counted.
    for _ in 0..6 {
        let left = accounts.register(EMAIL, WRONG).await;
        accounts.salt_as_before(&left, WRONG).await;
        accounts.release(left.of, EMAIL).await;
    }
    let owner = accounts.register(EMAIL, RIGHT).await;
    accounts.salt_as_before(&owner, RIGHT).await;
    let tries = 1 + u64::try_from(OWN_SALTS).unwrap();
    for (email, text) in [(EMAIL, "neither of them"), ("eve@example.org", RIGHT)] {
        let (refused, hashes) = accounts.sign_in(email, text, None).await;
        assert!(matches!(refused, Err(SignInError::WrongCredentials)), "{email}");
        assert_eq!(hashes, tries, "{email}");
    }
    assert_eq!(
        accounts.logins(EMAIL).await,
        [owner.of],
        "what was released is deleted"
    );
    // The first sign-in gives the account a hash that the next one finds at once.
    for _ in 0..2 {
        let (found, _) = accounts.sign_in(EMAIL, RIGHT, None).await;
        assert_eq!(found.unwrap(), owner.of.person);
    }
    let stored = accounts
        .people
        .store
        .credentials(owner.of, owner.command)
        .await
        .unwrap();
    let expected = accounts.people.hash_for(EMAIL, &password(RIGHT)).await.unwrap();
    assert_eq!(stored, Some(expected));
}

#[tokio::test]
async fn a_login_without_its_reservation_is_deleted_and_that_of_an_account_stays() {
    let accounts = Accounts::open().await;
    let owner = accounts.register(EMAIL, RIGHT).await;
    let unfinished = PersonId {
        workspace: owner.of.workspace,
        person: SystemClock.new_id(),
    };
    let command = SystemClock.new_id();
    let people = &accounts.people;
    people
        .registering(unfinished, command, EMAIL, Some(&password(WRONG)), None)
        .await
        .unwrap();
    // A repeated registration of the account itself is refused too.
    for of in [unfinished, owner.of] {
        people.not_registered(of, Some(command), Some(EMAIL)).await;
    }
    assert_eq!(accounts.logins(EMAIL).await, [owner.of]);
    assert_eq!(people.holders(EMAIL, 10).await.unwrap(), [owner.of]);
}

#[tokio::test]
async fn a_new_email_signs_in_without_a_workspace_and_the_old_login_is_deleted() {
    let accounts = Accounts::open().await;
    let owner = accounts.register(EMAIL, RIGHT).await;
    let new = "countess@example.org";
    let people = &accounts.people;
    people.changing_email(owner.of, new).await.unwrap();
    accounts.release(owner.of, EMAIL).await;
    let reservation = people
        .reservation(owner.of.workspace, new)
        .await
        .unwrap()
        .unwrap();
    let reserved = EmailEvent::from(EmailReserved {
        user: owner.of.person,
    });
    accounts
        .append(
            owner.of,
            SystemClock.new_id(),
            reservation,
            &reserved.into_domain(),
        )
        .await;
    people.email_changed(owner.of, new, Some(&password(RIGHT))).await;
    let (found, hashes) = accounts.sign_in(new, RIGHT, None).await;
    assert_eq!((found.unwrap(), hashes), (owner.of.person, 1));
    let (former, _) = accounts.sign_in(EMAIL, RIGHT, None).await;
    assert!(former.is_err());
    assert_eq!(
        (accounts.logins(EMAIL).await, accounts.logins(new).await),
        (vec![], vec![owner.of])
    );
}
