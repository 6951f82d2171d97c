//! One class of a workspace, at every server that shares its store.

use clock::SystemClock;
use futures::future::join_all;

use super::*;
use crate::testing::{Servers, servers, store};

const SHOP: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

/// Seals a name by its mark.
#[derive(Debug)]
struct Marked;

#[async_trait]
impl NameSeals for Marked {
    async fn seal(&self, _: WorkspaceId, person: Uuid, name: &str) -> Option<String> {
        Some(format!("sealed:{person}:{name}"))
    }
}

async fn keeper(store: &Arc<dyn DocumentStore>, servers: &Arc<Servers>) -> Arc<ClassKeeper> {
    let broker: Arc<dyn Broker> = servers.clone();
    ClassKeeper::open(Arc::clone(store), broker, Arc::new(Marked), Arc::new(SystemClock))
        .await
        .unwrap()
}

fn person(role: Role, n: u128, name: &str) -> Actor {
    Actor {
        id: Uuid::from_u128(n),
        role,
        name: name.to_owned(),
    }
}

fn ada() -> Actor {
    person(Role::Student, 1, "Ada")
}

fn on_step(step: &str) -> ClassStage {
    ClassStage {
        lesson: Some("last_item".to_owned()),
        step: Some(step.to_owned()),
        ..ClassStage::default()
    }
}

impl ClassKeeper {
    /// Runs until the returned token is cancelled; it hears the others once this returns.
    async fn running(self: &Arc<Self>, servers: &Servers) -> CancellationToken {
        let (before, cancelled) = (servers.0.receiver_count(), CancellationToken::new());
        tokio::spawn(Arc::clone(self).run(cancelled.clone()));
        while servers.0.receiver_count() == before {
            tokio::task::yield_now().await;
        }
        cancelled
    }

    async fn put(&self, stage: ClassStage) -> Arc<ClassNow> {
        self.set_stage(SHOP, &|_| true, stage).await.unwrap()
    }
}

/// The first class that is told and is as it is wanted.
async fn next_where(
    subscription: &mut ClassSubscription,
    wanted: impl Fn(&ClassNow) -> bool,
) -> Arc<ClassNow> {
    loop {
        let now = subscription.next().await;
        if wanted(&now) {
            return now;
        }
    }
}

#[tokio::test]
async fn what_is_set_is_there_after_a_restart_and_at_the_other_server() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let (here, there) = (keeper(&store, &servers).await, keeper(&store, &servers).await);
    let running = there.running(&servers).await;
    let mut follower = there.subscribe(SHOP, false).await.unwrap();
    assert_eq!(follower.next().await.record.version, 0);
    let set = here.put(on_step("race")).await;
    let told = follower.next().await;
    assert_eq!((told.record.version, &told.record), (1, &set.record));
    let later = keeper(&store, &servers).await;
    assert_eq!(later.workspaces(), [SHOP]);
    assert_eq!(later.of(SHOP).await.unwrap().record, set.record);
    running.cancel();
}

#[tokio::test]
async fn of_many_changes_to_one_version_one_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let here = keeper(&store, &servers).await;
    let is_first = |version: u64| version == 0;
    let call = |order_call| ClassStage {
        order_call,
        ..ClassStage::default()
    };
    let tries = (1..=5).map(|n| here.set_stage(SHOP, &is_first, call(n)));
    let outcomes = join_all(tries).await;
    let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 4));
    for outcome in refused {
        assert!(
            matches!(outcome, Err(ClassError::Changed { current: 1 })),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_valid_is_refused_by_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let here = keeper(&store(folder.path()).await, &servers()).await;
    let locked = ClassStage {
        locked: true,
        ..ClassStage::default()
    };
    let refused = here.set_stage(SHOP, &|_| true, locked).await.unwrap_err();
    let ClassError::Invalid(rejection) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(rejection.violations[0].field, "locked");
}

#[tokio::test]
async fn a_person_is_there_while_a_page_is_open_and_known_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let here = keeper(&store, &servers).await;
    let running = here.running(&servers).await;
    here.begin(SHOP).await.unwrap();
    let mut follower = here.subscribe(SHOP, false).await.unwrap();
    let page = here.enter(SHOP, &ada()).unwrap();
    // Once it is stored, the name is the sealed one.
    let is_stored = |now: &ClassNow| {
        let people = now.people.values();
        people.filter(|person| person.name.starts_with("sealed:")).count() == 1
    };
    let now = next_where(&mut follower, |now| is_stored(now) && now.present() == 1).await;
    assert!(!now.is_presenting());
    drop(page);
    let now = next_where(&mut follower, |now| now.present() == 0).await;
    assert_eq!(now.people.len(), 1);
    let educator = here.enter(SHOP, &person(Role::Educator, 2, "Grace")).unwrap();
    next_where(&mut follower, ClassNow::is_presenting).await;
    drop(educator);
    running.cancel();
    let later = keeper(&store, &servers).await;
    let people = later.of(SHOP).await.unwrap().people.clone();
    let ada = people.get(&ada().id).unwrap();
    assert_eq!((ada.role, ada.present), (Role::Student, false));
    assert!(ada.name.starts_with("sealed:"), "no name is stored as it is");
}

#[tokio::test]
async fn a_workspace_whose_class_has_not_begun_has_nothing_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let here = keeper(&store, &servers).await;
    let running = here.running(&servers).await;
    let mut follower = here.subscribe(SHOP, false).await.unwrap();
    let _page = here.enter(SHOP, &ada()).unwrap();
    next_where(&mut follower, |now| now.present() == 1).await;
    running.cancel();
    assert_eq!(store.usage(SHOP).await.unwrap().documents, 0);
}

#[tokio::test]
async fn a_dial_is_in_the_hands_of_one_person_who_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let here = keeper(&store(folder.path()).await, &servers()).await;
    let (ada, bob) = (ada(), person(Role::Student, 2, "Bob"));
    let unknown = here.hand(SHOP, "broker.delay_ms", ada.id).await;
    assert!(matches!(unknown, Err(ClassError::UnknownPerson)), "{unknown:?}");
    here.note(SHOP, &ada);
    here.note(SHOP, &bob);
    here.hand(SHOP, "broker.delay_ms", ada.id).await.unwrap();
    here.hand(SHOP, "cache.off", ada.id).await.unwrap();
    assert_eq!(
        here.dials_of(SHOP, ada.id).await.unwrap(),
        ["broker.delay_ms", "cache.off"]
    );
    here.hand(SHOP, "broker.delay_ms", bob.id).await.unwrap();
    assert_eq!(here.dials_of(SHOP, ada.id).await.unwrap(), ["cache.off"]);
    here.take_back(SHOP, "broker.delay_ms").await.unwrap();
    assert_eq!(here.dials_of(SHOP, bob.id).await.unwrap(), [""; 0]);
    let again = here.take_back(SHOP, "broker.delay_ms").await;
    assert!(matches!(again, Err(ClassError::NotHanded)), "{again:?}");
}

#[tokio::test]
async fn dials_are_handed_out_up_to_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let here = keeper(&store(folder.path()).await, &servers()).await;
    here.note(SHOP, &ada());
    for n in 0..MAX_HANDED {
        here.hand(SHOP, &format!("dial.{n}"), ada().id).await.unwrap();
    }
    let more = here.hand(SHOP, "dial.more", ada().id).await;
    assert!(matches!(more, Err(ClassError::TooManyHanded)), "{more:?}");
    here.hand(SHOP, "dial.0", ada().id).await.unwrap();
}

#[tokio::test]
async fn copies_are_kept_beside_those_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let here = keeper(&store(folder.path()).await, &servers()).await;
    let copy = |n: u128| ClassCopy {
        workspace: WorkspaceId(Uuid::from_u128(n)),
        join_code: format!("CODE{n}"),
    };
    let [ada, bob] = [1, 2].map(Uuid::from_u128);
    here.give_copies(SHOP, &[(ada, copy(7))]).await.unwrap();
    let now = here.give_copies(SHOP, &[(bob, copy(8))]).await.unwrap();
    assert_eq!(now.record.copies.get(&ada), Some(&copy(7)));
    assert_eq!(now.record.copies.get(&bob), Some(&copy(8)));
}

#[tokio::test]
async fn a_purged_workspace_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let here = keeper(&store, &servers).await;
    here.put(on_step("race")).await;
    let page = here.enter(SHOP, &ada()).unwrap();
    while store.purge(SHOP, 10).await.unwrap() {}
    here.end(SHOP);
    drop(page);
    assert!(here.workspaces().is_empty());
    assert!(keeper(&store, &servers).await.workspaces().is_empty());
}
