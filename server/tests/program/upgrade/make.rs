//! Makes a fixture: two shops, of one partition and of four, in which every kind of event has happened and
//! some work is unfinished.
//!
//! Only the program writes, with one exception: events of older schema versions, which it reads and no longer
//! writes, are appended through its event store.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use clock::{Clock as _, SystemClock};
use domain::{
    access::Role,
    aggregate::prediction::prediction_stream,
    event::{ActorRef, Metadata, StoredEvent},
    id::WorkspaceId,
    wire::{CommandAnswer, DeadLetterInfo, EventSchema, ListingAnswer, Page, SessionInfo, WorkspaceAccess},
};
use event_store::{Append, Direction, EventStore, Expected, NewEvent, StreamAppend};
use payment::test_mode::TestMode;
use reqwest::StatusCode;
use serde_json::{Value, json, value::to_raw_value};

use uuid::Uuid;

use super::{
    arguments,
    fixture::{Account, Answered, DeadLetter, Facts, Rebuilt, Stores, WorkspaceFacts},
};
use crate::{client::Client, mails::peer::Peer, running::Server};

const SHARDS: [u32; 2] = [1, 4];
const PASSWORD: &str = "correct horse battery";
/// More events in one stream than between two snapshots.
const DELIVERIES: u32 = 60;
/// The beginning of the waiting order's name.
const WAITING: &str = "waiting";
const REBUILT: &str = "orders";

/// Makes the stores, stops the server, and returns it with the known facts.
pub(super) async fn make(stores: &Stores) -> (Arc<Server>, Facts) {
    let server = Arc::new(Server::new(arguments(stores)));
    server.start();
    let mut shops = Vec::new();
    for shards in SHARDS {
        let shop = Shop::open(&server, shards).await;
        shop.trade().await;
        shops.push(shop);
    }
    server.stop().await;
    let store = event_store::open(&stores.events(server.folder()), Arc::new(SystemClock), None)
        .await
        .unwrap();
    for shop in &shops {
        shop.append_older_versions(&*store).await;
        shop.check_snapshot(&*store).await;
    }
    store.close().await;
    server.start();
    for shop in &shops {
        shop.educator.settled().await;
        shop.rebuild().await;
    }
    server.stop().await;

    // From here on emails go to a mail server.
    let peer = Peer::new();
    peer.start().await;
    peer.expect(1);
    server.serve_with([arguments(stores), peer.settings()].concat());
    server.start();
    for shop in &shops {
        shop.join_and_register("Carl", "carl@post.test").await;
        shop.educator.settled().await;
    }
    assert_eq!(peer.count(), SHARDS.len());
    peer.order("reject").await;
    let dead_letter = shops[0].register_with_a_rejected_mail().await;
    peer.order("take").await;
    let mut facts = Facts {
        password: PASSWORD.to_owned(),
        workspaces: Vec::new(),
    };
    for (shop, dead_letter) in shops.iter().zip([Some(dead_letter), None]) {
        facts.workspaces.push(shop.facts(dead_letter).await);
    }
    leave_orders_waiting(stores, &server, &shops, &mut facts).await;
    for facts in &mut facts.workspaces {
        facts.charges = charges(stores, server.folder(), facts).await;
    }
    (server, facts)
}

/// Stops the server while an order of each shop waits for its payment: the provider has charged and not
/// answered, and the order's timer runs. On a busy machine the deadline may pass before the server has
/// stopped; then other orders are placed.
async fn leave_orders_waiting(stores: &Stores, server: &Arc<Server>, shops: &[Shop], facts: &mut Facts) {
    for attempt in 1.. {
        let order = format!("{WAITING}-{attempt}");
        let mut correlations = Vec::new();
        for shop in shops {
            let placed = shop.order(&shop.customer.client, &order, "mug", "tok_timeout");
            correlations.push(placed.await);
        }
        for (shop, correlation) in shops.iter().zip(&correlations) {
            shop.until_a_timer_runs(*correlation).await;
        }
        server.stop().await;
        let mut all_wait = true;
        for shop in shops {
            all_wait &= shop.is_waiting(stores, server.folder(), &order).await;
        }
        if all_wait {
            for facts in &mut facts.workspaces {
                facts.waiting_order.clone_from(&order);
            }
            return;
        }
        server.start();
        for (shop, correlation) in shops.iter().zip(correlations) {
            shop.educator.settled_of(correlation).await;
        }
    }
}

/// The number of charges in the payment provider's books.
pub(super) async fn charges(stores: &Stores, folder: &Path, workspace: &WorkspaceFacts) -> usize {
    charge_keys(stores, folder, workspace.id).await.len()
}

/// The keys of the charges in the payment provider's books, each once.
async fn charge_keys(stores: &Stores, folder: &Path, workspace: WorkspaceId) -> BTreeSet<String> {
    let books = process_manager::process::open(&stores.process_store(folder))
        .await
        .unwrap();
    let charges = TestMode::charges(&*books, workspace).await.unwrap();
    books.close().await;
    let keys: BTreeSet<_> = charges.iter().map(|charge| charge.key.clone()).collect();
    assert_eq!(
        keys.len(),
        charges.len(),
        "an order was charged twice: {charges:?}"
    );
    keys
}

struct Person {
    client: Client,
    account: Account,
}

struct Shop {
    opened: WorkspaceAccess,
    shards: u32,
    educator: Client,
    educators_account: Account,
    customer: Person,
    without_mails: Person,
    guest: Person,
    erased: Person,
}

impl Shop {
    async fn open(server: &Arc<Server>, shards: u32) -> Self {
        let (educator, opened) = Client::open(server, shards).await;
        let educators_account = register(&educator, "Grace", "grace@school.test", "educator").await;
        let join = async |name: &str, email: &str| {
            let client = educator.join(&opened.join_code, name).await;
            let account = register(&client, name, email, "customer").await;
            Person { client, account }
        };
        let guest = educator.join(&opened.join_code, "Guest").await;
        Self {
            shards,
            educators_account,
            customer: join("Ada", "ada@old.test").await,
            without_mails: join("Bob", "bob@post.test").await,
            erased: join("Eve", "eve@post.test").await,
            guest: Person {
                account: Account {
                    user: user(&guest).await,
                    email: String::new(),
                },
                client: guest,
            },
            educator,
            opened,
        }
    }

    /// Every type of event, except those of `register_with_a_rejected_mail` and of older versions.
    async fn trade(&self) {
        for (sku, stock) in [("mug", DELIVERIES), ("tea", 1), ("lamp", 1)] {
            let command = list(sku);
            self.send(&format!("list-{sku}"), &command).await;
            for delivery in 0..stock {
                let receive = json!({
                    "type": "ReceiveStock", "stream": format!("inventory-{sku}"), "data": {"quantity": 1},
                });
                self.send(&format!("receive-{sku}-{delivery}"), &receive).await;
            }
        }
        let dearer = json!({"type": "ChangePrice", "stream": "product-lamp", "data": {
            "price": {"amount": 4_500, "currency": "EUR"},
        }});
        self.send("dearer", &dearer).await;
        let retire = json!({"type": "RetireProduct", "stream": "product-lamp", "data": {}});
        self.send("retire", &retire).await;

        let Person { client: ada, account } = &self.customer;
        let own = format!("user-{}", account.user);
        let rename =
            json!({"type": "ChangeDisplayName", "stream": own, "data": {"display_name": "Ada Lovelace"}});
        assert!(ada.command("rename", &rename).await);
        let move_away =
            json!({"type": "ChangeEmail", "stream": own, "data": {"email": ADA, "password": PASSWORD}});
        assert!(ada.command("move", &move_away).await);
        let speak = json!({"type": "ChangeLanguage", "stream": own, "data": {"language": "de"}});
        assert!(ada.command("speak", &speak).await);
        self.set_mails(&self.customer, false).await;
        self.set_mails(&self.customer, true).await;
        self.set_mails(&self.without_mails, false).await;
        // The preference is stored before the first email.
        self.educator.settled().await;

        self.order(ada, "delivered", "mug", "tok_ok").await;
        self.order(ada, "cancelled", "mug", "tok_ok").await;
        self.order(ada, "refunded", "mug", "tok_ok").await;
        self.order(ada, "flaky", "mug", "tok_flaky").await;
        self.order(ada, "declined", "mug", "tok_declined").await;
        self.order(&self.without_mails.client, "unmentioned", "mug", "tok_ok")
            .await;
        self.order(&self.guest.client, "guests", "mug", "tok_ok").await;
        self.order(&self.erased.client, "forgotten", "mug", "tok_ok")
            .await;
        self.order(ada, "tea", "tea", "tok_ok").await;
        self.educator.settled().await;
        // The last item is sold.
        self.order(ada, "sold-out", "tea", "tok_ok").await;
        let ship = json!({"type": "ShipOrder", "stream": "order-delivered", "data": {}});
        self.send("ship", &ship).await;
        let deliver = json!({"type": "DeliverOrder", "stream": "order-delivered", "data": {}});
        self.send("deliver", &deliver).await;
        let cancel = json!({
            "type": "CancelOrder", "stream": "order-cancelled", "data": {"reason": "changed my mind"},
        });
        assert!(ada.command("cancel", &cancel).await);
        let refund = json!({
            "type": "RefundPayment", "stream": "payment-refunded", "data": {"reason": "it was broken"},
        });
        self.send("refund", &refund).await;
        self.ask_for_links(&self.erased).await;
        let stream = format!("user-{}", self.erased.account.user);
        let erase = json!({"type": "EraseUser", "stream": stream, "data": {"password": NEW_PASSWORD}});
        assert!(self.erased.client.command("erase", &erase).await);
        self.educator.settled().await;

        let log = self.educator.log().await;
        let told = log.iter().find(|event| event.event_type == "OrderConfirmed");
        let inbox = format!("inbox-{}", account.user);
        let read = json!({"type": "ReadNotifications", "stream": inbox, "data": {
            "events": [told.unwrap().event_id],
        }});
        assert!(ada.command("read", &read).await);
        self.ask_the_class(&self.customer).await;
        self.educator.settled().await;
    }

    /// The educator asks a question, a person answers it, and the right answer is revealed.
    async fn ask_the_class(&self, person: &Person) {
        let question = Uuid::from_u128(0x0198_c1a2_0000_7000_8000_0000_0000_0001);
        let stream = format!("question-{question}");
        let data = json!({"text": "How many mugs are left?", "choices": 3});
        self.send(
            "ask",
            &json!({"type": "AskQuestion", "stream": stream, "data": data}),
        )
        .await;
        let predict = json!({
            "type": "MakePrediction", "stream": prediction_stream(question, person.account.user).unwrap(),
            "data": {"question": question, "choice": 2},
        });
        assert!(person.client.command("predict", &predict).await);
        let data = json!({"right": 2});
        self.send(
            "reveal",
            &json!({"type": "RevealAnswer", "stream": stream, "data": data}),
        )
        .await;
    }

    /// A person asks for both links by email, and changes the password.
    async fn ask_for_links(&self, person: &Person) {
        let Person { client, account } = person;
        let workspace = self.opened.workspace;
        for (path, body) in [
            ("email-confirmations", json!({})),
            (
                "password-resets",
                json!({"email": account.email, "workspace": workspace}),
            ),
        ] {
            let (status, answer) = client.post(&format!("/api/v1/{path}"), &body, path).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{answer:?}");
        }
        let change = json!({"current": PASSWORD, "new": NEW_PASSWORD});
        let (status, text) = client
            .request_until_answered(|http, url| {
                http.put(format!("{url}/api/v1/sessions/password")).json(&change)
            })
            .await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{text}");
        // The server answers before it has looked for an account.
        for wanted in ["PasswordResetRequested", "PasswordChanged"] {
            while !self
                .educator
                .log()
                .await
                .iter()
                .any(|event| event.event_type == wanted)
            {
                self.educator.settled().await;
            }
        }
    }

    async fn send(&self, key: &str, command: &Value) {
        assert!(self.educator.command(key, command).await, "{command}");
    }

    async fn set_mails(&self, person: &Person, wanted: bool) {
        let kind = if wanted { "ResumeMails" } else { "StopMails" };
        let stream = format!("inbox-{}", person.account.user);
        let command = json!({"type": kind, "stream": stream, "data": {}});
        assert!(person.client.command(kind, &command).await);
    }

    /// Places an order, and returns the correlation id of all that it causes.
    async fn order(&self, client: &Client, order: &str, sku: &str, method: &str) -> Uuid {
        let place = json!({"type": "PlaceOrder", "stream": format!("order-{order}"), "data": {
            "lines": [{"sku": sku, "quantity": 1}], "payment_method": method}});
        let path = "/api/v1/commands";
        let (status, placed) = client.post(path, &place, &format!("place-{order}")).await;
        assert_eq!(status, StatusCode::OK, "{placed:?}");
        let placed: CommandAnswer = serde_json::from_value(placed.unwrap()).unwrap();
        placed.correlation_id
    }

    async fn join_and_register(&self, name: &str, email: &str) -> Account {
        let client = self.educator.join(&self.opened.join_code, name).await;
        register(&client, name, email, "customer").await
    }

    /// Orders, stock and a person in the schema versions of earlier programs.
    async fn append_older_versions(&self, store: &dyn EventStore) {
        let created = json!({
            "customer": {"id": self.customer.account.user, "name": "Ada"},
            "lines": [
                {"sku": "mug", "name": "mug", "price": {"amount": 500, "currency": "EUR"}, "quantity": 1},
            ],
            "total": {"amount": 500, "currency": "EUR"}, "payment_method": "tok_ok",
        });
        let placed = || ("OrderCreated", created.clone());
        let reason = || json!({"reason": "it was so"});
        let person = format!("user-{}", SystemClock.new_id());
        let streams = [
            (
                &*person,
                vec![
                    (
                        "UserRegistered",
                        json!({"email": "old@mail.example", "display_name": "Old", "role": "customer"}),
                    ),
                    // By a link that only the email has.
                    ("EmailConfirmed", json!({})),
                ],
            ),
            (
                "order-old-delivered",
                vec![
                    placed(),
                    ("OrderConfirmed", json!({})),
                    ("OrderShipped", json!({})),
                    ("OrderDelivered", json!({})),
                ],
            ),
            ("order-old-rejected", vec![placed(), ("OrderRejected", reason())]),
            (
                "order-old-cancelled",
                vec![placed(), ("OrderCancelled", reason())],
            ),
            (
                "inventory-tea",
                vec![(
                    "StockReservationFailed",
                    json!({"order": "old-rejected", "quantity": 3, "available": 1}),
                )],
            ),
        ];
        for (stream, events) in streams {
            let events = events.into_iter().map(|(event_type, payload)| NewEvent {
                event_id: SystemClock.new_id(),
                event_type: event_type.to_owned(),
                schema_version: 1,
                payload: to_raw_value(&payload).unwrap(),
            });
            let append = Append {
                workspace: self.opened.workspace,
                body_digest: [0; 32],
                streams: vec![StreamAppend {
                    stream: stream.parse().unwrap(),
                    expected: Expected::Any,
                    events: events.collect(),
                }],
                max_events: None,
                metadata: Metadata {
                    correlation_id: SystemClock.new_id(),
                    causation_id: None,
                    command_id: SystemClock.new_id(),
                    actor: ActorRef {
                        id: Uuid::nil(),
                        role: Role::System,
                    },
                    traceparent: None,
                },
            };
            store.append(append).await.unwrap();
        }
    }

    async fn check_snapshot(&self, store: &dyn EventStore) {
        let stream = "inventory-mug".parse().unwrap();
        let snapshot = store.snapshot(self.opened.workspace, &stream).await.unwrap();
        assert!(snapshot.is_some(), "the longest stream has a snapshot");
    }

    async fn rebuild(&self) {
        let path = format!("/api/v1/lab/projections/{REBUILT}/rebuild");
        let begun = self
            .educator
            .request_until_answered(|http, url| http.post(format!("{url}{path}")))
            .await;
        assert_eq!(begun.0, StatusCode::ACCEPTED, "{}", begun.1);
        while self.generation().await == 1 {
            self.educator.settled().await;
        }
    }

    async fn generation(&self) -> u64 {
        let orders: ListingAnswer = self
            .educator
            .get(&format!("/api/v1/views/{REBUILT}?listing=all"))
            .await;
        orders.generation
    }

    /// A user registers whose email the mail server refuses.
    async fn register_with_a_rejected_mail(&self) -> DeadLetter {
        let account = self.join_and_register("Dora", "dora@post.test").await;
        loop {
            let letters: Page<DeadLetterInfo> = self.educator.get("/api/v1/dead-letters").await;
            if let [letter] = letters.data.as_slice() {
                assert_eq!(letter.event_type, "UserRegistered");
                return DeadLetter {
                    id: letter.id,
                    user: account.user,
                };
            }
            let _ = self.educator.is_settled(500).await;
        }
    }

    /// Waits until an order's timer runs, or until the order is decided already.
    async fn until_a_timer_runs(&self, correlation: Uuid) {
        while let Err(left) = self.educator.is_settled_of(correlation, 100).await {
            if left.contains("1 timers") {
                return;
            }
        }
    }

    /// Whether the stores of the stopped server hold an order that is charged and not decided on.
    async fn is_waiting(&self, stores: &Stores, folder: &Path, order: &str) -> bool {
        let workspace = self.opened.workspace;
        let store = event_store::open_to_read(&stores.events(folder)).await.unwrap();
        let stream = format!("order-{order}").parse().unwrap();
        let events = store.read_stream(workspace, &stream, 1, Direction::Forwards, 2);
        let is_undecided = events.await.unwrap().len() == 1;
        store.close().await;
        is_undecided
            && charge_keys(stores, folder, workspace)
                .await
                .contains(&format!("charge/{order}"))
    }

    async fn facts(&self, dead_letter: Option<DeadLetter>) -> WorkspaceFacts {
        let log = self.educator.log().await;
        self.check_types(&log).await;
        let (_, again) = self
            .educator
            .post("/api/v1/commands", &list("mug"), "list-mug")
            .await;
        let again: CommandAnswer = serde_json::from_value(again.unwrap()).unwrap();
        WorkspaceFacts {
            id: self.opened.workspace,
            shards: self.shards,
            educator: self.educators_account.clone(),
            customer: Account {
                email: ADA.to_owned(),
                ..self.customer.account.clone()
            },
            without_mails: self.without_mails.account.clone(),
            erased: self.erased.account.clone(),
            guest: self.guest.account.user,
            waiting_order: String::new(),
            dead_letter,
            rebuilt: Rebuilt {
                view: REBUILT.to_owned(),
                generation: self.generation().await,
            },
            answered: Answered {
                key: "list-mug".to_owned(),
                command: list("mug"),
                events: again.events.iter().map(|event| event.event_id).collect(),
            },
            charges: 0,
        }
    }

    /// Checks that every version of every event type is present.
    async fn check_types(&self, log: &[StoredEvent]) {
        let schemas: Page<EventSchema> = self.educator.get("/api/v1/schemas").await;
        let known = schemas.data.into_iter();
        let known: BTreeSet<_> = known.map(|schema| (schema.event_type, schema.version)).collect();
        let stored = log.iter();
        let stored: BTreeSet<_> = stored
            .map(|event| (event.event_type.clone(), event.schema_version))
            .collect();
        assert_eq!(
            stored, known,
            "a fixture has every version of every type of event"
        );
    }
}

/// The password of the erased person, before the erasure.
const NEW_PASSWORD: &str = "heron lantern ampersand 42";

/// The customer's email after the change.
const ADA: &str = "ada@post.test";

fn list(sku: &str) -> Value {
    json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
        "sku": sku, "name": sku, "description": "Of a kind",
        "price": {"amount": 500, "currency": "EUR"}, "tags": ["kitchen"],
    }})
}

async fn user(client: &Client) -> Uuid {
    let session: SessionInfo = client.get("/api/v1/session").await;
    session.actor_id
}

async fn register(client: &Client, name: &str, email: &str, role: &str) -> Account {
    let user = user(client).await;
    let register = json!({"type": "RegisterUser", "stream": format!("user-{user}"), "data": {
        "email": email, "display_name": name, "password": PASSWORD, "role": role}});
    assert!(client.command("register", &register).await);
    Account {
        user,
        email: email.to_owned(),
    }
}
