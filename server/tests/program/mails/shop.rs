//! A shop whose customers get emails: they register, order and unsubscribe, across restarts of the server.

use std::{collections::BTreeSet, sync::Arc};

use domain::wire::{ListingAnswer, SessionInfo};
use reqwest::{StatusCode, header::CONTENT_TYPE};
use serde_json::json;
use uuid::Uuid;

use super::{
    check::{FROM, People, Person, unsubscribe_link},
    peer::Peer,
};
use crate::{client::Client, running::Server};

/// The number of partitions, and so of lanes that send emails.
const SHARDS: u32 = 3;
/// The public address of the shop, which does not change with the server's port.
const PUBLIC_URL: &str = "https://shop.test/";
/// More than is ordered.
const STOCK: u32 = 10_000;
/// The customers' names, and whether they keep emails enabled. No address may get more than 60 emails an
/// hour.
const NAMES: [(&str, bool); 4] = [
    ("Ada", true),
    ("Zoë Ångström", true),
    ("Bob <b>", true),
    ("Eve", false),
];

async fn register_as(customer: &Client, user: Uuid, name: &str, email: &str) {
    let register = json!({"type": "RegisterUser", "stream": format!("user-{user}"), "data": {
        "email": email, "display_name": name, "password": "correct horse battery"}});
    assert!(customer.command(&format!("register-{user}"), &register).await);
}

pub(crate) struct Shop {
    pub(crate) server: Arc<Server>,
    /// The current incarnation of the server.
    incarnation: u32,
    pub(crate) peer: Peer,
    pub(crate) staff: Client,
    /// Customers with an address, and one without.
    customers: Vec<Client>,
    pub(crate) people: People,
    orders: usize,
    join_code: String,
}

impl Shop {
    /// Opens a shop with its own mail server and these arguments of `foldline serve`. All customers have got
    /// the first email.
    pub(crate) async fn open(mut settings: Vec<String>) -> Self {
        let peer = Peer::new();
        peer.start().await;
        settings.extend(peer.settings());
        settings.extend(["--mail-from", FROM, "--public-url", PUBLIC_URL].map(str::to_owned));
        let server = Arc::new(Server::new(settings));
        peer.expect(1);
        server.start();
        let (staff, opened) = Client::open(&server, SHARDS).await;
        let list = json!({"type": "ListProduct", "stream": "product-mug", "data": {
            "sku": "mug", "name": "Mug", "description": "For tea",
            "price": {"amount": 500, "currency": "EUR"}, "tags": [],
        }});
        assert!(staff.command("list", &list).await);
        let receive = json!({"type": "ReceiveStock", "stream": "inventory-mug", "data": {"quantity": STOCK}});
        assert!(staff.command("receive", &receive).await);
        let guest = staff.join(&opened.join_code, "Guest").await;
        let mut shop = Self {
            server,
            incarnation: 1,
            peer,
            staff,
            customers: vec![guest],
            people: People::new(),
            orders: 0,
            join_code: opened.join_code,
        };
        for (name, wants_mails) in NAMES {
            let customer = shop.staff.join(&shop.join_code, name).await;
            shop.register(&customer, name, wants_mails).await;
            shop.customers.push(customer);
        }
        shop.staff.settled().await;
        shop
    }

    async fn register(&mut self, customer: &Client, name: &str, wants_mails: bool) {
        let session: SessionInfo = customer.get("/api/v1/session").await;
        let user = session.actor_id;
        let person = Person {
            email: format!("{user}@post.test"),
            stopped: !wants_mails,
        };
        register_as(customer, user, name, &person.email).await;
        self.people.insert(user, person);
    }

    /// One more customer, who places no orders.
    pub(crate) async fn add_customer(&mut self, name: &str) {
        let customer = self.staff.join(&self.join_code, name).await;
        self.register(&customer, name, true).await;
    }

    /// One more customer, whose address the mail server cannot express.
    pub(crate) async fn add_customer_out_of_reach(&self) {
        let customer = self.staff.join(&self.join_code, "Jörg").await;
        let session: SessionInfo = customer.get("/api/v1/session").await;
        register_as(&customer, session.actor_id, "Jörg", "jörg@post.test").await;
    }

    /// Customers who stop emails follow the link of the first one, as their email program does (RFC 8058).
    pub(crate) async fn unsubscribe(&self) {
        self.peer.order("take").await;
        for mail in self.peer.mails() {
            let stops = |person: &Person| person.stopped && mail.to.contains(&person.email);
            if !self.people.values().any(stops) {
                continue;
            }
            let link = unsubscribe_link(&mailparse::parse_mail(&mail.content).unwrap());
            let path = link.strip_prefix(PUBLIC_URL).expect("it leads to us").to_owned();
            let send = |http: &reqwest::Client, url: &str| {
                http.post(format!("{url}/{path}"))
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body("List-Unsubscribe=One-Click")
            };
            assert_eq!(self.staff.request_until_answered(send).await.0, StatusCode::OK);
        }
        self.staff.settled().await;
    }

    /// All customers with an address have forgotten their passwords, and want to confirm their addresses.
    pub(crate) async fn request_links(&self) {
        for customer in &self.customers {
            let session: SessionInfo = customer.get("/api/v1/session").await;
            let Some(person) = self.people.get(&session.actor_id) else {
                continue;
            };
            let confirm =
                |http: &reqwest::Client, url: &str| http.post(format!("{url}/api/v1/email-confirmations"));
            assert_eq!(
                customer.request_until_answered(confirm).await.0,
                StatusCode::ACCEPTED
            );
            let forgotten = json!({"email": person.email, "workspace": session.workspace});
            let reset = |http: &reqwest::Client, url: &str| {
                http.post(format!("{url}/api/v1/password-resets"))
                    .json(&forgotten)
            };
            assert_eq!(
                customer.request_until_answered(reset).await.0,
                StatusCode::ACCEPTED
            );
        }
        self.staff.settled().await;
    }

    /// All customers order; one of three payments fails.
    pub(crate) async fn order(&mut self) {
        for customer in &self.customers {
            let method = if self.orders % 3 == 2 {
                "tok_declined"
            } else {
                "tok_ok"
            };
            let place = json!({"type": "PlaceOrder", "stream": format!("order-{}", self.orders), "data": {
                "lines": [{"sku": "mug", "quantity": 1}], "payment_method": method}});
            assert!(customer.command(&format!("place-{}", self.orders), &place).await);
            self.orders += 1;
        }
    }

    /// After a kill.
    pub(crate) fn note_restart(&mut self) {
        self.incarnation += 1;
        self.peer.expect(self.incarnation);
        self.server.start();
    }

    /// How often this incarnation of the server has failed to send an email.
    pub(crate) async fn tried(&self) -> u64 {
        let line = r#"foldline_projection_failures_total{view="notification"} "#;
        let (_, metrics) = self
            .staff
            .request_until_answered(|http, url| http.get(format!("{url}/metrics")))
            .await;
        let tried = metrics.lines().find_map(|metric| metric.strip_prefix(line));
        tried.map_or(0, |tried| tried.parse().unwrap())
    }

    /// The other events with emails: some orders are shipped and delivered, some are cancelled.
    pub(crate) async fn ship_and_cancel_orders(&self) {
        let orders: ListingAnswer = self.staff.get("/api/v1/views/orders?listing=all&limit=200").await;
        assert_eq!(orders.data.len(), self.orders);
        let mut told = BTreeSet::new();
        for row in orders.data.iter().filter(|row| row.data["status"] == "confirmed") {
            // One of each for every customer.
            let customer = row.data["customer"]["id"].as_str().unwrap();
            let commands: &[&str] = if told.insert((customer.to_owned(), "sent")) {
                &["ShipOrder", "DeliverOrder"]
            } else if told.insert((customer.to_owned(), "taken back")) {
                &["CancelOrder"]
            } else {
                &[]
            };
            for command in commands {
                let data = if *command == "CancelOrder" {
                    json!({"reason": "changed my mind"})
                } else {
                    json!({})
                };
                let stream = format!("order-{}", row.key);
                let key = format!("{command}-{}", row.key);
                let command = json!({"type": command, "stream": stream, "data": data});
                assert!(self.staff.command(&key, &command).await);
            }
        }
    }
}
