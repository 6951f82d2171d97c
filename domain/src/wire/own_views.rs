//! Views of one's own: what a learner defines in the lab, and what the event types offer for it.
//!
//! A definition is data: event types, the field that is the key of a document, and folds of fields. What it
//! means is in `view::own`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ProjectionStatus;
use crate::timestamp::Timestamp;

/// The most views of its own that a workspace has.
pub const MAX_OWN_VIEWS: usize = 10;

/// The most folds of a view.
pub const MAX_OWN_FOLDS: usize = 16;

/// The most event types of a view.
pub const MAX_OWN_TYPES: usize = 20;

/// The most values in a set; with more, it has the least of them and its document says so.
pub const MAX_SET_VALUES: usize = 1_000;

/// The most bytes of the JSON of a document. What a definition may have keeps every document below it.
pub const MAX_OWN_DOCUMENT_BYTES: usize = 64 * 1024;

/// The most bytes of a view's name, and of a fold's.
pub const MAX_OWN_NAME: usize = 40;

/// The listing with every document of a view, by key.
pub const ALL_LISTING: &str = "all";

/// The listing with the documents by their group, of a view that has groups.
pub const BY_GROUP_LISTING: &str = "by_group";

/// What a fold makes of the values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FoldOp {
    /// The number of events; with a field, of those that have it.
    Count,
    /// The sum of a whole number.
    Sum,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The value of the latest event: by the time it was recorded at, then by stream and version.
    Last,
    /// The different values, sorted.
    Set,
}

impl FoldOp {
    /// All of them, in the order of a form.
    pub const ALL: [Self; 6] = [
        Self::Count,
        Self::Sum,
        Self::Min,
        Self::Max,
        Self::Last,
        Self::Set,
    ];

    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Last => "last",
            Self::Set => "set",
        }
    }

    /// Whether it needs a field of the event.
    pub const fn needs_field(self) -> bool {
        !matches!(self, Self::Count)
    }
}

/// A fold of a view: a member of its documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OwnFold {
    /// The name of the member: 1 to 40 lower-case letters, digits and `_`, beginning with a letter. `group`,
    /// `key`, `state` and `truncated` are taken.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z][a-z0-9_]{0,39}$"))]
    pub field: String,
    /// What it is of the values.
    pub op: FoldOp,
    /// The path of the values in the event, as in `data.total.amount`. An event without it is left out. Only
    /// `count` does without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// The definition of a view, as `POST /api/v1/lab/views` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "name": "orders_of_customers", "on": ["OrderCreated"], "key": "data.customer.id",
    "fold": [{"field": "orders", "op": "count"}, {"field": "spent", "op": "sum", "of": "data.total.amount"}],
    "group": "data.total.currency", "detect_duplicates": true,
})))]
pub struct OwnViewDefinition {
    /// Its name, by which it is read like any other view: 1 to 40 lower-case letters, digits and `_`,
    /// beginning with a letter, and not that of another view, process manager or consumer.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z][a-z0-9_]{0,39}$"))]
    pub name: String,
    /// The event types that it folds, 1 to 20.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 20))]
    pub on: Vec<String>,
    /// The path of the field whose value is the key of the document into which an event is folded. An event
    /// without it is left out.
    pub key: String,
    /// The members of a document, 1 to 16.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 16))]
    pub fold: Vec<OwnFold>,
    /// The path of the field whose latest value is the group of a document in the listing `by_group`; absent:
    /// no document is in that listing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether its lanes skip an event that they have folded, as those of every other view do. Without it, an
    /// event that is delivered twice counts twice.
    #[serde(default = "default_true")]
    #[cfg_attr(feature = "openapi", schema(default = true))]
    pub detect_duplicates: bool,
}

const fn default_true() -> bool {
    true
}

/// A view of one's own, as `/api/v1/lab/views` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OwnView {
    /// Its name.
    pub name: String,
    /// The event types that it folds.
    pub on: Vec<String>,
    /// The path of the key.
    pub key: String,
    /// The members of a document.
    pub fold: Vec<OwnFold>,
    /// The path of the group; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether its lanes skip an event that they have folded.
    pub detect_duplicates: bool,
    /// Its listings.
    pub listings: Vec<String>,
    /// When it was created, by the machine's clock.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// The person who created it.
    pub created_by: Uuid,
    /// Their name, as the workspace showed it when they created it.
    pub created_by_name: String,
    /// Whether the caller may delete it.
    pub may_delete: bool,
    /// Where it is, as `/api/v1/lab/handlers` lists it.
    pub status: ProjectionStatus,
}

/// The answer of `GET /api/v1/lab/views`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OwnViewsAnswer {
    /// The views of the workspace, by name.
    pub data: Vec<OwnView>,
    /// The most that it may have.
    pub limit: u32,
}

/// The kind of a field of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FieldKind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A time, in RFC 3339.
    Time,
    /// True or false.
    Boolean,
}

impl FieldKind {
    /// Whether a fold can be made of values of this kind.
    pub const fn allows(self, op: FoldOp) -> bool {
        match op {
            FoldOp::Sum => matches!(self, Self::Integer),
            FoldOp::Min | FoldOp::Max => !matches!(self, Self::Boolean),
            FoldOp::Count | FoldOp::Last | FoldOp::Set => true,
        }
    }
}

/// A field that an event offers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OfferedField {
    /// Its path, as in `data.lines.0.sku`. The number is the place in a list, from 0 to 99; the offer names
    /// the first.
    pub path: String,
    /// What its values are.
    pub kind: FieldKind,
    /// Whether an event may be without it.
    pub optional: bool,
}

/// An event type, and the fields that it offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OfferedEventType {
    /// Its name, as in `OrderCreated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The aggregate, as in `order`: the category of its streams.
    pub aggregate: String,
    /// The fields of its payload, in the newest version; older events are read as such. Personal fields are
    /// not offered.
    pub fields: Vec<OfferedField>,
}

/// The answer of `GET /api/v1/lab/views/fields`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OfferedFields {
    /// The fields that every event has.
    pub every: Vec<OfferedField>,
    /// The event types, by aggregate and name.
    pub types: Vec<OfferedEventType>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_detects_duplicates_unless_it_says_otherwise_and_knows_no_other_member() {
        let least = json!({"name": "a", "on": ["OrderCreated"], "key": "stream",
            "fold": [{"field": "n", "op": "count"}]});
        let read: OwnViewDefinition = serde_json::from_value(least.clone()).unwrap();
        assert!(read.detect_duplicates && read.group.is_none() && read.fold[0].of.is_none());
        for (member, value) in [("code", json!("1 + 1")), ("detect_duplicates", json!("no"))] {
            let mut other = least.clone();
            other[member] = value;
            assert!(
                serde_json::from_value::<OwnViewDefinition>(other).is_err(),
                "{member}"
            );
        }
    }

    #[test]
    fn the_names_of_operations_are_those_in_json() {
        for op in FoldOp::ALL {
            assert_eq!(serde_json::to_value(op).unwrap(), json!(op.as_str()));
        }
        assert!(FoldOp::ALL.into_iter().all(|op| FieldKind::Integer.allows(op)));
        assert!(!FieldKind::Text.allows(FoldOp::Sum) && !FieldKind::Boolean.allows(FoldOp::Max));
    }
}
