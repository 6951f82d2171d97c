//! Invariants: what holds in a workspace as long as its guarantees are held, and the light of each.
//!
//! A light that is red names the event that broke the invariant, the smallest sequence of crossings that
//! shows it, and its cure.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Arrow;
use crate::{timestamp::Timestamp, token::ConsistencyToken};

/// What holds in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Invariant {
    /// The available stock of a product is never negative.
    StockNotNegative,
    /// What is available of a product, and what is reserved of it, is together what is on hand.
    ReservedPlusAvailable,
    /// The document that a view shows is the fold of its events.
    ViewEqualsFold,
    /// The provider charges an order once.
    ChargedOnce,
    /// A mail is sent once.
    MailedOnce,
    /// An event that was acknowledged or published is in the event store.
    NothingLost,
    /// A subscriber of a view is told every change, in order.
    NoGap,
    /// A command under one Idempotency-Key has its effect once.
    OneKeyOneEffect,
}

impl Invariant {
    /// All of them, in the order of the lights.
    pub const ALL: [Self; 8] = [
        Self::StockNotNegative,
        Self::ReservedPlusAvailable,
        Self::ViewEqualsFold,
        Self::ChargedOnce,
        Self::MailedOnce,
        Self::NothingLost,
        Self::NoGap,
        Self::OneKeyOneEffect,
    ];

    /// Its name, as in JSON and in `/api/v1/lab/invariants/{name}/cure`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StockNotNegative => "stock-not-negative",
            Self::ReservedPlusAvailable => "reserved-plus-available",
            Self::ViewEqualsFold => "view-equals-fold",
            Self::ChargedOnce => "charged-once",
            Self::MailedOnce => "mailed-once",
            Self::NothingLost => "nothing-lost",
            Self::NoGap => "no-gap",
            Self::OneKeyOneEffect => "one-key-one-effect",
        }
    }

    /// The invariant of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|invariant| invariant.as_str() == name)
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What shows that an invariant is broken. Members that do not apply are null: a mail has no view, and a
/// phantom event has no position.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// The stream of the event that broke it.
    pub stream: Option<String>,
    /// The event's partition.
    pub partition: Option<u32>,
    /// The event's position in the partition.
    pub position: Option<u64>,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// The view that shows something else than the fold of its events, or whose frame was lost.
    pub view: Option<String>,
    /// The key of its document; of stock and charges, the id part of the stream; of a mail, its id; of
    /// commands under one Idempotency-Key, the id of the first.
    pub key: Option<String>,
    /// What the invariant asks for: a number, or the document as JSON, shortened to 2,000 characters; null is
    /// that there is none.
    pub expected: Option<String>,
    /// What there is, in the same form.
    pub found: Option<String>,
}

/// A crossing of an arrow, in a sequence that shows how an invariant broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SequenceStep {
    /// The arrow.
    pub arrow: Arrow,
    /// The event that crossed it; null for a command without one.
    pub event_id: Option<Uuid>,
}

/// What a step of a cure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CureKind {
    /// Holds a guarantee again. `of` is its dial, as in `guarantees.duplicate_detection`.
    PutGuaranteeBack,
    /// Puts a dial to rest. `of` is its path, as in `live.lost_frames`.
    RestDial,
    /// Rebuilds a view from the log. `of` is its name, as in `orders`.
    Rebuild,
    /// Counts what happened as known. The log keeps it: what is sold is sold. `of` is the invariant.
    Acknowledge,
}

/// A step of a cure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CureStep {
    /// What it does.
    pub kind: CureKind,
    /// To which dial or view.
    pub of: String,
}

/// The light of an invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvariantStatus {
    /// The invariant.
    pub name: Invariant,
    /// Whether it holds: the light is green.
    pub holds: bool,
    /// Since when it has been so, by the machine's clock; a green light since its checks began.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
    /// How many products, documents, orders, mails, events or commands break it; 0 while it holds. More than
    /// 1,000 are counted as 1,000.
    pub broken: u32,
    /// The event that broke it first; null while it holds, or where no event is known.
    pub event: Option<Uuid>,
    /// The events that together show it, in their order; at most 8, empty while it holds.
    pub witness: Vec<Uuid>,
    /// What shows it; null while it holds.
    pub evidence: Option<Evidence>,
    /// The smallest sequence of crossings that shows it; at most 8, empty while it holds.
    pub sequence: Vec<SequenceStep>,
    /// What `POST /api/v1/lab/invariants/{name}/cure` does, in this order; empty while it holds.
    pub cure: Vec<CureStep>,
}

impl InvariantStatus {
    /// A green light.
    pub const fn green(name: Invariant, since: Timestamp) -> Self {
        Self {
            name,
            holds: true,
            since,
            broken: 0,
            event: None,
            witness: Vec::new(),
            evidence: None,
            sequence: Vec::new(),
            cure: Vec::new(),
        }
    }
}

/// The answer of `GET /api/v1/lab/invariants`, and the `data` of an `invariants` frame.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvariantsAnswer {
    /// A light for each invariant, in the order of [`Invariant::ALL`].
    pub data: Vec<InvariantStatus>,
    /// Up to where the log has been checked.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub checked_to: ConsistencyToken,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_invariant_has_one_name_in_json_and_in_code() {
        for (at, invariant) in Invariant::ALL.into_iter().enumerate() {
            assert_eq!(
                serde_json::to_value(invariant).unwrap(),
                json!(invariant.as_str())
            );
            assert_eq!(Invariant::named(invariant.as_str()), Some(invariant));
            assert_eq!(
                invariant as usize, at,
                "{invariant} is listed where it is declared"
            );
        }
        assert_eq!(Invariant::named("stock"), None);
    }

    #[test]
    fn a_light_is_written_with_every_member_and_read_again() {
        let event = Uuid::from_u128(7);
        let red = InvariantStatus {
            holds: false,
            broken: 1,
            event: Some(event),
            witness: vec![event],
            evidence: Some(Evidence {
                view: Some("sales".to_owned()),
                expected: Some("1".to_owned()),
                found: Some("2".to_owned()),
                ..Evidence::default()
            }),
            sequence: vec![SequenceStep {
                arrow: Arrow::EventSubscription,
                event_id: Some(event),
            }],
            cure: vec![CureStep {
                kind: CureKind::PutGuaranteeBack,
                of: "guarantees.duplicate_detection".to_owned(),
            }],
            ..InvariantStatus::green(Invariant::ViewEqualsFold, Timestamp::from_micros(1))
        };
        let answer = InvariantsAnswer {
            data: vec![red],
            checked_to: ConsistencyToken::at(0, 9),
        };
        let written = serde_json::to_value(&answer).unwrap();
        assert_eq!(
            written,
            json!({"checked_to": "0:9", "data": [{
                "name": "view-equals-fold", "holds": false, "since": "1970-01-01T00:00:00.000001Z",
                "broken": 1, "event": event, "witness": [event],
                "evidence": {"stream": null, "partition": null, "position": null, "type": null,
                             "view": "sales", "key": null, "expected": "1", "found": "2"},
                "sequence": [{"arrow": "event-subscription", "event_id": event}],
                "cure": [{"kind": "put-guarantee-back", "of": "guarantees.duplicate_detection"}],
            }]})
        );
        assert_eq!(
            super::super::from_plain::<InvariantsAnswer>(&written).unwrap(),
            answer
        );
        assert_eq!(
            serde_json::from_value::<InvariantsAnswer>(written).unwrap(),
            answer
        );
    }
}
