//! One live document: a snapshot, and the changes after it. Folding a change twice, or an older one, does
//! nothing.

use domain::{
    token::ConsistencyToken,
    wire::{DocumentAnswer, ServerFrame, SnapshotData},
};
use serde_json::Value;

use super::{Millis, progress::Progress};

/// A document at the newest change that the socket has delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentFold {
    /// The document; `None` where there is none.
    pub data: Option<Value>,
    /// The number of changes since the page was opened; each one highlights the document.
    pub revision: u32,
    /// The progress of the subscription.
    pub progress: Progress,
}

impl DocumentFold {
    /// Starts from a snapshot.
    pub fn new(data: Option<Value>, as_of: ConsistencyToken, generation: u64, behind: u64) -> Self {
        Self {
            data,
            revision: 0,
            progress: Progress::at(as_of, generation, behind),
        }
    }

    /// Starts without a document: there is none, or its view has not folded it yet.
    pub fn absent() -> Self {
        Self::new(None, ConsistencyToken::default(), 0, 0)
    }

    /// Takes the answer to a query, unless the subscription has delivered the document before. True if it was
    /// taken.
    pub fn take(&mut self, answer: DocumentAnswer) -> bool {
        let is_first = self.data.is_none() && !self.progress.is_followed();
        if is_first {
            *self = Self::new(Some(answer.data), answer.as_of, answer.generation, answer.behind);
        }
        is_first
    }

    /// Folds one frame of its subscription. True if the document or its freshness has changed.
    pub fn apply(&mut self, frame: ServerFrame, now: Millis) -> bool {
        match frame {
            ServerFrame::Snapshot {
                as_of,
                generation,
                behind,
                data,
                ..
            } => {
                let data = match data {
                    SnapshotData::Document(data) => Some(data).filter(|data| !data.is_null()),
                    SnapshotData::Rows(_) => None,
                };
                self.data = data;
                self.progress = Progress::at(as_of, generation, behind);
                self.progress.follow();
            }
            ServerFrame::Change {
                as_of,
                key,
                data,
                event,
                ..
            } => {
                if !self.progress.advance(&as_of, &event, &key) {
                    return false;
                }
                self.data = data;
                self.revision += 1;
            }
            ServerFrame::CaughtUp { as_of, .. } => self.progress.caught_up(as_of),
            ServerFrame::Behind {
                behind,
                behind_ms,
                paused,
                ..
            } => self.progress.fell_behind(behind, behind_ms, paused, now),
            ServerFrame::Hops { .. }
            | ServerFrame::Dials { .. }
            | ServerFrame::Invariants { .. }
            | ServerFrame::Class { .. }
            | ServerFrame::Result { .. }
            | ServerFrame::Error { .. }
            | ServerFrame::Moved { .. }
            | ServerFrame::Ping => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use domain::wire::ChangeCause;
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn change(as_of: &str, data: Option<Value>) -> ServerFrame {
        let as_of: ConsistencyToken = as_of.parse().unwrap();
        let event = ChangeCause {
            id: uuid::Uuid::from_u128(as_of.position(0).into()),
            event_type: "OrderConfirmed".into(),
            partition: 0,
            position: as_of.position(0),
        };
        ServerFrame::Change {
            id: 1,
            as_of,
            key: "a".into(),
            data,
            sort: None,
            event,
        }
    }

    #[test]
    fn a_change_replaces_the_document_once() {
        let mut fold = DocumentFold::new(Some(json!("created")), "0:1".parse().unwrap(), 1, 0);
        assert!(fold.apply(change("0:2", Some(json!("confirmed"))), 0));
        assert!(!fold.apply(change("0:2", Some(json!("confirmed"))), 0));
        assert!(!fold.apply(change("0:1", Some(json!("created"))), 0));
        assert_eq!((fold.data, fold.revision), (Some(json!("confirmed")), 1));
    }

    #[test]
    fn the_answer_to_a_query_never_replaces_what_the_subscription_has_delivered() {
        let answer = |data: &str| DocumentAnswer {
            data: json!(data),
            as_of: "0:1".parse().unwrap(),
            behind: 0,
            generation: 1,
        };
        let mut fold = DocumentFold::absent();
        assert!(fold.take(answer("created")));
        assert_eq!(fold.data, Some(json!("created")));
        assert!(fold.apply(change("0:2", Some(json!("confirmed"))), 0));
        assert!(!fold.take(answer("created")));
        assert_eq!(fold.data, Some(json!("confirmed")));
    }

    #[test]
    fn a_document_may_appear_and_disappear_while_the_page_is_open() {
        let mut fold = DocumentFold::new(None, ConsistencyToken::default(), 1, 0);
        assert!(fold.apply(change("0:2", Some(json!(1))), 0));
        assert_eq!(fold.data, Some(json!(1)));
        assert!(fold.apply(change("0:3", None), 0));
        assert_eq!(fold.data, None);
    }
}
