//! The hops of a workspace, for those who look at its pipeline in the lab.
//!
//! | file | holds |
//! |---|---|
//! | `merging` | which hops are told one by one, and which are counted for their arrow |
//! | `ring` | the newest hops of a workspace, in a bounded ring, and what a reader gets of them |
//! | `reader` | a ring that boxes write to and readers follow, each at its own pace |
//! | `observatory` | which workspaces are observed, for how long, and for whom |
//! | `exchange` | hops of other servers, in messages of a bounded length |
//!
//! Boxes make hops only of a workspace that is observed. So without a reader they cost nothing, and a ring is
//! given back a minute after its last reader.

mod exchange;
mod merging;
mod observatory;
mod reader;
mod ring;

pub use observatory::{ARMED, HopSubscription, MAX_OBSERVED, Observatory, ObservatoryError};
pub use reader::FRAME_INTERVAL;
pub use ring::HopBatch;

#[cfg(test)]
mod tests;
