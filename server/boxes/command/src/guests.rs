//! The guests of sandboxes: people who have joined without an account, as far as this server has admitted
//! them.
//!
//! A sandbox has places for a number of people, and one person who knows its code could take them all: so
//! an address gets a share of them. A guest who never did anything, and whose token has ended, cannot come
//! back: the place is free again. Both are in memory: after a restart the store's number of people remains,
//! no address has taken any of them, and none of their places becomes free.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{id::WorkspaceId, timestamp::Timestamp};
use uuid::Uuid;

/// The least share of an address: a class of forty behind one address, and some who join twice.
const LEAST_SHARE: u32 = 60;

/// The share of an address where half of the places are as many: a school of 200 behind one address, and some
/// who join twice.
const SHARE_OF_SCHOOL: u32 = 240;

/// The share of an address is one in this many places.
const SHARES: u32 = 4;

/// How long after the end of a token its guest is still expected: clocks differ, and a request takes time.
const LEEWAY: Duration = Duration::from_mins(5);

/// How many guests, and how many addresses of workspaces, are known at most. A guest beyond that keeps the
/// place.
const CAPACITY: usize = 100_000;

/// The share of one address in a number of places: never more than half of them, unless they are few.
pub(super) fn share_of_address(places: u32) -> u32 {
    let of_school = SHARE_OF_SCHOOL.min(places / 2);
    (places / SHARES).max(of_school).max(LEAST_SHARE)
}

/// Where a person joins from, and how long their token lasts.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// The address; people without one are counted together.
    pub address: Option<IpAddr>,
    /// Seconds until the token ends, unless it is renewed.
    pub seconds: u64,
}

/// A guest who has done nothing yet.
#[derive(Debug)]
struct IdleGuest {
    address: Option<IpAddr>,
    until: Timestamp,
}

#[derive(Debug, Default)]
struct Places {
    idle: HashMap<(WorkspaceId, Uuid), IdleGuest>,
    of_address: HashMap<(WorkspaceId, Option<IpAddr>), u32>,
}

impl Places {
    fn give_back(&mut self, workspace: WorkspaceId, address: Option<IpAddr>) {
        let key = (workspace, address);
        if let Some(taken) = self.of_address.get_mut(&key) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                self.of_address.remove(&key);
            }
        }
    }
}

/// Knows the guests.
#[derive(Debug, Default)]
pub(super) struct Guests(Mutex<Places>);

impl Guests {
    fn places(&self) -> MutexGuard<'_, Places> {
        // Counts change in one step each: a panic leaves them usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place of an address's share; `false`: it has none left.
    pub(super) fn take(&self, workspace: WorkspaceId, address: Option<IpAddr>, share: Option<u32>) -> bool {
        let mut places = self.places();
        let key = (workspace, address);
        let taken = places.of_address.get(&key).copied().unwrap_or_default();
        if share.is_some_and(|share| taken >= share) {
            return false;
        }
        if taken > 0 || places.of_address.len() < CAPACITY {
            places.of_address.insert(key, taken + 1);
        }
        true
    }

    /// Gives a place back that was not used.
    pub(super) fn give_back(&self, workspace: WorkspaceId, address: Option<IpAddr>) {
        self.places().give_back(workspace, address);
    }

    /// Notes a guest who has come in on a place of their address.
    pub(super) fn enter(&self, workspace: WorkspaceId, person: Uuid, visit: &Visit, now: Timestamp) {
        let mut places = self.places();
        if places.idle.len() < CAPACITY {
            let guest = IdleGuest {
                address: visit.address,
                until: later(now, Duration::from_secs(visit.seconds)),
            };
            places.idle.insert((workspace, person), guest);
        }
    }

    /// A person has done something, and keeps the place.
    pub(super) fn act(&self, workspace: WorkspaceId, person: Uuid) {
        self.places().idle.remove(&(workspace, person));
    }

    /// A guest's token was renewed.
    pub(super) fn stay(&self, workspace: WorkspaceId, person: Uuid, until: Timestamp) {
        if let Some(guest) = self.places().idle.get_mut(&(workspace, person)) {
            guest.until = guest.until.max(until);
        }
    }

    /// Forgets the guests of a workspace who are gone, and gives the places of their addresses back; how many
    /// they are.
    pub(super) fn take_gone(&self, workspace: WorkspaceId, now: Timestamp) -> u32 {
        let mut places = self.places();
        let mut gone = Vec::new();
        places.idle.retain(|(of, _), guest| {
            let is_gone = *of == workspace && later(guest.until, LEEWAY) < now;
            if is_gone {
                gone.push(guest.address);
            }
            !is_gone
        });
        for address in &gone {
            places.give_back(workspace, *address);
        }
        u32::try_from(gone.len()).unwrap_or(u32::MAX)
    }

    /// The places of a workspace belong to the one that takes its place.
    pub(super) fn move_to(&self, old: WorkspaceId, new: WorkspaceId) {
        let mut places = self.places();
        let of_old = |(workspace, _): &&(WorkspaceId, Uuid)| *workspace == old;
        let people: Vec<_> = places.idle.keys().filter(of_old).copied().collect();
        for (workspace, person) in people {
            if let Some(guest) = places.idle.remove(&(workspace, person)) {
                places.idle.insert((new, person), guest);
            }
        }
        let of_old = |(workspace, _): &&(WorkspaceId, Option<IpAddr>)| *workspace == old;
        let addresses: Vec<_> = places.of_address.keys().filter(of_old).copied().collect();
        for (workspace, address) in addresses {
            if let Some(taken) = places.of_address.remove(&(workspace, address)) {
                *places.of_address.entry((new, address)).or_default() += taken;
            }
        }
    }

    /// Forgets a workspace that has ended.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        let mut places = self.places();
        places.idle.retain(|(of, _), _| *of != workspace);
        places.of_address.retain(|(of, _), _| *of != workspace);
    }
}

/// A time after another one.
pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    fn workspace(n: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(n))
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_micros(minutes * 60_000_000)
    }

    /// Takes a place for an hour at minute 0.
    fn enter(guests: &Guests, person: u128, address: Option<IpAddr>) {
        assert!(guests.take(workspace(1), address, Some(2)));
        let visit = Visit {
            address,
            seconds: 3_600,
        };
        guests.enter(workspace(1), Uuid::from_u128(person), &visit, at(0));
    }

    #[test]
    fn an_address_has_its_share_of_each_workspace() {
        let guests = Guests::default();
        for person in [1, 2] {
            enter(&guests, person, HERE);
        }
        assert!(!guests.take(workspace(1), HERE, Some(2)));
        assert!(guests.take(workspace(1), ELSEWHERE, Some(2)));
        assert!(guests.take(workspace(2), HERE, Some(2)));
        assert!(guests.take(workspace(1), HERE, None), "there is no limit");
        assert_eq!((share_of_address(1_000), share_of_address(80)), (250, 60));
        assert_eq!((share_of_address(500), share_of_address(300)), (240, 150));
    }

    #[test]
    fn a_guest_who_did_nothing_and_is_gone_frees_the_place_and_no_other_guest_does() {
        let guests = Guests::default();
        let [idle, acting, staying] = [1, 2, 3].map(Uuid::from_u128);
        enter(&guests, 1, HERE);
        enter(&guests, 2, HERE);
        enter(&guests, 3, ELSEWHERE);
        guests.act(workspace(1), acting);
        guests.stay(workspace(1), staying, at(120));
        assert_eq!(
            guests.take_gone(workspace(1), at(60)),
            0,
            "the token of {idle} is accepted"
        );
        assert_eq!(guests.take_gone(workspace(2), at(70)), 0);
        assert_eq!(guests.take_gone(workspace(1), at(70)), 1);
        assert_eq!(guests.take_gone(workspace(1), at(70)), 0, "once");
        assert!(guests.take(workspace(1), HERE, Some(2)));
        assert!(!guests.take(workspace(1), HERE, Some(2)), "one of them has acted");
        assert_eq!(guests.take_gone(workspace(1), at(130)), 1);
    }

    #[test]
    fn the_places_of_a_workspace_that_is_reset_are_those_of_the_new_one() {
        let guests = Guests::default();
        enter(&guests, 1, HERE);
        enter(&guests, 2, HERE);
        guests.move_to(workspace(1), workspace(3));
        assert!(!guests.take(workspace(3), HERE, Some(2)), "the address has both");
        assert!(guests.take(workspace(1), HERE, Some(2)));
        assert_eq!(guests.take_gone(workspace(3), at(70)), 2);
        assert_eq!(guests.take_gone(workspace(1), at(70)), 0);
    }

    #[test]
    fn a_workspace_that_has_ended_leaves_nothing() {
        let guests = Guests::default();
        enter(&guests, 1, HERE);
        guests.end(workspace(1));
        let places = guests.places();
        assert!(places.idle.is_empty() && places.of_address.is_empty());
    }
}
