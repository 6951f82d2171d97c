//! The extractor of JSON bodies: it checks the media type and the size, and its problems name the field that
//! does not fit.

mod duplicate_name;

use axum::{
    body::Bytes,
    extract::{
        FromRequest, Request,
        rejection::{BytesRejection, FailedToBufferBody},
    },
    http::{HeaderMap, header::CONTENT_TYPE},
};
use domain::{control_character, parse_error::without_input};
use serde::de::DeserializeOwned;

use super::problem::{ApiProblem, Kind};

/// The name of a whole body in a problem that is not about one field.
const WHOLE: &str = "body";

/// The body of a request, read as a `T`.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiProblem> {
        if !is_json(request.headers()) {
            let detail = "send the body as Content-Type: application/json";
            return Err(ApiProblem::new(Kind::UnsupportedMediaType, detail));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                    ApiProblem::new(Kind::TooLarge, "the body is larger than this server takes")
                }
                _ => ApiProblem::new(Kind::Malformed, "the body could not be read to its end"),
            })?;
        let body = parse(&bytes, WHOLE)?;
        refuse_control_characters(&bytes)?;
        Ok(Self(body))
    }
}

/// Parses JSON; a problem names the field that does not fit, or that an object has twice, or `name` where it
/// is about the whole.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, ApiProblem> {
    if let Some(path) = duplicate_name::find(bytes) {
        // The path to a member without a name at the top is empty.
        let field = if path.is_empty() { name } else { path.as_str() };
        return Err(ApiProblem::field(
            field,
            "is in the same object twice; send it once",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if is_not_unicode(&cause) {
            // In the name of a member the path ends with a question mark: the object is named.
            let path = path.trim_end_matches('?').trim_end_matches('.');
            let field = if path.is_empty() { name } else { path };
            return ApiProblem::field(field, format!("has a text that is not Unicode: {cause}"));
        }
        // Without a path it is about the whole: not JSON at all, or a missing field, which the cause names.
        match path.as_str() {
            "." | "" => whole(name, &cause),
            _ if cause.is_syntax() || cause.is_eof() => whole(name, &cause),
            _ => ApiProblem::field(path, without_input(&cause)),
        }
    })?;
    deserializer.end().map_err(|error| whole(name, &error))?;
    // An array fits a struct too, member by member.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(ApiProblem::field(name, "is not a JSON object"));
    }
    Ok(value)
}

/// Whether the error is in a text: its bytes are not UTF-8, or it has half of a surrogate pair. `serde_json`
/// tells only by its message; the tests of this module check that.
fn is_not_unicode(cause: &serde_json::Error) -> bool {
    const WORDS: [&str; 3] = [
        "invalid unicode code point",
        "lone leading surrogate in hex escape",
        "unexpected end of hex escape",
    ];
    let text = cause.to_string();
    cause.is_syntax() && WORDS.iter().any(|words| text.starts_with(words))
}

/// Refuses a control character in any text of a body; prose may have line feeds and tabs.
fn refuse_control_characters(json: &[u8]) -> Result<(), ApiProblem> {
    match control_character::in_json(json) {
        None => Ok(()),
        Some(found) if found.path.is_empty() => Err(ApiProblem::control_character(WHOLE, found.character)),
        Some(found) => Err(ApiProblem::control_character(found.path, found.character)),
    }
}

/// A problem about the whole; where a field is missing, the cause names it in back quotes.
fn whole(name: &str, cause: &serde_json::Error) -> ApiProblem {
    let text = cause.to_string();
    let missing = text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'));
    if let Some((field, _)) = missing {
        ApiProblem::field(field, "is missing")
    } else {
        let message = format!("is not the JSON that is expected: {}", without_input(cause));
        ApiProblem::field(name, message)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .unwrap_or_default()
        .to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use domain::wire::{CommandRequest, OpenWorkspace};

    use super::*;

    fn refusal(json: impl AsRef<[u8]>) -> (Vec<String>, String) {
        let problem = parse::<CommandRequest>(json.as_ref(), WHOLE)
            .unwrap_err()
            .into_problem();
        assert_eq!(problem.status, 400);
        (
            problem
                .violations
                .into_iter()
                .map(|violation| violation.field)
                .collect(),
            problem.detail,
        )
    }

    #[test]
    fn the_field_that_does_not_fit_is_named() {
        assert_eq!(refusal(r#"{"type":1,"stream":"order-1","data":{}}"#).0, ["type"]);
        assert_eq!(refusal(r#"{"stream":"order-1","data":{}}"#).0, ["type"]);
        assert_eq!(
            refusal(r#"{"type":"A","stream":"order-1","data":{},"correlation_id":"x"}"#).0,
            ["correlation_id"]
        );
        assert_eq!(
            refusal(r#"{"type":"A","stream":"order-1","data":{},"datum":1}"#).0,
            ["datum"]
        );
    }

    #[test]
    fn a_field_that_an_object_has_twice_is_named() {
        for (json, field) in [
            (r#"{"type":"A","type":"A","stream":"order-1","data":{}}"#, "type"),
            (
                r#"{"type":"A","stream":"order-1","data":{"quantity":1,"quantity":999}}"#,
                "data.quantity",
            ),
            (
                r#"{"type":"A","stream":"order-1","data":{"price":{"amount":1,"amount":1}}}"#,
                "data.price.amount",
            ),
            (
                r#"{"type":"A","stream":"order-1","data":{},"data":{"reason":"no"}}"#,
                "data",
            ),
            (r#"{"":1,"":2}"#, "body"),
        ] {
            let (fields, detail) = refusal(json);
            assert_eq!(fields, [field], "{json}");
            assert!(detail.contains("twice"), "{detail}");
        }
        let frame = br#"{"op":"command","id":1,"idempotency_key":"k",
            "command":{"type":"A","stream":"order-1","data":{"reason":"a","reason":"b"}}}"#;
        let problem = parse::<domain::wire::ClientFrame>(frame, "frame")
            .unwrap_err()
            .into_problem();
        assert_eq!(problem.violations[0].field, "command.data.reason");
    }

    #[test]
    fn text_that_is_not_json_is_refused_with_its_line() {
        for text in ["", "{", "[]x", "nonsense", "{\"type\":\"A\",}"] {
            let (fields, detail) = refusal(text);
            assert!(detail.contains("line 1"), "{text}: {detail}");
            assert_eq!(fields, ["body"], "{text}");
        }
        assert!(parse::<OpenWorkspace>(b"{\"template\":\"shop\"} {}", WHOLE).is_err());
    }

    #[test]
    fn an_array_is_no_object() {
        let array = br#" ["shop", null, null]"#;
        assert!(serde_json::from_slice::<OpenWorkspace>(array).is_ok());
        assert!(parse::<OpenWorkspace>(array, WHOLE).is_err());
    }

    #[test]
    fn a_text_that_is_not_unicode_is_named() {
        // a high surrogate without a low one, with something else after it, and a low surrogate without a
        // high one
        for text in [r"\ud800", r"\ud800a", r"\ud800\n", r"\ud800\u0041", r"\udc00"] {
            let of = |json: &str| refusal(json.replace('!', text)).0;
            assert_eq!(
                of(r#"{"type":"!","stream":"order-1","data":{}}"#),
                ["type"],
                "{text}"
            );
            assert_eq!(
                of(r#"{"type":"A","stream":"order-1","data":{"lines":[{"sku":"!"}]}}"#),
                ["data.lines[0].sku"],
                "{text}"
            );
            assert_eq!(of(r#"{"type":"A","data":{"!":1}}"#), ["data"], "{text}");
            assert_eq!(of(r#"{"!":1}"#), ["body"], "{text}");
        }
        let bytes: &[u8] = b"{\"type\":\"A\",\"stream\":\"order-\xff\",\"data\":{}}";
        let (fields, detail) = refusal(bytes);
        assert_eq!(fields, ["stream"]);
        assert!(detail.contains("not Unicode"), "{detail}");
        assert_eq!(refusal(b"\xff\xfe").0, ["body"]);
        // a whole pair is a character
        let pair = br#"{"type":"\ud83d\ude42","stream":"order-1","data":{}}"#;
        assert_eq!(
            parse::<CommandRequest>(pair, WHOLE).unwrap().command_type,
            "\u{1f642}"
        );
    }

    #[test]
    fn a_problem_is_short_and_does_not_repeat_what_was_sent() {
        let long = "SECRET\u{202e}\"".repeat(30_000);
        for json in [
            serde_json::json!({"type": [long], "stream": "order-1", "data": {}}),
            serde_json::json!({"type": "A", "stream": "order-1", "data": {}, "correlation_id": long}),
            serde_json::json!({"type": "A", "stream": "order-1", "data": {}, "expected_version": long}),
            serde_json::json!(long),
            serde_json::json!([long]),
        ] {
            let (fields, detail) = refusal(json.to_string());
            assert!(detail.len() < 1_000, "{detail}");
            assert!(!detail.contains("SECRET"), "{detail}");
            assert!(fields.iter().all(|field| field.len() < 50), "{fields:?}");
        }
        // A name that there is not is the field that does not fit, and is cut.
        let (fields, detail) = refusal(serde_json::json!({"type": "A", (long): 1}).to_string());
        assert!(
            fields[0].chars().count() <= 201 && detail.chars().count() <= 601,
            "{detail}"
        );
        let twice = format!("{{\"{0}\":1,\"{0}\":2}}", "a".repeat(100_000));
        let (fields, detail) = refusal(twice);
        assert!(
            fields[0].chars().count() <= 201 && detail.chars().count() <= 601,
            "{detail}"
        );
    }

    #[test]
    fn json_has_its_media_type() {
        let says =
            |value: &'static str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]));
        assert!(
            says("application/json")
                && says("application/json; charset=utf-8")
                && says("application/merge+json")
        );
        assert!(!says("text/plain") && !says("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
