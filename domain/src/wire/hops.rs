//! Hops: the arrows of the drawing that events, commands and queries have crossed, as the live map shows
//! them.
//!
//! A hop is made of a span that a box has closed, so it is recorded when its crossing ends: enclosing ones
//! after those within. [`Hop::started_at`] orders the hops of one server; no two of them have the same.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// An arrow of the drawing that can be crossed. Its name is the English label, or that of the box that it
/// leads to, in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Arrow {
    /// The web client sends a command to the API gateway: from the arrival of the request to its answer.
    HttpsJwtCommandRequest,
    /// The API gateway hands a command to the command service: until that has answered.
    RestJsonCommand,
    /// The command service has the aggregate decide.
    ValidateCommand,
    /// A decided event is appended to the event store: until its commit is durable.
    AppendEvents,
    /// A committed event is published to the message broker.
    PublishedDomainEvents,
    /// The message broker delivers an event to the lane of a view: until the lane has applied it.
    EventSubscription,
    /// The lane of a view commits an event to the read model.
    UpsertProjection,
    /// The query API looks an answer up in the cache.
    CacheLookup,
    /// The query API puts an answer that it has read into the cache.
    CacheSet,
    /// The query API reads the read model.
    QueryProjection,
    /// The web client sends a query: from the arrival of the request to its answer.
    HttpsReadRequest,
    /// The query API answers the web client.
    #[serde(rename = "json-response-200")]
    JsonResponse200,
    /// A person reads events of the log as they are stored.
    ReplayStream,
    /// The lane of a view reads events from the event store instead of the message broker.
    HistoricalEvents,
    /// The order service publishes an event.
    OrderCreated,
    /// The user service publishes an event.
    UserRegistered,
    /// The payment service publishes an event.
    PaymentProcessed,
    /// The bus delivers an event to the lane that keeps the inventory.
    InventoryConsumer,
    /// The bus delivers an event to the consumer that sends emails.
    NotificationConsumer,
    /// The bus delivers an event to the consumer that fills the data warehouse.
    AnalyticsConsumer,
    /// The bus delivers an event to the consumer that keeps the search index.
    SearchIndexer,
    /// The lane of the inventory commits an event.
    InventoryDb,
    /// The notification consumer has performed an event.
    EmailPush,
    /// The analytics consumer has performed an event.
    DataWarehouse,
    /// The search indexer has performed an event.
    SearchIndex,
}

/// The name of the sheet of the pattern in [`Arrow::drawing_ids`].
pub const PATTERN_SHEET: &str = "pattern";

/// The name of the sheet of the business in [`Arrow::drawing_ids`].
pub const BUSINESS_SHEET: &str = "business";

impl Arrow {
    /// All of them, in the order in which an order crosses them: the write side, the backbone, the
    /// read side, operations, and then those that only the sheet of the business has.
    pub const ALL: [Self; 25] = [
        Self::HttpsJwtCommandRequest,
        Self::RestJsonCommand,
        Self::ValidateCommand,
        Self::AppendEvents,
        Self::PublishedDomainEvents,
        Self::EventSubscription,
        Self::UpsertProjection,
        Self::CacheLookup,
        Self::CacheSet,
        Self::QueryProjection,
        Self::HttpsReadRequest,
        Self::JsonResponse200,
        Self::ReplayStream,
        Self::HistoricalEvents,
        Self::OrderCreated,
        Self::UserRegistered,
        Self::PaymentProcessed,
        Self::InventoryConsumer,
        Self::NotificationConsumer,
        Self::AnalyticsConsumer,
        Self::SearchIndexer,
        Self::InventoryDb,
        Self::EmailPush,
        Self::DataWarehouse,
        Self::SearchIndex,
    ];

    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpsJwtCommandRequest => "https-jwt-command-request",
            Self::RestJsonCommand => "rest-json-command",
            Self::ValidateCommand => "validate-command",
            Self::AppendEvents => "append-events",
            Self::PublishedDomainEvents => "published-domain-events",
            Self::EventSubscription => "event-subscription",
            Self::UpsertProjection => "upsert-projection",
            Self::CacheLookup => "cache-lookup",
            Self::CacheSet => "cache-set",
            Self::QueryProjection => "query-projection",
            Self::HttpsReadRequest => "https-read-request",
            Self::JsonResponse200 => "json-response-200",
            Self::ReplayStream => "replay-stream",
            Self::HistoricalEvents => "historical-events",
            Self::OrderCreated => "order-created",
            Self::UserRegistered => "user-registered",
            Self::PaymentProcessed => "payment-processed",
            Self::InventoryConsumer => "inventory-consumer",
            Self::NotificationConsumer => "notification-consumer",
            Self::AnalyticsConsumer => "analytics-consumer",
            Self::SearchIndexer => "search-indexer",
            Self::InventoryDb => "inventory-db",
            Self::EmailPush => "email-push",
            Self::DataWarehouse => "data-warehouse",
            Self::SearchIndex => "search-index",
        }
    }

    /// The arrow of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arrow| arrow.as_str() == name)
    }

    /// Where it is drawn: the sheets, each with the id that the arrow has in its layout.
    pub const fn drawing_ids(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::HttpsJwtCommandRequest => &[(PATTERN_SHEET, "command_request")],
            Self::RestJsonCommand => &[(PATTERN_SHEET, "command"), (BUSINESS_SHEET, "commands")],
            Self::ValidateCommand => &[(PATTERN_SHEET, "validate")],
            Self::AppendEvents => &[(PATTERN_SHEET, "append"), (BUSINESS_SHEET, "append")],
            Self::PublishedDomainEvents => &[(PATTERN_SHEET, "publish"), (BUSINESS_SHEET, "events")],
            Self::EventSubscription => &[(PATTERN_SHEET, "subscription"), (BUSINESS_SHEET, "projections")],
            Self::UpsertProjection => &[(PATTERN_SHEET, "upsert"), (BUSINESS_SHEET, "materialized_views")],
            Self::CacheLookup | Self::CacheSet => &[(PATTERN_SHEET, "cache")],
            Self::QueryProjection => &[(PATTERN_SHEET, "query"), (BUSINESS_SHEET, "queries")],
            Self::HttpsReadRequest => &[(PATTERN_SHEET, "read_request")],
            Self::JsonResponse200 => &[(PATTERN_SHEET, "response")],
            Self::ReplayStream => &[(PATTERN_SHEET, "replay")],
            Self::HistoricalEvents => &[(PATTERN_SHEET, "history")],
            Self::OrderCreated => &[(BUSINESS_SHEET, "order_created")],
            Self::UserRegistered => &[(BUSINESS_SHEET, "user_registered")],
            Self::PaymentProcessed => &[(BUSINESS_SHEET, "payment_processed")],
            Self::InventoryConsumer => &[(BUSINESS_SHEET, "inventory_subscription")],
            Self::NotificationConsumer => &[(BUSINESS_SHEET, "notification_subscription")],
            Self::AnalyticsConsumer => &[(BUSINESS_SHEET, "analytics_subscription")],
            Self::SearchIndexer => &[(BUSINESS_SHEET, "search_subscription")],
            Self::InventoryDb => &[(BUSINESS_SHEET, "inventory_sink")],
            Self::EmailPush => &[(BUSINESS_SHEET, "notification_sink")],
            Self::DataWarehouse => &[(BUSINESS_SHEET, "analytics_sink")],
            Self::SearchIndex => &[(BUSINESS_SHEET, "search_sink")],
        }
    }

    /// The id that it has in the layout of a sheet, if it is drawn there.
    pub fn drawing_id(self, sheet: &str) -> Option<&'static str> {
        let mut ids = self.drawing_ids().iter();
        ids.find(|(of, _)| *of == sheet).map(|(_, id)| *id)
    }

    /// The arrow from the service that produces the events of a stream to the bus, if the sheet of the
    /// business has that service.
    pub fn of_producer(stream: &str) -> Option<Self> {
        match stream.split_once('-')?.0 {
            "order" => Some(Self::OrderCreated),
            "user" => Some(Self::UserRegistered),
            "payment" => Some(Self::PaymentProcessed),
            _ => None,
        }
    }
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a crossing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HopOutcome {
    /// It had its effect.
    #[default]
    Done,
    /// It was refused: a command by a rule or by a right, an append by the version of its stream, a query by
    /// a right or because there is nothing.
    Refused,
    /// It failed, and is tried again.
    Retried,
    /// The event was put aside as a dead letter, or waits behind one of its stream.
    Parked,
    /// It had its effect before: a delivery that came again, or a command that was sent again.
    Duplicate,
}

impl HopOutcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::Refused,
        Self::Retried,
        Self::Parked,
        Self::Duplicate,
    ];

    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Retried => "retried",
            Self::Parked => "parked",
            Self::Duplicate => "duplicate",
        }
    }

    /// The outcome of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// One crossing of an arrow. Members that do not apply are null: a query has no event, and a refused command
/// has none either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hop {
    /// The arrow.
    pub arrow: Arrow,
    /// The event that crossed it; of a command with several events, the first.
    pub event_id: Option<Uuid>,
    /// The event's type; of a refused command, the command's.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// The event's stream, or the one that a command was sent to.
    pub stream: Option<String>,
    /// The event's partition.
    pub partition: Option<u32>,
    /// The event's position in the partition.
    pub position: Option<u64>,
    /// The id that it shares with everything of its intention.
    pub correlation_id: Option<Uuid>,
    /// The view, consumer or policy whose lane handled the event; of a query, the view that it names.
    pub lane: Option<String>,
    /// When the crossing began, by the clock of the server's machine. Of two hops of one server the later
    /// one has the later time.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub started_at: Timestamp,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// How it ended.
    pub outcome: HopOutcome,
}

/// The number of hops of one arrow in a window of time in which there were too many to tell each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MergedHops {
    /// The arrow.
    pub arrow: Arrow,
    /// When the window began.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub from: Timestamp,
    /// When it ended.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub to: Timestamp,
    /// How many hops it had that are not told one by one.
    pub count: u64,
}

/// The answer of `GET /api/v1/lab/hops`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HopPage {
    /// The hops, in the order in which their crossings ended.
    pub data: Vec<Hop>,
    /// The `after` of the next request.
    pub next: String,
    /// How many hops after `after` were dropped, because there was no room for them.
    pub dropped: u64,
    /// The hops that were counted instead of being told.
    pub merged: Vec<MergedHops>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_arrow_and_an_outcome_have_one_name_in_json_and_in_code() {
        for arrow in Arrow::ALL {
            assert_eq!(serde_json::to_value(arrow).unwrap(), json!(arrow.as_str()));
            assert_eq!(Arrow::named(arrow.as_str()), Some(arrow));
        }
        for outcome in HopOutcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), json!(outcome.as_str()));
            assert_eq!(HopOutcome::named(outcome.as_str()), Some(outcome));
        }
        assert_eq!(Arrow::named("append"), None);
        assert_eq!(HopOutcome::named(""), None);
    }

    #[test]
    fn every_arrow_is_listed_once() {
        for (at, arrow) in Arrow::ALL.iter().enumerate() {
            assert_eq!(*arrow as usize, at, "{arrow} is listed where it is declared");
        }
    }

    #[test]
    fn every_arrow_is_drawn_on_a_sheet() {
        for arrow in Arrow::ALL {
            let ids = arrow.drawing_ids();
            assert!(!ids.is_empty(), "{arrow}");
            for (sheet, id) in ids {
                assert_eq!(arrow.drawing_id(sheet), Some(*id));
            }
            assert_eq!(arrow.drawing_id("another"), None);
        }
    }

    #[test]
    fn the_documented_hop_is_written_with_every_member() {
        let id = Uuid::from_u128(7);
        let event = Hop {
            arrow: Arrow::AppendEvents,
            event_id: Some(id),
            event_type: Some("OrderCreated".to_owned()),
            stream: Some("order-1".to_owned()),
            partition: Some(0),
            position: Some(95),
            correlation_id: Some(id),
            lane: None,
            started_at: Timestamp::from_micros(1),
            duration_us: 412,
            outcome: HopOutcome::Done,
        };
        let written = serde_json::to_value(&event).unwrap();
        assert_eq!(
            written,
            json!({"arrow": "append-events", "event_id": id, "type": "OrderCreated", "stream": "order-1",
                   "partition": 0, "position": 95, "correlation_id": id, "lane": null,
                   "started_at": "1970-01-01T00:00:00.000001Z", "duration_us": 412, "outcome": "done"})
        );
        assert_eq!(serde_json::from_value::<Hop>(written).unwrap(), event);
    }

    #[test]
    fn a_stream_names_the_service_that_produces_its_events() {
        for (stream, arrow) in [
            ("order-1", Some(Arrow::OrderCreated)),
            ("user-1", Some(Arrow::UserRegistered)),
            ("payment-1", Some(Arrow::PaymentProcessed)),
            ("inventory-mug-01", None),
            ("order", None),
        ] {
            assert_eq!(Arrow::of_producer(stream), arrow, "{stream}");
        }
    }
}
