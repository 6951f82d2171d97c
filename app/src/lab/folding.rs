//! The questions by which a page of the lab learns documents. The code that folds is a module of its own,
//! which a page loads with the first question ([`Folding`]), because it is as large as the rest of the page:
//! question, argument and answer are texts.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time_travel::TimeTravel;

/// Forgets all events; the argument is the token after which the next ones begin.
pub const BEGIN: &str = "begin";
/// Takes events; the argument is the JSON of a list of them, as they are stored.
pub const EXTEND: &str = "extend";
/// Answers a list of [`DocumentStep`]; the argument is the number of events.
pub const STEP: &str = "step";
/// Answers a list of [`FoldedDocument`]; the argument is a [`DocumentsQuery`].
pub const DOCUMENTS: &str = "documents";

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

/// A document: its key, and its content if that is wanted.
pub type FoldedDocument = (String, Option<Value>);

/// The events of one page, which answers its questions.
#[derive(Debug, Default)]
pub struct Folding {
    travel: TimeTravel,
}

impl Folding {
    /// The answer to a question; `None` if it cannot be read.
    pub fn answer(&mut self, question: &str, argument: &str) -> Option<String> {
        match question {
            BEGIN => self.travel = TimeTravel::after(argument.parse().ok()?),
            EXTEND => {
                self.travel.extend(serde_json::from_str(argument).ok()?);
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
