//! Names and ids: workspaces, streams, and the hash that assigns a stream to its partition.
//!
//! Ids are UUIDv7 in lower case; stream names are `category-id`. Parsing is the only constructor, so that a
//! value of these types is always well formed.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The maximum length of a stream name, in bytes.
pub const MAX_STREAM_NAME: usize = 120;

/// A tenant: one class, one test or one business. Workspaces are isolated from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkspaceId(pub Uuid);

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WorkspaceId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Whether an id is a dot segment (RFC 3986, section 3.3). A client resolves these before it sends a URL, so
/// no URL names a document or a page of such an id. No new stream has one; streams of earlier versions may.
pub fn is_dot_segment(id: &str) -> bool {
    matches!(id, "." | "..")
}

/// The name of a stream, `category-id`: `order-0198…`, `product-mug-01`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StreamName(Arc<str>);

/// The reason why a text is not a stream name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamNameError {
    /// There is no `-`, or nothing before or after it.
    #[error("a stream is named category-id, as in order-0198c1…")]
    Shape,
    /// More than [`MAX_STREAM_NAME`] bytes.
    #[error("a stream name has at most {MAX_STREAM_NAME} characters")]
    TooLong,
    /// Something other than lower-case letters, digits, `-`, `_` and `.`.
    #[error("a stream name has lower-case letters, digits, '-', '_' and '.' only")]
    Character,
}

impl StreamName {
    /// Joins a category and an id.
    pub fn new(category: &str, id: impl fmt::Display) -> Result<Self, StreamNameError> {
        format!("{category}-{id}").parse()
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `-`: the category of the aggregate.
    pub fn category(&self) -> &str {
        self.0.split_once('-').map_or(&self.0, |(category, _)| category)
    }

    /// The part after the first `-`: the id of the aggregate.
    pub fn id(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, id)| id)
    }

    /// The partition of this stream in a workspace of `shards` partitions: `hash(stream) mod shards`.
    ///
    /// The hash is FNV-1a with 64 bits (Fowler, Noll and Vo), finished with a multiply and shift so that its
    /// low bits are well mixed. It is part of the stored format: changing it would strand every stream.
    pub fn partition(&self, shards: u32) -> u32 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in self.0.bytes() {
            hash ^= u64::from(byte);
            hash = hash.wrapping_mul(0x0100_0000_01b3);
        }
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        u32::try_from((hash >> 32) % u64::from(shards.max(1))).unwrap_or(0)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StreamName {
    type Err = StreamNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_STREAM_NAME {
            return Err(StreamNameError::TooLong);
        }
        match text.split_once('-') {
            Some((category, id)) if !category.is_empty() && !id.is_empty() => {}
            _ => return Err(StreamNameError::Shape),
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !text.chars().all(allowed) {
            return Err(StreamNameError::Character);
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The categories of aggregates whose stream names are derived from one another.
pub mod category {
    /// Stock of a product.
    pub const INVENTORY: &str = "inventory";
    /// Orders.
    pub const ORDER: &str = "order";
    /// Payments of orders.
    pub const PAYMENT: &str = "payment";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_splits_at_its_first_hyphen() {
        let name: StreamName = "product-mug-01".parse().unwrap();
        assert_eq!((name.category(), name.id()), ("product", "mug-01"));
    }

    #[test]
    fn an_invalid_stream_name_is_refused() {
        for (text, error) in [
            ("order", StreamNameError::Shape),
            ("-1", StreamNameError::Shape),
            ("order-", StreamNameError::Shape),
            ("order-A", StreamNameError::Character),
            ("order-1 2", StreamNameError::Character),
        ] {
            assert_eq!(text.parse::<StreamName>(), Err(error), "{text}");
        }
        assert_eq!(
            format!("a-{}", "b".repeat(200)).parse::<StreamName>(),
            Err(StreamNameError::TooLong)
        );
    }

    #[test]
    fn a_dot_segment_is_one_or_two_dots_and_its_stored_streams_are_read() {
        for id in [".", ".."] {
            assert!(is_dot_segment(id));
            assert_eq!(StreamName::new("product", id).unwrap().id(), id);
        }
        for id in ["...", ".a", "..-1", "a.", "-", "-.", "mug.01"] {
            assert!(!is_dot_segment(id), "{id}");
        }
    }

    /// The stored format: these must never change.
    #[test]
    fn partitions_are_stable_and_spread() {
        let name: StreamName = "order-1".parse().unwrap();
        assert_eq!(name.partition(1), 0);
        let mut counts = [0_u32; 16];
        for n in 0..16_000 {
            let name = StreamName::new("order", n).unwrap();
            counts[name.partition(16) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }
}
