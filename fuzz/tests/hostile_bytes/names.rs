//! Ids, names of streams, languages and instants.

use domain::{
    id::{MAX_STREAM_NAME, StreamName, WorkspaceId},
    language::Language,
    timestamp::Timestamp,
};
use fuzz::{bounded, check, prop_assert, same, texts_like};

const STREAMS: &[&str] = &[
    "order-0198c1a2-0000-7000-8000-000000000000",
    "product-mug-01",
    "email-a.b_c",
    "a--",
    "order-..",
];
const IDS: &[&str] = &[
    "0198c1a2-0000-7000-8000-000000000000",
    "{0198c1a2000070008000000000000000}",
];
const LANGUAGES: &[&str] = &["en", "de-AT", "ar", "ja", "zh-Hant-TW"];
const INSTANTS: &[&str] = &[
    "2026-11-29T06:00:00Z",
    "2026-11-29T06:00:00.123456+14:00",
    "9999-12-31T23:59:59.999999Z",
    "0000-01-01T00:00:00Z",
];

#[test]
fn hostile_names_of_streams_are_well_formed_or_refused() {
    check(&texts_like(STREAMS), |text| match text.parse::<StreamName>() {
        Ok(stream) => {
            prop_assert!(stream.as_str().len() <= MAX_STREAM_NAME && stream.as_str() == text);
            let parts = StreamName::new(stream.category(), stream.id());
            same(&parts.ok(), &Some(stream))
        }
        Err(error) => bounded(&error.to_string(), text.len()),
    });
}

#[test]
fn hostile_ids_of_workspaces_are_the_same_when_they_are_written_and_read_again() {
    check(&texts_like(IDS), |text| match text.parse::<WorkspaceId>() {
        Ok(id) => same(&id, &id.to_string().parse().unwrap()),
        Err(error) => bounded(&error.to_string(), text.len()),
    });
}

#[test]
fn hostile_languages_are_known_or_refused() {
    check(&texts_like(LANGUAGES), |text| {
        if let Some(language) = Language::from_tag(&text) {
            same(&Some(language), &Language::from_code(language.code()))?;
        }
        Ok(())
    });
}

#[test]
fn hostile_instants_are_the_same_when_they_are_written_and_read_again() {
    check(&texts_like(INSTANTS), |text| match text.parse::<Timestamp>() {
        Ok(at) => same(&at, &at.to_string().parse().unwrap()),
        Err(error) => bounded(&error.to_string(), text.len()),
    });
}
