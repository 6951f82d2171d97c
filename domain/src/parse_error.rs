//! What parsers say of an input, without the input itself.
//!
//! `serde` names what it has found beside what it expected. That is the client's own text, of any length: an
//! answer with it would be as long as the request, or longer.

use std::fmt;

/// The longest message, in characters.
pub const MAX_MESSAGE: usize = 200;

/// What a parser says of an input, without the text that it has found.
#[must_use]
pub fn without_input(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let mut message = without_found(&text).unwrap_or(text);
    shorten(&mut message, MAX_MESSAGE);
    message
}

/// Cuts a text after a number of characters.
pub fn shorten(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
}

/// `None`: the message is none of those that have an input in them.
fn without_found(text: &str) -> Option<String> {
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = text.strip_prefix(kind) {
            // The input may have these words as well: what the parser itself says of it comes last.
            let (found, expected) = rest.rsplit_once(", expected ")?;
            // As in `string "…"` and `integer `5``.
            let name = found.split(['"', '`']).next().unwrap_or_default().trim_end();
            return Some(format!("{kind}{name}, expected {expected}"));
        }
    }
    for kind in ["unknown field ", "unknown variant "] {
        if let Some(rest) = text.strip_prefix(kind) {
            let ends = ["`, expected ", "`, there are no "];
            let end = ends.into_iter().filter_map(|end| rest.rfind(end)).max()?;
            return Some(format!("{}{}", kind.trim_end(), &rest[end + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what does not fit is read")]
    struct Line {
        quantity: u32,
        name: Option<String>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Tea,
        Mug,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    fn message<T: serde::de::DeserializeOwned + fmt::Debug>(json: &str) -> String {
        without_input(&serde_json::from_str::<T>(json).unwrap_err())
    }

    #[test]
    fn a_message_says_what_was_expected_and_not_what_was_found() {
        for (json, expected) in [
            (r#"{"quantity":"SECRET"}"#, "invalid type: string, expected u32"),
            (
                r#"{"quantity":1.5}"#,
                "invalid type: floating point, expected u32",
            ),
            (r#"{"quantity":-777}"#, "invalid value: integer, expected u32"),
            (
                r#"{"quantity":1,"name":777}"#,
                "invalid type: integer, expected a string",
            ),
            (
                r#"{"quantity":1,"SECRET":1}"#,
                "unknown field, expected one of `quantity`",
            ),
            (
                r#"{"quantity":1,"kind":"SECRET"}"#,
                "unknown variant, expected `tea` or `mug`",
            ),
        ] {
            let message = message::<Line>(json);
            assert!(message.starts_with(expected), "{json}: {message}");
            assert!(
                !message.contains("SECRET") && !message.contains("777"),
                "{message}"
            );
        }
        let message = message::<Nothing>(r#"{"SECRET":1}"#);
        assert!(
            message.starts_with("unknown field, there are no fields"),
            "{message}"
        );
    }

    #[test]
    fn an_input_with_the_parsers_own_words_is_left_out_too() {
        for json in [
            r#"{"quantity":"a\", expected SECRET"}"#,
            r#"{"quantity":1,"a`, expected SECRET":1}"#,
            r#"{"quantity":1,"kind":"a`, there are no SECRET"}"#,
        ] {
            let message = message::<Line>(json);
            assert!(!message.contains("SECRET"), "{json}: {message}");
        }
    }

    #[test]
    fn every_message_is_bounded() {
        let long = "\u{202e}é\"".repeat(50_000);
        for json in [
            serde_json::json!({"quantity": long}),
            serde_json::json!({"quantity": 1, long.as_str(): 1}),
            serde_json::json!({"quantity": 1, "kind": long}),
        ] {
            let message = message::<Line>(&json.to_string());
            assert!(message.chars().count() <= MAX_MESSAGE + 1, "{message}");
            assert!(!message.contains('é'), "{message}");
        }
        let mut text = "é".repeat(10);
        shorten(&mut text, 3);
        assert_eq!(text, "ééé…");
        let mut text = "abc".to_owned();
        shorten(&mut text, 3);
        assert_eq!(text, "abc");
    }
}
