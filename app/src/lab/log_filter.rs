//! Which events of the log the page of the streams shows, as its address has it: an address is a link to the
//! same selection.

use domain::{access::Role, event::RecordedEvent, timestamp::Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The page.
pub const PAGE: &str = "/lab/streams";

/// The categories of streams, those of what people do most first.
pub const CATEGORIES: [&str; 7] = [
    "order",
    "product",
    "inventory",
    "payment",
    "user",
    "inbox",
    "email",
];

/// No name of a type or a category is longer.
const MAX_NAME: usize = 200;

/// The parameter that selects by who or what brought an event about.
const BY: &str = "by";

/// A selection of events. A member that is `None` or `false` does not restrict them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogFilter {
    /// Only what people did: no effects, and nothing of the workspace's template.
    pub people: bool,
    /// The category of their streams, as in `order`.
    pub category: Option<String>,
    /// Their type, as in `OrderCreated`.
    pub event_type: Option<String>,
    /// Their correlation id.
    pub correlation: Option<Uuid>,
    /// Their version in the stream.
    pub version: Option<u64>,
    /// They were recorded at this time or later.
    pub since: Option<Timestamp>,
    /// They were recorded at this time or earlier.
    pub until: Option<Timestamp>,
}

impl LogFilter {
    /// What the page opens with: what people did.
    pub fn of_people() -> Self {
        Self {
            people: true,
            ..Self::default()
        }
    }

    /// All events of one category of streams.
    pub fn of_category(category: &str) -> Self {
        Self {
            category: Some(category.to_owned()),
            ..Self::default()
        }
    }

    /// Reads the parameters of an address; also returns the names of those that cannot be read, which do not
    /// restrict the selection.
    pub fn parse(parameter: impl Fn(&str) -> Option<String>) -> (Self, Vec<&'static str>) {
        let mut unreadable = Vec::new();
        let names = [BY, "category", "type", "correlation", "version", "since", "until"];
        if names.iter().all(|name| parameter(name).is_none()) {
            return (Self::of_people(), unreadable);
        }
        let text = |name: &str| {
            let text = parameter(name)?.trim().to_owned();
            Some(text).filter(|text| !text.is_empty())
        };
        let mut read = |name: &'static str, is_readable: &dyn Fn(&str) -> bool| {
            let text = text(name)?;
            if is_readable(&text) {
                return Some(text);
            }
            unreadable.push(name);
            None
        };
        let is_name = |text: &str| text.len() <= MAX_NAME;
        let filter = Self {
            people: read(BY, &|text| ["people", "all"].contains(&text)).is_some_and(|by| by == "people"),
            category: read("category", &is_name),
            event_type: read("type", &is_name),
            correlation: read("correlation", &|text| Uuid::parse_str(text).is_ok())
                .and_then(|id| id.parse().ok()),
            version: read("version", &|text| version_of(text).is_some()).and_then(|text| version_of(&text)),
            since: read("since", &|text| time_of(text).is_some()).and_then(|text| time_of(&text)),
            until: read("until", &|text| time_of(text).is_some()).and_then(|text| time_of(&text)),
        };
        (filter, unreadable)
    }

    /// The parameters of the address, as [`LogFilter::parse`] reads them.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = Vec::new();
        let mut add = |name: &'static str, value: Option<String>| {
            parameters.extend(value.map(|value| (name, value)));
        };
        add(BY, self.people.then(|| "people".to_owned()));
        add("category", self.category.clone());
        add("type", self.event_type.clone());
        add("correlation", self.correlation.map(|id| id.to_string()));
        add("version", self.version.map(|version| version.to_string()));
        add("since", self.since.map(|since| since.to_string()));
        add("until", self.until.map(|until| until.to_string()));
        if parameters.is_empty() {
            parameters.push((BY, "all".to_owned()));
        }
        parameters
    }

    /// The address of the page with this selection.
    pub fn address(&self) -> String {
        if *self == Self::of_people() {
            return PAGE.to_owned();
        }
        self.address_with(None)
    }

    /// The address of the events of this selection up to a token.
    pub fn address_to(&self, to: &str) -> String {
        self.address_with(Some(("to", to.to_owned())))
    }

    fn address_with(&self, further: Option<(&'static str, String)>) -> String {
        let mut address = PAGE.to_owned();
        for (index, (name, value)) in self.parameters().into_iter().chain(further).enumerate() {
            address.push(if index == 0 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            encode(&mut address, &value);
        }
        address
    }

    /// Whether an event is one of these.
    pub fn matches<P>(&self, event: &RecordedEvent<P>) -> bool {
        let RecordedEvent {
            event_type,
            stream,
            metadata,
            recorded_at,
            ..
        } = event;
        (!self.people || is_of_person(event))
            && self
                .category
                .as_deref()
                .is_none_or(|name| name == stream.category())
            && self.event_type.as_ref().is_none_or(|name| name == event_type)
            && self.correlation.is_none_or(|id| id == metadata.correlation_id)
            && self.version.is_none_or(|version| version == event.version)
            && self.since.is_none_or(|since| since <= *recorded_at)
            && self.until.is_none_or(|until| *recorded_at <= until)
    }
}

/// Whether a person brought an event about: no other event did, and not the template of the workspace.
pub fn is_of_person<P>(event: &RecordedEvent<P>) -> bool {
    let metadata = &event.metadata;
    metadata.causation_id.is_none() && metadata.actor.role != Role::System && !event.is_of_template()
}

fn version_of(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|version| (1..=i64::MAX.unsigned_abs()).contains(version))
}

/// An instant as an address has it (RFC 3339), or as a field for a date and a time gives it, in UTC.
fn time_of(text: &str) -> Option<Timestamp> {
    // A field has no zone, and leaves out seconds that are zero.
    let endings = ["", "Z", ":00Z"];
    endings
        .iter()
        .find_map(|ending| [text, *ending].concat().parse().ok())
}

/// An instant for a field for a date and a time, in UTC and to the millisecond.
pub fn field_of_time(at: Timestamp) -> String {
    at.to_string()
        .chars()
        .take("2026-11-21T20:22:36.000".len())
        .collect()
}

/// Appends a value to a query (RFC 3986).
fn encode(address: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            address.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            address.push('%');
            for digit in [byte >> 4, byte & 15] {
                address.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::event::StoredEvent;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{super::time_travel::testing::received, *};

    /// Reads an address as the page does.
    fn parsed(address: &str) -> (LogFilter, Vec<&'static str>) {
        let query = address
            .split_once('?')
            .map(|(_, query)| query)
            .unwrap_or_default();
        LogFilter::parse(|name| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(known, _)| *known == name)?;
            Some(value.replace("%2C", ",").replace("%20", " ").replace("%26", "&"))
        })
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_page_opens_with_what_people_did_and_everything_has_an_address_too() {
        assert_eq!(parsed(PAGE), (LogFilter::of_people(), vec![]));
        assert_eq!(parsed("/lab/streams?to=0:7"), (LogFilter::of_people(), vec![]));
        assert_eq!(LogFilter::of_people().address(), PAGE);
        let everything = LogFilter::default();
        assert_eq!(everything.address(), "/lab/streams?by=all");
        assert_eq!(parsed(&everything.address()).0, everything);
        assert_eq!(parsed("/lab/streams?category=&type=&by=").0, everything);
    }

    #[test]
    fn an_address_is_a_link_to_the_same_selection() {
        let filter = LogFilter {
            people: true,
            category: Some("order".to_owned()),
            event_type: Some("OrderCreated".to_owned()),
            correlation: Some(Uuid::from_u128(7)),
            version: Some(1),
            since: Some(at("2026-11-29T06:00:00.123Z")),
            until: Some(at("2026-11-29T07:00:00Z")),
        };
        assert_eq!(parsed(&filter.address()), (filter.clone(), vec![]));
        let older = filter.address_to("0:12,3:128");
        assert!(older.ends_with("&to=0:12%2C3:128"), "{older}");
        assert_eq!(parsed(&older).0, filter);
        let odd = LogFilter {
            event_type: Some("a&b c".to_owned()),
            ..LogFilter::default()
        };
        assert_eq!(odd.address(), "/lab/streams?type=a%26b%20c");
        assert_eq!(parsed(&odd.address()).0, odd);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_does_not_restrict() {
        let address = "/lab/streams?correlation=7&version=0&since=soon&until=2026-13-01&by=me&type=A";
        let (filter, unreadable) = parsed(address);
        assert_eq!(unreadable, ["by", "correlation", "version", "since", "until"]);
        let of_type = LogFilter {
            event_type: Some("A".to_owned()),
            ..LogFilter::default()
        };
        assert_eq!(filter, of_type);
    }

    #[test]
    fn a_field_for_a_time_is_in_utc_and_may_lack_its_seconds() {
        for (text, instant) in [
            ("2026-11-29T06:00", "2026-11-29T06:00:00Z"),
            ("2026-11-29T06:00:01", "2026-11-29T06:00:01Z"),
            ("2026-11-29T06:00:01.250", "2026-11-29T06:00:01.25Z"),
            ("2026-11-29T08:00:00+02:00", "2026-11-29T06:00:00Z"),
        ] {
            assert_eq!(time_of(text), Some(at(instant)), "{text}");
        }
        assert_eq!(time_of("29.11.2026"), None);
        assert_eq!(
            field_of_time(at("2026-11-29T06:00:01.250999Z")),
            "2026-11-29T06:00:01.250"
        );
    }

    #[test]
    fn each_member_leaves_out_the_events_that_do_not_have_it() {
        let event: StoredEvent = received(8, 8, 10);
        assert!(LogFilter::default().matches(&event));
        let other = |change: fn(&mut LogFilter)| {
            let mut filter = LogFilter::default();
            change(&mut filter);
            filter
        };
        for filter in [
            other(|filter| filter.category = Some("order".to_owned())),
            other(|filter| filter.event_type = Some("OrderCreated".to_owned())),
            other(|filter| filter.correlation = Some(Uuid::from_u128(99))),
            other(|filter| filter.version = Some(7_000)),
            other(|filter| filter.since = Some(Timestamp::from_micros(i64::MAX))),
            other(|filter| filter.until = Some(Timestamp::from_micros(i64::MIN))),
        ] {
            assert!(!filter.matches(&event), "{filter:?}");
        }
        let (mut caused, mut of_system) = (event.clone(), event.clone());
        caused.metadata.causation_id = Some(Uuid::from_u128(1));
        of_system.metadata.actor.role = Role::System;
        let people = LogFilter::of_people();
        assert!(!people.matches(&caused) && !people.matches(&of_system));
    }
}
