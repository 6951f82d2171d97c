//! Upcasters: how the payload of an older version becomes the next one's, one step a version.
//!
//! What is stored never changes; it is read as if it had been written today. A step is a pure function from the struct of
//! one version to that of the next, so it runs wherever events are folded: in the server, the verifier and the browser.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// One step: from the payload of a version to that of the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// The event's type.
    pub event: &'static str,
    /// The version that it reads.
    pub from: u32,
    step: fn(&RawValue) -> serde_json::Result<Box<RawValue>>,
}

impl Upcaster {
    /// The step of a type from a version on, between the structs of two versions.
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

    /// The payload as the next version has it.
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
