//! Commands, end to end on a real store: accepted, repeated, unknown, malformed and refused; `concurrency`
//! has those that conflict, `attempts` those that share a command, `mailboxes` those of accounts with one
//! address in several spellings, `stock` those that move the stock of an order, `ports` those through a port
//! that holds fewer guarantees, and `hops` what the live map shows of all of them.

mod attempts;
mod concurrency;
mod hops;
mod mailboxes;
mod ports;
mod stock;

use std::sync::Arc;

use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    wire::{CommandAnswer, CommandRequest, Template},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{CommandFailure, CommandService};
use clock::{Clock as _, SharedClock, SystemClock};
use event_store::{Direction, EventStore, SqliteEventStore, Workspace};

/// A shop with its own store.
struct Shop {
    store: Arc<dyn EventStore>,
    service: Arc<CommandService>,
    workspace: WorkspaceId,
    staff: Actor,
    customer: Actor,
    system: Actor,
    _folder: TempDir,
}

impl Shop {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let path = folder.path().join("events.db");
        let store: Arc<dyn EventStore> = Arc::new(
            SqliteEventStore::open(&path, Arc::clone(&clock), None)
                .await
                .unwrap(),
        );
        let workspace = Workspace {
            id: WorkspaceId(clock.new_id()),
            name: "A class".to_owned(),
            template: Template::Empty,
            shards: 2,
            join_code: "apple-42".to_owned(),
            created_at: clock.now(),
        };
        assert!(store.create_workspace(&workspace).await.unwrap());
        let actor = |role| Actor {
            id: SystemClock.new_id(),
            role,
            name: "A person".to_owned(),
        };
        Self {
            service: Arc::new(CommandService::new(Arc::clone(&store), clock)),
            store,
            workspace: workspace.id,
            staff: actor(Role::Educator),
            customer: actor(Role::Customer),
            system: actor(Role::System),
            _folder: folder,
        }
    }

    /// Another process on the same store.
    fn second_service(&self) -> CommandService {
        CommandService::new(Arc::clone(&self.store), Arc::new(SystemClock))
    }

    async fn send(
        &self,
        actor: &Actor,
        request: Value,
        key: Option<&str>,
    ) -> Result<CommandAnswer, CommandFailure> {
        self.service
            .handle(self.workspace, actor, &read(request), key, None)
            .await
    }

    async fn by_staff(&self, request: Value) -> Result<CommandAnswer, CommandFailure> {
        self.send(&self.staff, request, None).await
    }

    /// A command of fulfilment.
    async fn by_system(&self, request: Value) -> Result<CommandAnswer, CommandFailure> {
        self.send(&self.system, request, None).await
    }

    async fn list_mug(&self) {
        self.by_staff(list_product("mug-01")).await.unwrap();
    }

    async fn events(&self, stream: &str) -> Vec<String> {
        let stream = stream.parse().unwrap();
        let events = self
            .store
            .read_stream(self.workspace, &stream, 1, Direction::Forwards, 1000)
            .await
            .unwrap();
        events.into_iter().map(|event| event.event_type).collect()
    }
}

fn read(request: Value) -> CommandRequest {
    serde_json::from_value(request).unwrap()
}

fn list_product(sku: &str) -> Value {
    json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
        "sku": sku, "name": "Mug", "description": "Holds coffee.", "tags": ["kitchen"],
        "price": {"amount": 1250, "currency": "EUR"},
    }})
}

fn place_order(id: &str, sku: &str) -> Value {
    json!({"type": "PlaceOrder", "stream": format!("order-{id}"), "data": {
        "lines": [{"sku": sku, "quantity": 2}], "payment_method": "tok_ok",
    }})
}

fn receive(sku: &str, quantity: u32) -> Value {
    json!({"type": "ReceiveStock", "stream": format!("inventory-{sku}"), "data": {"quantity": quantity}})
}

fn with(mut request: Value, field: &str, value: Value) -> Value {
    request[field] = value;
    request
}

#[tokio::test]
async fn a_command_is_answered_with_what_it_did() {
    let shop = Shop::open().await;
    shop.list_mug().await;
    let correlation = SystemClock.new_id();
    let request = with(place_order("1", "mug-01"), "correlation_id", json!(correlation));
    let answer = shop.send(&shop.customer, request, Some("key-1")).await.unwrap();
    assert_eq!((answer.stream.as_str(), answer.version), ("order-1", 1));
    assert_eq!(answer.correlation_id, correlation);
    assert_eq!(answer.events[0].event_type, "OrderCreated");
    assert!(
        shop.store
            .head(shop.workspace)
            .await
            .unwrap()
            .covers(&answer.token)
    );
    let stream = "order-1".parse().unwrap();
    let stored = shop
        .store
        .read_stream(shop.workspace, &stream, 1, Direction::Forwards, 1)
        .await
        .unwrap();
    assert_eq!(stored[0].metadata.command_id, answer.command_id);
    assert_eq!(stored[0].metadata.actor, shop.customer.reference());
    assert!(
        stored[0].payload.get().contains("\"amount\":2500"),
        "the price comes from the product's own stream"
    );
}

#[tokio::test]
async fn a_repeated_command_gets_the_first_answer_again() {
    let shop = Shop::open().await;
    shop.list_mug().await;
    let first = shop
        .send(&shop.customer, place_order("1", "mug-01"), Some("key-1"))
        .await
        .unwrap();
    let confirm = json!({"type": "ConfirmOrder", "stream": "order-1", "data": {}});
    shop.by_system(confirm).await.unwrap();
    // the same request with its fields in another order
    let again = json!({"data": {"payment_method": "tok_ok", "lines": [{"quantity": 2, "sku": "mug-01"}]},
        "stream": "order-1", "type": "PlaceOrder"});
    assert_eq!(
        shop.send(&shop.customer, again, Some("key-1")).await.unwrap(),
        first
    );
    assert_eq!(shop.events("order-1").await, ["OrderCreated", "OrderConfirmed"]);

    let other = shop
        .send(&shop.customer, place_order("2", "mug-01"), Some("key-1"))
        .await;
    assert!(matches!(other, Err(CommandFailure::KeyReused)), "{other:?}");
    // another person's key is another key
    shop.send(&shop.staff, place_order("2", "mug-01"), Some("key-1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_command_that_changed_nothing_is_repeated_like_any_other() {
    let shop = Shop::open().await;
    shop.list_mug().await;
    shop.send(&shop.customer, place_order("1", "mug-01"), None)
        .await
        .unwrap();
    let confirm = json!({"type": "ConfirmOrder", "stream": "order-1", "data": {}});
    shop.by_system(confirm.clone()).await.unwrap();
    let first = shop
        .send(&shop.system, confirm.clone(), Some("again"))
        .await
        .unwrap();
    assert_eq!((first.version, first.events.len()), (2, 0));
    assert_eq!(
        shop.send(&shop.system, confirm, Some("again")).await.unwrap(),
        first
    );
}

#[tokio::test]
async fn a_malformed_field_is_named() {
    let shop = Shop::open().await;
    let field = async |request: Value, key: Option<&str>| match shop.send(&shop.staff, request, key).await {
        Err(CommandFailure::Malformed { violations }) => violations[0].field.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        field(with(receive("a", 1), "stream", json!("Inventory A")), None).await,
        "stream"
    );
    assert_eq!(
        field(with(receive("a", 1), "data", json!({"quantity": "one"})), None).await,
        "data.quantity"
    );
    for key in ["", "with space", "ü", &"k".repeat(201)] {
        assert_eq!(
            field(receive("a", 1), Some(key)).await,
            "Idempotency-Key",
            "{key:?}"
        );
    }
    shop.send(&shop.staff, receive("a", 1), Some(&"k".repeat(200)))
        .await
        .unwrap();
    let unknown = shop
        .by_staff(with(receive("a", 1), "type", json!("Explode")))
        .await;
    assert!(matches!(unknown, Err(CommandFailure::UnknownType(name)) if name == "Explode"));
    let wrong = shop
        .by_staff(with(receive("a", 1), "stream", json!("order-1")))
        .await;
    assert!(
        matches!(
            wrong,
            Err(CommandFailure::WrongStream {
                expected: "inventory",
                ..
            })
        ),
        "{wrong:?}"
    );
}

#[tokio::test]
async fn roles_and_rules_are_kept_and_nothing_is_stored() {
    let shop = Shop::open().await;
    let forbidden = shop.send(&shop.customer, receive("mug-01", 5), None).await;
    assert!(
        matches!(
            forbidden,
            Err(CommandFailure::Forbidden {
                command: "ReceiveStock"
            })
        ),
        "{forbidden:?}"
    );
    let refused = shop
        .send(&shop.customer, place_order("1", "mug-01"), Some("key-1"))
        .await;
    assert!(matches!(refused, Err(CommandFailure::Rejected(_))), "{refused:?}");
    assert!(shop.events("order-1").await.is_empty());
    // a refusal is not recorded: the same key may try again when the rules allow it
    shop.list_mug().await;
    shop.send(&shop.customer, place_order("1", "mug-01"), Some("key-1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_unknown_workspace_is_named() {
    let shop = Shop::open().await;
    let nowhere = WorkspaceId(SystemClock.new_id());
    let result = shop
        .service
        .handle(nowhere, &shop.staff, &read(receive("a", 1)), None, None)
        .await;
    assert!(
        matches!(result, Err(CommandFailure::UnknownWorkspace(named)) if named == nowhere),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_wrong_expected_version_is_a_conflict_before_any_rule_is_checked() {
    let shop = Shop::open().await;
    shop.list_mug().await;
    shop.send(&shop.customer, place_order("1", "mug-01"), None)
        .await
        .unwrap();
    let shipment = json!({"type": "ShipOrder", "stream": "order-1", "data": {}});
    let conflict = async |expected: Value| match shop
        .by_staff(with(shipment.clone(), "expected_version", expected))
        .await
    {
        Err(CommandFailure::Conflict { stream, current }) => (stream.to_string(), current),
        other => panic!("{other:?}"),
    };
    // a rule would refuse it too: the order is not confirmed
    assert_eq!(conflict(json!(0)).await, ("order-1".to_owned(), 1));
    assert_eq!(conflict(json!(2)).await, ("order-1".to_owned(), 1));
    assert_eq!(conflict(json!("no_stream")).await, ("order-1".to_owned(), 1));
    let confirm = json!({"type": "ConfirmOrder", "stream": "order-1", "data": {}, "expected_version": 1});
    assert_eq!(shop.by_system(confirm).await.unwrap().version, 2);
    let cancel = json!({"type": "CancelOrder", "stream": "order-1", "data": {"reason": "changed my mind"},
        "expected_version": "stream_exists"});
    assert_eq!(shop.by_staff(cancel).await.unwrap().version, 3);
}

#[tokio::test]
async fn a_store_that_is_closed_is_unavailable() {
    let shop = Shop::open().await;
    shop.store.close().await;
    let result = shop.by_staff(receive("mug-01", 1)).await;
    assert!(
        matches!(result, Err(CommandFailure::Unavailable(_))),
        "{result:?}"
    );
}
