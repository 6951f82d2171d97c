//! Claims of several servers on one store, with a clock that only the test moves.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use clock::{Clock, SystemClock};
use documents::sqlite::SqliteDocumentStore;
use tempfile::TempDir;

use super::*;

/// A clock that only the test moves.
#[derive(Debug)]
struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// One store, and one mail.
struct Fixture {
    records: Records,
    clock: Arc<ManualClock>,
    workspace: WorkspaceId,
    event: Uuid,
    _folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteDocumentStore::open(&folder.path().join("processes.db"))
            .await
            .unwrap();
        let clock = Arc::new(ManualClock(AtomicI64::new(SystemClock.now().as_micros())));
        Self {
            records: Records::new(Arc::new(store)),
            workspace: WorkspaceId(clock.new_id()),
            event: clock.new_id(),
            clock,
            _folder: folder,
        }
    }

    /// A server that shares the store with others.
    fn server(&self) -> Claims {
        Claims::new(self.records.clone(), self.clock.clone(), false)
    }

    fn single_server(&self) -> Claims {
        Claims::new(self.records.clone(), self.clock.clone(), true)
    }

    fn pass(&self, millis: u64) {
        let micros = i64::try_from(millis).unwrap() * 1_000;
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
    }

    async fn claim(&self, server: &Claims) -> Claim {
        server.claim(self.workspace, self.event).await.unwrap()
    }

    async fn end(&self, server: &Claims, failed: Failed) {
        server.end(self.workspace, self.event, failed).await.unwrap();
    }
}

#[tokio::test]
async fn a_claim_keeps_other_servers_away_as_long_as_it_is_renewed() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.server(), fixture.server());
    assert_eq!(fixture.claim(&one).await, Claim::Fresh);
    for _ in 0..60 {
        assert_eq!(fixture.claim(&other).await, Claim::Elsewhere);
        fixture.pass(1_000);
        one.renew(fixture.workspace, fixture.event).await.unwrap();
    }
    one.sent(fixture.workspace, fixture.event).await.unwrap();
    assert_eq!(fixture.claim(&other).await, Claim::Sent);
}

#[tokio::test]
async fn a_mail_of_a_server_that_is_gone_is_taken_over_after_the_lease() {
    let fixture = Fixture::new().await;
    let (gone, other) = (fixture.server(), fixture.server());
    assert_eq!(fixture.claim(&gone).await, Claim::Fresh);
    assert_eq!(fixture.claim(&other).await, Claim::Elsewhere);
    fixture.pass(LEASE_MS);
    assert_eq!(fixture.claim(&other).await, Claim::Elsewhere);
    fixture.pass(1);
    assert_eq!(fixture.claim(&other).await, Claim::Retry);
    // The first server was only slow: it has lost the claim, and neither renews nor ends it.
    gone.renew(fixture.workspace, fixture.event).await.unwrap();
    fixture.end(&gone, Failed::NotAccepted).await;
    assert_eq!(fixture.claim(&fixture.server()).await, Claim::Elsewhere);
}

/// A single server that starts again has no other server to wait for.
#[tokio::test]
async fn a_single_server_takes_over_its_own_claims_at_once() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.claim(&fixture.single_server()).await, Claim::Fresh);
    assert_eq!(fixture.claim(&fixture.single_server()).await, Claim::Retry);
}

#[tokio::test]
async fn attempts_with_an_unknown_outcome_are_repeated_after_a_pause_that_grows() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.server(), fixture.server());
    assert_eq!(fixture.claim(&one).await, Claim::Fresh);
    for pause_ms in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        fixture.end(&one, Failed::Unknown).await;
        fixture.pass(pause_ms - 1);
        for server in [&one, &other] {
            assert_eq!(fixture.claim(server).await, Claim::Paused, "{pause_ms}");
        }
        fixture.pass(1);
        assert_eq!(fixture.claim(&one).await, Claim::Retry, "{pause_ms}");
    }
}

/// A mail that was certainly not accepted is free at once, for every server.
#[tokio::test]
async fn a_refused_attempt_is_repeated_without_this_pause() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.server(), fixture.server());
    assert_eq!(fixture.claim(&one).await, Claim::Fresh);
    fixture.end(&one, Failed::NotAccepted).await;
    assert_eq!(fixture.claim(&other).await, Claim::Retry);
}

/// The record of a program that did not count attempts is read.
#[tokio::test]
async fn a_record_without_attempts_is_one_attempt() {
    let fixture = Fixture::new().await;
    let since = fixture.clock.now();
    let by = fixture.clock.new_id();
    let stored = serde_json::json!({"state": "sending", "by": by, "since": since});
    fixture
        .records
        .change(fixture.workspace, &fixture.event.to_string(), &mut |_: Option<
            serde_json::Value,
        >| {
            Some(stored.clone())
        })
        .await
        .unwrap();
    let server = fixture.server();
    assert_eq!(fixture.claim(&server).await, Claim::Elsewhere);
    fixture.pass(LONGEST_LEASE_MS + 1);
    assert_eq!(fixture.claim(&server).await, Claim::Retry);
}
