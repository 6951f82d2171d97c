//! Control characters, which are refused in every text from outside, and their location in a JSON value.
//!
//! They are the Unicode category Cc, U+0000 to U+001F and U+007F to U+009F. A database may refuse U+0000, and
//! the others are invisible. Prose may have line feeds and tabs. Format characters (category Cf) are allowed:
//! names in Arabic, Hebrew and Persian need them.

use serde_json::Value;
use std::fmt;

/// The members with prose of several lines, at any depth.
const PROSE: [&str; 2] = ["description", "reason"];

/// The first control character of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlCharacter {
    /// The path to the text, as in `data.tags[1]`; for a character in a member's name, the path to the
    /// object; empty for the whole value.
    pub path: String,
    /// The character.
    pub character: char,
}

impl ControlCharacter {
    /// The message for the field, with what to do about it.
    pub fn message(character: char) -> String {
        format!(
            "has the control character U+{:04X}, which no text may have; leave it out",
            u32::from(character)
        )
    }
}

impl fmt::Display for ControlCharacter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{} ", self.path)?;
        }
        f.write_str(&Self::message(self.character))
    }
}

/// The first control character of a single-line text.
pub fn in_line(text: &str) -> Option<char> {
    text.chars().find(|character| character.is_control())
}

/// The first control character of a multi-line text.
pub fn in_prose(text: &str) -> Option<char> {
    text.chars()
        .find(|character| character.is_control() && !matches!(character, '\n' | '\t'))
}

/// The first control character in the texts and names of a value.
pub fn in_value(value: &Value) -> Option<ControlCharacter> {
    find(value, "", false)
}

/// The first control character in the texts and names of a JSON document; `None` if it is not JSON.
pub fn in_json(json: &[u8]) -> Option<ControlCharacter> {
    // A control character is an escape, U+007F, or a byte after 0xC2; most documents have none of these
    // bytes.
    if !json.iter().any(|byte| matches!(byte, b'\\' | 0x7f | 0xc2)) {
        return None;
    }
    in_value(&serde_json::from_slice(json).ok()?)
}

fn find(value: &Value, path: &str, is_prose: bool) -> Option<ControlCharacter> {
    match value {
        Value::String(text) => {
            let character = if is_prose { in_prose(text) } else { in_line(text) };
            character.map(|character| ControlCharacter {
                path: path.to_owned(),
                character,
            })
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(n, item)| find(item, &format!("{path}[{n}]"), is_prose)),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if let Some(character) = in_line(name) {
                return Some(ControlCharacter {
                    path: path.to_owned(),
                    character,
                });
            }
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            find(member, &path, PROSE.contains(&name.as_str()))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path_of(value: &Value) -> Option<String> {
        let found = in_value(value);
        assert_eq!(in_json(value.to_string().as_bytes()), found, "{value}");
        found.map(|found| found.path)
    }

    #[test]
    fn every_control_character_is_found_and_no_other() {
        for code in 0..=0x2ff_u32 {
            let character = char::from_u32(code).unwrap();
            let is_control = code < 0x20 || (0x7f..=0x9f).contains(&code);
            assert_eq!(
                path_of(&json!({"name": format!("a{character}b")})).is_some(),
                is_control,
                "{code:x}"
            );
        }
    }

    #[test]
    fn the_message_names_the_character_and_what_to_do() {
        let found = in_value(&json!({"data": {"name": "a\0"}})).unwrap();
        assert_eq!(
            found.to_string(),
            "data.name has the control character U+0000, which no text may have; leave it out"
        );
    }

    #[test]
    fn the_path_leads_to_the_text() {
        for (value, path) in [
            (json!("\0"), ""),
            (json!({"data": {"name": "a\0"}}), "data.name"),
            (json!({"data": {"tags": ["a", "b\u{85}"]}}), "data.tags[1]"),
            (
                json!({"data": {"lines": [{"sku": "a"}, {"sku": "\t"}]}}),
                "data.lines[1].sku",
            ),
            (json!({"data": {"a\0": 1}}), "data"),
        ] {
            assert_eq!(path_of(&value).as_deref(), Some(path), "{value}");
        }
    }

    #[test]
    fn prose_has_lines_and_tabs_and_nothing_else() {
        assert_eq!(
            path_of(&json!({"description": "a\n\tb", "reason": "late\nagain"})),
            None
        );
        assert_eq!(
            path_of(&json!({"description": "a\u{1b}"})).as_deref(),
            Some("description")
        );
        assert_eq!(path_of(&json!({"name": "a\nb"})).as_deref(), Some("name"));
    }

    #[test]
    fn names_in_any_script_are_texts() {
        // a right-to-left mark, a zero-width non-joiner, and a bidirectional isolate
        for name in ["\u{200f}عمر", "می\u{200c}خواهم", "\u{2068}Ada\u{2069}", "Zoë 👩🏽‍🏫"]
        {
            assert_eq!(path_of(&json!({"display_name": name})), None, "{name}");
        }
    }
}
