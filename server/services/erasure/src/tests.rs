//! The effect on a real log and real keys, without lanes: repeated, after a failure, and after a restore.

use std::path::{Path, PathBuf};

use broker::{PartitionId, decode};
use clock::{Clock as _, SystemClock};
use domain::{
    access::Role,
    aggregate::user::{UserErased, UserRegistered},
    event::{EventPayload as _, personal::ERASED},
    language::Language,
};
use event_store::SqliteEventStore;
use identity::{SqlitePeople, passwords::HashCost};
use tempfile::TempDir;
use test_support::{append, open_workspace};
use uuid::Uuid;

use super::*;

/// Two people with keys, of whom the first is erased in the log.
struct Fixture {
    events: Arc<SqliteEventStore>,
    workspace: WorkspaceId,
    erased: PersonId,
    other: PersonId,
    folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let events = SqliteEventStore::open(&path, Arc::new(SystemClock), None)
            .await
            .unwrap();
        let workspace = open_workspace(&events, 1).await;
        let [erased, other] = [7, 8].map(|n| PersonId {
            workspace,
            person: Uuid::from_u128(n),
        });
        for of in [erased, other] {
            let registered = UserRegistered {
                email: format!("{}@post.test", of.person),
                display_name: "Ada".to_owned(),
                role: Role::Customer,
                language: Language::En,
            };
            let registered = UserEvent::from(registered).into_domain();
            append(&events, workspace, &format!("user-{}", of.person), &[registered]).await;
        }
        let stream = format!("user-{}", erased.person);
        let event = UserEvent::from(UserErased {}).into_domain();
        append(&events, workspace, &stream, &[event]).await;
        Self {
            events: Arc::new(events),
            workspace,
            erased,
            other,
            folder,
        }
    }

    fn people_file(&self) -> PathBuf {
        self.folder.path().join("people.db")
    }

    /// The people service on a file.
    async fn people(&self, file: &Path) -> Arc<People> {
        let store = Arc::new(SqlitePeople::open(file).await.unwrap());
        let clock = Arc::new(SystemClock);
        let events = self.events.clone();
        Arc::new(People::new(store, events, self.folder.path(), HashCost::Least, clock).unwrap())
    }

    /// Seals a name for each of the two, and stores credentials and the note of an erasure.
    async fn sealed(&self, people: &People) -> [String; 2] {
        let mut sealed = ["Ada", "Bob"].map(str::to_owned);
        for (of, text) in [self.erased, self.other].into_iter().zip(&mut sealed) {
            people
                .seals
                .seal(of.workspace, of.person, vec![text])
                .await
                .unwrap();
            let store = people.store();
            let credentials = store.keep_credentials(of, SystemClock.new_id(), "hash");
            credentials.await.unwrap();
            store.note_erasure(of, SystemClock.now()).await.unwrap();
        }
        sealed
    }

    /// What is read of the two names.
    async fn opened(&self, people: &People, sealed: &[String; 2]) -> [String; 2] {
        let mut opened = sealed.clone();
        for text in &mut opened {
            let name = people.seals.opened(self.workspace, text).await.unwrap();
            *text = name.unwrap_or_else(|| ERASED.to_owned());
        }
        opened
    }

    /// All events of the log, as one delivery.
    async fn work(&self) -> Work {
        let events = self
            .events
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
}

#[tokio::test]
async fn an_erasure_is_carried_out_once_however_often_its_event_comes() {
    let fixture = Fixture::new().await;
    let people = fixture.people(&fixture.people_file()).await;
    let sealed = fixture.sealed(&people).await;
    assert_eq!(fixture.opened(&people, &sealed).await, ["Ada", "Bob"]);
    let erasure = Erasure::new(people.clone());
    for _ in 0..2 {
        erasure.perform(&fixture.work().await).await.unwrap();
        assert_eq!(fixture.opened(&people, &sealed).await, [ERASED, "Bob"]);
        let noted = people.store().erasures().await.unwrap();
        let noted: Vec<_> = noted.into_iter().map(|(of, _)| of).collect();
        assert_eq!(noted, [fixture.other], "what is of another person stays");
    }
}

#[tokio::test]
async fn an_erasure_that_fails_is_an_effect_that_is_tried_again() {
    let fixture = Fixture::new().await;
    let people = fixture.people(&fixture.people_file()).await;
    let sealed = fixture.sealed(&people).await;
    people.store().close().await;
    let failed = Erasure::new(people).perform(&fixture.work().await).await;
    assert!(matches!(failed, Err(EffectError::Unavailable(_))), "{failed:?}");
    let people = fixture.people(&fixture.people_file()).await;
    assert_eq!(fixture.opened(&people, &sealed).await, ["Ada", "Bob"]);
    let erasure = Erasure::new(people.clone());
    erasure.perform(&fixture.work().await).await.unwrap();
    assert_eq!(fixture.opened(&people, &sealed).await, [ERASED, "Bob"]);
}

/// Given a people store that was restored from a backup of before the erasure, when a server starts, then the
/// key is destroyed again, and no other.
#[tokio::test]
async fn a_key_that_a_restore_has_brought_back_is_destroyed_again() {
    let fixture = Fixture::new().await;
    let people = fixture.people(&fixture.people_file()).await;
    let sealed = fixture.sealed(&people).await;
    people.store().close().await;
    let backup = fixture.folder.path().join("backup.db");
    std::fs::copy(fixture.people_file(), &backup).unwrap();
    let people = fixture.people(&fixture.people_file()).await;
    Erasure::new(people.clone())
        .perform(&fixture.work().await)
        .await
        .unwrap();
    assert_eq!(finish(&people, &*fixture.events).await.unwrap(), 0);
    let restored = fixture.people(&backup).await;
    assert_eq!(fixture.opened(&restored, &sealed).await, ["Ada", "Bob"]);
    assert_eq!(finish(&restored, &*fixture.events).await.unwrap(), 1);
    assert_eq!(fixture.opened(&restored, &sealed).await, [ERASED, "Bob"]);
}
