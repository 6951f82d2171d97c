//! The progress of a subscription, and the freshness of what it shows.
//!
//! One event may change several documents of a listing. All but the last of its changes carry the token
//! before the event, which a subscription may have reached already. So the event of a change decides whether
//! the change is new, and not its token.

use domain::{token::ConsistencyToken, wire::ChangeCause};
use uuid::Uuid;

use super::Millis;

/// The progress of one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    as_of: ConsistencyToken,
    /// The newest event and the keys that it has changed so far; `None` if it is certainly complete.
    partial: Option<(Uuid, Vec<String>)>,
    generation: u64,
    behind: u64,
    behind_since: Option<Millis>,
    paused: bool,
    followed: bool,
}

impl Progress {
    /// The progress at a snapshot.
    pub fn at(as_of: ConsistencyToken, generation: u64, behind: u64) -> Self {
        Self {
            as_of,
            partial: None,
            generation,
            behind,
            behind_since: None,
            paused: false,
            followed: false,
        }
    }

    /// Whether the live connection has reported the view's position. Until then, later events are unknown
    /// here.
    pub fn is_followed(&self) -> bool {
        self.followed
    }

    /// The live connection has reported the view's position.
    pub fn follow(&mut self) {
        self.followed = true;
    }

    /// The live connection is lost. True if the subscription was followed.
    pub fn lose(&mut self) -> bool {
        self.behind_since = None;
        self.paused = false;
        std::mem::take(&mut self.followed)
    }

    /// The position up to which everything is shown.
    pub fn as_of(&self) -> &ConsistencyToken {
        &self.as_of
    }

    /// The generation of the view.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The number of events that the view has not folded, as last reported.
    pub fn behind(&self) -> u64 {
        self.behind
    }

    /// The time since which the view has been behind, if known.
    pub fn behind_since(&self) -> Option<Millis> {
        self.behind_since
    }

    /// Whether the view is behind because it is paused, as last reported.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Records that `event` has changed `key`; false if that was recorded before.
    pub fn advance(&mut self, as_of: &ConsistencyToken, event: &ChangeCause, key: &str) -> bool {
        if event.position <= self.as_of.position(event.partition) {
            return false;
        }
        match &mut self.partial {
            Some((id, keys)) if *id == event.id => {
                if keys.iter().any(|seen| seen == key) {
                    return false;
                }
                keys.push(key.to_owned());
            }
            _ => self.partial = Some((event.id, vec![key.to_owned()])),
        }
        for (partition, position) in as_of.iter() {
            self.as_of.advance(partition, position);
        }
        true
    }

    /// The view has folded every event and the server has sent every change. A token older than the shown
    /// position is late and is ignored.
    pub fn caught_up(&mut self, as_of: ConsistencyToken) {
        if as_of.covers(&self.as_of) {
            self.as_of = as_of;
            self.partial = None;
            self.behind = 0;
            self.behind_since = None;
            self.paused = false;
        }
        self.followed = true;
    }

    /// The view has been `behind` events behind for `behind_ms`, because it is paused or for another reason.
    pub fn fell_behind(&mut self, behind: u64, behind_ms: u64, paused: bool, now: Millis) {
        self.followed = true;
        self.paused = paused;
        self.behind = behind;
        self.behind_since = (behind > 0).then(|| now.saturating_sub(behind_ms));
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn token(text: &str) -> ConsistencyToken {
        text.parse().unwrap()
    }

    /// The event at a position of a partition.
    fn event(partition: u32, position: u64) -> ChangeCause {
        ChangeCause {
            id: Uuid::from_u64_pair(partition.into(), position),
            event_type: "OrderConfirmed".into(),
            partition,
            position,
        }
    }

    #[test]
    fn a_change_that_the_snapshot_contains_is_not_new() {
        let mut progress = Progress::at(token("0:5"), 1, 0);
        assert!(!progress.advance(&token("0:5"), &event(0, 5), "a"));
        assert!(!progress.advance(&token("0:4"), &event(0, 4), "a"));
        assert!(progress.advance(&token("0:6"), &event(0, 6), "a"));
    }

    #[test]
    fn one_event_may_change_several_documents_and_each_of_them_once() {
        let mut progress = Progress::at(token("0:5"), 1, 0);
        for key in ["a", "b"] {
            assert!(progress.advance(&token("0:5"), &event(0, 6), key));
            assert!(!progress.advance(&token("0:5"), &event(0, 6), key));
        }
        assert!(progress.advance(&token("0:6"), &event(0, 6), "c"));
        assert!(
            !progress.advance(&token("0:5"), &event(0, 6), "a"),
            "the event is complete"
        );
    }

    #[test]
    fn a_change_before_the_last_of_its_event_is_new_although_its_token_is_known() {
        let mut progress = Progress::at(token("0:4"), 1, 0);
        progress.caught_up(token("0:5"));
        assert!(progress.advance(&token("0:5"), &event(0, 6), "a"));
        // The event's last change was another subscription's, and the next event begins with the same
        // document.
        assert!(progress.advance(&token("0:6"), &event(0, 7), "a"));
    }

    #[test]
    fn partitions_move_on_their_own_and_never_back() {
        let mut progress = Progress::at(token("0:5,1:3"), 1, 0);
        assert!(progress.advance(&token("0:5,1:4"), &event(1, 4), "a"));
        // The token has an older position of the other partition, whose last event was in the snapshot.
        assert!(progress.advance(&token("0:6,1:3"), &event(0, 6), "a"));
        assert_eq!(progress.as_of(), &token("0:6,1:4"));
        assert!(!progress.advance(&token("0:6,1:4"), &event(1, 4), "a"));
    }

    #[test]
    fn a_view_that_has_caught_up_is_no_longer_behind() {
        let mut progress = Progress::at(token("0:5"), 1, 2);
        progress.fell_behind(3, 740, true, 10_000);
        assert_eq!((progress.behind(), progress.behind_since()), (3, Some(9_260)));
        progress.caught_up(token("0:4"));
        assert_eq!(progress.behind(), 3);
        assert!(progress.is_paused());
        progress.fell_behind(3, 990, false, 10_250);
        assert!(!progress.is_paused(), "it was resumed");
        progress.fell_behind(3, 1_240, true, 10_500);
        progress.caught_up(token("0:8"));
        assert!(!progress.is_paused());
        assert_eq!(
            (progress.behind(), progress.behind_since(), progress.as_of()),
            (0, None, &token("0:8"))
        );
    }

    #[test]
    fn a_view_is_followed_from_the_first_frame_of_the_connection_to_its_loss() {
        let mut progress = Progress::at(token("0:5"), 1, 0);
        assert!(!progress.is_followed());
        progress.caught_up(token("0:5"));
        assert!(progress.is_followed());
        assert!(progress.lose());
        assert!(!progress.is_followed());
    }
}
