//! What the servers did outside of the log: mails, the warehouse, and the payment provider's books. Each must
//! follow from the log, once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use domain::{event::StoredEvent, token::ConsistencyToken, view::sales::SalesDocument, wire::LabClock};
use payment::test_mode::{Charge, TestMode};
use serde_json::Value;
use server::settings::StoreUrl;

use super::{driver::Driver, mail_server::Mail, people::Person};
use crate::{
    history::{check::order_of, clients::Access, record::History},
    mails::SUBJECTS,
    warehouse::{Totals, read, total},
};

/// Payment methods that are always declined.
const NEVER_CHARGED: [&str; 2] = ["tok_declined", "tok_insufficient_funds"];

/// The payment method whose provider answers after the deadline of the payment: it is charged, and paid back.
const CHARGED_TOO_LATE: &str = "tok_timeout";

/// Every order is decided; none was charged that never can be, and what was charged too late confirms no
/// order and is paid back.
pub(super) fn check_orders(history: &History, log: &[StoredEvent]) {
    let mut open = BTreeSet::new();
    let (mut late, mut confirmed, mut refunded) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for event in log {
        let id = event.stream.id();
        match event.event_type.as_str() {
            "OrderCreated" => {
                open.insert(id);
            }
            "OrderConfirmed" | "OrderRejected" | "OrderCancelled" => {
                open.remove(id);
                if event.event_type.as_str() == "OrderConfirmed" {
                    confirmed.insert(id);
                }
            }
            "PaymentRefunded" => {
                refunded.insert(id);
            }
            "PaymentProcessed" => {
                let payload: Value = serde_json::from_str(event.payload.get()).unwrap();
                let method = payload["method"].as_str().unwrap_or_default();
                history.require(!NEVER_CHARGED.contains(&method), id, || {
                    format!("{} was charged by {method}", event.stream)
                });
                if method == CHARGED_TOO_LATE {
                    late.insert(id);
                }
            }
            _ => {}
        }
    }
    for order in late {
        history.require(
            !confirmed.contains(order) && refunded.contains(order),
            order,
            || format!("order-{order} was charged after its deadline, and is confirmed or not paid back"),
        );
    }
    for order in open {
        history.find(
            order,
            format!("order-{order} is neither confirmed nor rejected nor cancelled"),
        );
    }
}

/// Every mail that follows from the log has arrived, and no other. One that came again did so after an
/// interruption of its first sender or of the mail server, and is the same. Returns how many came again.
pub(super) fn check_mails(driver: &Driver, people: &[Person], log: &[StoredEvent]) -> usize {
    let history = &driver.history;
    let expected = expected_mails(people, log);
    let mut arrived: BTreeMap<String, Vec<Mail>> = BTreeMap::new();
    for mail in driver.mail.mails() {
        arrived.entry(event_of(&mail)).or_default().push(mail);
    }
    for (event, person) in &expected {
        let about = person.id.to_string();
        history.require(person.erased || arrived.contains_key(event), &about, || {
            format!("the mail about event {event} has not arrived at {}", person.email)
        });
    }
    let mut repeated = 0;
    for (event, mails) in &arrived {
        let Some(person) = expected.get(event) else {
            history.find(
                event.as_str(),
                format!("a mail to {:?} follows from no event", mails[0].to),
            );
            continue;
        };
        let about = person.id.to_string();
        for mail in mails {
            history.require(mail.to == [person.email.as_str()], &about, || {
                format!("the mail about event {event} went to {:?}", mail.to)
            });
        }
        for pair in mails.windows(2) {
            let (first, again) = (&pair[0], &pair[1]);
            repeated += 1;
            history.require(person.erased || first.content == again.content, &about, || {
                format!("the mail about event {event} came again with another content")
            });
            let is_explained = driver
                .interruptions
                .iter()
                .any(|it| it.explains(first.server, first.tick, again.tick));
            history.require(is_explained, &about, || {
                format!(
                    "the mail about event {event} came from server {} at tick {} and from server {} at tick \
                     {}, without an interruption",
                    first.server, first.tick, again.server, again.tick
                )
            });
        }
    }
    repeated
}

/// The people to whom mails go, by the id of the event.
fn expected_mails<'a>(people: &'a [Person], log: &[StoredEvent]) -> HashMap<String, &'a Person> {
    let people: HashMap<String, &Person> = people
        .iter()
        .map(|person| (person.id.to_string(), person))
        .collect();
    let recipient = |event: &StoredEvent| {
        SUBJECTS.iter().find(|(of, _)| *of == event.event_type)?;
        let payload: Value = serde_json::from_str(event.payload.get()).ok()?;
        let user = payload["customer"].as_str().unwrap_or_else(|| event.stream.id());
        Some((event.event_id.to_string(), *people.get(user)?))
    };
    log.iter().filter_map(recipient).collect()
}

/// The event in the Message-ID of a mail.
fn event_of(mail: &Mail) -> String {
    let parsed = mailparse::parse_mail(&mail.content).expect("a mail is well formed");
    let id = parsed
        .headers
        .iter()
        .find(|header| header.get_key_ref().eq_ignore_ascii_case("Message-ID"));
    let id = id.expect("a mail has a Message-ID").get_value();
    let event = id.trim_start_matches('<').split('.').next();
    event.unwrap_or_default().to_owned()
}

/// The warehouse, which all servers write, has each line once, and the totals of the view of sales.
pub(super) async fn check_warehouse(
    driver: &Driver,
    access: &Access,
    head: &ConsistencyToken,
    warehouse: &Path,
) {
    let mut sales = Totals::new();
    for listing in ["by_day", "top_products"] {
        let rows = access.listing("sales", listing, head).await.data;
        sales.extend(rows.into_iter().map(|row| {
            let document: SalesDocument = serde_json::from_value(row.data).unwrap();
            (row.key, total(&document))
        }));
    }
    let history = &driver.history;
    if sales.is_empty() {
        history.find("", "nothing was sold, so that the warehouse is not checked");
        return;
    }
    let folder = warehouse.join(format!("workspace={}", driver.opened.workspace));
    for selection in ["manifest", "pattern"] {
        let content = read(&folder, selection);
        history.require(content.totals == sales, "", || {
            let totals = &content.totals;
            format!("the warehouse, by {selection}, has {totals:?}, and the view of sales {sales:?}")
        });
        let checks = &content.checks;
        history.require(checks["rows"] == checks["lines"], "", || {
            format!("the warehouse, by {selection}, has a line twice: {checks:?}")
        });
    }
}

/// The provider has charged each order once at most, and keeps the charges that the log has as processed and
/// not refunded. Returns the number of charges.
pub(super) async fn check_books(books: &StoreUrl, driver: &Driver, log: &[StoredEvent]) -> usize {
    let books = process_manager::process::open(books).await.unwrap();
    let charges = TestMode::charges(&*books, driver.opened.workspace).await.unwrap();
    books.close().await;
    let history = &driver.history;
    let mut by_order: BTreeMap<&str, Vec<&Charge>> = BTreeMap::new();
    for charge in &charges {
        let order = charge.key.strip_prefix("charge/").unwrap_or(&charge.key);
        by_order.entry(order).or_default().push(charge);
    }
    for (order, charges) in &by_order {
        history.require(charges.len() == 1, order, || {
            format!("{order} was charged more than once: {charges:?}")
        });
    }
    let mut kept_by_log = BTreeSet::new();
    for event in log {
        let Some(order) = order_of(event) else {
            continue;
        };
        match event.event_type.as_str() {
            "PaymentProcessed" => kept_by_log.insert(order),
            "PaymentRefunded" => kept_by_log.remove(&order),
            _ => continue,
        };
    }
    let kept_by_provider: BTreeSet<String> = by_order
        .iter()
        .filter(|(_, charges)| charges.iter().any(|charge| charge.refunded_at.is_none()))
        .map(|(order, _)| (*order).to_owned())
        .collect();
    for order in kept_by_log.symmetric_difference(&kept_by_provider) {
        let charges = by_order.get(order.as_str());
        history.find(
            order.as_str(),
            format!("the log and the provider disagree about the charge of {order}: {charges:?}"),
        );
    }
    charges.len()
}

/// The workspace's clock is the same at every server, and no less far than it was put forward.
pub(super) async fn check_clocks(driver: &Driver) {
    for server in 0..driver.servers.count() {
        let clock: LabClock = driver.access.at(server).get("/api/v1/lab/clock").await;
        let first: LabClock = driver.access.at(0).get("/api/v1/lab/clock").await;
        let (ahead_ms, advanced_ms) = (clock.ahead_ms, i64::try_from(driver.advanced_ms).unwrap());
        driver.history.require(
            clock.ahead_ms == first.ahead_ms && ahead_ms >= advanced_ms,
            "",
            || {
                format!(
                    "the clock at server {server} is {ahead_ms} ms ahead, put forward by {advanced_ms} ms"
                )
            },
        );
    }
}
