//! The questions by which a page of the lab learns documents. The code that folds is a module of its own,
//! which a page loads with the first question ([`Folding`]), because it is as large as the rest of the page:
//! question, argument and answer are texts.

use domain::event::StoredEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{stream_state, time_travel::TimeTravel};

/// Forgets all events; the argument is the token after which the next ones begin.
pub const BEGIN: &str = "begin";
/// Takes events; the argument is the JSON of a list of them, as they are stored.
pub const EXTEND: &str = "extend";
/// Answers a list of [`DocumentStep`]; the argument is the number of events.
pub const STEP: &str = "step";
/// Answers a list of [`FoldedDocument`]; the argument is a [`DocumentsQuery`].
pub const DOCUMENTS: &str = "documents";

/// Takes further events of the stream whose states are asked for; the argument is the JSON of a list of them.
/// The first event of a stream begins another one.
pub const STREAM: &str = "stream";
/// Answers the [`DocumentStep`] of the aggregate of that stream, or null; the argument is the version.
pub const STATE: &str = "state";
/// Answers a list of [`DocumentStep`], or null if the version is not known; the argument is a
/// [`StreamDocumentsQuery`].
pub const STREAM_DOCUMENTS: &str = "stream-documents";

/// A document before and after one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DocumentStep {
    /// The view.
    pub view: String,
    /// The document's key.
    pub key: String,
    /// The document before the event.
    pub before: Option<Value>,
    /// The document after it.
    pub after: Option<Value>,
}

/// The documents of a view that were touched last: the view, the number of events, the maximum number of
/// documents, and whether their content is wanted.
pub type DocumentsQuery = (String, usize, usize, bool);

/// The documents that the events of a stream touch: the stream, the version, and the maximum number of
/// documents.
pub type StreamDocumentsQuery = (String, u64, usize);

/// A document: its key, and its content if that is wanted.
pub type FoldedDocument = (String, Option<Value>);

/// The events of one page, which answers its questions.
#[derive(Debug, Default)]
pub struct Folding {
    travel: TimeTravel,
    /// The events of one stream, from the first one on.
    stream: Vec<StoredEvent>,
}

impl Folding {
    /// The answer to a question; `None` if it cannot be read.
    pub fn answer(&mut self, question: &str, argument: &str) -> Option<String> {
        match question {
            BEGIN => self.travel = TimeTravel::after(argument.parse().ok()?),
            EXTEND => {
                self.travel.extend(serde_json::from_str(argument).ok()?);
            }
            STREAM => {
                let events: Vec<StoredEvent> = serde_json::from_str(argument).ok()?;
                if events.first().is_some_and(|first| first.version == 1) {
                    self.stream.clear();
                }
                self.stream.extend(events);
            }
            STATE => {
                let step = stream_state::step(&self.stream, argument.parse().ok()?);
                return serde_json::to_string(&step).ok();
            }
            STREAM_DOCUMENTS => {
                let (stream, version, limit): StreamDocumentsQuery = serde_json::from_str(argument).ok()?;
                return serde_json::to_string(&self.travel.stream_step(&stream, version, limit)).ok();
            }
            STEP => return serde_json::to_string(&self.travel.step(argument.parse().ok()?)).ok(),
            DOCUMENTS => {
                let query = serde_json::from_str(argument).ok()?;
                return serde_json::to_string(&self.documents(query)).ok();
            }
            _ => return None,
        }
        Some(String::new())
    }

    fn documents(&self, (view, count, limit, is_whole): DocumentsQuery) -> Vec<FoldedDocument> {
        let keys = self.travel.recent_keys(&view, count, limit).into_iter();
        // A key that was touched may have no document any more.
        let shown = keys.filter_map(|key| {
            let document = self.travel.document_at(&view, &key, count)?;
            Some((key.to_string(), is_whole.then_some(document)))
        });
        shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_str, json, to_string};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{super::time_travel::testing::received, *};

    #[test]
    fn documents_and_what_an_event_changed_in_them_are_answered() {
        let mut folding = Folding::default();
        folding.answer(BEGIN, "0:7").unwrap();
        let events = to_string(&[received(8, 8, 10), received(9, 9, 20)]).unwrap();
        assert_eq!(folding.answer(EXTEND, &events).unwrap(), "");
        let steps: Vec<DocumentStep> = from_str(&folding.answer(STEP, "2").unwrap()).unwrap();
        let stock = steps.iter().find(|step| step.view == "inventory").unwrap();
        assert_eq!(stock.before.as_ref().unwrap()["on_hand"], json!(1));
        assert_eq!(stock.after.as_ref().unwrap()["on_hand"], json!(2));
        let mut documents = |is_whole: bool| -> Vec<FoldedDocument> {
            let query = to_string(&("inventory", 1, 5, is_whole)).unwrap();
            from_str(&folding.answer(DOCUMENTS, &query).unwrap()).unwrap()
        };
        assert_eq!(documents(false), [("mug-0".to_owned(), None)]);
        assert_eq!(documents(true)[0].1.as_ref().unwrap()["on_hand"], json!(1));
    }

    #[test]
    fn a_stream_has_its_aggregate_and_the_documents_that_it_touches_at_any_version() {
        let mut folding = Folding::default();
        let events = [received(1, 1, 10), received(2, 2, 20), received(3, 3, 30)];
        folding.answer(STREAM, &to_string(&events[..2]).unwrap()).unwrap();
        let mut state = |version: &str| -> Option<DocumentStep> {
            from_str(&folding.answer(STATE, version).unwrap()).unwrap()
        };
        let second = state("2").unwrap();
        assert_eq!(
            (second.view.as_str(), second.key.as_str()),
            ("inventory", "mug-0")
        );
        assert_ne!(second.before, second.after);
        assert_eq!(state("3"), None);
        folding.answer(STREAM, &to_string(&events[2..]).unwrap()).unwrap();
        assert_ne!(folding.answer(STATE, "3").unwrap(), "null");

        folding.answer(BEGIN, "0:0").unwrap();
        folding.answer(EXTEND, &to_string(&events).unwrap()).unwrap();
        let mut documents = |version: u64| -> Option<Vec<DocumentStep>> {
            let query = to_string(&("inventory-mug-0", version, 5)).unwrap();
            from_str(&folding.answer(STREAM_DOCUMENTS, &query).unwrap()).unwrap()
        };
        let steps = documents(3).unwrap();
        let stock = steps.iter().find(|step| step.view == "inventory").unwrap();
        assert_eq!(stock.before.as_ref().unwrap()["on_hand"], json!(2));
        assert_eq!(stock.after.as_ref().unwrap()["on_hand"], json!(3));
        let first = documents(1).unwrap();
        assert_eq!(
            first.iter().find(|step| step.view == "inventory").unwrap().before,
            None
        );
        assert_eq!(documents(4), None);
    }

    #[test]
    fn another_beginning_forgets_the_events() {
        let mut folding = Folding::default();
        let events = to_string(&[received(1, 1, 10)]).unwrap();
        folding.answer(EXTEND, &events).unwrap();
        folding.answer(BEGIN, "0:0").unwrap();
        assert_eq!(folding.answer(STEP, "1").unwrap(), "[]");
    }

    #[test]
    fn what_is_no_question_has_no_answer() {
        let mut folding = Folding::default();
        for (question, argument) in [
            ("", ""),
            (STEP, "-1"),
            (BEGIN, "x"),
            (EXTEND, "{}"),
            (DOCUMENTS, "[]"),
        ] {
            assert_eq!(folding.answer(question, argument), None, "{question} {argument}");
        }
    }
}
