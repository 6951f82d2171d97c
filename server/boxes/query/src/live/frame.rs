//! Frames as bytes. A change is serialised once for all subscriptions of the same document or group; only the
//! id in front of it differs, and subscriptions with the same id share even the bytes.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::{
    token::ConsistencyToken,
    wire::{ChangeCause, ServerFrame},
};
use projection::fold_result::{DocumentChange, DocumentState};
use serde::Serialize;
use serde_json::value::RawValue;

/// The ids whose whole frames a change keeps. Most clients have few subscriptions, numbered from the same
/// number on.
const KEPT_IDS: usize = 8;

/// How the frame of a change begins; its id follows.
const CHANGE: &str = r#"{"op":"change","id":"#;

/// Whether a frame tells of a change; others are snapshots, statuses and errors.
pub fn is_change(frame: &[u8]) -> bool {
    frame.starts_with(CHANGE.as_bytes())
}

/// A change as one kind of subscription shows it.
#[derive(Debug)]
pub(super) struct ChangeFrame {
    pub(super) partition: u32,
    pub(super) position: u64,
    /// The token after it.
    pub(super) as_of: Arc<ConsistencyToken>,
    /// Everything after the id.
    body: String,
    /// The whole frames for the first ids that asked.
    frames: Mutex<Vec<(u64, Bytes)>>,
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
            frames: Mutex::default(),
        }
    }

    /// The frame for a subscription of this id.
    pub(super) fn bytes(&self, id: u64) -> Bytes {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frame)) = frames.iter().find(|(of, _)| *of == id) {
            return frame.clone();
        }
        let body = self.body.strip_prefix('{').unwrap_or_default();
        let frame = Bytes::from(format!("{CHANGE}{id},{body}"));
        if frames.len() < KEPT_IDS {
            frames.push((id, frame.clone()));
        }
        frame
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> ChangeFrame {
        ChangeFrame {
            partition: 0,
            position: 7,
            as_of: Arc::new(ConsistencyToken::at(0, 7)),
            body: r#"{"as_of":"0:7","key":"mug-1","data":null}"#.to_owned(),
            frames: Mutex::default(),
        }
    }

    #[test]
    fn subscriptions_of_one_id_share_the_bytes_of_a_frame() {
        let change = change();
        let first = change.bytes(1);
        assert_eq!(
            first,
            r#"{"op":"change","id":1,"as_of":"0:7","key":"mug-1","data":null}"#
        );
        assert!(is_change(&first));
        let others: Vec<_> = (2..10).map(|id| change.bytes(id)).collect();
        for again in [change.bytes(1), change.bytes(1)] {
            assert_eq!(again.as_ptr(), first.as_ptr());
        }
        assert_eq!(change.bytes(2).as_ptr(), others[0].as_ptr());
    }

    #[test]
    fn a_frame_that_tells_of_no_change_is_known() {
        let as_of = ConsistencyToken::at(0, 7);
        assert!(!is_change(&plain(&ServerFrame::CaughtUp { id: 1, as_of })));
    }

    #[test]
    fn a_frame_is_right_beyond_the_kept_ones() {
        let change = change();
        for id in (0..100).chain(0..100) {
            let frame: serde_json::Value = serde_json::from_slice(&change.bytes(id)).unwrap();
            assert_eq!((&frame["id"], &frame["key"]), (&id.into(), &"mug-1".into()));
        }
        assert_eq!(change.frames.lock().unwrap().len(), KEPT_IDS);
    }
}
