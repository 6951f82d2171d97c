//! The present dials of every bent workspace, in memory: what the wrapped boxes look at.
//!
//! With no workspace bent a look costs one relaxed load. A workspace at rest is not on the board.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{
    id::WorkspaceId,
    wire::{Dials, dials::Frequency},
};
use tokio::sync::watch;

/// What the choices of a wait are counted under.
const JITTER: &str = "broker.jitter_ms";

/// The dials of one workspace, and what has been counted since they were set.
#[derive(Debug)]
pub struct Bent {
    /// The version of the stored dials.
    pub version: u64,
    /// The dials.
    pub dials: Dials,
    /// The version since which the dials of the cache are as they are now: what a bent cache has of an
    /// earlier version is not used.
    pub cache_since: u64,
    occurrences: Mutex<HashMap<&'static str, HashMap<String, Occurrences>>>,
}

/// What a frequency has counted.
#[derive(Debug, Default, Clone, Copy)]
struct Occurrences {
    seen: u64,
}

impl Bent {
    /// Dials, with nothing counted yet.
    pub fn new(version: u64, dials: Dials) -> Self {
        Self {
            version,
            dials,
            cache_since: version,
            occurrences: Mutex::default(),
        }
    }

    /// Dials that follow the known ones, with nothing counted yet.
    fn after(known: Option<&Self>, version: u64, dials: Dials) -> Self {
        let same_cache = known.filter(|known| known.dials.cache == dials.cache);
        let cache_since = same_cache.map_or(version, |known| known.cache_since);
        Self {
            cache_since,
            ..Self::new(version, dials)
        }
    }

    /// Counts an occurrence of `fault` at `place` (the name of a projection or of a group, or empty), and
    /// says whether the fault happens to it.
    pub fn strikes(&self, fault: &'static str, place: &str, frequency: Frequency) -> bool {
        if frequency.is_never() {
            return false;
        }
        let seen = self.count(fault, place);
        let is_next = seen <= u64::from(frequency.next);
        let is_nth = frequency.every > 0 && seen.is_multiple_of(u64::from(frequency.every));
        let is_chosen = self.random(fault, place, seen) % 100 < u64::from(frequency.percent);
        is_next || is_nth || is_chosen
    }

    /// Counts an event of a group, and says whether it is delivered after the next one: the first of each
    /// `within` events is.
    pub fn displaces(&self, group: &str, within: u32) -> bool {
        within >= 2 && self.count("broker.reorder_within", group) % u64::from(within) == 1
    }

    /// Counts an occurrence, and chooses a wait of up to `most_ms` for it.
    pub fn jitter(&self, place: &str, most_ms: u32) -> Duration {
        if most_ms == 0 {
            return Duration::ZERO;
        }
        let seen = self.count(JITTER, place);
        Duration::from_millis(self.random(JITTER, place, seen) % (u64::from(most_ms) + 1))
    }

    fn count(&self, fault: &'static str, place: &str) -> u64 {
        let mut counted = self.occurrences.lock().unwrap_or_else(PoisonError::into_inner);
        let places = counted.entry(fault).or_default();
        if !places.contains_key(place) {
            places.insert(place.to_owned(), Occurrences::default());
        }
        let occurrences = places.get_mut(place);
        occurrences.map_or(1, |occurrences| {
            occurrences.seen += 1;
            occurrences.seen
        })
    }

    /// A number that follows from the seed, the fault, the place and how often it has occurred.
    fn random(&self, fault: &str, place: &str, seen: u64) -> u64 {
        let mut state = self.dials.seed ^ 0x9e37_79b9_7f4a_7c15;
        let bytes = fault
            .bytes()
            .chain([0])
            .chain(place.bytes())
            .chain(seen.to_le_bytes());
        for byte in bytes {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // The end of SplitMix64, which spreads what FNV leaves in the low bits.
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }
}

/// Does what the board shows, for a box that does not look at it.
pub trait DialFollower: Send + Sync + Debug {
    /// The board has changed: what it shows now holds once this returns. Must not block.
    fn follow(&self, board: &DialBoard);
}

/// The dials of all workspaces that are bent.
#[derive(Debug)]
pub struct DialBoard {
    bent: RwLock<HashMap<WorkspaceId, Arc<Bent>>>,
    count: AtomicUsize,
    changes: watch::Sender<u64>,
    followers: RwLock<Vec<Arc<dyn DialFollower>>>,
}

impl Default for DialBoard {
    fn default() -> Self {
        Self {
            bent: RwLock::default(),
            count: AtomicUsize::new(0),
            changes: watch::Sender::new(0),
            followers: RwLock::default(),
        }
    }
}

impl DialBoard {
    /// The dials of a workspace; `None`: it is at rest.
    pub fn of(&self, workspace: WorkspaceId) -> Option<Arc<Bent>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let bent = self.bent.read().unwrap_or_else(PoisonError::into_inner);
        bent.get(&workspace).cloned()
    }

    /// Whether any workspace is bent.
    pub fn is_any_bent(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Every bent workspace.
    pub fn all(&self) -> Vec<(WorkspaceId, Arc<Bent>)> {
        let bent = self.bent.read().unwrap_or_else(PoisonError::into_inner);
        bent.iter()
            .map(|(workspace, bent)| (*workspace, Arc::clone(bent)))
            .collect()
    }

    /// Counts the changes of the board: a wrapped box that holds something back looks again after each.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Shows the dials of a workspace, unless newer ones are shown. What was counted begins anew. Returns
    /// whether they are shown.
    pub fn show(&self, workspace: WorkspaceId, version: u64, dials: Dials) -> bool {
        {
            let mut bent = self.bent.write().unwrap_or_else(PoisonError::into_inner);
            if bent.get(&workspace).is_some_and(|known| known.version >= version) {
                return false;
            }
            if dials.are_at_rest() {
                bent.remove(&workspace);
            } else {
                let shown = Bent::after(bent.get(&workspace).map(|known| &**known), version, dials);
                bent.insert(workspace, Arc::new(shown));
            }
            self.count.store(bent.len(), Ordering::Relaxed);
        }
        self.announce();
        true
    }

    /// Removes a workspace that has ended.
    pub fn end(&self, workspace: WorkspaceId) {
        {
            let mut bent = self.bent.write().unwrap_or_else(PoisonError::into_inner);
            bent.remove(&workspace);
            self.count.store(bent.len(), Ordering::Relaxed);
        }
        self.announce();
    }

    /// Has a follower do what the board shows, now and after each change.
    pub fn add_follower(&self, follower: &Arc<dyn DialFollower>) {
        {
            let mut followers = self.followers.write().unwrap_or_else(PoisonError::into_inner);
            followers.push(Arc::clone(follower));
        }
        // A change in between is followed twice.
        follower.follow(self);
    }

    fn announce(&self) {
        let followers = self.followers.read().unwrap_or_else(PoisonError::into_inner);
        for follower in &*followers {
            follower.follow(self);
        }
        drop(followers);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::{BrokerDials, CacheDials};
    use uuid::Uuid;

    use super::*;

    const CLASS: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

    fn bent(seed: u64) -> Bent {
        let dials = Dials {
            seed,
            ..Dials::default()
        };
        Bent::new(1, dials)
    }

    /// Which of the first occurrences a fault happens to, counted from 1.
    fn struck(bent: &Bent, place: &str, frequency: Frequency, occurrences: u32) -> Vec<u32> {
        (1..=occurrences)
            .filter(|_| bent.strikes("broker.duplicate", place, frequency))
            .collect()
    }

    fn delayed(delay_ms: u32) -> Dials {
        let broker = BrokerDials {
            delay_ms,
            ..BrokerDials::default()
        };
        Dials {
            broker,
            ..Dials::default()
        }
    }

    #[test]
    fn a_fault_happens_to_the_next_occurrences_and_to_each_so_many_th() {
        let never = Frequency::default();
        let next = Frequency { next: 3, ..never };
        assert_eq!(struck(&bent(0), "orders", next, 9), [1, 2, 3]);
        let every = Frequency { every: 4, ..never };
        assert_eq!(struck(&bent(0), "orders", every, 9), [4, 8]);
        let each = Frequency { every: 1, ..never };
        assert_eq!(struck(&bent(0), "orders", each, 3), [1, 2, 3]);
        let both = Frequency {
            next: 1,
            every: 3,
            ..never
        };
        assert_eq!(struck(&bent(0), "orders", both, 6), [1, 3, 6]);
        assert_eq!(struck(&bent(0), "orders", never, 9), [0; 0]);
    }

    #[test]
    fn a_place_counts_by_itself() {
        let bent = bent(0);
        let next = Frequency {
            next: 2,
            ..Frequency::default()
        };
        assert_eq!(struck(&bent, "orders", next, 2), [1, 2]);
        assert_eq!(struck(&bent, "inventory", next, 3), [1, 2]);
        assert_eq!(struck(&bent, "orders", next, 3), [0; 0]);
        assert!(
            bent.strikes("broker.lose_acknowledgement", "orders", next),
            "another fault is counted apart"
        );
    }

    #[test]
    fn a_seed_chooses_the_same_occurrences_every_time_and_another_seed_others() {
        let third = Frequency {
            percent: 30,
            ..Frequency::default()
        };
        let chosen = |seed| struck(&bent(seed), "orders", third, 1_000);
        assert_eq!(chosen(7), chosen(7));
        assert_ne!(chosen(7), chosen(8));
        assert!((200..400).contains(&chosen(7).len()), "{}", chosen(7).len());
        let always = Frequency {
            percent: 100,
            ..Frequency::default()
        };
        assert_eq!(struck(&bent(7), "orders", always, 100).len(), 100);
        let waits = |seed| {
            let bent = bent(seed);
            (0..100).map(|_| bent.jitter("orders", 50)).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
        assert!(waits(7).iter().all(|wait| *wait <= Duration::from_millis(50)));
        assert_eq!(bent(7).jitter("orders", 0), Duration::ZERO);
    }

    #[test]
    fn the_board_has_only_what_is_bent_and_never_an_older_version() {
        let board = DialBoard::default();
        let changes = board.changes();
        assert!(board.of(CLASS).is_none() && !board.is_any_bent());
        assert!(board.show(CLASS, 2, delayed(5)));
        assert!(!board.show(CLASS, 1, delayed(9)) && !board.show(CLASS, 2, delayed(9)));
        assert_eq!(board.of(CLASS).map(|bent| bent.dials.broker.delay_ms), Some(5));
        assert!(board.of(WorkspaceId(Uuid::from_u128(2))).is_none());
        assert!(board.is_any_bent() && board.all().len() == 1);
        assert!(board.show(CLASS, 3, Dials::default()));
        assert!(board.of(CLASS).is_none() && !board.is_any_bent());
        board.show(CLASS, 4, delayed(5));
        board.end(CLASS);
        assert!(board.of(CLASS).is_none() && !board.is_any_bent());
        assert_eq!(
            *changes.borrow(),
            4,
            "what is shown, reset, shown and ended is a change"
        );
    }

    #[test]
    fn a_change_begins_to_count_anew_and_leaves_the_dials_of_the_cache_as_old_as_they_are() {
        let board = DialBoard::default();
        let next = Frequency {
            next: 1,
            ..Frequency::default()
        };
        let cache = CacheDials {
            skip_invalidation: true,
            ..CacheDials::default()
        };
        let skipping = |delay_ms| Dials {
            cache,
            ..delayed(delay_ms)
        };
        let shown = |version, dials| {
            board.show(CLASS, version, dials);
            board.of(CLASS).unwrap()
        };
        let first = shown(1, delayed(1));
        assert_eq!(struck(&first, "orders", next, 2), [1]);
        assert_eq!(shown(2, skipping(1)).cache_since, 2);
        let third = shown(3, skipping(9));
        assert_eq!((third.version, third.cache_since), (3, 2));
        assert_eq!(struck(&third, "orders", next, 2), [1]);
        board.show(CLASS, 4, Dials::default());
        assert_eq!(
            shown(5, skipping(9)).cache_since,
            5,
            "they were at rest in between"
        );
    }
}
