//! The dials of projections, and the guarantees of lanes: passes what the board shows on to the controls of
//! the lanes of views.
//!
//! Each server bends its own lanes, before they run and at each change. Process managers and consumers have
//! lanes of their own, which no dial reaches: what a view shows can be folded again, a command or a mail can
//! not be taken back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    id::WorkspaceId,
    wire::{ProjectionDials, dials::Frequency},
};
use projection::{
    lane_controls::{LaneDials, TransactionFaults},
    progress::Progress,
};

use super::board::{Bent, DialBoard, DialFollower};

/// The fault of a transaction that fails by its dial.
const FAILING: &str = "projections.fail";

/// Bends the lanes of views by the dials of the board.
#[derive(Debug)]
pub struct BentLanes {
    /// That of the views.
    progress: Arc<Progress>,
    /// The dials that the lanes have.
    passed: Mutex<HashMap<WorkspaceId, Arc<Bent>>>,
}

impl BentLanes {
    /// Bends the lanes of the views of this progress, from now on. Lanes that start later start bent.
    pub fn bend(progress: Arc<Progress>, board: &DialBoard) {
        let lanes = Self {
            progress,
            passed: Mutex::default(),
        };
        let lanes: Arc<dyn DialFollower> = Arc::new(lanes);
        board.add_follower(&lanes);
    }

    /// Bends every view of a workspace; `None`: puts it to rest.
    fn pass(&self, workspace: WorkspaceId, bent: Option<&Arc<Bent>>) {
        for view in self.progress.handlers().iter().filter(|it| it.is_rebuildable()) {
            let dials = bent.and_then(|bent| lane_dials(bent, view.name()));
            self.progress.bend(workspace, view.name(), dials);
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

/// The dials of a view's lanes; `None`: they are at rest.
fn lane_dials(bent: &Arc<Bent>, view: &'static str) -> Option<LaneDials> {
    let guarantees = bent.dials.guarantees;
    let dials = bent.dials.projections.get(view).cloned().unwrap_or_default();
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
            view,
            frequency,
        })
    };
    let dials = LaneDials {
        paused,
        slow: Duration::from_millis(u64::from(slow_ms)),
        failing: (!frequency.is_never()).then(faults),
        poison: poison_type,
        detects_duplicates: guarantees.duplicate_detection,
        detects_gaps: guarantees.gap_detection,
    };
    (!dials.are_at_rest()).then_some(dials)
}

/// Counts the transactions of a view, for those that fail by its dial.
#[derive(Debug)]
struct CountedFaults {
    bent: Arc<Bent>,
    view: &'static str,
    frequency: Frequency,
}

impl TransactionFaults for CountedFaults {
    fn fails_next(&self) -> bool {
        self.bent.strikes(FAILING, self.view, self.frequency)
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::{Dials, Guarantees};
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
        BentLanes::bend(Arc::clone(&progress), &board);
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

    #[test]
    fn a_guarantee_that_is_taken_is_taken_from_every_view() {
        let (progress, board) = (Arc::new(Progress::default()), DialBoard::default());
        let here = WorkspaceId(Uuid::from_u128(1));
        BentLanes::bend(Arc::clone(&progress), &board);
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
}
