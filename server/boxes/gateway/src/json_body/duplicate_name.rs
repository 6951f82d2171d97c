//! Finds a name that an object of a JSON document has twice. Readers differ in which of the two members they
//! take (RFC 8259, section 4), so a document with such an object has no one meaning.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The path to the first name that an object has twice, at any depth; `None` without one, and for a document
/// that is not JSON. It keeps the names of the objects that are open, so no more than the document has.
pub(super) fn find(json: &[u8]) -> Option<String> {
    let mut duplicate = None;
    let value = UniqueNames {
        duplicate: &mut duplicate,
    };
    // The only interesting error has set the path.
    let _ = value.deserialize(&mut serde_json::Deserializer::from_slice(json));
    duplicate
}

/// A value; the error of a duplicate name sets the path to it, from here on.
struct UniqueNames<'a> {
    duplicate: &'a mut Option<String>,
}

impl UniqueNames<'_> {
    /// Puts the name of a member, or the number of an item, before the path of a duplicate that is within it.
    fn prefix(&mut self, with: &dyn fmt::Display) {
        if let Some(path) = self.duplicate.take() {
            let dot = if path.starts_with('[') { "" } else { "." };
            *self.duplicate = Some(format!("{with}{dot}{path}"));
        }
    }
}

impl<'de> DeserializeSeed<'de> for UniqueNames<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueNames<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for n in 0_usize.. {
            let item = UniqueNames {
                duplicate: &mut *self.duplicate,
            };
            match items.next_element_seed(item) {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(error) => {
                    self.prefix(&format_args!("[{n}]"));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut names: HashSet<String> = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if names.contains(&name) {
                *self.duplicate = Some(name);
                return Err(A::Error::custom("a duplicate name"));
            }
            let member = UniqueNames {
                duplicate: &mut *self.duplicate,
            };
            if let Err(error) = members.next_value_seed(member) {
                self.prefix(&name);
                return Err(error);
            }
            names.insert(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_an_object_has_twice_is_found_at_any_depth() {
        for (json, path) in [
            (r#"{"a":1,"a":1}"#, "a"),
            (
                r#"{"type":"A","data":{"quantity":1,"quantity":999}}"#,
                "data.quantity",
            ),
            (
                r#"{"data":{"lines":[{"sku":"a"},{"sku":"b","x":{},"sku":"b"}]}}"#,
                "data.lines[1].sku",
            ),
            (r#"[[1,{"a":null,"a":null}]]"#, "[0][1].a"),
            // an escape is another spelling of the same name
            (r#"{"name":1,"n\u0061me":2}"#, "name"),
            (r#"{"a":{"b":1},"a":{"c":1}}"#, "a"),
        ] {
            assert_eq!(find(json.as_bytes()).as_deref(), Some(path), "{json}");
        }
    }

    #[test]
    fn other_documents_have_none() {
        for json in [
            "",
            "nonsense",
            "1",
            r#"{"a":{"a":{"a":[{"a":1},{"a":2}]}},"b":-1.5e3,"c":"a","d":true,"A":null}"#,
            // not JSON: it is refused where it is read
            r#"{"a":1,"b":}"#,
            r#"{"a":"\ud800","b":1}"#,
        ] {
            assert_eq!(find(json.as_bytes()), None, "{json}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(find(deep.as_bytes()), None);
        let names: Vec<_> = (0..10_000).map(|n| format!("\"{n}\":{n}")).collect();
        assert_eq!(find(format!("{{{}}}", names.join(",")).as_bytes()), None);
    }
}
