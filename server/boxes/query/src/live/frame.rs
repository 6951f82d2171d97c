//! Frames as bytes. A change is serialised once for all subscriptions of the same document or group; only the
//! id in front of it differs, and subscriptions with the same id share even the bytes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::{
    token::ConsistencyToken,
    wire::{ChangeCause, ServerFrame},
};
use projection::fold_result::{DocumentChange, DocumentState};
use serde::Serialize;
use serde_json::value::RawValue;

/// A change as one kind of subscription shows it.
#[derive(Debug)]
pub(super) struct ChangeFrame {
    pub(super) partition: u32,
    pub(super) position: u64,
    /// The token after it.
    pub(super) as_of: Arc<ConsistencyToken>,
    /// Everything after the id.
    body: String,
    /// The whole frame for the first id that asked.
    first: OnceLock<(u64, Bytes)>,
}

/// The fields of `ServerFrame::Change` after `op` and `id`.
#[derive(Serialize)]
struct ChangeBody<'a> {
    as_of: &'a ConsistencyToken,
    key: &'a str,
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort: Option<&'a str>,
    event: ChangeCause,
}

impl ChangeFrame {
    /// The document as it is now, with its sort key if the target is a listing. `None`: it has left.
    pub(super) fn new(
        change: &DocumentChange,
        partition: u32,
        as_of: &Arc<ConsistencyToken>,
        visible: Option<(&DocumentState, Option<&str>)>,
    ) -> Self {
        let body = ChangeBody {
            as_of,
            key: &change.key,
            data: visible.map(|(state, _)| &*state.data),
            sort: visible.and_then(|(_, sort)| sort),
            event: ChangeCause {
                id: change.event.event_id,
                event_type: change.event.event_type.clone(),
                partition,
                position: change.event.position,
            },
        };
        // Strings, numbers and JSON that was read as JSON: this always serialises.
        let body = serde_json::to_string(&body).unwrap_or_default();
        Self {
            partition,
            position: change.event.position,
            as_of: as_of.clone(),
            body,
            first: OnceLock::new(),
        }
    }

    /// The frame for a subscription of this id.
    pub(super) fn bytes(&self, id: u64) -> Bytes {
        let render = || {
            let body = self.body.strip_prefix('{').unwrap_or_default();
            Bytes::from(format!("{{\"op\":\"change\",\"id\":{id},{body}"))
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
