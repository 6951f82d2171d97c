//! Shares the lane groups among the servers on one read model: each group has one owner.
//!
//! A group is some of the workspaces, with all of their partitions and views: a document may depend on
//! several partitions, and is consistent with a token only if one server publishes all of them in order. Each
//! server renews its membership every second. From the members every server computes the same proposal, in
//! which no server has more than its share; the rows of the read model decide: see [`documents::Sharing`]. A
//! server takes free groups that are proposed for it, and gives away those that are proposed for another.
//!
//! A server that was stopped by its machine for longer than the lease does not know that it has lost its
//! groups; the checkpoints refuse what it commits.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use broker::{Broker, Heard, PartitionId, ServerMessage};
use documents::{DocumentStoreError, Membership, Sharing};
use domain::id::WorkspaceId;
use tokio::{
    sync::{Notify, broadcast::error::RecvError, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ownership::Ownership;

/// The number of lane groups: a bit each.
const GROUPS: u32 = u64::BITS;

/// How often a server renews its membership.
const RENEWAL: Duration = Duration::from_secs(1);

/// A server whose membership is older has lost its groups; as in the read model.
const LEASE: Duration = Duration::from_secs(5);

/// After so many renewals old commits are removed.
const RENEWALS_PER_TRIM: u64 = 2;

/// The pause after a message to the other servers: commits of that time are told together.
const TELL_PAUSE: Duration = Duration::from_millis(3);

/// The most workspaces that one message names.
const NAMED: usize = 100;

/// The leases of this server.
#[derive(Debug)]
pub struct LaneLeases {
    server: Uuid,
    sharing: Arc<dyn Sharing>,
    /// A bit for each group that this server owns.
    owned: AtomicU64,
    has_others: AtomicBool,
    renewed_at: Mutex<Instant>,
    changes: watch::Sender<u64>,
    handed_over: Mutex<HashSet<WorkspaceId>>,
    added: Notify,
}

#[async_trait]
impl Ownership for LaneLeases {
    async fn owns(&self, _group: &'static str, partition: PartitionId) -> bool {
        self.owned.load(Ordering::Acquire) & bit(group_of(partition.workspace)) != 0 && self.is_valid()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn has_others(&self) -> bool {
        self.has_others.load(Ordering::Acquire)
    }

    fn handed_over(&self, workspace: WorkspaceId) {
        let mut handed_over = self.handed_over.lock().unwrap_or_else(PoisonError::into_inner);
        handed_over.insert(workspace);
        self.added.notify_one();
    }

    fn changes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.changes.subscribe())
    }

    async fn run(&self, broker: &dyn Broker, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.renew_forever(broker) => {}
            () = self.tell_forever(broker) => {}
        }
        self.set_owned(0);
        if let Err(error) = self.sharing.leave(self.server).await {
            tracing::warn!(%error, "the lane groups of this server are free when its lease is over");
        }
        self.tell_owners(broker).await;
    }
}

impl LaneLeases {
    /// Joins the servers that share a read model, with a new id. The first of them owns every group at once.
    pub async fn join(sharing: Arc<dyn Sharing>, server: Uuid) -> Result<Self, DocumentStoreError> {
        let leases = Self {
            server,
            sharing,
            owned: AtomicU64::new(0),
            has_others: AtomicBool::new(false),
            renewed_at: Mutex::new(Instant::now()),
            changes: watch::Sender::new(0),
            handed_over: Mutex::default(),
            added: Notify::new(),
        };
        leases.renew().await?;
        Ok(leases)
    }

    async fn renew_forever(&self, broker: &dyn Broker) {
        let mut messages = broker.messages();
        self.tell_owners(broker).await;
        let mut renewals: u64 = 0;
        loop {
            let next = Instant::now() + RENEWAL;
            loop {
                tokio::select! {
                    () = sleep_until(next) => break,
                    heard = messages.recv() => match heard {
                        Ok(Heard::Message(ServerMessage::Owners)) => break,
                        Ok(_) | Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => {
                            // A broker without messages: the clock decides.
                            sleep_until(next).await;
                            break;
                        }
                    },
                }
            }
            match self.renew().await {
                Ok(true) => self.tell_owners(broker).await,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the lane groups of this server could not be renewed yet");
                }
            }
            renewals = renewals.wrapping_add(1);
            if renewals.is_multiple_of(RENEWALS_PER_TRIM)
                && self.owned.load(Ordering::Acquire) & 1 != 0
                && let Err(error) = self.sharing.trim().await
            {
                tracing::warn!(%error, "commits that were handed over could not be removed; trying again");
            }
        }
    }

    /// Tells the other servers where they have something to follow.
    async fn tell_forever(&self, broker: &dyn Broker) {
        loop {
            self.added.notified().await;
            let workspaces: Vec<WorkspaceId> = {
                let mut handed_over = self.handed_over.lock().unwrap_or_else(PoisonError::into_inner);
                handed_over.drain().collect()
            };
            for named in workspaces.chunks(NAMED) {
                let workspaces = named.to_vec();
                broker.tell(&ServerMessage::Folded { workspaces }).await;
            }
            sleep(TELL_PAUSE).await;
        }
    }

    async fn tell_owners(&self, broker: &dyn Broker) {
        if self.has_others() {
            broker.tell(&ServerMessage::Owners).await;
        }
    }

    /// Renews the membership, takes groups and gives groups away. Returns whether others have to look.
    async fn renew(&self) -> Result<bool, DocumentStoreError> {
        let at = Instant::now();
        let Membership { servers, mut owners } = self.sharing.renew(self.server).await?;
        *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
        self.has_others.store(
            servers.iter().any(|server| *server != self.server),
            Ordering::Release,
        );
        let proposal = proposal(&servers);
        let free = free_groups(&servers, &owners, &proposal, self.server);
        if !free.is_empty() {
            owners = self.sharing.claim(self.server, &free).await?;
        }
        let given: Vec<(u32, Uuid)> = owners
            .iter()
            .filter(|(_, owner)| *owner == self.server)
            .filter_map(|(group, _)| Some((*group, *proposal.get(usize::try_from(*group).ok()?)?)))
            .filter(|(_, proposed)| *proposed != self.server)
            .collect();
        let mut owned = owners
            .iter()
            .filter(|(group, owner)| *owner == self.server && *group < GROUPS)
            .fold(0, |owned, (group, _)| owned | bit(*group));
        for (group, _) in &given {
            owned &= !bit(*group);
        }
        // Its lanes begin nothing more before another server may.
        let has_changed = self.set_owned(owned);
        if !given.is_empty() {
            self.sharing.hand_over(self.server, &given).await?;
        }
        Ok(has_changed || !given.is_empty())
    }

    /// Returns whether that is a change.
    fn set_owned(&self, owned: u64) -> bool {
        let before = self.owned.swap(owned, Ordering::AcqRel);
        if before == owned {
            return false;
        }
        tracing::info!(
            groups = owned.count_ones(),
            of = GROUPS,
            "the lane groups of this server have changed"
        );
        metrics::gauge!("foldline_lane_groups_owned").set(f64::from(owned.count_ones()));
        self.changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
        true
    }

    /// Whether the lease holds. A server that has met no other keeps its groups while the database does not
    /// answer.
    fn is_valid(&self) -> bool {
        let renewed_at = *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner);
        !self.has_others() || renewed_at.elapsed() < LEASE
    }
}

/// The groups without a living owner that are proposed for a server.
fn free_groups(servers: &[Uuid], owners: &[(u32, Uuid)], proposal: &[Uuid], server: Uuid) -> Vec<u32> {
    let held: HashSet<u32> = owners
        .iter()
        .filter(|(_, owner)| servers.contains(owner))
        .map(|(group, _)| *group)
        .collect();
    (0..GROUPS)
        .zip(proposal)
        .filter(|(group, proposed)| **proposed == server && !held.contains(group))
        .map(|(group, _)| group)
        .collect()
}

/// The owner that is proposed for each group: the server that weighs most for it (rendezvous hashing), of
/// those that have less than their share. Empty without servers.
fn proposal(servers: &[Uuid]) -> Vec<Uuid> {
    let share = usize::try_from(GROUPS)
        .unwrap_or(usize::MAX)
        .div_ceil(servers.len().max(1));
    let mut counts = vec![0; servers.len()];
    let mut proposal = Vec::new();
    for group in 0..GROUPS {
        let heaviest = servers
            .iter()
            .enumerate()
            .filter(|(index, _)| counts.get(*index).is_some_and(|count| *count < share))
            .max_by_key(|(_, server)| (weight(group, **server), **server));
        let Some((index, server)) = heaviest else { break };
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
        proposal.push(*server);
    }
    proposal
}

fn bit(group: u32) -> u64 {
    1 << group
}

/// The group of a workspace.
fn group_of(workspace: WorkspaceId) -> u32 {
    let (high, low) = workspace.0.as_u64_pair();
    let group = mix(high ^ mix(low)) % u64::from(GROUPS);
    u32::try_from(group).unwrap_or(0)
}

fn weight(group: u32, server: Uuid) -> u64 {
    let (high, low) = server.as_u64_pair();
    mix(mix(high ^ u64::from(group)) ^ low)
}

/// The output function of `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
/// 2014): the same on every machine.
fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: u128) -> Vec<Uuid> {
        (1..=count).map(Uuid::from_u128).collect()
    }

    fn count(proposal: &[Uuid], server: Uuid) -> usize {
        proposal.iter().filter(|proposed| **proposed == server).count()
    }

    #[test]
    fn no_server_gets_more_than_its_share() {
        assert!(proposal(&[]).is_empty());
        for number in 1..=9 {
            let servers = servers(number);
            let proposal = proposal(&servers);
            assert_eq!(proposal.len(), 64);
            for server in &servers {
                assert!(
                    count(&proposal, *server) <= 64_usize.div_ceil(servers.len()),
                    "{number}"
                );
            }
        }
    }

    #[test]
    fn a_server_that_leaves_frees_its_groups_and_few_others_move() {
        let (three, two) = (servers(3), servers(2));
        let (before, after) = (proposal(&three), proposal(&two));
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after);
        let left = count(&before, three[2]);
        assert!((left..2 * left).contains(&moved.count()), "{left}");
    }

    #[test]
    fn a_group_is_free_if_its_owner_is_gone_and_is_taken_by_the_proposed_server() {
        let two = servers(2);
        let proposal = proposal(&two);
        let gone = Uuid::from_u128(9);
        let owners: Vec<(u32, Uuid)> = (0..GROUPS).map(|group| (group, gone)).collect();
        let mut taken = Vec::new();
        for server in &two {
            let free = free_groups(&two, &owners, &proposal, *server);
            assert_eq!(free.len(), count(&proposal, *server));
            taken.extend(free);
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..GROUPS).collect::<Vec<_>>());
        let owners: Vec<(u32, Uuid)> = (0..GROUPS).map(|group| (group, two[0])).collect();
        let none: [u32; 0] = [];
        assert_eq!(free_groups(&two, &owners, &proposal, two[1]), none);
    }

    #[test]
    fn workspaces_are_spread_over_all_groups() {
        let groups: HashSet<u32> = (0..1_000)
            .map(|id| group_of(WorkspaceId(Uuid::from_u128(id))))
            .collect();
        assert_eq!(groups.len(), 64);
    }
}
