//! The structural difference of two JSON documents.

use serde_json::Value;

/// The maximum number of changes that a difference names; more are counted.
pub const MOST_CHANGES: usize = 200;

/// One value that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where: `history[2].status`; empty for the whole document.
    pub path: String,
    /// The value before; `None` if there was none.
    pub before: Option<Value>,
    /// The value after; `None` if it is gone.
    pub after: Option<Value>,
}

/// The values that differ.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Difference {
    /// The changes, in the order of the document's fields; elements of arrays are compared by index.
    pub changes: Vec<Change>,
    /// The number of further changes.
    pub left_out: usize,
}

/// The difference of two documents; `None` is a document that does not exist.
pub fn difference(before: Option<&Value>, after: Option<&Value>) -> Difference {
    let mut difference = Difference::default();
    difference.compare("", before, after);
    difference
}

impl Difference {
    /// Whether the documents are equal.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn compare(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        match (before, after) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                for (name, value) in before {
                    self.compare(&member(path, name), Some(value), after.get(name));
                }
                for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                    self.compare(&member(path, name), None, Some(value));
                }
            }
            (Some(Value::Array(before)), Some(Value::Array(after))) => {
                for index in 0..before.len().max(after.len()) {
                    let path = [path, "[", &index.to_string(), "]"].concat();
                    self.compare(&path, before.get(index), after.get(index));
                }
            }
            (before, after) if before != after => {
                if self.changes.len() < MOST_CHANGES {
                    self.changes.push(Change {
                        path: path.to_owned(),
                        before: before.cloned(),
                        after: after.cloned(),
                    });
                } else {
                    self.left_out += 1;
                }
            }
            _ => {}
        }
    }
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        [path, ".", name].concat()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn lines(difference: &Difference) -> Vec<String> {
        let text = |value: Option<&Value>| value.map_or_else(|| "–".to_owned(), Value::to_string);
        let line = |change: &Change| {
            let (before, after) = (text(change.before.as_ref()), text(change.after.as_ref()));
            format!("{}: {before} {after}", change.path)
        };
        difference.changes.iter().map(line).collect()
    }

    #[test]
    fn values_that_differ_are_named_by_their_path() {
        let before = json!({"status": "created", "total": {"amount": 1250, "currency": "EUR"}, "reason": "no",
                            "history": [{"event": "OrderCreated", "status": "created"}]});
        let after = json!({"status": "confirmed", "total": {"amount": 1300, "currency": "EUR"}, "tags": [],
                           "history": [{"event": "OrderCreated", "status": "reserved"},
                                       {"event": "StockReserved"}]});
        let mut found = lines(&difference(Some(&before), Some(&after)));
        found.sort();
        assert_eq!(
            found,
            [
                r#"history[0].status: "created" "reserved""#,
                r#"history[1]: – {"event":"StockReserved"}"#,
                r#"reason: "no" –"#,
                r#"status: "created" "confirmed""#,
                "tags: – []",
                "total.amount: 1250 1300",
            ]
        );
    }

    #[test]
    fn equal_documents_do_not_differ_and_a_new_one_is_whole() {
        let document = json!({"a": [1, {"b": null}]});
        assert!(difference(Some(&document), Some(&document)).is_empty());
        assert!(difference(None, None).is_empty());
        let new = difference(None, Some(&document));
        assert_eq!(lines(&new), [r#": – {"a":[1,{"b":null}]}"#]);
        let gone = difference(Some(&document), None);
        assert_eq!(gone.changes[0].after, None);
    }

    #[test]
    fn a_member_that_becomes_null_is_not_one_that_is_gone() {
        let found = difference(Some(&json!({"a": 1, "b": 1})), Some(&json!({"a": null})));
        assert_eq!(lines(&found), ["a: 1 null", "b: 1 –"]);
    }

    #[test]
    fn more_changes_than_a_person_reads_are_counted() {
        let document = |from: usize| (from..from + 250).collect::<Vec<_>>().into();
        let found = difference(Some(&document(0)), Some(&document(1)));
        assert_eq!((found.changes.len(), found.left_out), (MOST_CHANGES, 50));
    }
}
