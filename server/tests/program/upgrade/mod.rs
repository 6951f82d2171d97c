//! The current program continues with the stores of earlier versions: each fixture in `server/tests/fixtures`
//! is restored and opened. Stored data does not change, unfinished work continues once, finished work is not
//! repeated, and users sign in and continue.
//!
//! `cargo xtask fixture <name>` saves the stores of the current program. Making a fixture and continuing with
//! it is a test too, so that the next one can be made at any time.

mod fixture;
mod make;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{
    event::StoredEvent,
    id::WorkspaceId,
    wire::{
        CommandAnswer, DeadLetterInfo, DeadLetterOutcome, DocumentAnswer, ListingAnswer, Page, VerifyReport,
    },
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::Client,
    running::{Server, clean},
};
use fixture::{Facts, Mails, Stores, WorkspaceFacts, mails};

/// The name under which to save a new fixture.
const FIXTURE_NAME: &str = "FOLDLINE_TEST_FIXTURE";

/// The events of the order whose deadline has passed: it is abandoned, and a late charge is refunded.
const ABANDONED_ORDER_EVENTS: [&str; 6] = [
    "OrderCreated",
    "OrderRejected",
    "PaymentProcessed",
    "PaymentRefunded",
    "StockReleased",
    "StockReserved",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_earlier_version_are_carried_on() {
    for version in versions() {
        carry_on(Stores::files(), &version).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_databases_of_every_earlier_version_are_carried_on() {
    for version in versions() {
        carry_on(Stores::postgresql().await, &version).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_this_version_leaves_behind_are_carried_on() {
    make_and_carry_on(Stores::files()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_database_that_this_version_leaves_behind_is_carried_on() {
    make_and_carry_on(Stores::postgresql().await).await;
}

/// The folders of the fixtures.
fn versions() -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut versions: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    versions.sort();
    assert!(!versions.is_empty(), "there are fixtures");
    versions
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The arguments of `foldline serve`. Links in emails do not depend on the port, and no workspace is purged
/// because the fixture is old.
fn arguments(stores: &Stores) -> Vec<String> {
    let mut arguments = stores.arguments();
    arguments.extend(
        [
            "--sandbox-idle-days",
            "0",
            "--public-url",
            "https://shop.test/",
            "--mail-from",
            "The shop <shop@shop.test>",
        ]
        .map(str::to_owned),
    );
    arguments
}

async fn make_and_carry_on(stores: Stores) {
    let (server, facts) = make::make(&stores).await;
    let exported = foldline(&stores, server.folder(), &["export"]);
    for shop in &facts.workspaces {
        let order = format!("order-{}", shop.waiting_order);
        let lines = exported
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let waiting: Vec<_> = lines.filter(|line| line["subject"] == order).collect();
        assert_eq!(
            waiting.len(),
            facts.workspaces.len(),
            "it waits, in each: {waiting:?}"
        );
    }
    // Deleted when the test ends, unless it is saved.
    let passing = tempfile::tempdir().unwrap();
    let version = match std::env::var(FIXTURE_NAME) {
        Ok(name) => fixtures().join(name),
        Err(_) => passing.path().to_owned(),
    };
    let fixture = version.join(stores.name());
    assert!(
        !fixture.exists(),
        "a fixture never changes; give the new one another name than {}",
        version.display()
    );
    stores.save(server.folder(), &exported, &facts, &fixture);
    carry_on(stores.empty_ones().await, &version).await;
}

/// Runs a subcommand on stores without a running server, and returns its output.
fn foldline(stores: &Stores, folder: &Path, command: &[&str]) -> String {
    let output = clean(env!("CARGO_BIN_EXE_foldline"))
        .args(command)
        .arg("--data-dir")
        .arg(folder)
        .args(stores.arguments())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    stdout
}

async fn carry_on(stores: Stores, version: &Path) {
    let fixture = version.join(stores.name());
    let facts = fixture::facts(&fixture);
    let server = Arc::new(Server::new(arguments(&stores)));
    stores.restore(&fixture, server.folder()).await;
    let before = mails(server.folder());

    server.start();
    let mut sent = Sent::new();
    for shop in &facts.workspaces {
        sent.extend(Shop::enter(&server, &facts, shop).await.continue_work().await);
    }
    let metrics = metrics(&server, &facts).await;
    assert_eq!(metrics.get("sent"), Some(&sent.len()), "{metrics:?}");
    assert_eq!(
        metrics.get("old"),
        None,
        "what was handled is not handled again: {metrics:?}"
    );
    server.stop().await;
    let after = mails(server.folder());
    check_mails(&before, &after, &sent);
    foldline(&stores, server.folder(), &["verify"]);
    let original = fs::read_to_string(fixture::export(&fixture)).unwrap();
    check_export(&original, &foldline(&stores, server.folder(), &["export"]));
    for shop in &facts.workspaces {
        // The customer's new order, and that of the user who has stopped emails.
        assert_eq!(
            make::charges(&stores, server.folder(), shop).await,
            shop.charges + 2
        );
        check_derived_again(server.folder(), shop.id);
    }

    // Finished work is not repeated.
    server.start();
    for shop in &facts.workspaces {
        let shop = Shop::enter(&server, &facts, shop).await;
        shop.educator.settled().await;
        shop.check_order_was_abandoned(&shop.educator.log().await);
    }
    server.stop().await;
    assert!(mails(server.folder()) == after, "no mail comes with a restart");

    import(&stores.empty_ones().await, &fixture);
}

/// The event and the user of each expected email.
type Sent = BTreeSet<(Uuid, Uuid)>;

struct Shop<'a> {
    server: &'a Arc<Server>,
    password: &'a str,
    facts: &'a WorkspaceFacts,
    educator: Client,
}

impl<'a> Shop<'a> {
    async fn enter(server: &'a Arc<Server>, facts: &'a Facts, shop: &'a WorkspaceFacts) -> Self {
        let educator = Client::sign_in(server, shop.id, &shop.educator.email, &facts.password).await;
        Self {
            server,
            password: &facts.password,
            facts: shop,
            educator: educator.expect("the educator has an account"),
        }
    }

    /// Unfinished work is done, and users continue. Returns the resulting emails.
    async fn continue_work(&self) -> Sent {
        let facts = self.facts;
        self.check_people().await;
        self.retry_dead_letter().await;
        self.educator.settled().await;
        let log = self.educator.log().await;
        self.check_order_was_abandoned(&log);
        self.check_is_answered_again().await;
        let orders: ListingAnswer = self
            .educator
            .get(&format!("/api/v1/views/{}?listing=all", facts.rebuilt.view))
            .await;
        assert_eq!(orders.generation, facts.rebuilt.generation);

        let customer = self.sign_in(&facts.customer.email).await.unwrap();
        let without_mails = self.sign_in(&facts.without_mails.email).await.unwrap();
        for (client, order) in [
            (&customer, "carried-on"),
            (&without_mails, "carried-on-in-silence"),
        ] {
            let place = json!({"type": "PlaceOrder", "stream": format!("order-{order}"), "data": {
                "lines": [{"sku": "mug", "quantity": 1}], "payment_method": "tok_ok"}});
            assert!(client.command(order, &place).await);
            self.educator.settled().await;
            let placed: DocumentAnswer = client.get(&format!("/api/v1/views/orders/{order}")).await;
            assert_eq!(placed.data["status"], "confirmed");
        }
        let verified: VerifyReport = self.educator.get("/api/v1/verify").await;
        assert_eq!(verified.findings, Vec::<String>::new());
        let found: Value = self.educator.get("/api/v1/search?q=mug&kinds=products").await;
        assert_eq!(found["hits"][0]["key"], "mug", "the index is made again: {found}");

        let log = self.educator.log().await;
        let event = |event_type: &str, stream: &str| {
            let event = log
                .iter()
                .find(|event| event.event_type == event_type && event.stream.as_str() == stream);
            event
                .unwrap_or_else(|| panic!("no {event_type} of {stream}"))
                .event_id
        };
        let waiting = &facts.waiting_order;
        let mut sent: Sent = [
            event("OrderRejected", &format!("order-{waiting}")),
            event("PaymentRefunded", &format!("payment-{waiting}")),
            event("OrderConfirmed", "order-carried-on"),
        ]
        .map(|event| (event, facts.customer.user))
        .into();
        if let Some(letter) = &facts.dead_letter {
            let registered = event("UserRegistered", &format!("user-{}", letter.user));
            sent.insert((registered, letter.user));
        }
        sent
    }

    async fn sign_in(&self, email: &str) -> Result<Client, StatusCode> {
        Client::sign_in(self.server, self.facts.id, email, self.password).await
    }

    /// Erased users stay erased, and others keep their names.
    async fn check_people(&self) {
        let facts = self.facts;
        let refused = self.sign_in(&facts.erased.email).await.err();
        assert_eq!(refused, Some(StatusCode::UNAUTHORIZED));
        for (user, name) in [
            (facts.erased.user, "erased"),
            (facts.customer.user, "Ada Lovelace"),
        ] {
            let customer: DocumentAnswer = self
                .educator
                .get(&format!("/api/v1/views/customers/{user}"))
                .await;
            assert_eq!(customer.data["display_name"], name);
        }
        let path = format!("/api/v1/views/orders?listing=by_customer&group={}", facts.guest);
        let orders: ListingAnswer = self.educator.get(&path).await;
        assert_eq!(orders.data[0].data["customer"]["name"], "Guest");
    }

    /// An email that could not be sent is still a dead letter, and a retry sends it.
    async fn retry_dead_letter(&self) {
        let path = "/api/v1/dead-letters";
        let letters: Page<DeadLetterInfo> = self.educator.get(path).await;
        let letters: Vec<_> = letters.data.iter().map(|letter| letter.id).collect();
        let known = self.facts.dead_letter.iter();
        let known: Vec<_> = known.map(|letter| letter.id).collect();
        assert_eq!(letters, known);
        for id in known {
            let (status, text) = self
                .educator
                .request_until_answered(|http, url| http.post(format!("{url}{path}/{id}/retry")))
                .await;
            assert_eq!(status, StatusCode::OK, "{text}");
            let outcome: DeadLetterOutcome = serde_json::from_str(&text).unwrap();
            assert_eq!((outcome.applied, outcome.dead_letter), (1, None));
        }
    }

    fn check_order_was_abandoned(&self, log: &[StoredEvent]) {
        let order = self.facts.waiting_order.as_str();
        let concerns = |event: &&StoredEvent| {
            let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
            event.stream.as_str() == format!("order-{order}") || payload["order"] == order
        };
        let events = log.iter().filter(concerns);
        let mut events: Vec<_> = events.map(|event| event.event_type.as_str()).collect();
        events.sort_unstable();
        assert_eq!(events, ABANDONED_ORDER_EVENTS, "each once");
    }

    /// A repeated command gets the same answer.
    async fn check_is_answered_again(&self) {
        let answered = &self.facts.answered;
        let (status, answer) = self
            .educator
            .post("/api/v1/commands", &answered.command, &answered.key)
            .await;
        assert_eq!(status, StatusCode::OK, "{answer:?}");
        let answer: CommandAnswer = serde_json::from_value(answer.unwrap()).unwrap();
        let events: Vec<_> = answer.events.iter().map(|event| event.event_id).collect();
        assert_eq!(events, answered.events);
    }
}

/// Emails that this incarnation of the server has handled, by outcome.
async fn metrics(server: &Arc<Server>, facts: &Facts) -> BTreeMap<String, usize> {
    let shop = Shop::enter(server, facts, &facts.workspaces[0]).await;
    let (_, metrics) = shop
        .educator
        .request_until_answered(|http, url| http.get(format!("{url}/metrics")))
        .await;
    let of_mails = metrics.lines().filter_map(|line| {
        let (outcome, count) = line
            .strip_prefix("foldline_mails_total{outcome=\"")?
            .split_once("\"} ")?;
        Some((outcome.to_owned(), count.parse().unwrap()))
    });
    of_mails.collect()
}

/// No email is sent again or changed, and the new ones are the expected ones.
fn check_mails(before: &Mails, after: &Mails, sent: &Sent) {
    let mut new = Sent::new();
    for (name, content) in after {
        if let Some(before) = before.get(name) {
            assert!(before == content, "{} has changed", name.display());
            continue;
        }
        let mut parts = name.file_name().unwrap().to_str().unwrap().split('.');
        let mut id = || parts.next().unwrap().parse().unwrap();
        new.insert((id(), id()));
    }
    assert_eq!(new, *sent);
    assert_eq!(after.len(), before.len() + sent.len(), "no mail is gone");
}

/// A line of an export as this version writes it: earlier ones exported a digest of each command's body.
fn without_digest(line: &str) -> String {
    const DIGEST: &str = "\"body_sha256\":\"";
    let Some(begin) = line.find(DIGEST) else {
        return line.to_owned();
    };
    // the hash in hexadecimal, and `",`
    let end = begin + DIGEST.len() + 64 + 2;
    let line = format!("{}{}", &line[..begin], &line[end..]);
    line.replace("foldline.command.v1", "foldline.command.v2")
}

/// Every event and every answered command is exported unchanged and in the same order.
fn check_export(stored: &str, now: &str) {
    let is_of_the_log = |line: &&str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let kind = line["type"].as_str().unwrap().to_owned();
        !kind.starts_with("foldline.workspace.") && !kind.starts_with("foldline.end.")
    };
    let stored: Vec<_> = stored.lines().filter(is_of_the_log).map(without_digest).collect();
    let known: BTreeSet<_> = stored.iter().map(String::as_str).collect();
    let now: Vec<_> = now.lines().filter(|line| known.contains(line)).collect();
    assert!(
        now == stored,
        "{} of {} lines are as they were",
        now.len(),
        stored.len()
    );
}

/// The warehouse was not in the fixture.
fn check_derived_again(folder: &Path, workspace: WorkspaceId) {
    let manifests = folder.join(format!("warehouse/workspace={workspace}/_manifest"));
    assert!(fs::read_dir(manifests).is_ok_and(|manifests| manifests.count() > 0));
}

/// The lines of an export, of which the last of a workspace depends on the bytes of the others. The first one
/// has the number of the workspace in the file, which earlier versions did not write.
fn comparable(export: &str) -> Vec<String> {
    let comparable = |line: &str| {
        let parsed: Value = serde_json::from_str(line).unwrap();
        let kind = parsed["type"].as_str().unwrap();
        if kind.starts_with("foldline.workspace.") {
            let mut data = parsed["data"].clone();
            data.as_object_mut().unwrap().remove("part");
            format!("{} {data}", parsed["id"])
        } else if kind.starts_with("foldline.end.") {
            format!(
                "{} events, {} commands",
                parsed["data"]["events"], parsed["data"]["commands"]
            )
        } else {
            without_digest(line)
        }
    };
    export.lines().map(comparable).collect()
}

/// An old export can be imported, and its new export is the same to the byte, without digests.
fn import(stores: &Stores, fixture: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let export = fixture::export(fixture);
    foldline(stores, folder.path(), &["import", export.to_str().unwrap()]);
    foldline(stores, folder.path(), &["verify"]);
    let again = foldline(stores, folder.path(), &["export"]);
    let original = fs::read_to_string(export).unwrap();
    assert!(
        comparable(&again) == comparable(&original),
        "the export has changed"
    );
}
