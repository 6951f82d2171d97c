//! Other servers: what they do without an event is followed here, and what is done here is told to them.

use std::sync::Arc;

use async_trait::async_trait;
use broker::{Broker, Events, Heard, PartitionId, ServerMessage, Subscriber, in_process::InProcessBroker};
use documents::Scope;
use domain::id::WorkspaceId;
use test_support::received;
use tokio::sync::{broadcast, watch};

use super::generations::rebuilds;
use crate::{Changes, Commit, Context, Followers, Projections, testing::LaneFixture};

const VIEW: &str = "inventory";

fn changed(workspace: WorkspaceId) -> ServerMessage {
    ServerMessage::Changed {
        workspace,
        handler: VIEW.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_at_another_server_is_followed_also_if_its_message_was_lost() {
    for is_lost in [false, true] {
        let fixture = LaneFixture::new(1).await;
        fixture.append("inventory-mug-1", &[received(1)]).await;
        let projections = Projections::start(fixture.context.clone()).await.unwrap();
        let progress = fixture.context.progress.of(fixture.workspace, VIEW).unwrap();
        progress.reaches(&"0:1".parse().unwrap()).await;
        let there = rebuilds(&fixture.another_owner()).await;
        there.rebuild(fixture.workspace, VIEW).await.unwrap();
        there.finished(fixture.workspace, VIEW).await;
        assert_eq!(progress.generation(), 1);
        fixture.context.broker.heard(if is_lost {
            Heard::Missed
        } else {
            Heard::Message(changed(fixture.workspace))
        });
        while progress.generation() != 2 {
            tokio::task::yield_now().await;
        }
        projections.stop().await;
    }
}

/// Counts the commits of the view after which any document may have changed.
#[derive(Debug, Default)]
struct SnapshotCounter(watch::Sender<u32>);

impl Followers for SnapshotCounter {
    fn follow(&self, _: &Scope) -> bool {
        false
    }

    fn committed(&self, commit: Commit) {
        if commit.scope.view == VIEW && matches!(commit.changes, Changes::Everything) {
            self.0.send_modify(|count| *count += 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_at_another_server_reaches_the_clients_of_this_one() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(1)]).await;
    let clients = Arc::new(SnapshotCounter::default());
    let context = Arc::new(Context {
        followers: clients.clone(),
        ..fixture.new_context()
    });
    let projections = Projections::start(context.clone()).await.unwrap();
    let progress = context.progress.of(fixture.workspace, VIEW).unwrap();
    progress.reaches(&"0:1".parse().unwrap()).await;
    let mut snapshots = clients.0.subscribe();
    context.broker.heard(Heard::Message(changed(fixture.workspace)));
    snapshots.wait_for(|count| *count > 0).await.unwrap();
    // A client that reconnects with this token may have missed it.
    assert_eq!(progress.release_positions().position(0), 1);
    assert_eq!(progress.generation(), 1);
    projections.stop().await;
}

/// A broker that records what is told to other servers.
#[derive(Debug)]
struct RecordingBroker {
    inner: InProcessBroker,
    told: watch::Sender<Vec<ServerMessage>>,
}

#[async_trait]
impl Broker for RecordingBroker {
    async fn publish(&self, partition: PartitionId, events: Events) {
        self.inner.publish(partition, events).await;
    }

    async fn subscribe(&self, group: &'static str) -> Box<dyn Subscriber> {
        self.inner.subscribe(group).await
    }

    async fn tell(&self, message: &ServerMessage) {
        self.told.send_modify(|told| told.push(message.clone()));
    }

    fn heard(&self, heard: Heard) {
        self.inner.heard(heard);
    }

    fn messages(&self) -> broadcast::Receiver<Heard> {
        self.inner.messages()
    }

    fn close(&self) {
        self.inner.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_here_is_told_to_the_other_servers() {
    let fixture = LaneFixture::new(1).await;
    fixture.append("inventory-mug-1", &[received(1)]).await;
    let broker = Arc::new(RecordingBroker {
        inner: InProcessBroker::new(fixture.context.store.clone()),
        told: watch::Sender::default(),
    });
    let context = Arc::new(Context {
        broker: broker.clone(),
        ..fixture.new_context()
    });
    let projections = Projections::start(context.clone()).await.unwrap();
    let mut told = broker.told.subscribe();
    let mut next = async || {
        let told = told.wait_for(|told| !told.is_empty()).await.unwrap().clone();
        broker.told.send_modify(Vec::clear);
        let [message] = &told[..] else { panic!("{told:?}") };
        message.clone()
    };
    let workspace = fixture.workspace;
    projections.rebuilds.rebuild(workspace, VIEW).await.unwrap();
    assert_eq!(next().await, changed(workspace));
    projections.rebuilds.finished(workspace, VIEW).await;
    assert!(projections.crash(workspace, VIEW).await);
    assert!(matches!(next().await, ServerMessage::Crash { .. }));
    projections.stop().await;
}
