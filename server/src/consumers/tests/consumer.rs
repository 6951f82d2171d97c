//! A consumer over real databases: each event once, across crashes; an event at which it panics is a dead
//! letter.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use domain::{aggregate::inventory::InventoryEvent, event::DomainEvent};

use super::consumers_with;
use ::consumer::{CheckpointStorage, Consumer, EffectError, EventHandler, ProcessedPositions, Work};
use async_trait::async_trait;
use domain::id::WorkspaceId;
use projection::dead_letters::Remedy;
use query::settled::SettleRequest;
use uuid::Uuid;

use crate::read_side::testing::{Shop, TEST_TIMEOUT, received};

/// A quantity at which it panics until it is fixed.
const POISON: u32 = 13;

/// Adds up received stock, and stores its processed positions with the sum, like a consumer with a store of
/// its own.
#[derive(Debug)]
struct Ledger {
    id: Uuid,
    sums: Mutex<std::collections::HashMap<PartitionKey, (ProcessedPositions, u64)>>,
    is_fixed: AtomicBool,
    /// Every second time it performs its work and then reports a failure.
    loses_answers: bool,
    loses_next_answer: AtomicBool,
}

type PartitionKey = (WorkspaceId, u32);

impl Ledger {
    /// With `loses_answers`, every second answer is lost.
    fn new(loses_answers: bool) -> Arc<Self> {
        Arc::new(Self {
            loses_answers,
            id: Uuid::from_u128(1),
            sums: Mutex::default(),
            is_fixed: AtomicBool::new(false),
            loses_next_answer: AtomicBool::new(false),
        })
    }

    fn sum(&self) -> u64 {
        self.sums
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|(_, sum)| sum)
            .sum()
    }
}

#[async_trait]
impl EventHandler for Ledger {
    fn name(&self) -> &'static str {
        "ledger"
    }

    async fn perform(&self, work: &Work) -> Result<(), EffectError> {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = sums
            .entry((work.partition.workspace, work.partition.partition))
            .or_default();
        let (mut processed, mut sum) = entry.clone();
        for event in work.events.iter().filter(|event| processed.wants(event.position)) {
            let Ok(typed) = &event.decoded else { continue };
            if let DomainEvent::Inventory(InventoryEvent::StockReceived(stock)) = &typed.payload {
                assert!(
                    stock.quantity != POISON || self.is_fixed.load(Ordering::Relaxed),
                    "a real panic"
                );
                sum += u64::from(stock.quantity);
            }
        }
        processed.note(work);
        *entry = (processed, sum);
        if self.loses_answers && self.loses_next_answer.fetch_xor(true, Ordering::Relaxed) {
            return Err(EffectError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for Ledger {
    fn checkpoint_storage(&self) -> CheckpointStorage {
        CheckpointStorage::Output(self.id)
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError> {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(sums.keys().map(|(workspace, _)| *workspace).collect())
    }

    async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError> {
        self.sums
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(of, _), _| *of != workspace);
        Ok(())
    }
}

async fn settled(shop: &Shop) {
    let settle = SettleRequest {
        timeout: TEST_TIMEOUT,
        ..SettleRequest::default()
    };
    shop.read
        .settlement
        .settled(shop.workspace, &settle)
        .await
        .unwrap();
}

async fn running(shop: &Shop, ledger: &Arc<Ledger>) -> Arc<crate::consumers::Consumers> {
    consumers_with(shop, "consumers.db", vec![ledger.clone()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_has_its_effect_once_across_lost_answers_and_checkpoints() {
    let shop = Shop::open(3).await;
    let ledger = Ledger::new(true);
    // It handles history and later events alike.
    for n in 0..20 {
        shop.append(&format!("inventory-mug-{}", n % 5), &[received(1)])
            .await;
    }
    let consumers = running(&shop, &ledger).await;
    for n in 0..20 {
        shop.append(&format!("inventory-mug-{}", n % 5), &[received(1)])
            .await;
    }
    settled(&shop).await;
    assert_eq!(ledger.sum(), 40);
    consumers.stop().await;
    // After the loss of its checkpoints every event comes again.
    std::fs::remove_dir_all(shop.folder.path().join("checkpoints")).unwrap();
    let shop = shop.restart().await;
    let consumers = running(&shop, &ledger).await;
    shop.append("inventory-mug-1", &[received(1)]).await;
    settled(&shop).await;
    assert_eq!(ledger.sum(), 41);
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_at_which_it_panics_is_a_dead_letter_that_can_be_retried() {
    let shop = Shop::open(1).await;
    let ledger = Ledger::new(false);
    let consumers = running(&shop, &ledger).await;
    shop.append("inventory-bad", &[received(1), received(POISON), received(2)])
        .await;
    let good = shop.append("inventory-mug", &[received(4)]).await;
    let settle = SettleRequest {
        correlation: Some(good.correlation_id),
        timeout: TEST_TIMEOUT,
        ..SettleRequest::default()
    };
    shop.read
        .settlement
        .settled(shop.workspace, &settle)
        .await
        .unwrap();
    assert_eq!(ledger.sum(), 5, "the other stream continued");
    let letters = consumers.consumer("ledger").unwrap().dead_letters();
    let listed = letters.list(shop.workspace, None, None, 9).await.unwrap();
    assert_eq!((listed.len(), listed[0].waiting), (1, 1));
    ledger.is_fixed.store(true, Ordering::Relaxed);
    let released = letters
        .remedy(shop.workspace, listed[0].event.id, Remedy::Retry)
        .await;
    assert_eq!(released.unwrap().applied, 2);
    settled(&shop).await;
    assert_eq!(ledger.sum(), 4 + 1 + u64::from(POISON) + 2);
    consumers.stop().await;
}
