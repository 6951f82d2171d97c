//! The quota of connections, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    limits::Client,
    proxies::{Network, is_trusted},
};

/// The default limit for one address, this machine's own excepted: a class of 200 behind one address, each
/// browser with six connections and a live socket, has 1,400.
const PER_ADDRESS: usize = 2_048;
/// Descriptors that are reserved for databases, files and peers.
const RESERVED_DESCRIPTORS: u64 = 128;
/// The fewest connections that are permitted, also where the machine has fewer descriptors.
const FEWEST: usize = 16;
/// The limit where a process has no limit of descriptors, or none that can be read.
const WITHOUT_DESCRIPTORS: usize = 8_192;

/// The limits of connections, and the counts of open ones.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) most: usize,
    pub(super) most_of_address: usize,
    most_of_this_machine: usize,
    proxies: Vec<Network>,
    now: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_address: HashMap<Client, usize>,
}

impl Quota {
    /// `most` in all. `of_address` is the setting for one address, zero for no limit. Without it one address
    /// may hold half of them at most; an address of this machine may hold all, because a proxy brings the
    /// connections of all clients.
    pub(super) fn new(most: usize, of_address: Option<u32>) -> Self {
        let (most_of_address, most_of_this_machine) = match of_address.map(usize::try_from) {
            Some(Ok(0) | Err(_)) => (usize::MAX, usize::MAX),
            Some(Ok(wanted)) => (wanted, wanted),
            None => (PER_ADDRESS.min(most / 2).max(1), usize::MAX),
        };
        Self {
            most,
            most_of_address,
            most_of_this_machine,
            proxies: Vec::new(),
            now: Mutex::default(),
        }
    }

    /// Trusted proxies may hold as many as this machine.
    pub(super) fn with_proxies(self, proxies: Vec<Network>) -> Self {
        Self { proxies, ..self }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // A count is changed in one step: a panic leaves it whole.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of connections that an address may hold.
    fn most_of(&self, address: IpAddr) -> usize {
        if address.to_canonical().is_loopback() || is_trusted(&self.proxies, address) {
            self.most_of_this_machine
        } else {
            self.most_of_address
        }
    }
}

/// The permit of one open connection, returned when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    quota: Arc<Quota>,
    client: Client,
}

impl Permit {
    /// Takes a permit for an address, or names the limit that is reached.
    pub(super) fn take(quota: &Arc<Quota>, address: IpAddr) -> Result<Self, &'static str> {
        let client = Client::of_address(Some(address));
        let mut counts = quota.counts();
        if counts.all >= quota.most {
            return Err("all");
        }
        let of_address = counts.of_address.entry(client).or_default();
        if *of_address >= quota.most_of(address) {
            return Err("address");
        }
        *of_address += 1;
        counts.all += 1;
        metrics::gauge!("foldline_connections").increment(1);
        drop(counts);
        Ok(Self {
            quota: Arc::clone(quota),
            client,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.quota.counts();
        counts.all -= 1;
        if let Some(of_address) = counts.of_address.get_mut(&self.client) {
            *of_address -= 1;
            if *of_address == 0 {
                counts.of_address.remove(&self.client);
            }
        }
        metrics::gauge!("foldline_connections").decrement(1);
    }
}

/// The number of connections that the process has descriptors for, after raising its limit to the maximum.
#[cfg(unix)]
pub(super) fn descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let descriptors = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "the process keeps its limit of descriptors");
            current
        }
    };
    connections_with(descriptors)
}

#[cfg(not(unix))]
pub(super) fn descriptor_limit() -> usize {
    WITHOUT_DESCRIPTORS
}

/// The number of connections for a number of descriptors; `None` is no limit of descriptors.
fn connections_with(descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else {
        return WITHOUT_DESCRIPTORS;
    };
    let free = descriptors.saturating_sub(RESERVED_DESCRIPTORS);
    usize::try_from(free).unwrap_or(usize::MAX).max(FEWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(most: usize, of_address: Option<u32>) -> Arc<Quota> {
        Arc::new(Quota::new(most, of_address))
    }

    #[test]
    fn an_address_holds_connections_up_to_its_limit_and_another_has_its_own_count() {
        let quota = quota(10, Some(2));
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let permits: Vec<_> = (0..2).map(|_| Permit::take(&quota, one).unwrap()).collect();
        assert_eq!(Permit::take(&quota, one).unwrap_err(), "address");
        Permit::take(&quota, two).unwrap();
        drop(permits);
        Permit::take(&quota, one).unwrap();
        assert!(
            quota.counts().of_address.is_empty(),
            "nothing is kept of an address that is gone"
        );
    }

    #[test]
    fn all_addresses_together_have_a_limit() {
        let quota = quota(2, Some(0));
        let [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| text.parse().unwrap());
        let _first = Permit::take(&quota, one).unwrap();
        let second = Permit::take(&quota, two).unwrap();
        assert_eq!(Permit::take(&quota, three).unwrap_err(), "all");
        drop(second);
        Permit::take(&quota, three).unwrap();
    }

    #[test]
    fn a_class_behind_one_address_is_not_refused_and_neither_is_a_proxy_on_this_machine() {
        let quota = quota(usize::MAX, None);
        let [class, proxy] = ["192.0.2.1", "::ffff:127.0.0.1"].map(|text| text.parse().unwrap());
        assert!(quota.most_of(class) >= 200 * 7);
        assert_eq!(quota.most_of(proxy), usize::MAX);
        let elsewhere = "10.0.0.1".parse().unwrap();
        assert_ne!(quota.most_of(elsewhere), usize::MAX);
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let quota = Arc::into_inner(quota).unwrap().with_proxies(proxies);
        assert_eq!(quota.most_of(elsewhere), usize::MAX);
    }

    #[test]
    fn an_address_leaves_half_of_the_connections_to_the_others_unless_it_is_set() {
        let address = "192.0.2.1".parse().unwrap();
        for (most, of_address, expected) in [
            (128, None, 64),
            (1, None, 1),
            (100_000, None, PER_ADDRESS),
            (128, Some(100), 100),
            (128, Some(0), usize::MAX),
        ] {
            let quota = quota(most, of_address);
            assert_eq!(quota.most_of(address), expected, "{most} {of_address:?}");
        }
    }

    #[test]
    fn descriptors_are_reserved_for_the_databases() {
        for (descriptors, connections) in [
            (Some(256), 128),
            (Some(1_024), 896),
            (Some(64), FEWEST),
            (None, WITHOUT_DESCRIPTORS),
        ] {
            assert_eq!(connections_with(descriptors), connections, "{descriptors:?}");
        }
    }
}
