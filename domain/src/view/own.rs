//! Views of one's own: a definition and events become documents. A definition is data, and no code is run.
//!
//! A workspace has up to ten. Each is in a slot, whose name its lanes, checkpoints and documents have for
//! ever; the name that people give it is known to the registry of [`Definitions`] alone. The fold gives the
//! same document for every interleaving that keeps each stream's order, as that of every view: the latest
//! value is that of the event that was recorded last, whenever it arrives, and a set that is full keeps its
//! least values.
//!
//! | module | content |
//! |---|---|
//! | `fields` | what the schemas of the event types offer, and the rules of a definition |

#[cfg(feature = "schema")]
mod fields;
#[cfg(test)]
#[cfg(feature = "schema")]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, value::RawValue};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{AnyView, DocumentError, FoldTarget, ListingEntry};
use crate::{
    event::{TypedEvent, personal},
    id::WorkspaceId,
    timestamp::Timestamp,
    wire::{
        FoldOp, OwnFold, OwnViewDefinition,
        own_views::{ALL_LISTING, BY_GROUP_LISTING, MAX_OWN_VIEWS, MAX_SET_VALUES},
    },
};

#[cfg(feature = "schema")]
pub use fields::{check, offered_fields};

/// The names of the slots: those of lanes, checkpoints and documents, stored for ever.
pub const SLOTS: [&str; MAX_OWN_VIEWS] = [
    "own_01", "own_02", "own_03", "own_04", "own_05", "own_06", "own_07", "own_08", "own_09", "own_10",
];

/// The listings of every slot. Without a group, a document is in the first alone.
const LISTINGS: [&str; 2] = [ALL_LISTING, BY_GROUP_LISTING];

/// The most bytes of a value in JSON; a longer text is cut.
const MAX_VALUE_BYTES: usize = 1_024;

/// The most bytes of a key, and of a group, in JSON. A longer key ends in a digest of the whole.
const MAX_KEY_BYTES: usize = 256;

/// The bytes that all sets of a document have together. Sixteen folds with their longest values, and what is
/// remembered of them, take less than the rest.
const SET_BYTES: usize = 36_000;

/// The number of a slot, from 0; `None`: no slot has this name.
pub fn slot(name: &str) -> Option<usize> {
    SLOTS.iter().position(|slot| *slot == name)
}

/// A field of an event, by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FieldPath {
    Stream,
    EventType,
    RecordedAt,
    Actor,
    /// The members and places within the payload.
    Payload(Vec<String>),
    /// It was never offered: no event has it.
    Unknown,
}

impl FieldPath {
    fn parse(path: &str) -> Self {
        match path {
            "stream" => Self::Stream,
            "type" => Self::EventType,
            "recorded_at" => Self::RecordedAt,
            "actor" => Self::Actor,
            path => path.strip_prefix("data.").map_or(Self::Unknown, |rest| {
                Self::Payload(rest.split('.').map(str::to_owned).collect())
            }),
        }
    }

    /// The value in an event; `None`: it does not have it.
    fn value(&self, event: &TypedEvent, payload: &Value) -> Option<Scalar> {
        match self {
            Self::Stream => Some(Scalar::Text(event.stream.to_string())),
            Self::EventType => Some(Scalar::Text(event.event_type.clone())),
            Self::RecordedAt => Some(Scalar::Text(event.recorded_at.to_string())),
            Self::Actor => Some(Scalar::Text(event.metadata.actor.id.to_string())),
            Self::Payload(path) => {
                let mut value = payload;
                for name in path {
                    value = step(value, name)?;
                }
                Scalar::of(value)
            }
            Self::Unknown => None,
        }
    }
}

/// The member of an object, or the item of a list.
fn step<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

/// A value that folds compare. Texts of times sort like the times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

impl Scalar {
    /// `None`: it is null, has members, is no whole number, or is a sealed text, which answers would open.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Boolean(*value)),
            Value::Number(number) => number.as_i64().map(Self::Integer),
            Value::String(text) if personal::parts(text).is_none() => Some(Self::Text(text.clone())),
            _ => None,
        }
    }

    fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Boolean(value) => Cow::Owned(value.to_string()),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    fn into_json(self) -> Value {
        match self {
            Self::Boolean(value) => Value::Bool(value),
            Self::Integer(number) => Value::from(number),
            Self::Text(text) => Value::String(text),
        }
    }

    /// Its bytes in JSON.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => json_bytes(text),
            other => other.as_text().len(),
        }
    }

    /// The value as documents have it, and whether it was cut. Of two texts, the cut ones compare the same
    /// way or are equal, so the least value stays the least.
    fn within(self, most: usize) -> (Self, bool) {
        match self {
            Self::Text(text) if json_bytes(&text) > most => (Self::Text(cut(&text, most).to_owned()), true),
            whole => (whole, false),
        }
    }
}

/// The bytes of a character of a text in JSON.
fn json_bytes_of(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        control if control < ' ' => 6,
        other => other.len_utf8(),
    }
}

/// The bytes of a text in JSON, with its quotation marks.
fn json_bytes(text: &str) -> usize {
    text.chars().map(json_bytes_of).sum::<usize>() + 2
}

/// The beginning of a text that has at most so many bytes in JSON.
fn cut(text: &str, most: usize) -> &str {
    let mut bytes = 2;
    for (at, character) in text.char_indices() {
        bytes += json_bytes_of(character);
        if bytes > most {
            return &text[..at];
        }
    }
    text
}

/// The key of a document, for a value of any length.
fn key_of(text: &str) -> String {
    if json_bytes(text) <= MAX_KEY_BYTES {
        return text.to_owned();
    }
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    format!("{}…{}", cut(text, MAX_KEY_BYTES - 32), &digest[..16])
}

/// Which of two events is the later one: the one that was recorded later. Within a stream that is the one of
/// the higher version, also where both were appended together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct EventOrder {
    at: Timestamp,
    stream: String,
    version: u64,
}

impl EventOrder {
    fn of(event: &TypedEvent) -> Self {
        Self {
            at: event.recorded_at,
            stream: event.stream.to_string(),
            version: event.version,
        }
    }
}

/// What a document remembers so that the next event can be folded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct FoldState {
    /// The event of each latest value, by the member; that of the group by `group`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    latest: BTreeMap<String, EventOrder>,
    /// The least value that a full set has no room for, by the member: it takes none from there on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    full_from: BTreeMap<String, Scalar>,
}

impl FoldState {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A document: its folds are members beside these.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct OwnDocument {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The members with values that were cut, or sets without all of their values.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    truncated: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "FoldState::is_empty")]
    state: FoldState,
    #[serde(flatten)]
    members: BTreeMap<String, Value>,
}

impl OwnDocument {
    fn listings(&self) -> Vec<ListingEntry> {
        let mut entries = vec![ListingEntry::new(ALL_LISTING, self.key.clone())];
        if let Some(group) = &self.group {
            entries.push(ListingEntry::grouped(
                BY_GROUP_LISTING,
                group.clone(),
                self.key.clone(),
            ));
        }
        entries
    }

    /// Notes the event of a member's latest value; `false`: it has a later one.
    fn is_latest(&mut self, member: &str, event: &TypedEvent) -> bool {
        let order = EventOrder::of(event);
        match self.state.latest.get(member) {
            Some(known) if *known > order => false,
            _ => {
                self.state.latest.insert(member.to_owned(), order);
                true
            }
        }
    }

    fn note_cut(&mut self, member: &str, is_cut: bool) {
        if is_cut {
            self.truncated.insert(member.to_owned());
        }
    }

    /// Adds a value to a set. A set has the least of all values that it ever got, as many as fit.
    fn add(&mut self, member: &str, value: Scalar, most_bytes: usize) {
        if self
            .state
            .full_from
            .get(member)
            .is_some_and(|from| value >= *from)
        {
            return;
        }
        let stored = self.members.get(member).and_then(Value::as_array);
        let mut values: BTreeSet<Scalar> = stored.into_iter().flatten().filter_map(Scalar::of).collect();
        if !values.insert(value) {
            return;
        }
        let (mut count, mut bytes) = (0, 0);
        let mut first_without_room = None;
        for value in &values {
            count += 1;
            bytes += value.bytes() + 1;
            if count > MAX_SET_VALUES || bytes > most_bytes {
                first_without_room = Some(value.clone());
                break;
            }
        }
        if let Some(from) = first_without_room {
            values.retain(|value| *value < from);
            self.truncated.insert(member.to_owned());
            self.state.full_from.insert(member.to_owned(), from);
        }
        let values = values.into_iter().map(Scalar::into_json).collect();
        self.members.insert(member.to_owned(), Value::Array(values));
    }
}

/// A fold of a definition, with its path parsed.
#[derive(Debug, Clone)]
struct PlannedFold {
    member: String,
    op: FoldOp,
    of: Option<FieldPath>,
}

/// A definition that can be folded.
#[derive(Debug, Clone)]
pub struct OwnViewPlan {
    definition: OwnViewDefinition,
    key: FieldPath,
    group: Option<FieldPath>,
    folds: Vec<PlannedFold>,
    /// The bytes that each set has.
    set_bytes: usize,
}

impl OwnViewPlan {
    /// The plan of a definition that was checked when it was created. A path that no event has stays without
    /// values.
    pub fn new(definition: OwnViewDefinition) -> Self {
        let planned = |fold: &OwnFold| PlannedFold {
            member: fold.field.clone(),
            op: fold.op,
            of: fold.of.as_deref().map(FieldPath::parse),
        };
        let folds: Vec<_> = definition.fold.iter().map(planned).collect();
        let sets = folds.iter().filter(|fold| fold.op == FoldOp::Set).count();
        Self {
            key: FieldPath::parse(&definition.key),
            group: definition.group.as_deref().map(FieldPath::parse),
            folds,
            set_bytes: SET_BYTES / sets.max(1),
            definition,
        }
    }

    /// The definition.
    pub fn definition(&self) -> &OwnViewDefinition {
        &self.definition
    }

    /// The payload of an event of one of its types.
    fn payload(&self, event: &TypedEvent) -> Option<Value> {
        if !self.definition.on.contains(&event.event_type) {
            return None;
        }
        let payload = event.payload.encode().ok()?;
        serde_json::from_str(payload.get()).ok()
    }

    fn key_in(&self, event: &TypedEvent, payload: &Value) -> Option<String> {
        let value = self.key.value(event, payload)?;
        let key = key_of(&value.as_text());
        (!key.is_empty()).then_some(key)
    }

    /// The key of the document into which an event is folded, if it is folded at all.
    fn key(&self, event: &TypedEvent) -> Option<String> {
        self.key_in(event, &self.payload(event)?)
    }

    fn empty(&self, key: &str) -> OwnDocument {
        let mut document = OwnDocument {
            key: key.to_owned(),
            ..OwnDocument::default()
        };
        for fold in &self.folds {
            let value = match fold.op {
                FoldOp::Count | FoldOp::Sum => Value::from(0),
                FoldOp::Set => Value::Array(Vec::new()),
                // They have none before the first value.
                FoldOp::Min | FoldOp::Max | FoldOp::Last => continue,
            };
            document.members.insert(fold.member.clone(), value);
        }
        document
    }

    /// The document of a key after an event. An event of another document changes nothing.
    fn fold(&self, key: &str, document: Option<OwnDocument>, event: &TypedEvent) -> Option<OwnDocument> {
        let Some(payload) = self.payload(event) else {
            return document;
        };
        if self.key_in(event, &payload).as_deref() != Some(key) {
            return document;
        }
        let mut document = document.unwrap_or_else(|| self.empty(key));
        if let Some(group) = &self.group
            && let Some(value) = group.value(event, &payload)
            && document.is_latest("group", event)
        {
            document.group = Some(key_of(&value.as_text())).filter(|group| !group.is_empty());
        }
        for fold in &self.folds {
            let value = fold.of.as_ref().map(|path| path.value(event, &payload));
            match value {
                None if fold.op == FoldOp::Count => count(&mut document.members, &fold.member),
                // The event does not have the field.
                None | Some(None) => {}
                Some(Some(value)) => self.fold_value(&mut document, fold, value, event),
            }
        }
        Some(document)
    }

    fn fold_value(&self, document: &mut OwnDocument, fold: &PlannedFold, value: Scalar, event: &TypedEvent) {
        let member = fold.member.as_str();
        match fold.op {
            FoldOp::Count => count(&mut document.members, member),
            FoldOp::Sum => {
                if let Scalar::Integer(number) = value {
                    add(&mut document.members, member, number);
                }
            }
            FoldOp::Min | FoldOp::Max => {
                let (value, is_cut) = value.within(MAX_VALUE_BYTES);
                document.note_cut(member, is_cut);
                let known = document.members.get(member).and_then(Scalar::of);
                let is_better = known.is_none_or(|known| match fold.op {
                    FoldOp::Min => value < known,
                    _ => value > known,
                });
                if is_better {
                    document.members.insert(member.to_owned(), value.into_json());
                }
            }
            FoldOp::Last => {
                let (value, is_cut) = value.within(MAX_VALUE_BYTES);
                document.note_cut(member, is_cut);
                if document.is_latest(member, event) {
                    document.members.insert(member.to_owned(), value.into_json());
                }
            }
            FoldOp::Set => {
                let (value, is_cut) = value.within(MAX_VALUE_BYTES);
                document.note_cut(member, is_cut);
                document.add(member, value, self.set_bytes);
            }
        }
    }
}

fn count(members: &mut BTreeMap<String, Value>, member: &str) {
    let counted = members.get(member).and_then(Value::as_u64).unwrap_or_default();
    members.insert(member.to_owned(), Value::from(counted.saturating_add(1)));
}

/// Adds to a sum, which is exact at any size: beyond 64 bits it is a text of its digits.
fn add(members: &mut BTreeMap<String, Value>, member: &str, number: i64) {
    let sum = match members.get(member) {
        Some(Value::Number(sum)) => sum.as_i64().map(i128::from),
        Some(Value::String(digits)) => digits.parse().ok(),
        _ => None,
    };
    let sum = sum.unwrap_or_default().saturating_add(i128::from(number));
    let sum = match i64::try_from(sum) {
        Ok(sum) => Value::Number(Number::from(sum)),
        Err(_) => Value::String(sum.to_string()),
    };
    members.insert(member.to_owned(), sum);
}

/// Knows the views of one's own, by workspace and slot.
pub trait Definitions: Send + Sync + Debug {
    /// The plan of the view in a slot; `None`: the workspace has none there.
    fn plan(&self, workspace: WorkspaceId, slot: usize) -> Option<Arc<OwnViewPlan>>;
}

/// The views in a slot, one for each workspace that has defined one. An event says which it concerns.
#[derive(Debug)]
pub struct SlotView {
    slot: usize,
    definitions: Arc<dyn Definitions>,
}

impl SlotView {
    /// The views in a slot, from 0; `None`: there is no such slot.
    pub fn new(slot: usize, definitions: Arc<dyn Definitions>) -> Option<Self> {
        (slot < SLOTS.len()).then_some(Self { slot, definitions })
    }
}

impl AnyView for SlotView {
    fn name(&self) -> &'static str {
        // It is one of them: see `new`.
        SLOTS.get(self.slot).copied().unwrap_or(SLOTS[0])
    }

    fn name_in(&self, workspace: WorkspaceId) -> Cow<'static, str> {
        match self.definitions.plan(workspace, self.slot) {
            Some(plan) => Cow::Owned(plan.definition.name.clone()),
            None => Cow::Borrowed(self.name()),
        }
    }

    fn listing_names(&self) -> &'static [&'static str] {
        &LISTINGS
    }

    fn keys(&self, event: &TypedEvent) -> Vec<String> {
        let plan = self.definitions.plan(event.workspace, self.slot);
        plan.and_then(|plan| plan.key(event)).into_iter().collect()
    }

    fn load(&self, key: &str, document: Option<&RawValue>) -> Result<Box<dyn FoldTarget>, DocumentError> {
        let view = self.name();
        let document = document
            .map(|json| serde_json::from_str(json.get()))
            .transpose()
            .map_err(|source| DocumentError { view, source })?;
        Ok(Box::new(SlotDocument {
            key: key.to_owned(),
            document,
            view,
            slot: self.slot,
            definitions: Arc::clone(&self.definitions),
        }))
    }
}

/// A document of a view of one's own, while events are folded into it.
struct SlotDocument {
    key: String,
    document: Option<OwnDocument>,
    view: &'static str,
    slot: usize,
    definitions: Arc<dyn Definitions>,
}

impl FoldTarget for SlotDocument {
    fn fold(&mut self, event: &TypedEvent) {
        if let Some(plan) = self.definitions.plan(event.workspace, self.slot) {
            self.document = plan.fold(&self.key, self.document.take(), event);
        }
    }

    fn document(&self) -> Result<Option<Box<RawValue>>, DocumentError> {
        self.document
            .as_ref()
            .map(serde_json::value::to_raw_value)
            .transpose()
            .map_err(|source| DocumentError {
                view: self.view,
                source,
            })
    }

    fn listings(&self) -> Vec<ListingEntry> {
        self.document
            .as_ref()
            .map(OwnDocument::listings)
            .unwrap_or_default()
    }

    fn owner(&self) -> Option<Uuid> {
        None
    }
}
