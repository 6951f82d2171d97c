//! Frames as bytes. A change is written once for everybody who follows the same document or group; only the
//! subscription's id in front of it differs, and where it does not, even the bytes are shared.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::{
    token::ConsistencyToken,
    wire::{ChangeCause, ServerFrame},
};
use projection::folded::{DocumentChange, DocumentState};
use serde::Serialize;
use serde_json::value::RawValue;

/// A change as one kind of subscription shows it.
#[derive(Debug)]
pub(super) struct ChangeFrame {
    pub(super) partition: u32,
    pub(super) position: u64,
    /// The moment after it.
    pub(super) as_of: Arc<ConsistencyToken>,
    /// Everything behind the id.
    rest: String,
    /// The whole frame for the id that asked first.
    first: OnceLock<(u64, Bytes)>,
}

/// The fields of `ServerFrame::Change` behind `op` and `id`.
#[derive(Serialize)]
struct Rest<'a> {
    as_of: &'a ConsistencyToken,
    key: &'a str,
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort: Option<&'a str>,
    event: ChangeCause,
}

impl ChangeFrame {
    /// The document as it is now, at its place in the listing if it is a listing's; `None`: it has left.
    pub(super) fn new(
        change: &DocumentChange,
        partition: u32,
        as_of: &Arc<ConsistencyToken>,
        shown: Option<(&DocumentState, Option<&str>)>,
    ) -> Self {
        let rest = Rest {
            as_of,
            key: &change.key,
            data: shown.map(|(state, _)| &*state.data),
            sort: shown.and_then(|(_, sort)| sort),
            event: ChangeCause {
                id: change.event.event_id,
                event_type: change.event.event_type.clone(),
                partition,
                position: change.event.position,
            },
        };
        // Strings, numbers and JSON that was read as JSON: this always serialises.
        let rest = serde_json::to_string(&rest).unwrap_or_default();
        Self {
            partition,
            position: change.event.position,
            as_of: as_of.clone(),
            rest,
            first: OnceLock::new(),
        }
    }

    /// The frame for a subscription of this id.
    pub(super) fn bytes(&self, id: u64) -> Bytes {
        let render = || {
            let rest = self.rest.strip_prefix('{').unwrap_or_default();
            Bytes::from(format!("{{\"op\":\"change\",\"id\":{id},{rest}"))
        };
        let (first, bytes) = self.first.get_or_init(|| (id, render()));
        if *first == id { bytes.clone() } else { render() }
    }
}

/// Any other frame.
pub(super) fn frame<D: Serialize>(frame: &ServerFrame<D>) -> Bytes {
    // Frames are of strings, numbers and JSON: they always serialise.
    Bytes::from(serde_json::to_vec(frame).unwrap_or_default())
}

/// A frame without a document.
pub(super) fn plain(plain: &ServerFrame<()>) -> Bytes {
    frame(plain)
}
