//! Rings, readers and observations, and what several servers tell each other of hops.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use broker::{Broker, Events, Heard, PartitionId, ServerMessage, Subscriber};
use clock::{Clock as _, SystemClock};
use domain::{
    id::WorkspaceId,
    timestamp::Timestamp,
    wire::{Arrow, Hop, HopOutcome, MergedHops},
};
use telemetry::hops::{HopSink as _, HopSpan as _, install_for_tests, is_watched};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Level;
use uuid::Uuid;

use super::{
    ARMED, HopBatch, MAX_OBSERVED, Observatory, ObservatoryError, exchange,
    merging::{SINGLES, WINDOW},
    reader::RecordedHops,
    ring::Ring,
};

/// A deadline that only ends a test that hangs.
const TEST_TIMEOUT: Duration = Duration::from_mins(5);

fn hop(position: u64) -> Hop {
    Hop {
        arrow: Arrow::AppendEvents,
        event_id: Some(Uuid::from_u128(position.into())),
        event_type: Some("OrderCreated".to_owned()),
        stream: Some("order-0198c1a2-0000-7000-8000-000000000000".to_owned()),
        partition: Some(0),
        position: Some(position),
        correlation_id: None,
        lane: None,
        started_at: Timestamp::from_micros(1_000 + i64::try_from(position).unwrap()),
        duration_us: 10,
        outcome: HopOutcome::Done,
    }
}

fn counted(arrow: Arrow, count: u64) -> MergedHops {
    MergedHops {
        arrow,
        from: Timestamp::from_micros(5),
        to: Timestamp::from_micros(9),
        count,
    }
}

/// More hops than any ring has.
const ALL: usize = 100_000;

fn positions(batch: &HopBatch) -> Vec<u64> {
    batch.data.iter().filter_map(|hop| hop.position).collect()
}

fn merged(batch: &HopBatch) -> u64 {
    batch.merged.iter().map(|hops| hops.count).sum()
}

/// A ring with a single hop in each window, and the time after the last.
fn filled(capacity: usize, hops: u64) -> (Ring, Instant) {
    let (mut ring, mut now) = (Ring::new(capacity), Instant::now());
    for position in 1..=hops {
        ring.record(hop(position), now);
        now += WINDOW;
    }
    (ring, now)
}

#[test]
fn a_ring_keeps_the_newest_hops_and_a_reader_is_told_how_many_it_has_lost() {
    let (mut ring, now) = filled(4, 10);
    let (batch, end) = ring.page(2, ALL, now);
    assert_eq!((positions(&batch), batch.dropped), (vec![7, 8, 9, 10], 4));
    assert_eq!(ring.page(end, ALL, now), (HopBatch::default(), end));
    ring.record(hop(11), now);
    let (batch, _) = ring.page(end, ALL, now);
    assert_eq!((positions(&batch), batch.dropped), (vec![11], 0));
}

#[test]
fn pages_show_what_is_kept_once_and_in_order() {
    let (mut ring, now) = filled(8, 10);
    let (mut place, mut shown, mut dropped) = (0, Vec::new(), 0);
    loop {
        let (batch, next) = ring.page(place, 3, now);
        if batch.is_empty() {
            assert_eq!(place, next);
            break;
        }
        assert!(batch.data.len() <= 3);
        shown.extend(positions(&batch));
        dropped += batch.dropped;
        place = next;
    }
    assert_eq!((shown, dropped), ((3..=10).collect(), 2));
}

#[test]
fn of_a_long_burst_the_first_hops_are_told_and_the_number_of_the_others() {
    let (mut ring, now) = (Ring::new(10_000), Instant::now());
    for position in 1..=2_000 {
        ring.record(hop(position), now);
    }
    let (batch, place) = ring.page(0, ALL, now);
    assert_eq!(positions(&batch), (1..=1_000).collect::<Vec<_>>());
    assert_eq!(merged(&batch), 0, "the window is open");
    assert_eq!(ring.counts_at(), Some(now + WINDOW));
    let later = now + WINDOW;
    let (batch, end) = ring.page(place, ALL, later);
    assert_eq!((batch.data.len(), merged(&batch), batch.dropped), (0, 1_000, 0));
    let [counted] = &batch.merged[..] else {
        panic!("one arrow: {batch:?}")
    };
    assert_eq!(counted.arrow, Arrow::AppendEvents);
    assert_eq!((counted.from.as_micros(), counted.to.as_micros()), (2_001, 3_010));
    assert_eq!((end, ring.counts_at()), (2_000, None));
    // another window has room for some
    for position in 1..=60 {
        ring.record(hop(position), later);
    }
    let (batch, place) = ring.page(end, ALL, later);
    assert_eq!(batch.data.len(), SINGLES);
    let (batch, _) = ring.page(place, ALL, later + WINDOW);
    assert_eq!((batch.data.len(), merged(&batch)), (0, 10));
}

#[test]
fn every_hop_is_told_counted_or_lost() {
    let (mut ring, mut now) = (Ring::new(1_000), Instant::now());
    for window in 0..100 {
        for n in 0..200 {
            ring.record(hop(window * 200 + n), now);
        }
        now += WINDOW;
    }
    let (batch, _) = ring.page(0, ALL, now);
    assert!(batch.dropped > 0 && merged(&batch) > 0);
    let told = u64::try_from(batch.data.len()).unwrap() + merged(&batch) + batch.dropped;
    assert_eq!(told, 20_000);
    assert!(ring.singles().len() <= 1_000);
}

#[test]
fn hops_that_another_server_has_lost_are_lost_here() {
    let (mut ring, now) = filled(10, 2);
    ring.lose(7);
    ring.record(hop(3), now);
    ring.lose(1);
    let (batch, end) = ring.page(0, ALL, now);
    assert_eq!((positions(&batch), batch.dropped, end), (vec![1, 2, 3], 8, 11));
}

#[tokio::test]
async fn a_reader_begins_with_the_newest_and_gets_the_others_in_few_batches() {
    let hops = RecordedHops::new(100);
    for position in 1..=5 {
        hops.record(hop(position));
    }
    let mut reader = hops.reader(3);
    assert_eq!(positions(&reader.next().await), [3, 4, 5]);
    let mut empty = hops.reader(0);
    assert_eq!(empty.next().await, HopBatch::default(), "the first comes at once");
    for position in 6..=8 {
        hops.record(hop(position));
    }
    assert_eq!(positions(&reader.next().await), [6, 7, 8]);
    assert_eq!(positions(&empty.next().await), [6, 7, 8]);
}

#[tokio::test]
async fn a_reader_is_told_of_counted_hops_once_their_window_is_over() {
    let hops = RecordedHops::new(10_000);
    let mut reader = hops.reader(0);
    reader.next().await;
    for _ in 0..10 {
        hops.absorb(vec![hop(1)], &[counted(Arrow::CacheSet, 7)], 0);
    }
    let (mut told, mut counted) = (0, 0);
    while told + counted < 80 {
        let batch = tokio::time::timeout(TEST_TIMEOUT, reader.next()).await.unwrap();
        told += u64::try_from(batch.data.len()).unwrap();
        counted += merged(&batch);
    }
    assert_eq!((told, counted), (10, 70));
}

#[tokio::test]
async fn a_slow_reader_loses_the_oldest_hops_and_gets_the_others_in_parts() {
    let hops = RecordedHops::new(10_000);
    let mut reader = hops.reader(0);
    reader.next().await;
    let mut now = Instant::now();
    for window in 0..60 {
        for n in 1..=50 {
            hops.ring().record(hop(window * 50 + n), now);
        }
        now += WINDOW;
    }
    let first = reader.next().await;
    assert_eq!(
        (positions(&first), first.dropped),
        ((2_001..=2_050).collect(), 2_000)
    );
    let second = reader.next().await;
    assert_eq!(
        (positions(&second), second.dropped),
        ((2_051..=2_100).collect(), 0)
    );
}

#[test]
fn a_batch_is_sent_in_messages_of_a_bounded_length() {
    let workspace = WorkspaceId(Uuid::from_u128(7));
    let mut data: Vec<_> = (1..=60).map(hop).collect();
    // one that fits into no message
    data[5].stream = Some("x".repeat(7_000));
    let batch = HopBatch {
        data,
        merged: Arrow::ALL.map(|arrow| counted(arrow, 3)).to_vec(),
        dropped: 4,
    };
    let (mut sent, mut counts, mut lost) = (Vec::new(), 0, 0);
    for message in exchange::messages(workspace, batch) {
        let json = serde_json::to_string(&message).unwrap();
        assert!(json.len() < 7_000, "{}", json.len());
        assert_eq!(serde_json::from_str::<ServerMessage>(&json).unwrap(), message);
        let ServerMessage::Hops {
            workspace: of,
            data,
            merged,
            dropped,
        } = message
        else {
            panic!("{message:?}")
        };
        assert_eq!(of, workspace);
        sent.extend(data.iter().filter_map(|hop| hop.position));
        counts += merged.len();
        lost += dropped;
    }
    let expected: Vec<u64> = (1..=60).filter(|position| *position != 6).collect();
    assert_eq!((sent, counts, lost), (expected, Arrow::ALL.len(), 5));
    assert_eq!(exchange::messages(workspace, HopBatch::default()), []);
}

/// The other servers: what they tell, and what they are told.
#[derive(Debug)]
struct OtherServers {
    messages: broadcast::Sender<Heard>,
    told: watch::Sender<Vec<ServerMessage>>,
}

#[async_trait]
impl Broker for OtherServers {
    async fn publish(&self, _: PartitionId, _: Events) {}

    async fn subscribe(&self, _: &'static str) -> Box<dyn Subscriber> {
        panic!("the lab has no group")
    }

    async fn tell(&self, message: &ServerMessage) {
        self.told.send_modify(|told| told.push(message.clone()));
    }

    fn messages(&self) -> broadcast::Receiver<Heard> {
        self.messages.subscribe()
    }

    fn close(&self) {}
}

/// An observatory that runs.
struct Fixture {
    observatory: Arc<Observatory>,
    others: Arc<OtherServers>,
    stopping: CancellationToken,
}

impl Fixture {
    fn new() -> Self {
        install_for_tests();
        let others = Arc::new(OtherServers {
            messages: broadcast::Sender::new(64),
            told: watch::Sender::default(),
        });
        Self {
            observatory: Observatory::new(others.clone(), Arc::new(SystemClock)),
            others,
            stopping: CancellationToken::new(),
        }
    }

    /// Starts it, and waits until it hears the others.
    async fn run(&self) {
        tokio::spawn(Arc::clone(&self.observatory).run(self.stopping.clone()));
        while self.others.messages.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    }

    fn heard(&self, message: ServerMessage) {
        self.others.messages.send(Heard::Message(message)).unwrap();
    }

    /// Waits until the others were told something.
    async fn told(&self, what: impl Fn(&ServerMessage) -> bool) {
        let mut told = self.others.told.subscribe();
        let wait = told.wait_for(|told| told.iter().any(&what));
        tokio::time::timeout(TEST_TIMEOUT, wait).await.unwrap().unwrap();
    }
}

fn workspace() -> WorkspaceId {
    WorkspaceId(SystemClock.new_id())
}

/// Crosses an arrow.
fn cross(workspace: WorkspaceId, lane: &str) {
    let span = telemetry::hop_span!(Level::DEBUG, "Projection Worker");
    span.lane(lane).hop(workspace, Arrow::UpsertProjection);
}

#[tokio::test]
async fn a_workspace_is_observed_for_a_minute_after_it_was_asked_for() {
    let Fixture { observatory, .. } = Fixture::new();
    let (here, there) = (workspace(), workspace());
    cross(here, "before");
    assert!(!is_watched(here));
    let first = observatory.page(here, None, 10).unwrap();
    assert_eq!((first.data.len(), first.dropped), (0, 0));
    assert!(is_watched(here) && !is_watched(there));
    cross(here, "orders");
    cross(there, "orders");
    let second = observatory.page(here, Some(&first.next), 10).unwrap();
    assert_eq!(second.data.len(), 1);
    assert_eq!(second.data, observatory.recorded(here));
    assert_eq!(observatory.recorded(there), []);
    let last = observatory.page(here, Some(&second.next), 10).unwrap();
    assert_eq!(last.data, []);

    let now = Instant::now();
    observatory.upkeep(now);
    assert!(is_watched(here));
    observatory.upkeep(now + ARMED);
    assert!(!is_watched(here), "nothing is made any more");
    assert_eq!(observatory.recorded(here), []);
    // and a client that comes back begins anew
    cross(here, "meanwhile");
    let again = observatory.page(here, Some(&last.next), 10).unwrap();
    assert_eq!((again.data, again.dropped), (Vec::new(), 0));
}

#[tokio::test]
async fn a_workspace_is_observed_as_long_as_a_subscription_lasts() {
    let Fixture { observatory, .. } = Fixture::new();
    let here = workspace();
    let mut subscription = observatory.subscribe(here).unwrap();
    assert!(subscription.next().await.is_empty(), "it is observed from now on");
    let later = Instant::now() + 10 * ARMED;
    observatory.upkeep(later);
    cross(here, "orders");
    let batch = tokio::time::timeout(TEST_TIMEOUT, subscription.next())
        .await
        .unwrap();
    assert_eq!(batch.data[0].lane.as_deref(), Some("orders"));
    drop(subscription);
    observatory.upkeep(Instant::now());
    assert!(is_watched(here), "a page that is opened again misses nothing");
    observatory.upkeep(Instant::now() + ARMED);
    assert!(!is_watched(here));
}

#[tokio::test]
async fn a_purged_workspace_is_forgotten_with_its_hops() {
    let Fixture { observatory, .. } = Fixture::new();
    let (here, there) = (workspace(), workspace());
    let subscription = observatory.subscribe(here).unwrap();
    observatory.page(there, None, 1).unwrap();
    cross(here, "orders");
    observatory.end(here);
    observatory.end(here);
    assert!(!is_watched(here) && is_watched(there));
    assert_eq!(observatory.recorded(here), []);
    drop(subscription);
    assert!(!is_watched(here));
}

#[tokio::test]
async fn only_so_many_workspaces_are_observed_at_a_time() {
    let Fixture { observatory, .. } = Fixture::new();
    let all: Vec<_> = (0..MAX_OBSERVED).map(|_| workspace()).collect();
    for one in &all {
        observatory.page(*one, None, 1).unwrap();
    }
    let another = workspace();
    assert_eq!(
        observatory.page(another, None, 1).unwrap_err(),
        ObservatoryError::Full
    );
    assert!(!is_watched(another));
    observatory.page(all[0], None, 1).unwrap();
    observatory.upkeep(Instant::now() + ARMED);
    observatory.page(another, None, 1).unwrap();
}

#[tokio::test]
async fn a_text_that_is_no_cursor_is_refused_and_observes_nothing() {
    let Fixture { observatory, .. } = Fixture::new();
    let here = workspace();
    let id = here.0.simple().to_string();
    for text in [
        "",
        ".",
        "x",
        "0:1",
        &id,
        &format!("{id}."),
        &format!("{id}.-1"),
        &format!("{id}.01"),
        &format!("{}.1", here.0),
        &format!("{id}.99999999999999999999"),
    ] {
        let refused = observatory.page(here, Some(text), 1).unwrap_err();
        assert_eq!(refused, ObservatoryError::BadCursor, "{text}");
    }
    assert!(!is_watched(here));
    // one of another observation is none of this
    let page = observatory.page(here, Some(&format!("{id}.7")), 1).unwrap();
    assert_eq!((page.data.len(), page.dropped), (0, 0));
}

#[tokio::test]
async fn hops_of_other_servers_are_asked_for_and_shown() {
    let fixture = Fixture::new();
    fixture.run().await;
    let (here, there) = (workspace(), workspace());
    let mut subscription = fixture.observatory.subscribe(here).unwrap();
    subscription.next().await;
    let wanted = ServerMessage::HopsWanted { workspace: here };
    fixture.told(|message| *message == wanted).await;
    for workspace in [there, here] {
        fixture.heard(ServerMessage::Hops {
            workspace,
            data: vec![hop(1), hop(2)],
            merged: vec![counted(Arrow::CacheLookup, 30)],
            dropped: 5,
        });
    }
    let mut all = HopBatch::default();
    while merged(&all) == 0 {
        let batch = tokio::time::timeout(TEST_TIMEOUT, subscription.next())
            .await
            .unwrap();
        all.data.extend(batch.data);
        all.merged.extend(batch.merged);
        all.dropped += batch.dropped;
    }
    assert_eq!((positions(&all), merged(&all), all.dropped), (vec![1, 2], 30, 5));
    assert_eq!(fixture.observatory.recorded(there), []);
    // one that has just started knows nothing yet
    fixture.others.told.send_replace(Vec::new());
    fixture.heard(ServerMessage::Hello);
    fixture.told(|message| *message == wanted).await;
    fixture.stopping.cancel();
}

#[tokio::test]
async fn hops_are_sent_to_other_servers_that_observe_their_workspace_and_to_no_others() {
    let fixture = Fixture::new();
    fixture.run().await;
    let (here, there) = (workspace(), workspace());
    for _ in 0..2 {
        fixture.heard(ServerMessage::HopsWanted { workspace: here });
    }
    while !is_watched(here) {
        tokio::task::yield_now().await;
    }
    cross(there, "orders");
    cross(here, "orders");
    let is_hop = |message: &ServerMessage| match message {
        ServerMessage::Hops { workspace, data, .. } => {
            assert_eq!(*workspace, here);
            data.iter().any(|hop| hop.lane.as_deref() == Some("orders"))
        }
        _ => false,
    };
    fixture.told(is_hop).await;
    let told = fixture.others.told.borrow().clone();
    assert_eq!(told.len(), 1, "once, although it was asked for twice: {told:?}");
    assert_eq!(
        fixture.observatory.recorded(here),
        [],
        "it is not observed at this server"
    );
    fixture.stopping.cancel();
}
