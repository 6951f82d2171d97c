//! Checks the history against the log.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};

use domain::{
    access::{Actor, Role},
    event::{StoredEvent, TypedEvent},
    token::ConsistencyToken,
    view,
};
use serde_json::Value;
use uuid::Uuid;

use super::record::{AcknowledgedCommand, History, Observation, ObservedState};

/// The most later states of a document with which an answer is compared.
const MAX_LATER_STATES: usize = 4_096;

/// Whether an answer may have a newer document than its token says. Several servers share the documents: a
/// server that has not folded an event itself reads the document after it, and may say an older token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewerDocuments {
    /// They are findings.
    Refused,
    /// They are counted.
    Counted,
}

/// The amount of checked data.
#[derive(Debug, Default)]
pub(crate) struct Report {
    commands: usize,
    events: usize,
    seen: usize,
    /// Documents that were newer than their token, by view.
    pub(crate) newer: BTreeMap<&'static str, usize>,
    /// Events of commands that were refused after an attempt without an answer.
    pub(crate) late: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            commands,
            events,
            seen,
            ..
        } = self;
        write!(
            f,
            "{commands} commands, {events} events, {seen} answers and frames: all agree"
        )
    }
}

/// Compares all records with the log, and records what does not agree.
///
/// `witnesses`: all readers and watchers, each of whom has observed at least the end of the log.
pub(crate) fn check(
    history: &History,
    log: &[StoredEvent],
    witnesses: &[String],
    newer: NewerDocuments,
) -> Report {
    let mut report = Report {
        events: log.len(),
        ..Report::default()
    };
    check_order(history, log);
    check_compensations(history, log);
    check_shipments(history, log);
    {
        let commands = history.commands();
        report.commands = commands.len();
        report.late = check_acknowledged_events(history, &commands, log);
        check_acknowledgement_order(history, &commands);
    }
    history.require(report.commands > 0, "", || {
        "no command was acknowledged: nothing was checked".to_owned()
    });
    let observations = history.observations();
    report.seen = observations.len();
    let mut folds = Folds::of(log, newer);
    let mut observers = HashSet::new();
    for seen in observations.iter() {
        observers.insert(seen.by.as_str());
        folds.compare(history, seen);
    }
    for witness in witnesses {
        history.require(observers.contains(witness.as_str()), witness, || {
            format!("{witness} has recorded nothing, and must have seen the end of the log at least")
        });
    }
    report.newer = folds.newer;
    report
}

/// Partitions and streams have no gaps, and each stream is in one partition, in order.
fn check_order(history: &History, log: &[StoredEvent]) {
    let mut positions: HashMap<u32, u64> = HashMap::new();
    let mut versions: HashMap<&str, (u32, u64)> = HashMap::new();
    for event in log {
        let (stream, id) = (event.stream.as_str(), event.stream.id());
        let position = positions.entry(event.partition).or_default();
        history.require(event.position == *position + 1, id, || {
            format!(
                "after position {position} of partition {} is {}",
                event.partition, event.position
            )
        });
        *position = event.position;
        let (partition, version) = versions.entry(stream).or_insert((event.partition, 0));
        history.require(event.version == *version + 1, id, || {
            format!("after version {version} of {stream} is {}", event.version)
        });
        history.require(event.partition == *partition, id, || {
            format!(
                "{stream} is in the partitions {partition} and {}",
                event.partition
            )
        });
        *version = event.version;
    }
}

/// Every event was acknowledged once, as it is stored; none is lost or duplicated. Returns the number of
/// events of commands that were refused after an attempt without an answer.
fn check_acknowledged_events(
    history: &History,
    commands: &[AcknowledgedCommand],
    log: &[StoredEvent],
) -> usize {
    let mut stored: HashMap<_, _> = log.iter().map(|event| (event.event_id, event)).collect();
    history.require(stored.len() == log.len(), "", || {
        "an event is stored twice".to_owned()
    });
    for AcknowledgedCommand { answer, .. } in commands {
        let id = answer.stream.split_once('-').map_or("", |(_, id)| id);
        for told in &answer.events {
            let Some(event) = stored.remove(&told.event_id) else {
                history.find(
                    id,
                    format!("{told:?} was acknowledged, and is lost or was told twice"),
                );
                continue;
            };
            let is_as_told = event.metadata.command_id == answer.command_id
                && event.event_type == told.event_type
                && event.version == told.version
                && (event.partition, event.position) == (told.partition, told.position);
            history.require(is_as_told, id, || {
                format!(
                    "{told:?} of command {} is not as it was acknowledged",
                    answer.command_id
                )
            });
        }
    }
    // Every command was sent until it had an answer, so an unacknowledged event is a second effect, except
    // for one reaction of the process manager to each event, and for one command of each that was refused
    // after silence: its attempt without an answer may have been stored later.
    let known: HashSet<Uuid> = log.iter().map(|event| event.event_id).collect();
    let uncertain = history.uncertain();
    let (mut reactions, mut late) = (HashSet::new(), HashMap::new());
    let mut late_events = 0;
    let mut unacknowledged: Vec<_> = stored.into_values().collect();
    unacknowledged.sort_by_key(|event| (event.partition, event.position));
    for event in unacknowledged {
        let metadata = &event.metadata;
        let cause = metadata.causation_id;
        let is_explained = if metadata.actor.role == Role::System {
            cause.is_some_and(|cause| known.contains(&cause))
                && reactions.insert((cause, event.stream.as_str(), event.event_type.as_str()))
        } else {
            let command = late.entry(metadata.correlation_id).or_insert(metadata.command_id);
            let is_late = uncertain.contains(&metadata.correlation_id) && *command == metadata.command_id;
            late_events += usize::from(is_late);
            is_late
        };
        history.require(is_explained, event.stream.id(), || {
            format!(
                "{} at {}:{} of {} was not acknowledged, and follows from nothing else",
                event.event_type, event.partition, event.position, event.stream
            )
        });
    }
    late_events
}

/// An order that was rejected or cancelled has no reserved stock and no charge that was not refunded.
fn check_compensations(history: &History, log: &[StoredEvent]) {
    let mut taken: HashMap<String, i64> = HashMap::new();
    for event in log {
        let change = match event.event_type.as_str() {
            "StockReserved" | "PaymentProcessed" => 1,
            "StockReleased" | "StockShipped" | "PaymentRefunded" => -1,
            _ => continue,
        };
        match order_of(event) {
            Some(order) => *taken.entry(order).or_default() += change,
            None => history.find(
                event.stream.id(),
                format!("{} is about no order", event.event_type),
            ),
        }
    }
    let given_up = log
        .iter()
        .filter(|event| ["OrderRejected", "OrderCancelled"].contains(&event.event_type.as_str()));
    for event in given_up {
        let left = taken.get(event.stream.id()).copied().unwrap_or(0);
        history.require(left == 0, event.stream.id(), || {
            let stream = &event.stream;
            format!("{stream} was rejected or cancelled, but has reserved stock or a charge ({left})")
        });
    }
}

/// The stock of an order, which has one line, has left once if the order was shipped, and otherwise not.
fn check_shipments(history: &History, log: &[StoredEvent]) {
    let mut left: HashMap<String, usize> = HashMap::new();
    for event in log.iter().filter(|event| event.event_type == "StockShipped") {
        if let Some(order) = order_of(event) {
            *left.entry(order).or_default() += 1;
        }
    }
    let is_shipped: HashSet<&str> = log
        .iter()
        .filter(|event| event.event_type == "OrderShipped")
        .map(|event| event.stream.id())
        .collect();
    for event in log.iter().filter(|event| event.event_type == "OrderCreated") {
        let order = event.stream.id();
        let times = left.get(order).copied().unwrap_or(0);
        let expected = usize::from(is_shipped.contains(order));
        history.require(times == expected, order, || {
            format!("the stock of {order} has left {times} times, and not {expected}")
        });
    }
}

/// The order in an event's payload.
pub(crate) fn order_of(event: &StoredEvent) -> Option<String> {
    let payload: Value = serde_json::from_str(event.payload.get()).ok()?;
    Some(payload["order"].as_str()?.to_owned())
}

/// A command that was acknowledged before another was sent has the smaller version in their stream.
fn check_acknowledgement_order(history: &History, commands: &[AcknowledgedCommand]) {
    let mut streams: HashMap<&str, Vec<&AcknowledgedCommand>> = HashMap::new();
    for command in commands
        .iter()
        .filter(|command| !command.answer.events.is_empty())
    {
        streams.entry(&command.answer.stream).or_default().push(command);
    }
    for (stream, mut commands) in streams {
        commands.sort_by_key(|command| std::cmp::Reverse(command.answer.version));
        let mut first_answered = u64::MAX;
        let id = stream.split_once('-').map_or(stream, |(_, id)| id);
        for command in commands {
            history.require(command.sent < first_answered, id, || {
                let version = command.answer.version;
                format!("{stream}: version {version} was sent after a later one was acknowledged")
            });
            first_answered = first_answered.min(command.answered);
        }
    }
}

/// A partition, and a number of a document's events in it.
type EventCount = (u32, usize);
/// The number of a document's events in each partition.
type EventCounts = Vec<EventCount>;

/// The views as folded from the log, as of any token.
struct Folds {
    /// The events of a document, by view and key, for each partition in order.
    events: HashMap<(&'static str, String), BTreeMap<u32, Vec<TypedEvent>>>,
    /// Folded documents, with their listings.
    folded: HashMap<(&'static str, String, EventCounts), FoldedDocument>,
    newer_documents: NewerDocuments,
    newer: BTreeMap<&'static str, usize>,
}

/// The actor of all clients in these histories.
fn reader() -> Actor {
    Actor {
        id: Uuid::nil(),
        role: Role::Educator,
        name: String::new(),
    }
}

/// A document's key, and what was shown of it; `None`: it was not there.
type ShownDocument<'a> = (&'a str, Option<&'a Value>);

#[derive(Clone)]
struct FoldedDocument {
    document: Option<Value>,
    places: HashSet<(&'static str, String)>,
}

impl Folds {
    fn of(log: &[StoredEvent], newer_documents: NewerDocuments) -> Self {
        let mut events: HashMap<_, BTreeMap<u32, Vec<TypedEvent>>> = HashMap::new();
        for event in log {
            let event = event.decode().unwrap();
            for view in view::all() {
                for key in view.keys(&event) {
                    let partitions = events.entry((view.name(), key)).or_default();
                    partitions.entry(event.partition).or_default().push(event.clone());
                }
            }
        }
        Self {
            events,
            folded: HashMap::new(),
            newer_documents,
            newer: BTreeMap::new(),
        }
    }

    /// The number of a document's events as of a token, and of all its events.
    fn extents(&self, name: &(&'static str, String), as_of: &ConsistencyToken) -> (EventCounts, EventCounts) {
        let partitions = self.events.get(name).into_iter().flatten();
        let counts = partitions.map(|(partition, events)| {
            let seen = as_of.position(*partition);
            let count = events.partition_point(|event| event.position <= seen);
            ((*partition, count), (*partition, events.len()))
        });
        counts.unzip()
    }

    /// The document after so many of its events.
    fn fold(&mut self, view: &'static str, key: &str, extent: &[EventCount]) -> FoldedDocument {
        let name = (view, key.to_owned());
        let Some(partitions) = self.events.get(&name) else {
            return FoldedDocument {
                document: None,
                places: HashSet::new(),
            };
        };
        if let Some(folded) = self.folded.get(&(view, name.1.clone(), extent.to_vec())) {
            return folded.clone();
        }
        let mut folding = view::find(view).unwrap().load(key, None).unwrap();
        for (partition, count) in extent {
            for event in &partitions[partition][..*count] {
                folding.fold(event);
            }
        }
        // A document that no actor may read yet is not shown.
        let shown = reader().may_read_document(view, folding.owner());
        let folded = FoldedDocument {
            document: folding
                .document()
                .unwrap()
                .filter(|_| shown)
                .map(|json| serde_json::from_str(json.get()).unwrap()),
            places: folding
                .listings()
                .into_iter()
                .map(|entry| (entry.listing, entry.group))
                .collect(),
        };
        self.folded
            .insert((view, name.1, extent.to_vec()), folded.clone());
        folded
    }

    fn compare(&mut self, history: &History, seen: &Observation) {
        let Observation {
            by,
            view,
            as_of,
            what,
        } = seen;
        let place = format!("{by}: {view} as of {as_of}");
        let (group, shown): (Option<(&str, &str)>, Vec<ShownDocument<'_>>) = match what {
            ObservedState::Document { key, data } => (None, vec![(key.as_str(), data.as_ref())]),
            ObservedState::Listed {
                listing,
                group,
                key,
                data,
            } => (Some((*listing, *group)), vec![(key.as_str(), data.as_ref())]),
            ObservedState::Listing { listing, group, rows } => {
                let keys: BTreeSet<String> = self
                    .events
                    .keys()
                    .filter(|(of, _)| of == view)
                    .map(|(_, key)| key.clone())
                    .collect();
                let group = Some((*listing, *group));
                for key in keys.iter().filter(|key| !rows.contains_key(*key)) {
                    self.compare_document(history, &place, (*view, key), as_of, (group, None));
                }
                let rows = rows.iter().map(|(key, data)| (key.as_str(), Some(data)));
                (group, rows.collect())
            }
        };
        for (key, data) in shown {
            self.compare_document(history, &place, (*view, key), as_of, (group, data));
        }
    }

    /// Compares what was shown of a document, in a group of a listing or by itself, with its fold as of the
    /// token, and then with its later states.
    fn compare_document(
        &mut self,
        history: &History,
        place: &str,
        (view, key): (&'static str, &str),
        as_of: &ConsistencyToken,
        (group, shown): (Option<(&str, &str)>, Option<&Value>),
    ) {
        let (extent, all) = self.extents(&(view, key.to_owned()), as_of);
        let expected = self.expected(view, key, &extent, group);
        if is_shown(shown, expected.clone()) {
            return;
        }
        let mut later = extent.clone();
        for _ in 0..MAX_LATER_STATES {
            if !advance(&mut later, &extent, &all) {
                break;
            }
            let newer = self.expected(view, key, &later, group);
            if is_shown(shown, newer) {
                if self.newer_documents == NewerDocuments::Refused {
                    history.find(key, format!("{place}: {key} is newer than its token"));
                }
                *self.newer.entry(view).or_default() += 1;
                return;
            }
        }
        let shown = shown.map_or_else(|| "nothing".to_owned(), Value::to_string);
        let expected = expected.map_or_else(|| "nothing".to_owned(), |expected| expected.to_string());
        let within = group.map_or_else(String::new, |(listing, group)| format!(" in {listing} {group}"));
        history.find(
            key,
            format!("{place}: {key}{within} is {shown}, and by the log {expected}"),
        );
    }

    /// What is shown of a document after so many of its events.
    fn expected(
        &mut self,
        view: &'static str,
        key: &str,
        extent: &[EventCount],
        group: Option<(&str, &str)>,
    ) -> Option<Value> {
        let folded = self.fold(view, key, extent);
        let is_listed = group.is_none_or(|(listing, group)| {
            folded
                .places
                .iter()
                .any(|(of, place)| *of == listing && place == group)
        });
        folded.document.filter(|_| is_listed)
    }
}

/// The next of all combinations of counts from `first` to `last`; false after the last one.
fn advance(counts: &mut [EventCount], first: &[EventCount], last: &[EventCount]) -> bool {
    for (n, count) in counts.iter_mut().enumerate() {
        if count.1 < last[n].1 {
            count.1 += 1;
            return true;
        }
        count.1 = first[n].1;
    }
    false
}

/// Whether the fold is what was shown. Before an order's own first event there are only traces of it, which
/// no client is shown.
fn is_shown(shown: Option<&Value>, folded: Option<Value>) -> bool {
    let folded = folded.filter(|folded| folded["version"] != 0);
    let expected = folded.map(|folded| unsealed(folded, shown));
    shown == expected.as_ref()
}

/// The fold, with its sealed values replaced by the observed ones. The log is read as it is stored, and only
/// the server has the keys; this also checks that no text is shown sealed.
fn unsealed(folded: Value, shown: Option<&Value>) -> Value {
    match folded {
        Value::String(text) if text.starts_with("sealed:") => match shown {
            Some(Value::String(shown)) if !shown.starts_with("sealed:") => Value::String(shown.clone()),
            _ => Value::String(text),
        },
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| unsealed(item, shown.and_then(|shown| shown.get(index))))
            .collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| {
                let field = unsealed(field, shown.and_then(|shown| shown.get(&name)));
                (name, field)
            })
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_states_are_all_combinations_of_later_events() {
        let (first, last) = (vec![(0, 1), (3, 0)], vec![(0, 2), (3, 2)]);
        let mut counts = first.clone();
        let mut seen = Vec::new();
        while advance(&mut counts, &first, &last) {
            seen.push((counts[0].1, counts[1].1));
        }
        assert_eq!(seen, [(2, 0), (1, 1), (2, 1), (1, 2), (2, 2)]);
        assert!(!advance(&mut [], &[], &[]));
    }
}
