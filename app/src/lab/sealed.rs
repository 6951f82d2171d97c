//! Sealed texts in a document or a payload: personal texts that the log has encrypted, each with the key of
//! its person. A page shows that they are sealed, and whose they are, in place of their cipher text.

use domain::event::personal;
use serde_json::Value;
use uuid::Uuid;

/// How many sealed texts are named.
pub const MOST_SEALED: usize = 20;

/// A sealed text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it is: `customer.name`, `lines[2].name`.
    pub path: String,
    /// Whose it is.
    pub person: Uuid,
}

/// The same value with `mark` in place of each sealed text, and these, at most [`MOST_SEALED`].
pub fn masked(value: &Value, mark: &str) -> (Value, Vec<Sealed>) {
    let (mut value, mut sealed) = (value.clone(), Vec::new());
    mask(&mut value, "", mark, &mut sealed);
    (value, sealed)
}

fn mask(value: &mut Value, path: &str, mark: &str, sealed: &mut Vec<Sealed>) {
    match value {
        Value::String(text) => {
            if let Some((person, _)) = personal::parts(text) {
                mark.clone_into(text);
                if sealed.len() < MOST_SEALED {
                    let path = path.to_owned();
                    sealed.push(Sealed { path, person });
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let path = [path, "[", &index.to_string(), "]"].concat();
                mask(item, &path, mark, sealed);
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let dot = if path.is_empty() { "" } else { "." };
                mask(member, &[path, dot, name].concat(), mark, sealed);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn sealed_texts_are_marked_and_named_with_their_person() {
        let person = Uuid::from_u128(7);
        let text = format!("sealed:{person}:abc-_9");
        let lines = json!(["sealed: keep dry", {"name": text}]);
        let value = json!({"customer": {"id": 7, "name": text}, "lines": lines});
        let (shown, sealed) = masked(&value, "(sealed)");
        let lines = json!(["sealed: keep dry", {"name": "(sealed)"}]);
        let expected = json!({"customer": {"id": 7, "name": "(sealed)"}, "lines": lines});
        assert_eq!(shown, expected);
        let paths: Vec<_> = sealed.iter().map(|sealed| sealed.path.as_str()).collect();
        assert_eq!(paths, ["customer.name", "lines[1].name"]);
        assert!(sealed.iter().all(|sealed| sealed.person == person));
    }

    #[test]
    fn a_text_alone_has_no_path_and_many_are_not_all_named() {
        let text = format!("sealed:{}:a", Uuid::from_u128(7));
        assert_eq!(masked(&json!(text), "x").1[0].path, "");
        let many: Vec<&str> = std::iter::repeat_n(text.as_str(), 30).collect();
        let (shown, sealed) = masked(&json!(many), "x");
        assert_eq!(sealed.len(), MOST_SEALED);
        assert!(shown.as_array().unwrap().iter().all(|shown| shown == "x"));
    }
}
