//! The dials of event handlers, and the guarantees of lanes: passes what the board shows on to the controls
//! of the lanes of views, process managers and consumers.
//!
//! Each server bends its own lanes, before they run and at each change. Guarantees are taken from views
//! alone: what a view shows can be folded again, a command or a mail can not be taken back. The lanes of the
//! erasure have no dials: it is the right of the person who is erased.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use domain::{
    id::WorkspaceId,
    wire::{ERASURE, HandlerKind, ProjectionDials, dials::Frequency},
};
use projection::{
    handler::EventHandler,
    lane_controls::{LaneDials, TransactionFaults},
    progress::Progress,
};

use super::board::{Bent, DialBoard, DialFollower};

/// The fault of a transaction that fails by its dial.
const FAILING: &str = "projections.fail";

/// Bends lanes by the dials of the board.
#[derive(Debug)]
pub struct BentLanes {
    /// That of the handlers. A handler may know the board, as that of mails does, and the board has this.
    progress: Weak<Progress>,
    /// The dials that the lanes have.
    passed: Mutex<HashMap<WorkspaceId, Arc<Bent>>>,
}

impl BentLanes {
    /// Bends the lanes of the handlers of this progress, from now on. Lanes that start later start bent.
    pub fn bend(progress: &Arc<Progress>, board: &DialBoard) -> Arc<Self> {
        let lanes = Arc::new(Self {
            progress: Arc::downgrade(progress),
            passed: Mutex::default(),
        });
        let follower: Arc<dyn DialFollower> = lanes.clone();
        board.add_follower(&follower);
        lanes
    }

    /// Bends the lanes of a workspace again: it has other views than before.
    pub fn bend_again(&self, board: &DialBoard, workspace: WorkspaceId) {
        // The board is read under the lock: of two changes, the later one is passed on last.
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bent) = board.of(workspace) {
            self.pass(workspace, Some(&bent));
        }
        drop(passed);
    }

    /// Bends every handler of a workspace; `None`: puts it to rest.
    fn pass(&self, workspace: WorkspaceId, bent: Option<&Arc<Bent>>) {
        let Some(progress) = self.progress.upgrade() else {
            return;
        };
        for handler in progress.handlers() {
            let dials = bent.and_then(|bent| lane_dials(bent, &**handler, &handler.name_in(workspace)));
            progress.bend(workspace, handler.name(), dials);
        }
    }
}

impl DialFollower for BentLanes {
    fn follow(&self, board: &DialBoard) {
        // The board is read under the lock: of two changes, the later one is passed on last.
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let shown: HashMap<_, _> = board.all().into_iter().collect();
        for workspace in passed.keys().filter(|workspace| !shown.contains_key(*workspace)) {
            self.pass(*workspace, None);
        }
        for (workspace, bent) in &shown {
            let is_known = passed
                .get(workspace)
                .is_some_and(|known| Arc::ptr_eq(known, bent));
            if !is_known {
                self.pass(*workspace, Some(bent));
            }
        }
        *passed = shown;
    }
}

/// The dials of a handler's lanes, which people know by `name`; `None`: they are at rest.
fn lane_dials(bent: &Arc<Bent>, handler: &dyn EventHandler, name: &str) -> Option<LaneDials> {
    let guarantees = bent.dials.guarantees;
    let is_view = handler.kind() == HandlerKind::View;
    let known = bent.dials.projections.get(name).filter(|_| name != ERASURE);
    let dials = known.cloned().unwrap_or_default();
    let frequency = dials.failures();
    let ProjectionDials {
        paused,
        slow_ms,
        poison_type,
        ..
    } = dials;
    let faults = || -> Arc<dyn TransactionFaults> {
        Arc::new(CountedFaults {
            bent: Arc::clone(bent),
            handler: handler.name(),
            frequency,
        })
    };
    let dials = LaneDials {
        paused,
        slow: Duration::from_millis(u64::from(slow_ms)),
        failing: (!frequency.is_never()).then(faults),
        poison: poison_type,
        detects_duplicates: guarantees.duplicate_detection || !is_view,
        detects_gaps: guarantees.gap_detection || !is_view,
    };
    (!dials.are_at_rest()).then_some(dials)
}

/// Counts the transactions of a handler, for those that fail by its dial.
#[derive(Debug)]
struct CountedFaults {
    bent: Arc<Bent>,
    handler: &'static str,
    frequency: Frequency,
}

impl TransactionFaults for CountedFaults {
    fn fails_next(&self) -> bool {
        self.bent.strikes(FAILING, self.handler, self.frequency)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use domain::wire::{Dials, ERASURE, Guarantees};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const VIEW: &str = "inventory";

    fn dials(json: serde_json::Value) -> Dials {
        serde_json::from_value(json).unwrap()
    }

    /// The dials that the lanes of a view have.
    fn of(progress: &Progress, workspace: WorkspaceId, view: &str) -> Option<Arc<LaneDials>> {
        progress.of(workspace, view).unwrap().controls().dials()
    }

    #[test]
    fn the_board_bends_the_named_view_of_its_workspace_and_no_other() {
        let (progress, board) = (Arc::new(Progress::default()), DialBoard::default());
        let (here, there) = (WorkspaceId(Uuid::from_u128(1)), WorkspaceId(Uuid::from_u128(2)));
        let dial = json!({"paused": true, "slow_ms": 7, "fail_next": 2, "poison_type": "StockReceived"});
        let bent = dials(json!({"projections": {VIEW: dial, "no-such-view": {"paused": true}}}));
        // What is bent before the lanes start holds from their start.
        assert!(board.show(here, 1, bent));
        BentLanes::bend(&progress, &board);
        let lanes = of(&progress, here, VIEW).unwrap();
        assert!(lanes.paused && lanes.detects_duplicates && lanes.detects_gaps);
        assert_eq!(
            (lanes.slow, lanes.poison.as_deref()),
            (Duration::from_millis(7), Some("StockReceived"))
        );
        let faults = lanes.failing.as_ref().unwrap();
        assert_eq!([(); 3].map(|()| faults.fails_next()), [true, true, false]);
        assert!(of(&progress, here, "orders").is_none());
        assert!(of(&progress, there, VIEW).is_none());
        // A change of another workspace leaves what was counted.
        assert!(board.show(there, 1, dials(json!({"projections": {VIEW: {"slow_ms": 1}}}))));
        assert!(Arc::ptr_eq(&of(&progress, here, VIEW).unwrap(), &lanes));
        assert!(board.show(here, 2, Dials::default()));
        assert!(of(&progress, here, VIEW).is_none());
        assert!(of(&progress, there, VIEW).is_some());
        board.end(there);
        assert!(of(&progress, there, VIEW).is_none());
    }

    /// A consumer of this name.
    #[derive(Debug)]
    struct Named(&'static str);

    #[async_trait]
    impl EventHandler for Named {
        fn name(&self) -> &'static str {
            self.0
        }
    }

    #[test]
    fn a_consumer_keeps_every_guarantee_and_the_erasure_has_no_dials() {
        let handlers = ["search", ERASURE].map(|name| Arc::new(Named(name)) as Arc<dyn EventHandler>);
        let (progress, board) = (Arc::new(Progress::new(handlers)), DialBoard::default());
        let here = WorkspaceId(Uuid::from_u128(1));
        BentLanes::bend(&progress, &board);
        let taken = json!({"duplicate_detection": false, "gap_detection": false});
        assert!(board.show(here, 1, dials(json!({ "guarantees": taken }))));
        assert!(of(&progress, here, "search").is_none());
        let paused = json!({"search": {"paused": true, "fail_next": 1}, (ERASURE): {"paused": true}});
        let bent = json!({"guarantees": taken, "projections": paused});
        assert!(board.show(here, 2, dials(bent)));
        let lanes = of(&progress, here, "search").unwrap();
        assert!(lanes.paused && lanes.detects_duplicates && lanes.detects_gaps);
        assert!(lanes.failing.as_ref().unwrap().fails_next());
        assert!(of(&progress, here, ERASURE).is_none());
    }

    #[test]
    fn a_guarantee_that_is_taken_is_taken_from_every_view() {
        let (progress, board) = (Arc::new(Progress::default()), DialBoard::default());
        let here = WorkspaceId(Uuid::from_u128(1));
        BentLanes::bend(&progress, &board);
        let taken = Dials {
            guarantees: Guarantees {
                duplicate_detection: false,
                ..Guarantees::default()
            },
            ..Dials::default()
        };
        assert!(board.show(here, 1, taken));
        for view in progress.handlers() {
            let lanes = of(&progress, here, view.name()).unwrap();
            assert!(!lanes.detects_duplicates && lanes.detects_gaps, "{}", view.name());
        }
    }

    #[test]
    fn a_board_keeps_no_lanes() {
        let (progress, board) = (Arc::new(Progress::default()), DialBoard::default());
        BentLanes::bend(&progress, &board);
        let lanes = Arc::downgrade(&progress);
        drop(progress);
        assert!(lanes.upgrade().is_none());
    }
}
