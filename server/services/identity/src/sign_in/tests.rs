//! What a sign-in costs and finds, with real stores.

use std::sync::Arc;

use clock::{Clock as _, SharedClock, SystemClock};
use domain::{
    access::{Actor, Role},
    aggregate::{
        email::EmailReleased,
        user::{EmailConfirmed, UserEvent, UserRegistered},
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

    /// The person has followed the link of an email.
    async fn confirm(&self, of: PersonId) {
        let confirmed = UserEvent::from(EmailConfirmed {});
        let user = StreamName::new("user", of.person).unwrap();
        self.append(of, SystemClock.new_id(), user, &confirmed.into_domain())
            .await;
    }

    /// Strangers register the email in workspaces of their own, and confirm it there or do not.
    async fn claim(&self, count: usize, are_confirmed: bool) {
        for _ in 0..count {
            let claim = self.register(EMAIL, "of a stranger").await;
            if are_confirmed {
                self.confirm(claim.of).await;
            }
        }
    }

    /// Whether one of so many requests for a new password is about an account.
    async fn is_reset(&self, of: PersonId, requests: usize) -> bool {
        for _ in 0..requests {
            let reset = self.people.accounts_to_reset(EMAIL, None).await.unwrap();
            if reset.contains(&of) {
                return true;
            }
        }
        false
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
        let (before, secret) = (self.people.password_hashes(), password(text));
        let signed_in = if let Some(workspace) = workspace {
            self.people.sign_in(email, &secret, workspace).await
        } else {
            let matching = self.people.matching_accounts(email, &secret).await.unwrap();
            self.people.begin_last_used(matching.accounts).await
        };
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
async fn of_several_accounts_with_one_password_it_is_the_last_used_and_a_released_one_does_not_count() {
    let accounts = Accounts::open().await;
    let first = accounts.register(EMAIL, RIGHT).await;
    let second = accounts.register(EMAIL, RIGHT).await;
    let (youngest, hashes) = accounts.sign_in(EMAIL, RIGHT, None).await;
    assert_eq!((youngest.unwrap(), hashes), (second.of.person, 1));
    let named = accounts.sign_in(EMAIL, RIGHT, Some(first.of.workspace)).await;
    assert_eq!(named.0.unwrap(), first.of.person);
    for _ in 0..2 {
        let (last_used, _) = accounts.sign_in(EMAIL, RIGHT, None).await;
        assert_eq!(last_used.unwrap(), first.of.person);
    }
    accounts.release(first.of, EMAIL).await;
    let (found, _) = accounts.sign_in(EMAIL, RIGHT, None).await;
    assert_eq!(found.unwrap(), second.of.person);
}

#[tokio::test]
async fn the_digest_of_a_password_is_that_of_the_same_email_and_password_only() {
    let accounts = Accounts::open().await;
    let digest = async |email: &str, text: &str| {
        let matching = accounts.people.matching_accounts(email, &password(text)).await;
        matching.unwrap().password_digest
    };
    let right = digest(EMAIL, RIGHT).await;
    assert_eq!(digest(EMAIL, RIGHT).await, right);
    assert_ne!(digest(EMAIL, WRONG).await, right);
    assert_ne!(digest("eve@example.org", RIGHT).await, right);
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
async fn no_number_of_older_and_younger_claims_takes_the_link_from_a_confirmed_account() {
    let accounts = Accounts::open().await;
    accounts.claim(66, false).await;
    let owner = accounts.register(EMAIL, RIGHT).await;
    accounts.confirm(owner.of).await;
    accounts.claim(66, false).await;
    for _ in 0..4 {
        assert!(accounts.is_reset(owner.of, 1).await);
    }
}

#[tokio::test]
async fn claims_of_the_same_kind_delay_the_owners_link_by_one_request_at_most() {
    for (are_claims_confirmed, is_owner_confirmed) in [(true, true), (true, false), (false, false)] {
        let accounts = Accounts::open().await;
        accounts.claim(35, are_claims_confirmed).await;
        let owner = accounts.register(EMAIL, RIGHT).await;
        if is_owner_confirmed {
            accounts.confirm(owner.of).await;
        }
        accounts.claim(15, are_claims_confirmed).await;
        assert!(accounts.is_reset(owner.of, 1).await, "51 accounts have room");
        accounts.claim(50, are_claims_confirmed).await;
        for _ in 0..4 {
            assert!(accounts.is_reset(owner.of, 2).await);
        }
    }
}

#[tokio::test]
async fn a_request_that_names_a_workspace_is_about_the_account_there() {
    let accounts = Accounts::open().await;
    let owner = accounts.register(EMAIL, RIGHT).await;
    accounts.claim(3, true).await;
    let named = accounts.people.accounts_to_reset(EMAIL, Some(owner.of.workspace));
    assert_eq!(named.await.unwrap(), [owner.of]);
    let elsewhere = accounts.workspace().await;
    let none = accounts.people.accounts_to_reset(EMAIL, Some(elsewhere));
    assert!(none.await.unwrap().is_empty());
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
