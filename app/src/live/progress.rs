//! How far a subscription has come, and how true what it shows is.
//!
//! One event may change several documents of a listing. Until the last of them its position is not complete, so that all but
//! the last change carry the token of the moment before it, which a subscription may know already. So it is the event of a
//! change that says whether the change is new, and not its token.

use domain::{token::ConsistencyToken, wire::ChangeCause};
use uuid::Uuid;

use super::Millis;

/// Where a subscription stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    as_of: ConsistencyToken,
    /// The event that was told of last, and the keys that it has changed so far; `None` where it is complete for certain.
    partial: Option<(Uuid, Vec<String>)>,
    generation: u64,
    behind: u64,
    behind_since: Option<Millis>,
    followed: bool,
}

impl Progress {
    /// At a snapshot.
    pub fn at(as_of: ConsistencyToken, generation: u64, behind: u64) -> Self {
        Self {
            as_of,
            partial: None,
            generation,
            behind,
            behind_since: None,
            followed: false,
        }
    }

    /// Whether the live connection has said how far the view is: until then nobody knows what has happened since.
    pub fn is_followed(&self) -> bool {
        self.followed
    }

    /// The live connection speaks of it.
    pub fn follow(&mut self) {
        self.followed = true;
    }

    /// The live connection is lost. True where it was there.
    pub fn lose(&mut self) -> bool {
        self.behind_since = None;
        std::mem::take(&mut self.followed)
    }

    /// What is shown contains everything up to here.
    pub fn as_of(&self) -> &ConsistencyToken {
        &self.as_of
    }

    /// The generation of the view.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Events that are stored and not folded yet, as far as is known.
    pub fn behind(&self) -> u64 {
        self.behind
    }

    /// Since when the view has been behind, where that is known.
    pub fn behind_since(&self) -> Option<Millis> {
        self.behind_since
    }

    /// Notes that `event` has changed `key`; false where that was seen before.
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

    /// The view has folded everything, and everything has been sent. A token that is older than what is shown is late
    /// and says nothing.
    pub fn caught_up(&mut self, as_of: ConsistencyToken) {
        if as_of.covers(&self.as_of) {
            self.as_of = as_of;
            self.partial = None;
            self.behind = 0;
            self.behind_since = None;
        }
        self.followed = true;
    }

    /// The view has not folded `behind` events for `behind_ms`.
    pub fn fell_behind(&mut self, behind: u64, behind_ms: u64, now: Millis) {
        self.followed = true;
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
    fn a_change_that_the_snapshot_holds_is_old() {
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
            "it is complete"
        );
    }

    #[test]
    fn a_change_before_the_last_of_its_event_is_new_though_its_moment_is_known() {
        let mut progress = Progress::at(token("0:4"), 1, 0);
        progress.caught_up(token("0:5"));
        assert!(progress.advance(&token("0:5"), &event(0, 6), "a"));
        // The last of it was another subscription's, and the next event begins with the same document.
        assert!(progress.advance(&token("0:6"), &event(0, 7), "a"));
    }

    #[test]
    fn partitions_move_on_their_own_and_never_back() {
        let mut progress = Progress::at(token("0:5,1:3"), 1, 0);
        assert!(progress.advance(&token("0:5,1:4"), &event(1, 4), "a"));
        // The other partition's last event is not told of at that moment, and was in the snapshot.
        assert!(progress.advance(&token("0:6,1:3"), &event(0, 6), "a"));
        assert_eq!(progress.as_of(), &token("0:6,1:4"));
        assert!(!progress.advance(&token("0:6,1:4"), &event(1, 4), "a"));
    }

    #[test]
    fn being_behind_ends_when_it_has_caught_up() {
        let mut progress = Progress::at(token("0:5"), 1, 2);
        progress.fell_behind(3, 740, 10_000);
        assert_eq!((progress.behind(), progress.behind_since()), (3, Some(9_260)));
        progress.caught_up(token("0:4"));
        assert_eq!(progress.behind(), 3);
        progress.caught_up(token("0:8"));
        assert_eq!(
            (progress.behind(), progress.behind_since(), progress.as_of()),
            (0, None, &token("0:8"))
        );
    }

    #[test]
    fn a_view_is_followed_from_the_first_word_of_the_connection_to_its_loss() {
        let mut progress = Progress::at(token("0:5"), 1, 0);
        assert!(!progress.is_followed());
        progress.caught_up(token("0:5"));
        assert!(progress.is_followed());
        assert!(progress.lose());
        assert!(!progress.is_followed());
    }
}
