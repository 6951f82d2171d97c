//! The file of a recording, [`Recording`] as JSON: parsed with limits and member by member, because a file
//! may come from anywhere, and an error names its place.

use std::collections::BTreeMap;

use domain::{
    event::StoredEvent,
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{RECORDING_FORMAT, Recording},
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{
    event_log::EventLog,
    hop_log::{HopLog, short_id},
    schedule::{Leg, Schedule},
    timeline::Timeline,
};

/// The largest file, in bytes.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;
/// The maximum number of events.
pub const MOST_EVENTS: usize = 10_000;
/// The maximum number of hops.
pub const MOST_HOPS: usize = 50_000;
/// The maximum number of commands.
pub const MOST_COMMANDS: usize = 2_000;
/// The longest title, in characters.
const MAX_TITLE: usize = 80;

/// A recording as it is played: its payloads are as they were stored.
pub type RecordingFile = Recording<Box<RawValue>>;

/// The reason why a file is no recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingError {
    /// It is larger than [`MOST_BYTES`].
    TooLarge,
    /// It is no JSON object, a member is missing, or one is not as it should be; with the place, as in
    /// `events[2]`, and the reason.
    Malformed(String),
    /// Its format is not [`RECORDING_FORMAT`]; with what it says.
    Format(String),
    /// A member has too many elements; with its name and the limit.
    TooMany(&'static str, usize),
    /// The event with this index does not follow the one before it in its partition.
    Gap(usize),
}

/// The members of a file that are not read yet.
type Members = BTreeMap<String, Box<RawValue>>;

/// Parses a file.
pub fn parse(text: &str) -> Result<RecordingFile, RecordingError> {
    if text.len() > MOST_BYTES {
        return Err(RecordingError::TooLarge);
    }
    let members: Members = read("", text)?;
    let format: String = member(&members, "format")?;
    if format != RECORDING_FORMAT {
        return Err(RecordingError::Format(format));
    }
    let title: String = member(&members, "title")?;
    if title.chars().count() > MAX_TITLE {
        let message = format!("title: it has more than {MAX_TITLE} characters");
        return Err(RecordingError::Malformed(message));
    }
    let recording = RecordingFile {
        format,
        title,
        made_at: member(&members, "made_at")?,
        workspace: member(&members, "workspace")?,
        from: member(&members, "from")?,
        to: member(&members, "to")?,
        events: elements(&members, "events", MOST_EVENTS)?,
        hops: elements(&members, "hops", MOST_HOPS)?,
        commands: elements(&members, "commands", MOST_COMMANDS)?,
    };
    require_no_gap(&recording.from, &recording.events)?;
    Ok(recording)
}

fn read<T: DeserializeOwned>(place: &str, text: &str) -> Result<T, RecordingError> {
    serde_json::from_str(text).map_err(|error| {
        let colon = if place.is_empty() { "" } else { ": " };
        RecordingError::Malformed(format!("{place}{colon}{error}"))
    })
}

fn raw_member<'a>(members: &'a Members, name: &str) -> Result<&'a str, RecordingError> {
    let member = members.get(name).map(|member| member.get());
    member.ok_or_else(|| RecordingError::Malformed(format!("{name}: it is missing")))
}

fn member<T: DeserializeOwned>(members: &Members, name: &str) -> Result<T, RecordingError> {
    read(name, raw_member(members, name)?)
}

/// The elements of an array, which is counted before they are read.
fn elements<T: DeserializeOwned>(
    members: &Members,
    name: &'static str,
    limit: usize,
) -> Result<Vec<T>, RecordingError> {
    let raw: Vec<&RawValue> = serde_json::from_str(raw_member(members, name)?)
        .map_err(|error| RecordingError::Malformed(format!("{name}: {error}")))?;
    if raw.len() > limit {
        return Err(RecordingError::TooMany(name, limit));
    }
    let element = |(index, raw): (usize, &RawValue)| read(&format!("{name}[{index}]"), raw.get());
    raw.into_iter().enumerate().map(element).collect()
}

/// The events of each partition are consecutive: a fold over a gap would show what never was.
fn require_no_gap(from: &ConsistencyToken, events: &[StoredEvent]) -> Result<(), RecordingError> {
    let mut token = from.clone();
    for (index, event) in events.iter().enumerate() {
        if token.position(event.partition).checked_add(1) != Some(event.position) {
            return Err(RecordingError::Gap(index));
        }
        token.advance(event.partition, event.position);
    }
    Ok(())
}

/// The text of a file.
pub fn write(recording: &RecordingFile) -> Result<String, serde_json::Error> {
    serde_json::to_string(recording)
}

/// What a recording plays: its hops, its events, and the axis of both.
#[derive(Debug, Default)]
pub struct Playable {
    /// Its hops.
    pub log: HopLog,
    /// Its events.
    pub events: EventLog,
    /// Its hops, laid out on the sheet.
    pub schedule: Schedule,
    /// The axis of both.
    pub timeline: Timeline,
}

/// Prepares a recording for playing on a sheet (`pattern` or `business`).
pub fn playable(recording: &RecordingFile, sheet: &str) -> Playable {
    let mut log = HopLog::with_capacity(MOST_HOPS);
    log.receive(recording.hops.clone(), Vec::new(), 0);
    let mut events = EventLog::after(recording.from.clone());
    events.extend(recording.events.clone());
    let schedule = Schedule::of(&log, sheet, None);
    let timeline = Timeline::of(&schedule, &events);
    Playable {
        log,
        events,
        schedule,
        timeline,
    }
}

/// The newest event of a moment, on the drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Crossing {
    /// The end of its id; empty before the first event.
    pub short_id: String,
    /// The arrows that it crosses, by their ids in the drawing, each once and in their order.
    pub arrows: Vec<&'static str>,
    /// The arrows on which it is, each with how far it has come: from 0 at its tail to 1 at its head. Between
    /// two arrows it is at the head of the last one.
    pub places: Vec<(&'static str, f64)>,
}

impl Playable {
    /// The newest event of a moment, on the sheet for which the recording was prepared.
    pub fn crossing(&self, sheet: &str, moment: Timestamp) -> Crossing {
        let newest = self.timeline.count_at(moment).checked_sub(1);
        let Some(event) = newest.and_then(|index| self.events.event(index)) else {
            return Crossing::default();
        };
        let legs = self.schedule.legs().iter();
        let own = legs.filter(|leg| leg.event_id == Some(event.event_id));
        let mut crossing = Crossing {
            short_id: short_id(event.event_id),
            ..Crossing::default()
        };
        let mut last: Option<&Leg> = None;
        for leg in own {
            let Some(arrow) = leg.arrow.drawing_id(sheet) else {
                continue;
            };
            if !crossing.arrows.contains(&arrow) {
                crossing.arrows.push(arrow);
            }
            if leg.start > moment {
                continue;
            }
            let is_drawn = crossing.places.iter().any(|(drawn, _)| *drawn == arrow);
            if moment < leg.end && !is_drawn {
                crossing.places.push((arrow, leg.progress(moment)));
            }
            if last.is_none_or(|last| last.end <= leg.end) {
                last = Some(leg);
            }
        }
        if crossing.places.is_empty() {
            let arrow = last.and_then(|leg| leg.arrow.drawing_id(sheet));
            crossing.places.extend(arrow.map(|arrow| (arrow, 1.0)));
        }
        crossing
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        id::WorkspaceId,
        wire::{Arrow, CommandInRecording, CommandRequest, ExpectedVersion, hops::PATTERN_SHEET},
    };
    use serde_json::{Value, json};
    use uuid::Uuid;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{
        super::{
            hop_log::testing::hop,
            time_travel::{TimeTravel, testing::received},
        },
        *,
    };

    fn recording() -> RecordingFile {
        RecordingFile {
            format: RECORDING_FORMAT.to_owned(),
            title: "A delivery".to_owned(),
            made_at: Timestamp::from_micros(9),
            workspace: WorkspaceId(Uuid::nil()),
            from: ConsistencyToken::at(0, 7),
            to: ConsistencyToken::at(0, 9),
            events: vec![received(8, 8, 10), received(9, 9, 20)],
            hops: vec![hop(Arrow::AppendEvents, 8, 10), hop(Arrow::AppendEvents, 9, 20)],
            commands: vec![CommandInRecording {
                at_ms: 0,
                command: CommandRequest {
                    command_type: "ReceiveStock".to_owned(),
                    stream: "inventory-mug-0".to_owned(),
                    data: json!({"quantity": 1}),
                    expected_version: ExpectedVersion::Any,
                    correlation_id: None,
                },
            }],
        }
    }

    /// The text of the file with this member changed.
    fn changed(name: &str, value: Value) -> String {
        let mut file: Value = serde_json::from_str(&write(&recording()).unwrap()).unwrap();
        file[name] = value;
        file.to_string()
    }

    fn malformed(text: &str) -> String {
        match parse(text).unwrap_err() {
            RecordingError::Malformed(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_was_written_is_read_again() {
        let text = write(&recording()).unwrap();
        let read = parse(&text).unwrap();
        assert_eq!(write(&read).unwrap(), text);
    }

    #[test]
    fn a_recording_plays_its_events_from_where_it_begins() {
        let playable = playable(&recording(), PATTERN_SHEET);
        assert_eq!((playable.log.len(), playable.events.len()), (2, 2));
        assert_eq!(playable.timeline.len(), 2);
        let before = playable.timeline.moment_of(1);
        let count = playable.timeline.count_at(before);
        let mut travel = TimeTravel::after(playable.events.from().clone());
        travel.extend(playable.events.events().cloned().collect());
        let stock = travel.document_at("inventory", "mug-0", count);
        assert_eq!(stock.unwrap()["on_hand"], json!(1));
    }

    #[test]
    fn the_newest_event_of_a_moment_is_on_the_arrows_that_it_has_crossed_by_then() {
        let mut file = recording();
        file.hops.push(hop(Arrow::PublishedDomainEvents, 8, 10));
        let playable = playable(&file, PATTERN_SHEET);
        let before = playable.crossing(PATTERN_SHEET, playable.timeline.start());
        assert_eq!(before, Crossing::default());

        // The event is in the log when its packet arrives there, and it sets out on the next arrow.
        let stored = playable.timeline.moment_of(1);
        let first = playable.crossing(PATTERN_SHEET, stored);
        assert_eq!(first.short_id, short_id(Uuid::from_u128(8)));
        assert_eq!(first.arrows, ["append", "publish"]);
        assert_eq!(first.places, [("publish", 0.0)]);

        let second = playable.crossing(PATTERN_SHEET, playable.timeline.end());
        assert_eq!(second.arrows, ["append"]);
        assert_eq!(second.places, [("append", 1.0)]);
    }

    #[test]
    fn an_event_without_hops_is_on_no_arrow() {
        let mut file = recording();
        file.hops.clear();
        let playable = playable(&file, PATTERN_SHEET);
        let crossing = playable.crossing(PATTERN_SHEET, playable.timeline.end());
        assert_eq!(crossing.short_id, short_id(Uuid::from_u128(9)));
        assert!(crossing.arrows.is_empty() && crossing.places.is_empty());
    }

    #[test]
    fn an_error_names_the_member_and_the_element() {
        assert!(malformed(&changed("made_at", json!("yesterday"))).starts_with("made_at: "));
        assert!(malformed(&changed("hops", json!({}))).starts_with("hops: "));
        let mut events = serde_json::to_value(recording().events).unwrap();
        events[1]["stream"] = json!("no name");
        let message = malformed(&changed("events", events));
        assert!(message.starts_with("events[1]: a stream"), "{message}");
        let command = malformed(&changed("commands", json!([{"at_ms": -1, "command": {}}])));
        assert!(command.starts_with("commands[0]: "), "{command}");
        let long = "x".repeat(81);
        assert!(malformed(&changed("title", json!(long))).starts_with("title: "));
        let mut file: Value = serde_json::from_str(&write(&recording()).unwrap()).unwrap();
        file.as_object_mut().unwrap().remove("hops");
        assert_eq!(malformed(&file.to_string()), "hops: it is missing");
        for text in ["", "[]", "{", "null"] {
            malformed(text);
        }
    }

    #[test]
    fn another_format_is_named() {
        let text = changed("format", json!("foldline-recording/2"));
        let expected = RecordingError::Format("foldline-recording/2".to_owned());
        assert_eq!(parse(&text).unwrap_err(), expected);
    }

    #[test]
    fn a_file_beyond_a_limit_is_refused() {
        let spaces = " ".repeat(MOST_BYTES + 1);
        assert_eq!(parse(&spaces).unwrap_err(), RecordingError::TooLarge);
        let many = changed("events", json!(vec![0; MOST_EVENTS + 1]));
        let expected = RecordingError::TooMany("events", MOST_EVENTS);
        assert_eq!(parse(&many).unwrap_err(), expected);
    }

    #[test]
    fn a_gap_between_events_is_refused() {
        let events = vec![received(8, 8, 10), received(10, 10, 20)];
        let text = changed("events", serde_json::to_value(events).unwrap());
        assert_eq!(parse(&text).unwrap_err(), RecordingError::Gap(1));
        let last = vec![received(8, u64::MAX, 10)];
        let text = changed("events", serde_json::to_value(last).unwrap());
        assert_eq!(parse(&text).unwrap_err(), RecordingError::Gap(0));
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        let text = format!(r#"{{"format": {deep}}}"#);
        malformed(&text);
    }
}
