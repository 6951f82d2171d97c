//! The warehouse as others read it: `DuckDB` opens its Parquet files, and finds what the view `sales` says, day by day and product
//! by product, to the last cent. Meanwhile the server is killed again and again (`kill -9`), also while it puts files together.

mod bucket;
mod days;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bucket::Bucket;
use domain::{
    id::WorkspaceId,
    money::{Money, Sums},
    view::sales::SalesDocument,
    wire::{CommandAnswer, ListingAnswer},
};
use serde::Deserialize;
use serde_json::json;

use crate::{client::Client, python, running::Server};

const SHARDS: u32 = 2;
/// What is sold. An order is in one currency.
const PRODUCTS: [(&str, i64, &str); 4] = [
    ("mug", 1_250, "EUR"),
    ("tea", 499, "EUR"),
    ("sake", 1_800, "JPY"),
    ("rice", 420, "JPY"),
];
const STOCK: u32 = 10_000;
/// A day with so many small files has them put together.
const MANY: usize = 16;
/// More than are filed by themselves.
const ORDERS: usize = 60;
/// So many orders are placed between two kills.
const BETWEEN_KILLS: usize = 6;
/// An order takes about so long to be fulfilled and filed.
const FULFILMENT_MS: u32 = 120;

/// Of a day, or of a product.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Total {
    orders: u64,
    units: u64,
    revenue: BTreeMap<String, i64>,
    cancelled_orders: u64,
    cancelled_units: u64,
    cancelled_revenue: BTreeMap<String, i64>,
}

type Totals = BTreeMap<String, Total>;

/// What `DuckDB` reads.
#[derive(Debug, Deserialize)]
struct Read {
    /// How many files each day has.
    files: BTreeMap<String, usize>,
    totals: Totals,
    checks: BTreeMap<String, u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_finds_in_the_warehouse_what_the_view_of_sales_says_however_often_the_server_is_killed() {
    let server = Arc::new(Server::new(Vec::new()));
    let opened = sell_and_be_killed(&server).await;
    let warehouse = server.folder().join("warehouse");
    compare(&opened, &warehouse).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_in_an_object_store_is_the_same() {
    let mut bucket = Bucket::open();
    let server = Arc::new(Server::with_variables(Bucket::setting(), bucket.variables()));
    let opened = sell_and_be_killed(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let warehouse = bucket.copy(folder.path());
    compare(&opened, &warehouse).await;
    server.stop().await;
}

/// What was sold, and where.
struct Sold {
    staff: Client,
    workspace: WorkspaceId,
    /// How many orders of days that are over.
    then: usize,
}

async fn sell_and_be_killed(server: &Arc<Server>) -> Sold {
    server.start();
    let (staff, opened) = Client::open(server, SHARDS).await;
    list_products(&staff).await;
    server.kill();
    let (mug, price, currency) = PRODUCTS[0];
    let price = Money::new(price, currency);
    let then = days::write(server.folder(), opened.workspace, mug, &price).await;
    server.start();

    for number in 0..ORDERS {
        place_and_cancel(&staff, number).await;
        if is_last_of_a_life(number) {
            // The moment is what is random here; nothing waits for anything to be done by then.
            let _ = staff.is_settled(rand::random_range(0..FULFILMENT_MS)).await;
            server.kill();
            server.start();
        }
    }
    staff.settled().await;
    Sold {
        staff,
        workspace: opened.workspace,
        then,
    }
}

async fn compare(sold: &Sold, warehouse: &Path) {
    let sales = sales(&sold.staff).await;
    let folder = warehouse.join(format!("workspace={}", sold.workspace));
    for way in ["manifest", "pattern"] {
        let read = read(&folder, way);
        assert_eq!(read.totals, sales, "{way}");
        check_rows(&read, sold.then);
    }
}

async fn list_products(staff: &Client) {
    for (sku, price, currency) in PRODUCTS {
        let list = json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
            "sku": sku, "name": sku, "description": "For tea", "price": {"amount": price, "currency": currency}, "tags": ["a", "b"]}});
        assert!(staff.command(&format!("list-{sku}"), &list).await);
        let receive = json!({"type": "ReceiveStock", "stream": format!("inventory-{sku}"), "data": {"quantity": STOCK}});
        assert!(staff.command(&format!("receive-{sku}"), &receive).await);
    }
}

fn is_last_of_a_life(number: usize) -> bool {
    number % BETWEEN_KILLS == BETWEEN_KILLS - 1
}

/// An order of two products or of one. One of seven cannot be paid, and every third is cancelled when it is confirmed; the last
/// before a kill is on its way when the next thing happens, and sometimes that is that it is cancelled.
async fn place_and_cancel(staff: &Client, number: usize) {
    let (first, second) = if number.is_multiple_of(2) {
        ("mug", "tea")
    } else {
        ("sake", "rice")
    };
    let mut lines = vec![json!({"sku": first, "quantity": number % 5 + 1})];
    if number % 4 < 2 {
        lines.push(json!({"sku": second, "quantity": number % 3 + 1}));
    }
    let method = if number % 7 == 6 { "tok_declined" } else { "tok_ok" };
    let stream = format!("order-{number}");
    let place =
        json!({"type": "PlaceOrder", "stream": stream, "data": {"lines": lines, "payment_method": method}});
    let key = format!("place-{number}");
    let (_, answer) = staff.post("/api/v1/commands", &place, &key).await;
    let placed: CommandAnswer = serde_json::from_value(answer.unwrap()).unwrap();
    if !is_last_of_a_life(number) {
        // So that each is filed by itself, and files become many.
        staff.settled_of(placed.correlation_id).await;
    }
    if number.is_multiple_of(3) || number % (2 * BETWEEN_KILLS) == BETWEEN_KILLS - 1 {
        let cancel = json!({"type": "CancelOrder", "stream": stream, "data": {"reason": "changed my mind"}});
        staff.command(&format!("cancel-{number}"), &cancel).await;
    }
}

/// Every document of the view, by its key.
async fn sales(staff: &Client) -> Totals {
    let mut totals = Totals::new();
    for listing in ["by_day", "top_products"] {
        let path = format!("/api/v1/views/sales?listing={listing}&limit=200");
        let answer: ListingAnswer<SalesDocument> = staff.get(&path).await;
        totals.extend(answer.data.into_iter().map(|row| (row.key, total(&row.data))));
    }
    totals
}

fn total(sales: &SalesDocument) -> Total {
    let by_currency = |sums: &Sums| {
        let sums = sums.as_slice().iter();
        sums.map(|sum| (sum.currency.clone(), sum.amount)).collect()
    };
    Total {
        orders: sales.orders,
        units: sales.units,
        revenue: by_currency(&sales.revenue),
        cancelled_orders: sales.cancelled_orders,
        cancelled_units: sales.cancelled_units,
        cancelled_revenue: by_currency(&sales.cancelled_revenue),
    }
}

fn read(folder: &Path, way: &str) -> Read {
    let output = python::program("warehouse/totals.py")
        .arg(folder)
        .arg(way)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `then`: how many orders were sold on days that are over.
fn check_rows(read: &Read, then: usize) {
    let check = |name: &str| read.checks[name];
    assert_eq!(check("rows"), check("lines"), "a line is there twice");
    for fault in ["wrong_amounts", "wrong_days", "without_dimension"] {
        assert_eq!(check(fault), 0, "{fault}");
    }
    // That there was something to compare: a week, both currencies, what was cancelled, and files that were put together.
    let days: Vec<_> = read
        .totals
        .iter()
        .filter(|(key, _)| key.starts_with("day/"))
        .collect();
    let sum = |of: fn(&Total) -> u64| days.iter().map(|(_, total)| of(total)).sum::<u64>();
    assert!(days.len() >= 8, "{days:?}");
    assert_eq!(read.totals.len() - days.len(), PRODUCTS.len());
    assert!(days.iter().any(|(_, total)| total.revenue.len() == 2), "{days:?}");
    let sold = sum(|total| total.orders);
    let then = u64::try_from(then).unwrap();
    assert!(
        sold > then + 20 && sold < then + 60,
        "{sold} were sold, {then} of them then"
    );
    assert!(sum(|total| total.cancelled_orders) > then / 2, "{days:?}");
    println!("{} lines in the files {:?}", check("rows"), read.files);
    let most = read.files.values().max().unwrap();
    assert!(*most < MANY, "files were not put together: {:?}", read.files);
}
