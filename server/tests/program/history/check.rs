//! Checks the history against the log.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
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

use super::{
    clients::Access,
    record::{AcknowledgedCommand, History, Observation, ObservedState},
};

/// The amount of checked data.
pub(crate) struct Report {
    commands: usize,
    events: usize,
    seen: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            commands,
            events,
            seen,
        } = self;
        write!(
            f,
            "{commands} commands, {events} events, {seen} answers and frames: all agree"
        )
    }
}

/// `witnesses`: all readers and watchers, each of whom has observed at least the end of the log.
pub(crate) async fn check(access: &Access, history: &History, witnesses: &[String]) -> Report {
    let log = access.log().await;
    check_order(&log);
    let commands = history.commands();
    check_acknowledged_events(&commands, &log);
    check_compensations(&log);
    check_acknowledgement_order(&commands);
    let seen = history.take_observations();
    let mut folds = Folds::of(&log);
    for seen in &seen {
        folds.compare(seen);
    }
    assert!(
        !commands.is_empty(),
        "no command was acknowledged: nothing was checked"
    );
    for witness in witnesses {
        assert!(
            seen.iter().any(|seen| seen.by == *witness),
            "{witness} has written nothing down, and must have seen the end of the log at least"
        );
    }
    Report {
        commands: commands.len(),
        events: log.len(),
        seen: seen.len(),
    }
}

/// Partitions and streams have no gaps, and each stream is in one partition, in order.
fn check_order(log: &[StoredEvent]) {
    let mut positions: HashMap<u32, u64> = HashMap::new();
    let mut versions: HashMap<&str, u64> = HashMap::new();
    for event in log {
        let position = positions.entry(event.partition).or_default();
        assert_eq!(
            event.position,
            *position + 1,
            "a gap in partition {}",
            event.partition
        );
        *position += 1;
        let version = versions.entry(event.stream.as_str()).or_default();
        assert_eq!(event.version, *version + 1, "a gap in {}", event.stream);
        *version += 1;
    }
}

/// Every event was acknowledged once, as it is stored; none is lost or duplicated.
fn check_acknowledged_events(commands: &[AcknowledgedCommand], log: &[StoredEvent]) {
    let mut stored: HashMap<_, _> = log.iter().map(|event| (event.event_id, event)).collect();
    assert_eq!(stored.len(), log.len(), "an event is stored twice");
    for AcknowledgedCommand { answer, .. } in commands {
        for told in &answer.events {
            let event = stored
                .remove(&told.event_id)
                .unwrap_or_else(|| panic!("{told:?} was acknowledged, and is lost or was told twice"));
            assert_eq!(event.metadata.command_id, answer.command_id);
            assert_eq!(
                (&event.event_type, event.version, event.partition, event.position),
                (&told.event_type, told.version, told.partition, told.position),
                "an event is not where its acknowledgement says"
            );
        }
    }
    // Every command was sent until it had an answer, so an unacknowledged event is a second effect, except
    // for one reaction of the process manager to each event.
    let mut effects = HashSet::new();
    let unacknowledged: Vec<_> = stored
        .values()
        .filter(|event| {
            let cause = event.metadata.causation_id;
            let is_of_a_process = event.metadata.actor.role == Role::System
                && cause.is_some_and(|cause| log.iter().any(|event| event.event_id == cause));
            !is_of_a_process || !effects.insert((cause, event.stream.as_str(), event.event_type.as_str()))
        })
        .collect();
    assert!(
        unacknowledged.is_empty(),
        "{} events were not acknowledged: {unacknowledged:?}",
        unacknowledged.len()
    );
}

/// An order that was rejected or cancelled has no reserved stock and no charge that was not refunded.
fn check_compensations(log: &[StoredEvent]) {
    let of = |event: &StoredEvent| -> Option<String> {
        let payload: Value = serde_json::from_str(event.payload.get()).ok()?;
        Some(payload["order"].as_str()?.to_owned())
    };
    let mut taken: HashMap<String, i64> = HashMap::new();
    for event in log {
        let change = match event.event_type.as_str() {
            "StockReserved" | "PaymentProcessed" => 1,
            "StockReleased" | "StockShipped" | "PaymentRefunded" => -1,
            _ => continue,
        };
        *taken.entry(of(event).expect("it is about an order")).or_default() += change;
    }
    let given_up = log
        .iter()
        .filter(|event| ["OrderRejected", "OrderCancelled"].contains(&event.event_type.as_str()));
    for event in given_up {
        let left = taken.get(event.stream.id()).copied().unwrap_or(0);
        assert_eq!(
            left, 0,
            "{} was rejected or cancelled, but has reserved stock or a charge",
            event.stream
        );
    }
}

/// A command that was acknowledged before another was sent has the smaller version in their stream.
fn check_acknowledgement_order(commands: &[AcknowledgedCommand]) {
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
        for command in commands {
            assert!(
                command.sent < first_answered,
                "{stream}: version {} was sent after a later one was acknowledged",
                command.answer.version
            );
            first_answered = first_answered.min(command.answered);
        }
    }
}

/// The number of a document's events in each partition.
type EventCounts = Vec<(u32, usize)>;

/// The views as folded from the log, as of any token.
struct Folds {
    /// The events of a document, by view and key, for each partition in order.
    events: HashMap<(&'static str, String), BTreeMap<u32, Vec<TypedEvent>>>,
    /// Folded documents, with their listings.
    folded: HashMap<(&'static str, String, EventCounts), FoldedDocument>,
}

/// The actor of all clients in these histories.
fn reader() -> Actor {
    Actor {
        id: Uuid::nil(),
        role: Role::Educator,
        name: String::new(),
    }
}

#[derive(Clone)]
struct FoldedDocument {
    document: Option<Value>,
    places: HashSet<(&'static str, String)>,
}

impl Folds {
    fn of(log: &[StoredEvent]) -> Self {
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
        }
    }

    /// The document as of a token.
    fn fold(&mut self, view: &'static str, key: &str, as_of: &ConsistencyToken) -> FoldedDocument {
        let name = (view, key.to_owned());
        let Some(partitions) = self.events.get(&name) else {
            return FoldedDocument {
                document: None,
                places: HashSet::new(),
            };
        };
        let extent: EventCounts = partitions
            .iter()
            .map(|(partition, events)| {
                let seen = as_of.position(*partition);
                (*partition, events.partition_point(|event| event.position <= seen))
            })
            .collect();
        if let Some(folded) = self.folded.get(&(view, name.1.clone(), extent.clone())) {
            return folded.clone();
        }
        let mut folding = view::find(view).unwrap().load(key, None).unwrap();
        for (partition, count) in &extent {
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
        self.folded.insert((view, name.1, extent), folded.clone());
        folded
    }

    fn compare(&mut self, seen: &Observation) {
        let Observation {
            by,
            view,
            as_of,
            what,
        } = seen;
        match what {
            ObservedState::Document { key, data } => {
                let expected = self.fold(view, key, as_of).document;
                check_equal(
                    data.as_ref(),
                    expected,
                    &format!("{by}: {view} {key} as of {as_of}"),
                );
            }
            ObservedState::Listed {
                listing,
                group,
                key,
                data,
            } => {
                let expected = self.listed(view, listing, group, key, as_of);
                let place = format!("{by}: {view} {key} in {listing} {group} as of {as_of}");
                check_equal(data.as_ref(), expected, &place);
            }
            ObservedState::Listing { listing, group, rows } => {
                let keys: Vec<String> = self
                    .events
                    .keys()
                    .filter(|(of, _)| of == view)
                    .map(|(_, key)| key.clone())
                    .collect();
                let expected: BTreeMap<String, Value> = keys
                    .into_iter()
                    .filter_map(|key| {
                        let document = self.listed(view, listing, group, &key, as_of)?;
                        Some((key, document))
                    })
                    .collect();
                let expected: BTreeMap<_, _> = expected
                    .into_iter()
                    .map(|(key, folded)| {
                        let unsealed = unsealed(folded, rows.get(&key));
                        (key, unsealed)
                    })
                    .collect();
                assert_eq!(*rows, expected, "{by}: {view} {listing} {group} as of {as_of}");
            }
        }
    }

    /// The document, if the listing shows it as of that token.
    fn listed(
        &mut self,
        view: &'static str,
        listing: &'static str,
        group: &str,
        key: &str,
        as_of: &ConsistencyToken,
    ) -> Option<Value> {
        let folded = self.fold(view, key, as_of);
        let listed = folded.places.contains(&(listing, group.to_owned()));
        folded.document.filter(|_| listed)
    }
}

/// The observed state is the fold. Before an order's own first event there are only traces of it, which no
/// client is shown.
fn check_equal(shown: Option<&Value>, folded: Option<Value>, place: &str) {
    let folded = folded.filter(|folded| folded["version"] != 0);
    let expected = folded.map(|folded| unsealed(folded, shown));
    assert_eq!(shown, expected.as_ref(), "{place}");
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
