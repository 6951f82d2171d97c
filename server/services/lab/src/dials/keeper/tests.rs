//! One truth for the dials of a workspace, at every server that shares its store.

use clock::SystemClock;
use domain::wire::{BrokerDials, ProjectionDials};
use futures::future::join_all;

use super::*;
use crate::testing::{Servers, servers, store};

const SHOP: WorkspaceId = WorkspaceId(Uuid::from_u128(1));
const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(2));

async fn keeper(store: &Arc<dyn DocumentStore>, servers: &Arc<Servers>) -> Arc<DialKeeper> {
    let broker: Arc<dyn Broker> = servers.clone();
    let (board, clock) = (Arc::default(), Arc::new(SystemClock));
    DialKeeper::open(Arc::clone(store), board, broker, clock)
        .await
        .unwrap()
}

fn educator(n: u128) -> Bender {
    Bender {
        id: Uuid::from_u128(n),
        name: format!("sealed:{n}"),
    }
}

fn delayed(delay_ms: u32) -> Dials {
    let broker = BrokerDials {
        delay_ms,
        ..BrokerDials::default()
    };
    Dials {
        broker,
        ..Dials::default()
    }
}

impl DialKeeper {
    fn shown_ms(&self, workspace: WorkspaceId) -> Option<u32> {
        let bent = self.board.of(workspace);
        bent.map(|bent| bent.dials.broker.delay_ms)
    }

    async fn put(&self, workspace: WorkspaceId, dials: Dials) -> DialsAnswer {
        self.set(workspace, &educator(1), &|_| true, dials).await.unwrap()
    }

    /// Runs until the returned token is cancelled; it hears the others once this returns.
    async fn running(self: &Arc<Self>, servers: &Servers) -> CancellationToken {
        let (before, cancelled) = (servers.0.receiver_count(), CancellationToken::new());
        tokio::spawn(Arc::clone(self).run(cancelled.clone()));
        while servers.0.receiver_count() == before {
            tokio::task::yield_now().await;
        }
        cancelled
    }
}

#[tokio::test]
async fn what_is_bent_is_shown_by_a_keeper_that_opens_later() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let here = keeper(&store, &servers).await;
    assert_eq!(here.of(SHOP).await.unwrap(), DialsAnswer::default());
    let set = here.put(SHOP, delayed(5)).await;
    here.put(CLASS, delayed(7)).await;
    here.reset(CLASS, &educator(1)).await.unwrap();
    assert_eq!((here.shown_ms(SHOP), here.shown_ms(CLASS)), (Some(5), None));
    let later = keeper(&store, &servers).await;
    assert_eq!((later.shown_ms(SHOP), later.shown_ms(CLASS)), (Some(5), None));
    assert_eq!(later.of(SHOP).await.unwrap(), set);
    assert_eq!(later.of(CLASS).await.unwrap().version, 2);
    assert_eq!(later.workspaces(), [SHOP]);
    // A purge removes what is stored.
    while store.purge(SHOP, 10).await.unwrap() {}
    later.end(SHOP);
    assert!(later.workspaces().is_empty() && !later.board().is_any_bent());
    assert_eq!(keeper(&store, &servers).await.shown_ms(SHOP), None);
}

#[tokio::test]
async fn of_many_changes_to_one_version_one_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let (here, there) = (keeper(&store, &servers).await, keeper(&store, &servers).await);
    let changes = (1..=8).map(|n: u32| {
        let keeper = if n.is_multiple_of(2) { &here } else { &there };
        async move {
            let by = educator(u128::from(n));
            keeper.set(SHOP, &by, &|version| version == 0, delayed(n)).await
        }
    });
    let outcomes = join_all(changes).await;
    let late = outcomes
        .iter()
        .filter(|one| matches!(one, Err(DialError::Changed { current: 1 })));
    assert_eq!(late.count(), 7);
    let made = outcomes.into_iter().find_map(Result::ok).unwrap();
    assert_eq!(here.of(SHOP).await.unwrap(), made);
    // Amendments see what the others have made.
    let by = made_by(&made);
    let further = |dials: &mut Dials| dials.broker.jitter_ms += 1;
    let amendments = (0..8).map(|_| here.amend(SHOP, &by, &further));
    for amended in join_all(amendments).await {
        amended.unwrap();
    }
    let after = there.of(SHOP).await.unwrap();
    assert_eq!((after.version, after.dials.broker.jitter_ms), (9, 8));
}

#[tokio::test]
async fn what_another_server_changes_is_shown_here() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let (here, there) = (keeper(&store, &servers).await, keeper(&store, &servers).await);
    let running = here.running(&servers).await;
    let mut changes = here.board().changes();
    there.put(SHOP, delayed(5)).await;
    changes.changed().await.unwrap();
    assert_eq!(here.shown_ms(SHOP), Some(5));
    there.reset(SHOP, &educator(2)).await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(here.shown_ms(SHOP), None);
    running.cancel();
    // It does not listen for a while, and reads all that it may have missed.
    there.put(CLASS, delayed(3)).await;
    let _running = here.running(&servers).await;
    assert_eq!(here.shown_ms(CLASS), None);
    servers.0.send(Heard::Missed).unwrap();
    changes.changed().await.unwrap();
    assert_eq!(here.shown_ms(CLASS), Some(3));
}

#[tokio::test]
async fn an_older_version_is_never_shown_after_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let keeper = keeper(&store, &servers).await;
    let old = keeper.put(SHOP, delayed(5)).await;
    keeper.reset(SHOP, &educator(1)).await.unwrap();
    // A read that began before the reset.
    keeper.show(SHOP, &old);
    assert_eq!(keeper.shown_ms(SHOP), None);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_none_unless_all_dials_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let keeper = keeper(&store, &servers).await;
    let pause = |dials: &mut Dials| {
        dials.projections.entry("orders".to_owned()).or_default().paused = true;
    };
    for version in [1, 1] {
        let paused = keeper.amend(SHOP, &educator(1), &pause).await.unwrap();
        assert_eq!(paused.version, version);
    }
    let reset = keeper
        .reset_one(SHOP, &educator(1), "projections.orders.paused")
        .await;
    assert_eq!(reset.unwrap().version, 2);
    for version in [2, 2] {
        assert_eq!(keeper.reset(SHOP, &educator(1)).await.unwrap().version, version);
    }
    assert_eq!(keeper.put(SHOP, Dials::default()).await.version, 3);
    let unknown = keeper
        .reset_one(SHOP, &educator(1), "projections.no-such.paused")
        .await;
    assert!(matches!(unknown, Err(DialError::Unknown)));
    let mut wrong = Dials::default();
    let dials = ProjectionDials {
        poison_type: Some("NoSuchEvent".to_owned()),
        ..ProjectionDials::default()
    };
    wrong.projections.insert("orders".to_owned(), dials);
    let refused = keeper.set(SHOP, &educator(1), &|_| true, wrong).await;
    assert!(matches!(refused, Err(DialError::Invalid(_))));
    assert_eq!(keeper.of(SHOP).await.unwrap().version, 3);
}

#[tokio::test]
async fn a_subscription_has_the_present_dials_and_then_each_change() {
    let folder = tempfile::tempdir().unwrap();
    let (store, servers) = (store(folder.path()).await, servers());
    let keeper = keeper(&store, &servers).await;
    keeper.put(SHOP, delayed(5)).await;
    let mut follower = keeper.subscribe(SHOP).await.unwrap();
    assert_eq!(follower.next().await.version, 1);
    keeper.put(CLASS, delayed(9)).await;
    // The seed bends nothing, and is told too.
    let seeded = Dials {
        seed: 4,
        ..Dials::default()
    };
    keeper.put(SHOP, seeded).await;
    assert_eq!(follower.next().await.dials.seed, 4);
    let second = keeper.subscribe(SHOP).await.unwrap();
    drop(follower);
    assert_eq!(keeper.workspaces(), [SHOP, CLASS]);
    drop(second);
    assert_eq!(keeper.workspaces(), [CLASS]);
}

/// The person who has bent the first dial.
fn made_by(answer: &DialsAnswer) -> Bender {
    Bender {
        id: answer.bent[0].by,
        name: answer.bent[0].name.clone(),
    }
}
