//! The rules between an event and the one before it in its partition: positions and versions have no gap, the
//! stream is in the partition of its name, and the hash follows from the content and the previous hash.

use domain::event::{GENESIS_HASH, StoredEvent};

/// The position and the hash of a partition's newest event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainHead {
    /// The position of its newest event; 0 before the first.
    pub position: u64,
    /// That event's hash.
    pub hash: String,
}

impl Default for ChainHead {
    fn default() -> Self {
        Self {
            position: 0,
            hash: GENESIS_HASH.to_owned(),
        }
    }
}

impl ChainHead {
    /// Why `event` cannot be the next one in `partition` of `shards`, where its stream is at `version`.
    pub fn fault(
        &self,
        event: &StoredEvent,
        (partition, shards): (u32, u32),
        version: u64,
    ) -> Option<String> {
        if event.position != self.position + 1 {
            return Some(format!("position {} was expected", self.position + 1));
        }
        if event.version != version + 1 {
            return Some(format!(
                "version {} was expected, it has {}",
                version + 1,
                event.version
            ));
        }
        if event.stream.partition(shards) != partition {
            return Some(format!(
                "the stream belongs to partition {}",
                event.stream.partition(shards)
            ));
        }
        if event.chain_hash(&self.hash) != event.hash {
            return Some("its hash does not follow from its content and the event before it".to_owned());
        }
        None
    }

    /// Makes `event` the newest one.
    pub fn advance(&mut self, event: &StoredEvent) {
        self.position = event.position;
        self.hash.clone_from(&event.hash);
    }
}
