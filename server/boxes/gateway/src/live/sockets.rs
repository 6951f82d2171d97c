//! The quota of live sockets: those that one person, one workspace and one address may hold at a time.
//!
//! A socket holds a descriptor and memory for as long as its client wants, and costs no request meanwhile. So
//! open sockets are counted, and one more is refused before its upgrade, with a sentence that names the
//! limit. A permit is part of the socket's task, and is returned however that ends.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::id::WorkspaceId;
use uuid::Uuid;

use crate::{
    limits::{Client, Limit, note_refusal},
    problem::{ApiProblem, Kind},
    settings::Limits,
};

/// The default for one address, this machine's own excepted: a class of 200 behind one address, each with
/// five tabs.
const PER_ADDRESS: u32 = 1_024;

/// After how many seconds a refused client may try again: as often as the pages reconnect at most.
const RETRY_SECONDS: u64 = 10;

/// The client that wants a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketOwner {
    /// The workspace of its token.
    pub(crate) workspace: WorkspaceId,
    /// The person of its token.
    pub(crate) person: Uuid,
    /// The address that it comes from.
    pub(crate) address: Client,
}

/// The limits of open sockets, and their counts.
#[derive(Debug)]
pub(crate) struct SocketQuota {
    of_person: Option<u32>,
    of_workspace: Option<u32>,
    /// The setting; `None`: the default, from which this machine's own addresses are excepted.
    of_address: Option<u32>,
    open: Mutex<OpenSockets>,
}

#[derive(Debug, Default)]
struct OpenSockets {
    people: HashMap<(WorkspaceId, Uuid), u32>,
    workspaces: HashMap<WorkspaceId, u32>,
    addresses: HashMap<Client, u32>,
}

impl SocketQuota {
    /// The quota of the settings; a limit of zero is none.
    pub(crate) fn new(limits: &Limits) -> Self {
        let limit = |count: u32| Some(count).filter(|count| *count > 0);
        Self {
            of_person: limit(limits.sockets_per_person),
            of_workspace: limit(limits.sockets_per_workspace),
            of_address: limits.sockets_per_address,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, OpenSockets> {
        // Counts change in one step each: a panic leaves them usable.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most sockets of an address; `None` is no limit.
    fn most_of_address(&self, address: Client) -> Option<u32> {
        match (self.of_address, address) {
            (Some(0), _) => None,
            (Some(count), _) => Some(count),
            // A proxy on this machine brings the sockets of all clients.
            (None, Client::Address(address)) if is_of_this_machine(address) => None,
            (None, _) => Some(PER_ADDRESS),
        }
    }

    /// Takes a permit for one socket, or refuses it by the name of the limit that is reached.
    pub(crate) fn take(self: &Arc<Self>, owner: SocketOwner) -> Result<SocketPermit, ApiProblem> {
        let person = (owner.workspace, owner.person);
        let mut open = self.open();
        if let Some(most) = reached(&open.people, &person, self.of_person) {
            return Err(too_many("one person", most));
        }
        if let Some(most) = reached(
            &open.addresses,
            &owner.address,
            self.most_of_address(owner.address),
        ) {
            return Err(too_many("one address", most));
        }
        if let Some(most) = reached(&open.workspaces, &owner.workspace, self.of_workspace) {
            note_refusal(Limit::Sockets);
            let detail = format!("{most} live sockets of one workspace may be open at a time, and all are");
            return Err(ApiProblem::new(Kind::QuotaExceeded, detail));
        }
        *open.people.entry(person).or_default() += 1;
        *open.addresses.entry(owner.address).or_default() += 1;
        *open.workspaces.entry(owner.workspace).or_default() += 1;
        drop(open);
        Ok(SocketPermit {
            quota: Arc::clone(self),
            owner,
        })
    }
}

/// The limit, where as many are open.
fn reached<K: Eq + Hash>(open: &HashMap<K, u32>, key: &K, most: Option<u32>) -> Option<u32> {
    most.filter(|most| open.get(key).is_some_and(|count| count >= most))
}

fn too_many(whose: &str, most: u32) -> ApiProblem {
    note_refusal(Limit::Sockets);
    let detail = format!("{most} live sockets of {whose} may be open at a time; close one of them first");
    ApiProblem::rate_limited(RETRY_SECONDS).with(|problem| problem.detail = detail)
}

fn is_of_this_machine(address: IpAddr) -> bool {
    // Of IPv6 only the network is kept, so that ::1 is ::, which no other machine has.
    let address = address.to_canonical();
    address.is_loopback() || matches!(address, IpAddr::V6(v6) if v6.is_unspecified())
}

/// The permit of one open socket, returned when it is dropped.
#[derive(Debug)]
pub(crate) struct SocketPermit {
    quota: Arc<SocketQuota>,
    owner: SocketOwner,
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        let SocketOwner {
            workspace,
            person,
            address,
        } = self.owner;
        let mut open = self.quota.open();
        give_back(&mut open.people, (workspace, person));
        give_back(&mut open.addresses, address);
        give_back(&mut open.workspaces, workspace);
    }
}

/// One less; nothing is kept of a key without sockets.
fn give_back<K: Eq + Hash>(open: &mut HashMap<K, u32>, key: K) {
    if let Entry::Occupied(mut count) = open.entry(key) {
        *count.get_mut() = count.get().saturating_sub(1);
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(of_person: u32, of_workspace: u32, of_address: Option<u32>) -> Arc<SocketQuota> {
        let limit = |count: u32| Some(count).filter(|count| *count > 0);
        Arc::new(SocketQuota {
            of_person: limit(of_person),
            of_workspace: limit(of_workspace),
            of_address,
            open: Mutex::default(),
        })
    }

    fn owner(workspace: u128, person: u128, address: &str) -> SocketOwner {
        SocketOwner {
            workspace: WorkspaceId(Uuid::from_u128(workspace)),
            person: Uuid::from_u128(person),
            address: Client::of_address(address.parse().ok()),
        }
    }

    fn refusal(quota: &Arc<SocketQuota>, owner: SocketOwner) -> (u16, String) {
        let problem = quota.take(owner).unwrap_err().into_problem();
        (problem.status, problem.detail)
    }

    #[test]
    fn a_person_holds_sockets_up_to_the_limit_and_the_same_id_elsewhere_has_its_own_count() {
        let quota = quota(2, 0, Some(0));
        let ada = owner(1, 1, "192.0.2.1");
        let mut permits: Vec<_> = (0..2).map(|_| quota.take(ada).unwrap()).collect();
        // another address and another token are the same person
        for same in [ada, owner(1, 1, "192.0.2.2")] {
            let (status, detail) = refusal(&quota, same);
            assert_eq!(status, 429);
            assert!(detail.contains("2 live sockets of one person"), "{detail}");
        }
        for other in [owner(1, 2, "192.0.2.1"), owner(2, 1, "192.0.2.1")] {
            quota.take(other).unwrap();
        }
        permits.pop();
        permits.push(quota.take(ada).unwrap());
    }

    #[test]
    fn an_address_and_a_workspace_have_limits_of_their_own() {
        let quota = quota(0, 3, Some(2));
        let permits: Vec<_> = [(1, "192.0.2.1"), (2, "192.0.2.1"), (3, "192.0.2.2")]
            .into_iter()
            .map(|(person, address)| quota.take(owner(1, person, address)).unwrap())
            .collect();
        let (status, detail) = refusal(&quota, owner(2, 4, "192.0.2.1"));
        assert_eq!(status, 429);
        assert!(detail.contains("2 live sockets of one address"), "{detail}");
        let (status, detail) = refusal(&quota, owner(1, 5, "192.0.2.3"));
        assert_eq!(status, 429);
        assert!(detail.contains("3 live sockets of one workspace"), "{detail}");
        drop(permits);
        let open = quota.open();
        assert!(open.people.is_empty() && open.addresses.is_empty() && open.workspaces.is_empty());
    }

    #[test]
    fn a_class_behind_one_address_is_not_refused_and_neither_is_a_proxy_on_this_machine() {
        let quota = quota(0, 0, None);
        let most = |address: &str| quota.most_of_address(Client::of_address(address.parse().ok()));
        assert!(most("192.0.2.1").is_some_and(|most| most >= 200 * 5));
        for own in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(most(own), None, "{own}");
        }
    }
}
