//! The consistency token: a position in each partition.
//!
//! Its text is `partition:position`, joined by commas for several partitions: `0:12,3:128`. A command's
//! answer carries the token of its events; a query with that token waits until its view has folded them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The maximum number of partitions of a workspace, and so of a token.
pub const MAX_PARTITIONS: usize = 64;

/// A vector of positions, one for each partition. Partitions that are not named are at 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsistencyToken(BTreeMap<u32, u64>);

/// The error for a text that is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a consistency token is partition:position, joined by commas, as in 0:12,3:128")]
pub struct TokenError;

impl ConsistencyToken {
    /// A token of one partition.
    pub fn at(partition: u32, position: u64) -> Self {
        Self(BTreeMap::from([(partition, position)]))
    }

    /// The position in a partition; 0 for a partition that is not named.
    pub fn position(&self, partition: u32) -> u64 {
        self.0.get(&partition).copied().unwrap_or(0)
    }

    /// Advances a partition; an older position has no effect.
    pub fn advance(&mut self, partition: u32, position: u64) {
        let current = self.0.entry(partition).or_insert(0);
        *current = (*current).max(position);
    }

    /// Whether this token is at or after `other` in every partition.
    pub fn covers(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .all(|(partition, position)| self.position(*partition) >= *position)
    }

    /// The number of events between this token and `head`; it saturates, because a client's token may name
    /// any position.
    pub fn behind(&self, head: &Self) -> u64 {
        head.0
            .iter()
            .map(|(partition, position)| position.saturating_sub(self.position(*partition)))
            .fold(0, u64::saturating_add)
    }

    /// The partitions and their positions, in order of partition.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0.iter().map(|(partition, position)| (*partition, *position))
    }
}

impl FromIterator<(u32, u64)> for ConsistencyToken {
    fn from_iter<I: IntoIterator<Item = (u32, u64)>>(positions: I) -> Self {
        // Collecting a map sorts first, which is much code for a few partitions.
        let mut token = Self::default();
        for (partition, position) in positions {
            token.0.insert(partition, position);
        }
        token
    }
}

impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0:0");
        }
        for (n, (partition, position)) in self.0.iter().enumerate() {
            write!(f, "{}{partition}:{position}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for ConsistencyToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut positions = BTreeMap::new();
        for part in text.split(',') {
            let (partition, position) = part.split_once(':').ok_or(TokenError)?;
            let partition = partition.parse().map_err(|_| TokenError)?;
            let position = position.parse().map_err(|_| TokenError)?;
            if positions.insert(partition, position).is_some() || positions.len() > MAX_PARTITIONS {
                return Err(TokenError);
            }
        }
        Ok(Self(positions))
    }
}

impl Serialize for ConsistencyToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConsistencyToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_text() {
        for text in ["0:0", "3:128", "0:12,3:128"] {
            assert_eq!(text.parse::<ConsistencyToken>().unwrap().to_string(), text);
        }
        for text in ["", "3", "3:", ":1", "0:1,0:2", "a:b", "0:-1"] {
            assert_eq!(text.parse::<ConsistencyToken>(), Err(TokenError), "{text}");
        }
    }

    #[test]
    fn covering_is_by_partition() {
        let token: ConsistencyToken = "0:5,1:7".parse().unwrap();
        assert!(token.covers(&"0:5".parse().unwrap()));
        assert!(!token.covers(&"0:5,2:1".parse().unwrap()));
        assert_eq!(token.behind(&"0:6,1:7,2:3".parse().unwrap()), 4);
        let far = format!("0:{0},1:{0}", u64::MAX);
        assert_eq!(token.behind(&far.parse().unwrap()), u64::MAX);
    }
}
