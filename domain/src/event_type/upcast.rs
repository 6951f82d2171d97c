//! Upcasters: each converts a payload from one version to the next.
//!
//! Stored events never change; they are upcast when they are read. An upcaster is a pure function from the
//! struct of one version to that of the next, so it runs in the server, the verifier and the browser alike.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The upcaster from one version of a payload to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// The event's type.
    pub event: &'static str,
    /// The version that it reads.
    pub from: u32,
    step: fn(&RawValue) -> serde_json::Result<Box<RawValue>>,
}

impl Upcaster {
    /// The upcaster of an event type from version `from` on, between the structs of two versions.
    pub const fn new<Old, New>(event: &'static str, from: u32) -> Self
    where
        Old: DeserializeOwned + Into<New>,
        New: Serialize,
    {
        Self {
            event,
            from,
            step: step::<Old, New>,
        }
    }

    /// The payload in the next version.
    pub fn upcast(&self, payload: &RawValue) -> serde_json::Result<Box<RawValue>> {
        (self.step)(payload)
    }
}

fn step<Old, New>(payload: &RawValue) -> serde_json::Result<Box<RawValue>>
where
    Old: DeserializeOwned + Into<New>,
    New: Serialize,
{
    let old: Old = serde_json::from_str(payload.get())?;
    serde_json::value::to_raw_value(&old.into())
}
