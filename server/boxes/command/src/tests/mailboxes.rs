//! A mailbox has one account, however its address is written, also beside the accounts of earlier versions.

use std::sync::Arc;

use domain::{
    access::{Actor, Role},
    aggregate::{
        email::{EmailEvent, EmailReserved},
        user::{Password, UserEvent, UserRegistered},
    },
    event::{DomainEvent, EventPayload as _, Metadata},
    id::{StreamName, WorkspaceId},
    language::Language,
    wire::{CommandAnswer, Template},
};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use super::read;
use crate::{CommandFailure, CommandService};
use clock::{Clock as _, SharedClock, SystemClock};
use event_store::{Append, EventStore, Expected, NewEvent, SqliteEventStore, StreamAppend, Workspace};
use identity::{People, PersonId, SqlitePeople, passwords::HashCost, sessions::SignInError};

const PASSWORD: &str = "correct horse";

/// One address in letters, in Punycode, and decomposed.
const SPELLINGS: [&str; 3] = [
    "zo\u{eb}@m\u{fc}ller.example",
    "Zo\u{eb}@xn--mller-kva.example",
    "zoe\u{308}@mu\u{308}ller.example",
];

struct Accounts {
    store: Arc<dyn EventStore>,
    people: Arc<People>,
    commands: CommandService,
    workspace: WorkspaceId,
    _folder: TempDir,
}

fn person(role: Role) -> Actor {
    Actor {
        id: SystemClock.new_id(),
        role,
        name: "A person".to_owned(),
    }
}

impl Accounts {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let path = folder.path().join("events.db");
        let store = SqliteEventStore::open(&path, Arc::clone(&clock), None)
            .await
            .unwrap();
        let store: Arc<dyn EventStore> = Arc::new(store);
        let workspace = Workspace {
            id: WorkspaceId(clock.new_id()),
            name: "A class".to_owned(),
            template: Template::Empty,
            shards: 1,
            join_code: "apple-43".to_owned(),
            created_at: clock.now(),
        };
        assert!(store.create_workspace(&workspace).await.unwrap());
        let rows = SqlitePeople::open(&folder.path().join("people.db"))
            .await
            .unwrap();
        let people = People::new(
            Arc::new(rows),
            Arc::clone(&store),
            folder.path(),
            HashCost::Least,
            Arc::clone(&clock),
        );
        let people = Arc::new(people.unwrap());
        let commands = CommandService::new(Arc::clone(&store), clock).with_people(Arc::clone(&people));
        Self {
            store,
            people,
            commands,
            workspace: workspace.id,
            _folder: folder,
        }
    }

    async fn send(
        &self,
        actor: &Actor,
        command: &str,
        user: Uuid,
        data: serde_json::Value,
    ) -> Result<CommandAnswer, CommandFailure> {
        let request = read(json!({"type": command, "stream": format!("user-{user}"), "data": data}));
        self.commands
            .handle(self.workspace, actor, &request, None, None)
            .await
    }

    async fn register(&self, actor: &Actor, email: &str) -> Result<CommandAnswer, CommandFailure> {
        let data = json!({"email": email, "display_name": "Zo\u{eb}", "password": PASSWORD});
        self.send(actor, "RegisterUser", actor.id, data).await
    }

    async fn is_taken(&self, email: &str) -> bool {
        match self.register(&person(Role::Customer), email).await {
            Err(CommandFailure::Rejected(rejection)) => rejection.rule == "email-taken",
            _ => false,
        }
    }

    async fn signed_in(&self, email: &str) -> Option<Uuid> {
        let password = Password::from(PASSWORD.to_owned());
        let signed_in = self.people.sign_in(email, &password, self.workspace).await;
        match signed_in {
            Ok(session) => Some(session.account.of.person),
            Err(SignInError::WrongCredentials) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// An account as an earlier version made it: its address is what was typed, in lower case.
    async fn register_as_before(&self, user: Uuid, spelling: &str) {
        let (of, command) = (
            PersonId {
                workspace: self.workspace,
                person: user,
            },
            SystemClock.new_id(),
        );
        let password = Password::from(PASSWORD.to_owned());
        let people = &self.people;
        people
            .registering(of, command, spelling, Some(&password), None)
            .await
            .unwrap();
        let former = people
            .former_reservations(self.workspace, spelling)
            .await
            .unwrap();
        let registered = UserEvent::from(UserRegistered {
            email: spelling.to_owned(),
            display_name: "Zo\u{eb}".to_owned(),
            role: Role::Customer,
            language: Language::En,
        });
        let append = |stream: StreamName, event: &DomainEvent| StreamAppend {
            stream,
            expected: Expected::NoStream,
            events: vec![NewEvent {
                event_id: SystemClock.new_id(),
                event_type: event.event_type().name.to_owned(),
                schema_version: event.event_type().schema_version,
                payload: event.encode().unwrap(),
            }],
        };
        let reserved = EmailEvent::from(EmailReserved { user });
        let append = Append {
            workspace: self.workspace,
            body_digest: [0; 32],
            streams: vec![
                append(StreamName::new("user", user).unwrap(), &registered.into_domain()),
                append(former[0].clone(), &reserved.into_domain()),
            ],
            max_events: None,
            metadata: Metadata {
                correlation_id: command,
                causation_id: None,
                command_id: command,
                actor: person(Role::Customer).reference(),
                traceparent: None,
            },
        };
        self.store.append(append).await.unwrap();
    }
}

#[tokio::test]
async fn a_mailbox_has_one_account_in_all_spellings() {
    for first in SPELLINGS {
        let accounts = Accounts::open().await;
        let zoe = person(Role::Customer);
        accounts.register(&zoe, first).await.unwrap();
        for other in SPELLINGS {
            assert!(accounts.is_taken(other).await, "{first} {other}");
            assert_eq!(accounts.signed_in(other).await, Some(zoe.id), "{first} {other}");
        }
    }
}

#[tokio::test]
async fn an_account_of_an_earlier_version_is_found_and_its_mailbox_is_taken_until_it_is_erased() {
    for before in [SPELLINGS[0], SPELLINGS[2]] {
        let accounts = Accounts::open().await;
        let zoe = person(Role::Customer);
        accounts.register_as_before(zoe.id, before).await;
        for other in SPELLINGS {
            assert!(accounts.is_taken(other).await, "{before} {other}");
            assert_eq!(accounts.signed_in(other).await, Some(zoe.id), "{before} {other}");
        }
        let educator = person(Role::Educator);
        let erased = accounts.send(&educator, "EraseUser", zoe.id, json!({})).await;
        erased.unwrap();
        let next = person(Role::Customer);
        accounts.register(&next, before).await.unwrap();
        assert_eq!(accounts.signed_in(before).await, Some(next.id));
    }
}

#[tokio::test]
async fn two_accounts_that_an_earlier_version_made_for_one_mailbox_are_both_reached() {
    let accounts = Accounts::open().await;
    let [one, other] = [1, 2].map(Uuid::from_u128);
    accounts.register_as_before(one, SPELLINGS[0]).await;
    accounts.register_as_before(other, SPELLINGS[2]).await;
    assert_eq!(accounts.signed_in(SPELLINGS[0]).await, Some(one));
    assert_eq!(accounts.signed_in(SPELLINGS[2]).await, Some(other));
    assert!(accounts.signed_in(SPELLINGS[1]).await.is_some());
}
