//! An effect consumer over real databases: each event once, whatever stops it; what it cannot stand is a dead letter.

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
use query::settled::Settle;
use uuid::Uuid;

use crate::read_side::testing::{PATIENCE, Shop, received};

/// A quantity that it cannot stand, unless it is mended.
const POISON: u32 = 13;

/// Adds up what comes in, and keeps an inbox with the sum, as a consumer with a store of its own does.
#[derive(Debug)]
struct Ledger {
    id: Uuid,
    kept: Mutex<std::collections::HashMap<PartitionKey, (ProcessedPositions, u64)>>,
    mended: AtomicBool,
    /// Every second time it does its work and then says that it has not.
    forgets: bool,
    forgetful: AtomicBool,
}

type PartitionKey = (WorkspaceId, u32);

impl Ledger {
    /// One that `forgets` says every other time that its answer was lost.
    fn new(forgets: bool) -> Arc<Self> {
        Arc::new(Self {
            forgets,
            id: Uuid::from_u128(1),
            kept: Mutex::default(),
            mended: AtomicBool::new(false),
            forgetful: AtomicBool::new(false),
        })
    }

    fn sum(&self) -> u64 {
        self.kept
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
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept
            .entry((work.partition.workspace, work.partition.partition))
            .or_default();
        let (mut inbox, mut sum) = entry.clone();
        for event in work.events.iter().filter(|event| inbox.wants(event.position)) {
            let Ok(typed) = &event.decoded else { continue };
            if let DomainEvent::Inventory(InventoryEvent::StockReceived(stock)) = &typed.payload {
                assert!(
                    stock.quantity != POISON || self.mended.load(Ordering::Relaxed),
                    "a real panic"
                );
                sum += u64::from(stock.quantity);
            }
        }
        inbox.note(work);
        *entry = (inbox, sum);
        if self.forgets && self.forgetful.fetch_xor(true, Ordering::Relaxed) {
            return Err(EffectError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for Ledger {
    fn checkpoint_storage(&self) -> CheckpointStorage {
        CheckpointStorage::Made(self.id)
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.keys().map(|(workspace, _)| *workspace).collect())
    }

    async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(of, _), _| *of != workspace);
        Ok(())
    }
}

async fn settled(shop: &Shop) {
    let settle = Settle {
        timeout: PATIENCE,
        ..Settle::default()
    };
    shop.read.settling.settled(shop.workspace, &settle).await.unwrap();
}

async fn running(shop: &Shop, ledger: &Arc<Ledger>) -> Arc<crate::consumers::Consumers> {
    consumers_with(shop, "consumers.db", vec![ledger.clone()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_has_its_effect_once_whatever_is_lost() {
    let shop = Shop::open(3).await;
    let ledger = Ledger::new(true);
    // History and what comes later are the same to it.
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
    // Checkpoints that were lost have everything come again.
    std::fs::remove_dir_all(shop.folder.path().join("checkpoints")).unwrap();
    let shop = shop.restart().await;
    let consumers = running(&shop, &ledger).await;
    shop.append("inventory-mug-1", &[received(1)]).await;
    settled(&shop).await;
    assert_eq!(ledger.sum(), 41);
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_stand_is_a_dead_letter_that_can_be_tried_again() {
    let shop = Shop::open(1).await;
    let ledger = Ledger::new(false);
    let consumers = running(&shop, &ledger).await;
    shop.append("inventory-bad", &[received(1), received(POISON), received(2)])
        .await;
    let good = shop.append("inventory-mug", &[received(4)]).await;
    let settle = Settle {
        correlation: Some(good.correlation_id),
        timeout: PATIENCE,
        ..Settle::default()
    };
    shop.read.settling.settled(shop.workspace, &settle).await.unwrap();
    assert_eq!(ledger.sum(), 5, "the other stream went on");
    let letters = consumers.consumer("ledger").unwrap().dead_letters();
    let listed = letters.list(shop.workspace, None, None, 9).await.unwrap();
    assert_eq!((listed.len(), listed[0].waiting), (1, 1));
    ledger.mended.store(true, Ordering::Relaxed);
    let released = letters
        .remedy(shop.workspace, listed[0].event.id, Remedy::Retry)
        .await;
    assert_eq!(released.unwrap().applied, 2);
    settled(&shop).await;
    assert_eq!(ledger.sum(), 4 + 1 + u64::from(POISON) + 2);
    consumers.stop().await;
}
