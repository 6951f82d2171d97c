use serde_json::value::RawValue;

use super::*;
use crate::aggregate::inventory::{InventoryEvent, StockReservationFailed};

fn decode(name: &str, version: u32, payload: &str) -> Result<DomainEvent, DecodeError> {
    DomainEvent::decode(name, version, &RawValue::from_string(payload.to_owned()).unwrap())
}

#[test]
fn every_older_version_leads_step_by_step_to_the_newest() {
    for known in DomainEvent::types() {
        for version in 1..=known.schema_version {
            let path = DomainEvent::path(known.name, version).unwrap();
            let versions: Vec<_> = path.iter().map(|step| step.from).collect();
            assert_eq!(
                versions,
                (version..known.schema_version).collect::<Vec<_>>(),
                "{}",
                known.name
            );
        }
    }
    for step in DomainEvent::upcasters() {
        let same =
            DomainEvent::upcasters().filter(|other| (other.event, other.from) == (step.event, step.from));
        assert_eq!(same.count(), 1, "{} from version {}", step.event, step.from);
    }
}

#[test]
fn an_event_of_version_1_reads_as_if_it_were_written_today() {
    let failed = InventoryEvent::from(StockReservationFailed {
        order: "1".into(),
        requested: 3,
        available: 2,
    });
    let failed = DomainEvent::Inventory(failed);
    let old = decode(
        "StockReservationFailed",
        1,
        r#"{"order":"1","quantity":3,"available":2}"#,
    );
    assert_eq!(old.unwrap(), failed);
    let new = decode(
        "StockReservationFailed",
        2,
        r#"{"order":"1","requested":3,"available":2}"#,
    );
    assert_eq!(new.unwrap(), failed);
}

#[test]
fn order_events_of_version_1_are_upcast_without_a_customer() {
    use crate::{aggregate::order::OrderEvent, money::Money};
    let read = |name: &str, payload: &str| match decode(name, 1, payload).unwrap() {
        DomainEvent::Order(event) => event,
        other => panic!("{other:?}"),
    };
    let OrderEvent::OrderConfirmed(confirmed) = read("OrderConfirmed", "{}") else {
        panic!("it is another event");
    };
    assert_eq!(
        (confirmed.customer, confirmed.lines.len(), confirmed.total),
        (Uuid::nil(), 0, Money::new(0, ""))
    );
    let OrderEvent::OrderRejected(rejected) = read("OrderRejected", r#"{"reason":"sold out"}"#) else {
        panic!("it is another event");
    };
    assert_eq!(
        (rejected.customer, rejected.reason.as_str()),
        (Uuid::nil(), "sold out")
    );
    let OrderEvent::OrderCancelled(cancelled) = read("OrderCancelled", r#"{"reason":"no"}"#) else {
        panic!("it is another event");
    };
    assert_eq!((cancelled.reason.as_str(), cancelled.sold), ("no", None));
    for name in ["OrderShipped", "OrderDelivered"] {
        match read(name, "{}") {
            OrderEvent::OrderShipped(event) => assert!(event.customer.is_nil()),
            OrderEvent::OrderDelivered(event) => assert!(event.customer.is_nil()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_person_of_version_1_reads_english() {
    use crate::{
        access::Role,
        aggregate::user::{UserEvent, UserRegistered},
        language::Language,
    };
    let registered = |language| {
        DomainEvent::User(UserEvent::from(UserRegistered {
            email: "ada@example.org".into(),
            display_name: "Ada".into(),
            role: Role::Customer,
            language,
        }))
    };
    let old = r#"{"email":"ada@example.org","display_name":"Ada","role":"customer"}"#;
    assert_eq!(
        decode("UserRegistered", 1, old).unwrap(),
        registered(Language::En)
    );
    let new = r#"{"email":"ada@example.org","display_name":"Ada","role":"customer","language":"de"}"#;
    assert_eq!(
        decode("UserRegistered", 2, new).unwrap(),
        registered(Language::De)
    );
}

#[test]
fn an_unreadable_event_is_named_with_its_version() {
    for (name, version, said) in [
        ("OrderTeleported", 1, "event type OrderTeleported is unknown"),
        (
            "StockReceived",
            2,
            "event type StockReceived has schema version 2; 1 is the newest known",
        ),
        (
            "StockReservationFailed",
            0,
            "event type StockReservationFailed has schema version 0, from which no upcaster leads to \
             version 2",
        ),
    ] {
        assert_eq!(decode(name, version, "{}").unwrap_err().to_string(), said);
    }
    let error = decode("StockReservationFailed", 1, r#"{"order":"1"}"#)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("StockReservationFailed of schema version 1") && error.contains("quantity"),
        "{error}"
    );
}

#[test]
fn an_event_was_made_when_its_id_says_whatever_the_workspaces_clock_shows() {
    // Its milliseconds, version 7 and the variant.
    let id = Uuid::from_u128((1_796_000_000_123 << 80) | (7 << 76) | (2 << 62));
    let event = |event_id: Uuid| {
        let id = Uuid::from_u128(1);
        RecordedEvent {
            workspace: WorkspaceId(id),
            partition: 0,
            position: 1,
            stream: "inventory-mug".parse().unwrap(),
            version: 1,
            event_id,
            event_type: "StockReceived".to_owned(),
            schema_version: 1,
            payload: (),
            metadata: Metadata {
                correlation_id: id,
                causation_id: None,
                command_id: id,
                actor: ActorRef {
                    id,
                    role: crate::access::Role::System,
                },
                traceparent: None,
            },
            recorded_at: Timestamp::from_micros(5),
            hash: String::new(),
        }
    };
    assert_eq!(event(id).made_at(), Timestamp::from_micros(1_796_000_000_123_000));
    assert_eq!(event(Uuid::from_u128(7)).made_at(), Timestamp::from_micros(5));
}
