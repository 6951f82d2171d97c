//! The dials of the lanes of a handler without documents: what they hold back has no effect, and has it once
//! when they are at rest.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use broker::{Events, PartitionId};
use documents::DocumentStoreError;
use test_support::received;

use crate::{
    Context,
    dead_letters::{DeadLetters, Remedy},
    effect::{EffectError, Work},
    fold::{POISONED, PoisonEvent},
    handler::EventHandler,
    lane::Lane,
    lane_controls::{LaneDials, TransactionFaults},
    lane_error::LaneError,
    progress::Progress,
    retry::EVENT_ATTEMPTS,
    testing::LaneFixture,
};

const NAME: &str = "recorder";

/// Notes the positions of the events that it performs.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<u64>>);

impl Recorder {
    fn performed(&self) -> Vec<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl EventHandler for Recorder {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn perform(&self, work: &Work) -> Result<(), EffectError> {
        let mut performed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        performed.extend(work.events.iter().map(|event| event.position));
        Ok(())
    }
}

/// Has one transaction fail.
#[derive(Debug, Default)]
struct FailOnce(AtomicBool);

impl TransactionFaults for FailOnce {
    fn fails_next(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

/// A recorder with a lane on two stored events of one stream.
struct Fixture {
    _folder: LaneFixture,
    context: Arc<Context>,
    recorder: Arc<Recorder>,
    lane: Lane,
    events: Events,
}

impl Fixture {
    async fn new() -> Self {
        let fixture = LaneFixture::new(1).await;
        fixture
            .append("inventory-mug-1", &[received(1), received(2)])
            .await;
        let recorder = Arc::new(Recorder::default());
        let handler: Arc<dyn EventHandler> = recorder.clone();
        let context = Arc::new(Context {
            progress: Arc::new(Progress::new([Arc::clone(&handler)])),
            ..fixture.new_context()
        });
        let partition = PartitionId {
            workspace: fixture.workspace,
            partition: 0,
        };
        Self {
            events: fixture.published().await,
            lane: Lane::new(Arc::clone(&context), handler, partition),
            _folder: fixture,
            context,
            recorder,
        }
    }

    fn bend(&self, dials: LaneDials) {
        let workspace = self.lane.partition().workspace;
        assert!(self.context.progress.bend(workspace, NAME, Some(dials)));
    }

    fn rest(&self) {
        let workspace = self.lane.partition().workspace;
        assert!(self.context.progress.bend(workspace, NAME, None));
    }
}

#[tokio::test]
async fn a_poisoned_event_has_no_effect_before_it_is_a_dead_letter_and_none_by_a_retry() {
    let fixture = Fixture::new().await;
    let Fixture {
        lane,
        events,
        recorder,
        ..
    } = &fixture;
    let workspace = lane.partition().workspace;
    fixture.bend(LaneDials {
        poison: Some("StockReceived".to_owned()),
        ..LaneDials::default()
    });
    let refused = lane.apply(events, &[]).await;
    let Err(LaneError::Documents(DocumentStoreError::Fault(fault))) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((fault.position, fault.reason.as_str()), (1, POISONED));
    let poison = PoisonEvent {
        position: 1,
        reason: fault.reason,
        attempts: EVENT_ATTEMPTS,
    };
    lane.apply(events, &[poison]).await.unwrap();
    let letters = DeadLetters::new(Arc::clone(&fixture.context));
    let listed = letters.list(workspace, Some(NAME), None, 9).await.unwrap();
    let [letter] = &listed[..] else {
        panic!("{listed:?}")
    };
    assert_eq!((letter.event.position, letter.waiting), (1, 1));
    let id = letter.event.id;
    let again = letters.remedy(workspace, id, Remedy::Retry).await.unwrap();
    assert_eq!(again.applied, 0, "the dial is bent still");
    assert_eq!(recorder.performed(), [0; 0]);
    fixture.rest();
    let healed = letters.remedy(workspace, id, Remedy::Retry).await.unwrap();
    assert_eq!((healed.applied, healed.dead_letter), (2, None));
    assert_eq!(recorder.performed(), [1, 2]);
}

#[tokio::test]
async fn a_pause_and_a_fault_come_before_the_effect() {
    let fixture = Fixture::new().await;
    let Fixture {
        lane,
        events,
        recorder,
        ..
    } = &fixture;
    fixture.bend(LaneDials {
        paused: true,
        ..LaneDials::default()
    });
    assert!(matches!(lane.apply(events, &[]).await, Err(LaneError::Paused)));
    fixture.bend(LaneDials {
        failing: Some(Arc::new(FailOnce::default())),
        ..LaneDials::default()
    });
    assert!(matches!(
        lane.apply(events, &[]).await,
        Err(LaneError::FailedByDial)
    ));
    assert_eq!(recorder.performed(), [0; 0]);
    lane.apply(events, &[]).await.unwrap();
    assert_eq!(recorder.performed(), [1, 2]);
}
