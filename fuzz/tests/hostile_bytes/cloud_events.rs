//! Lines of an import.

use fuzz::{TestCaseError, bounded, check, json_like, prop_assert_eq, texts_like};
use monitor::cloud_event::Line;
use serde_json::Value;

const LINES: &[&str] = &[
    r#"{"specversion":"1.0","id":"0198c1a2-0000-7000-8000-000000000001",
        "source":"urn:foldline:workspace:0198c1a2-0000-7000-8000-000000000000","type":"OrderShipped",
        "subject":"order-1","time":"2026-11-29T06:00:00Z","datacontenttype":"application/json",
        "dataschema":"urn:foldline:schema:OrderShipped:1","data":{},"partition":0,"position":"1",
        "streamversion":"1","schemaversion":1,"correlationid":"0198c1a2-0000-7000-8000-000000000002",
        "commandid":"0198c1a2-0000-7000-8000-000000000003","actorid":"0198c1a2-0000-7000-8000-000000000004",
        "actorrole":"staff","hash":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
    r#"{"specversion":"1.0","id":"0198c1a2-0000-7000-8000-000000000000",
        "source":"urn:foldline:workspace:0198c1a2-0000-7000-8000-000000000000",
        "type":"foldline.workspace.v1","datacontenttype":"application/json","data":{"name":"A class",
        "template":"empty","shards":1,"join_code":"abc-def","created_at":"2026-11-29T06:00:00Z","heads":[{
        "position":1,"hash":"0000000000000000000000000000000000000000000000000000000000000000"}]}}"#,
    r#"{"specversion":"1.0","id":"0198c1a2-0000-7000-8000-000000000000",
        "source":"urn:foldline:workspace:0198c1a2-0000-7000-8000-000000000000","type":"foldline.end.v1",
        "datacontenttype":"application/json","data":{"events":1,"commands":0,
        "sha256":"0000000000000000000000000000000000000000000000000000000000000000"}}"#,
];

fn holds(text: &str) -> Result<(), TestCaseError> {
    match Line::parse(text) {
        Ok(line) => {
            let written = line.to_json().unwrap();
            let again = Line::parse(&written).map_err(|error| {
                TestCaseError::fail(format!("{written} was written, and is refused: {error}"))
            })?;
            prop_assert_eq!(&written, &again.to_json().unwrap());
            Ok(())
        }
        Err(error) => bounded(&error, text.len()),
    }
}

#[test]
fn hostile_cloud_events_are_the_same_when_they_are_written_and_read_again() {
    check(&texts_like(LINES), |text| holds(&text));
}

#[test]
fn hostile_cloud_events_with_a_foreign_value_are_the_same_or_refused_with_a_reason() {
    check(&json_like(LINES), |json: Value| holds(&json.to_string()));
}

#[test]
fn the_samples_are_events_or_nearly_so() {
    // Else the tests above would only see what is refused at once.
    let read = LINES.iter().filter(|line| Line::parse(line).is_ok());
    assert!(read.count() >= 2);
}
