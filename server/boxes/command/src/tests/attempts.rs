//! Attempts that share a command: a repetition is recognised by a keyed digest, and a refused attempt takes
//! nothing back that another one may need.

use std::sync::Arc;

use domain::{
    access::{Actor, Role},
    aggregate::user::Password,
    id::WorkspaceId,
    wire::{CommandRequest, Template},
};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use super::read;
use crate::{CommandFailure, CommandService, Intent};
use clock::{Clock as _, SharedClock, SystemClock};
use event_store::{EventStore, SqliteEventStore, Workspace};
use identity::{People, PersonId, SqlitePeople, passwords::HashCost};

const KEY: &str = "an-idempotency-key";

/// A workspace with a people service, and a guest in it.
struct Class {
    store: Arc<dyn EventStore>,
    people: Arc<People>,
    commands: CommandService,
    workspace: WorkspaceId,
    guest: Actor,
    _folder: TempDir,
}

impl Class {
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
            join_code: "apple-44".to_owned(),
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
        Self {
            commands: CommandService::new(Arc::clone(&store), clock).with_people(Arc::clone(&people)),
            store,
            people,
            workspace: workspace.id,
            guest: Actor {
                id: SystemClock.new_id(),
                role: Role::Customer,
                name: "Ada".to_owned(),
            },
            _folder: folder,
        }
    }

    fn of_guest(&self) -> PersonId {
        PersonId {
            workspace: self.workspace,
            person: self.guest.id,
        }
    }

    /// The guest's registration, of a stream at this version.
    fn registration(&self, expected_version: u64) -> CommandRequest {
        read(json!({
            "type": "RegisterUser", "stream": format!("user-{}", self.guest.id),
            "expected_version": expected_version,
            "data": {"email": "ada@example.org", "display_name": "Ada", "password": "correct horse battery"},
        }))
    }

    fn intent(&self, request: &CommandRequest) -> Intent {
        Intent::from_request(
            self.workspace,
            &self.guest,
            request,
            Some(KEY),
            None,
            &SystemClock,
        )
        .unwrap()
    }

    /// Sends a request of the guest under the key.
    async fn send(&self, request: &CommandRequest) -> Result<Uuid, CommandFailure> {
        let sent = self
            .commands
            .handle(self.workspace, &self.guest, request, Some(KEY), None);
        Ok(sent.await?.command_id)
    }
}

#[tokio::test]
async fn a_digest_is_stored_with_a_key_and_a_repetition_is_recognised_by_it() {
    let class = Class::open().await;
    let request = class.registration(0);
    let command = class.send(&request).await.unwrap();
    let recorded = class.store.recorded_command(class.workspace, command).await;
    let recorded = recorded.unwrap().unwrap();
    let plain = class.intent(&request).body_digest;
    assert_ne!(recorded.body_digest, plain);
    assert_eq!(recorded.body_digest, class.people.digest_key().keyed(&plain));
    assert_eq!(class.send(&request).await.unwrap(), command);
    let other = class.send(&class.registration(1)).await;
    assert!(matches!(other, Err(CommandFailure::KeyReused)), "{other:?}");
}

/// Given a registration that is being appended, when another attempt under its key is refused, then the
/// password of the first one stays; and once the person is registered, what refused attempts have left goes.
#[tokio::test]
async fn a_refused_registration_leaves_the_credentials_of_another_attempt() {
    let class = Class::open().await;
    let (request, of) = (class.registration(0), class.of_guest());
    let command = class.intent(&request).command_id;
    let password = Password::from("correct horse battery".to_owned());
    let first = class
        .people
        .registering(of, command, "ada@example.org", Some(&password), None);
    first.await.unwrap();
    let refused = class.send(&class.registration(7)).await;
    assert!(
        matches!(refused, Err(CommandFailure::Conflict { .. })),
        "{refused:?}"
    );
    let store = class.people.store();
    assert!(store.credentials(of, command).await.unwrap().is_some());
    let left = SystemClock.new_id();
    store.keep_credentials(of, left, "hash").await.unwrap();
    class.send(&request).await.unwrap();
    assert_eq!(
        class.people.is_password_of(of, &password).await.unwrap(),
        Some(true)
    );
    assert_eq!(store.credentials(of, left).await.unwrap(), None);
}

/// Given an erasure whose event is being appended, when another attempt is refused, then the note of the
/// first one stays.
#[tokio::test]
async fn a_refused_erasure_leaves_the_note_of_another_attempt() {
    let class = Class::open().await;
    let of = class.of_guest();
    class.people.erasing(of).await.unwrap();
    let erase = read(json!({
        "type": "EraseUser", "stream": format!("user-{}", of.person), "expected_version": 7, "data": {},
    }));
    let refused = class.send(&erase).await;
    assert!(
        matches!(refused, Err(CommandFailure::Conflict { .. })),
        "{refused:?}"
    );
    let noted = class.people.store().erasures().await.unwrap();
    assert_eq!(noted.len(), 1);
}
