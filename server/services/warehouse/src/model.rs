//! The warehouse's tables: one fact, the lines of orders that were sold, returned (cancelled after their
//! confirmation) or refunded, and three dimensions: products, customers and days. Of customers it has only
//! the id, so nothing of it must be deleted when a user is erased.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{
    aggregate::{
        order::{OrderEvent, OrderLine},
        product::ProductEvent,
    },
    event::{DomainEvent, TypedEvent},
    timestamp::Timestamp,
};
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::table::{Column, Row, Value};

/// The columns of the fact. Its day is in the name of its folder.
pub(super) const FACT: &[Column] = &[
    Column::Text("event_id"),
    Column::Text("order_id"),
    Column::Small("line"),
    Column::Text("kind"),
    Column::Text("sku"),
    Column::Text("customer_id"),
    Column::Small("date_key"),
    Column::Instant("at"),
    Column::Number("quantity"),
    Column::Number("unit_price"),
    Column::Number("amount"),
    Column::Text("currency"),
];

/// The columns of the dimension of products.
pub(super) const PRODUCT: &[Column] = &[
    Column::Text("sku"),
    Column::Text("name"),
    Column::Text("tags"),
    Column::Number("price"),
    Column::Text("currency"),
    Column::Flag("retired"),
];

/// The columns of the dimension of customers.
pub(super) const CUSTOMER: &[Column] = &[
    Column::Text("customer_id"),
    Column::Flag("registered"),
    Column::Instant("first_seen_at"),
];

/// The columns of the dimension of days.
pub(super) const DATE: &[Column] = &[
    Column::Small("date_key"),
    Column::Day("date"),
    Column::Small("year"),
    Column::Small("quarter"),
    Column::Small("month"),
    Column::Small("day_of_month"),
    Column::Small("iso_week"),
    Column::Small("iso_weekday"),
];

/// A product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Product {
    name: String,
    tags: Vec<String>,
    price: i64,
    currency: String,
    retired: bool,
}

/// A customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Customer {
    registered: bool,
    first_seen_at: i64,
}

/// The dimensions. Each is copied when it changes, so that a clone is cheap, and so is finding out that
/// nothing has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dimensions {
    pub(super) products: Arc<BTreeMap<String, Product>>,
    pub(super) customers: Arc<BTreeMap<Uuid, Customer>>,
    pub(super) days: Arc<BTreeSet<i32>>,
}

/// What events add to the fact, by day.
pub(super) type Facts = BTreeMap<Date, Vec<Row>>;

/// The day of an instant, in UTC.
fn day_of(at: Timestamp) -> Date {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_micros()) * 1_000)
        .map_or(Date::MIN, OffsetDateTime::date)
}

/// As in 20261122.
fn date_key(day: Date) -> i32 {
    day.year() * 10_000 + i32::from(u8::from(day.month())) * 100 + i32::from(day.day())
}

fn day_of_key(key: i32) -> Option<Date> {
    let month = u8::try_from(key / 100 % 100).ok()?;
    let day = u8::try_from(key % 100).ok()?;
    Date::from_calendar_date(key / 10_000, time::Month::try_from(month).ok()?, day).ok()
}

/// Whether an event adds anything to the dimensions or to the facts.
pub(super) fn is_modelled(event: &TypedEvent) -> bool {
    match &event.payload {
        DomainEvent::Order(order) => match order {
            OrderEvent::OrderCreated(_) | OrderEvent::OrderConfirmed(_) => true,
            OrderEvent::OrderCancelled(cancelled) => cancelled.sold.is_some(),
            OrderEvent::OrderRefunded(refunded) => refunded.sold.is_some(),
            _ => false,
        },
        DomainEvent::Product(_) => true,
        _ => event.event_type == "UserRegistered",
    }
}

/// Adds an event to the dimensions and to the facts.
pub(super) fn add(event: &TypedEvent, dimensions: &mut Dimensions, facts: &mut Facts) {
    let at = event.recorded_at.as_micros();
    match &event.payload {
        DomainEvent::Order(order) => add_order(event, order, dimensions, facts),
        DomainEvent::Product(product) => {
            let known = Arc::make_mut(&mut dimensions.products)
                .entry(event.stream.id().to_owned())
                .or_default();
            match product {
                ProductEvent::ProductListed(listed) => {
                    known.name.clone_from(&listed.name);
                    known.tags.clone_from(&listed.tags);
                    known.price = listed.price.amount;
                    known.currency.clone_from(&listed.price.currency);
                    known.retired = false;
                }
                ProductEvent::PriceChanged(changed) => {
                    known.price = changed.price.amount;
                    known.currency.clone_from(&changed.price.currency);
                }
                ProductEvent::ProductRetired(_) => known.retired = true,
            }
        }
        _ if event.event_type == "UserRegistered" => {
            if let Ok(user) = event.stream.id().parse() {
                note_customer(dimensions, user, at, true);
            }
        }
        _ => {}
    }
}

fn add_order(event: &TypedEvent, order: &OrderEvent, dimensions: &mut Dimensions, facts: &mut Facts) {
    let at = event.recorded_at.as_micros();
    let (customer, lines, kind) = match order {
        OrderEvent::OrderCreated(created) => {
            note_customer(dimensions, created.customer.id, at, false);
            return;
        }
        OrderEvent::OrderConfirmed(confirmed) => (confirmed.customer, &confirmed.lines, Kind::Sold),
        OrderEvent::OrderCancelled(cancelled) => match &cancelled.sold {
            Some(sold) => (cancelled.customer, &sold.lines, Kind::Returned),
            None => return,
        },
        OrderEvent::OrderRefunded(refunded) => match &refunded.sold {
            Some(sold) => (refunded.customer, &sold.lines, Kind::Refunded),
            None => return,
        },
        _ => return,
    };
    let day = day_of(event.recorded_at);
    if !dimensions.days.contains(&date_key(day)) {
        Arc::make_mut(&mut dimensions.days).insert(date_key(day));
    }
    let rows = facts.entry(day).or_default();
    for (n, line) in (1..).zip(lines) {
        rows.push(fact(event, customer, n, line, kind));
    }
}

/// Notes an event of a customer at `at`, and whether it is their registration.
fn note_customer(dimensions: &mut Dimensions, customer: Uuid, at: i64, registers: bool) {
    let known = dimensions.customers.get(&customer).copied();
    let noted = Customer {
        registered: registers || known.is_some_and(|known| known.registered),
        // Partitions are read at different speeds.
        first_seen_at: known.map_or(at, |known| known.first_seen_at.min(at)),
    };
    if known != Some(noted) {
        Arc::make_mut(&mut dimensions.customers).insert(customer, noted);
    }
}

/// The kind of a fact. A reversal has negative quantities and amounts.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Sold,
    Returned,
    Refunded,
}

fn fact(event: &TypedEvent, customer: Uuid, n: i32, line: &OrderLine, kind: Kind) -> Row {
    let (word, sign) = match kind {
        Kind::Sold => ("sold", 1),
        Kind::Returned => ("returned", -1),
        Kind::Refunded => ("refunded", -1),
    };
    let quantity = i64::from(line.quantity) * sign;
    vec![
        Value::Text(event.event_id.to_string()),
        Value::Text(event.stream.id().to_owned()),
        Value::Small(n),
        Value::Text(word.to_owned()),
        Value::Text(line.sku.clone()),
        Value::Text(customer.to_string()),
        Value::Small(date_key(day_of(event.recorded_at))),
        Value::Instant(event.recorded_at.as_micros()),
        Value::Number(quantity),
        Value::Number(line.price.amount),
        Value::Number(line.price.amount.saturating_mul(quantity)),
        Value::Text(line.price.currency.clone()),
    ]
}

impl Dimensions {
    /// The rows of the dimension of products.
    pub(super) fn product_rows(&self) -> Vec<Row> {
        let row = |(sku, product): (&String, &Product)| {
            vec![
                Value::Text(sku.clone()),
                Value::Text(product.name.clone()),
                Value::Text(product.tags.join(",")),
                Value::Number(product.price),
                Value::Text(product.currency.clone()),
                Value::Flag(product.retired),
            ]
        };
        self.products.iter().map(row).collect()
    }

    /// The rows of the dimension of customers.
    pub(super) fn customer_rows(&self) -> Vec<Row> {
        let row = |(id, customer): (&Uuid, &Customer)| {
            vec![
                Value::Text(id.to_string()),
                Value::Flag(customer.registered),
                Value::Instant(customer.first_seen_at),
            ]
        };
        self.customers.iter().map(row).collect()
    }

    /// The rows of the dimension of days.
    pub(super) fn date_rows(&self) -> Vec<Row> {
        let row = |key: &i32| {
            let day = day_of_key(*key)?;
            let epoch = Date::from_ordinal_date(1970, 1).ok()?;
            let days = i32::try_from((day - epoch).whole_days()).ok()?;
            let month = i32::from(u8::from(day.month()));
            Some(vec![
                Value::Small(*key),
                Value::Day(days),
                Value::Small(day.year()),
                Value::Small((month - 1) / 3 + 1),
                Value::Small(month),
                Value::Small(i32::from(day.day())),
                Value::Small(i32::from(day.iso_week())),
                Value::Small(i32::from(day.weekday().number_from_monday())),
            ])
        };
        self.days.iter().filter_map(row).collect()
    }

    /// Parses the dimensions from their rows.
    pub(super) fn of_rows(products: Vec<Row>, customers: Vec<Row>, dates: Vec<Row>) -> Self {
        let mut known_products = BTreeMap::new();
        let mut known_customers = BTreeMap::new();
        let mut days = BTreeSet::new();
        for row in products {
            if let [
                Value::Text(sku),
                Value::Text(name),
                Value::Text(tags),
                Value::Number(price),
                Value::Text(currency),
                Value::Flag(retired),
            ] = row.as_slice()
            {
                let tags = tags.split(',').filter(|tag| !tag.is_empty());
                let product = Product {
                    name: name.clone(),
                    tags: tags.map(str::to_owned).collect(),
                    price: *price,
                    currency: currency.clone(),
                    retired: *retired,
                };
                known_products.insert(sku.clone(), product);
            }
        }
        for row in customers {
            if let [
                Value::Text(id),
                Value::Flag(registered),
                Value::Instant(first_seen_at),
            ] = row.as_slice()
                && let Ok(id) = id.parse()
            {
                let customer = Customer {
                    registered: *registered,
                    first_seen_at: *first_seen_at,
                };
                known_customers.insert(id, customer);
            }
        }
        for row in dates {
            if let Some(Value::Small(key)) = row.first() {
                days.insert(*key);
            }
        }
        Self {
            products: Arc::new(known_products),
            customers: Arc::new(known_customers),
            days: Arc::new(days),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        access::Role,
        aggregate::order::{OrderCancelled, OrderConfirmed, OrderRefunded, Sold},
        event::{ActorRef, Metadata},
        id::WorkspaceId,
        money::Money,
    };

    use super::*;

    #[test]
    fn dimensions_survive_a_round_trip_through_their_rows() {
        let mut dimensions = Dimensions::default();
        Arc::make_mut(&mut dimensions.products).insert(
            "mug-01".to_owned(),
            Product {
                name: "Blue mug".to_owned(),
                tags: vec!["kitchen".to_owned(), "blue".to_owned()],
                price: 1_250,
                currency: "EUR".to_owned(),
                retired: false,
            },
        );
        note_customer(&mut dimensions, Uuid::from_u128(7), 9, true);
        note_customer(&mut dimensions, Uuid::from_u128(7), 3, false);
        Arc::make_mut(&mut dimensions.days).insert(20_261_122);
        let again = Dimensions::of_rows(
            dimensions.product_rows(),
            dimensions.customer_rows(),
            dimensions.date_rows(),
        );
        assert_eq!(again, dimensions);
        assert_eq!(dimensions.customers[&Uuid::from_u128(7)].first_seen_at, 3);
    }

    #[test]
    fn a_reversal_is_a_fact_of_its_own_with_negative_figures() {
        let line = OrderLine {
            sku: "mug-01".to_owned(),
            name: "Blue mug".to_owned(),
            price: Money::new(1_250, "EUR"),
            quantity: 2,
        };
        let total = Money::new(2_500, "EUR");
        let (customer, reason) = (Uuid::from_u128(7), "no".to_owned());
        let sold = || {
            Some(Sold {
                lines: vec![line.clone()],
                total: total.clone(),
            })
        };
        let confirmed = OrderConfirmed {
            customer,
            lines: vec![line.clone()],
            total: total.clone(),
        };
        let cancelled = OrderCancelled {
            customer,
            reason: reason.clone(),
            sold: sold(),
        };
        let refunded = OrderRefunded {
            customer,
            reason,
            sold: sold(),
        };
        for (change, kind, quantity) in [
            (OrderEvent::from(confirmed), "sold", 2),
            (cancelled.into(), "returned", -2),
            (refunded.into(), "refunded", -2),
        ] {
            let mut facts = Facts::new();
            add(&event_of_order(change), &mut Dimensions::default(), &mut facts);
            let rows: Vec<_> = facts.into_values().flatten().collect();
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0][3], Value::Text(kind.to_owned()));
            assert_eq!(rows[0][8], Value::Number(quantity));
            assert_eq!(rows[0][10], Value::Number(1_250 * quantity));
        }
    }

    fn event_of_order(change: OrderEvent) -> TypedEvent {
        let payload = DomainEvent::Order(change);
        TypedEvent {
            workspace: WorkspaceId(Uuid::nil()),
            partition: 0,
            position: 1,
            stream: "order-1".parse().unwrap(),
            version: 1,
            event_id: Uuid::from_u128(1),
            event_type: payload.event_type().name.to_owned(),
            schema_version: payload.event_type().schema_version,
            payload,
            metadata: Metadata {
                correlation_id: Uuid::nil(),
                causation_id: None,
                command_id: Uuid::nil(),
                actor: ActorRef {
                    id: Uuid::nil(),
                    role: Role::System,
                },
                traceparent: None,
            },
            recorded_at: Timestamp::from_micros(0),
            hash: String::new(),
        }
    }

    #[test]
    fn an_event_of_a_known_customer_copies_nothing() {
        let mut dimensions = Dimensions::default();
        note_customer(&mut dimensions, Uuid::from_u128(7), 3, true);
        let before = dimensions.clone();
        note_customer(&mut dimensions, Uuid::from_u128(7), 9, false);
        assert!(Arc::ptr_eq(&dimensions.customers, &before.customers));
        note_customer(&mut dimensions, Uuid::from_u128(8), 9, false);
        assert_eq!((before.customers.len(), dimensions.customers.len()), (1, 2));
    }

    #[test]
    fn a_day_is_a_day_of_the_calendar() {
        let dimensions = Dimensions {
            days: Arc::new(BTreeSet::from([20_261_122])),
            ..Dimensions::default()
        };
        let small = |n| Value::Small(n);
        assert_eq!(
            dimensions.date_rows(),
            [vec![
                small(20_261_122),
                Value::Day(20_779),
                small(2026),
                small(4),
                small(11),
                small(22),
                small(47),
                small(7)
            ]]
        );
    }
}
