//! The warehouse as other tools read it: `DuckDB` opens its Parquet files and finds what the view `sales`
//! says, day by day and product by product, to the last cent. Meanwhile the server is killed again and again
//! (`kill -9`), also while it merges files.

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
/// The products. An order has one currency.
const PRODUCTS: [(&str, i64, &str); 4] = [
    ("mug", 1_250, "EUR"),
    ("tea", 499, "EUR"),
    ("sake", 1_800, "JPY"),
    ("rice", 420, "JPY"),
];
const STOCK: u32 = 10_000;
/// With this many small files, those of a day are merged.
const MERGE_THRESHOLD: usize = 16;
/// More than stay in files of their own.
const ORDERS: usize = 60;
/// The orders between two kills.
const BETWEEN_KILLS: usize = 6;
/// About the time until an order is fulfilled and in the warehouse.
const FULFILMENT_MS: u32 = 120;

/// The total of a day or of a product.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Total {
    orders: u64,
    units: u64,
    revenue: BTreeMap<String, i64>,
    cancelled_orders: u64,
    cancelled_units: u64,
    cancelled_revenue: BTreeMap<String, i64>,
    refunded_orders: u64,
    refunded_units: u64,
    refunded_revenue: BTreeMap<String, i64>,
}

pub(crate) type Totals = BTreeMap<String, Total>;

/// The content that `DuckDB` reads.
#[derive(Debug, Deserialize)]
pub(crate) struct WarehouseContent {
    /// The number of files of each day.
    files: BTreeMap<String, usize>,
    pub(crate) totals: Totals,
    pub(crate) checks: BTreeMap<String, u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_finds_the_totals_of_the_view_of_sales_however_often_the_server_is_killed() {
    let server = Arc::new(Server::new(Vec::new()));
    let opened = sell_under_kills(&server).await;
    let warehouse = server.folder().join("warehouse");
    compare(&opened, &warehouse).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_in_an_object_store_is_the_same() {
    let mut bucket = Bucket::open();
    let server = Arc::new(Server::with_variables(Bucket::setting(), bucket.variables()));
    let opened = sell_under_kills(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let warehouse = bucket.copy(folder.path());
    compare(&opened, &warehouse).await;
    server.stop().await;
}

/// The sales of a run.
struct SalesRun {
    staff: Client,
    workspace: WorkspaceId,
    /// The number of orders on past days.
    past_orders: usize,
}

async fn sell_under_kills(server: &Arc<Server>) -> SalesRun {
    server.start();
    let (staff, opened) = Client::open(server, SHARDS).await;
    server.kill();
    let (mug, price, currency) = PRODUCTS[0];
    let price = Money::new(price, currency);
    let past_orders = days::write(server.folder(), opened.workspace, mug, &price).await;
    server.start();
    list_products(&staff).await;

    for number in 0..ORDERS {
        place_and_cancel(&staff, number).await;
        if is_last_before_a_kill(number) {
            // The time of the kill is random; no work must be done by then.
            let _ = staff.is_settled(rand::random_range(0..FULFILMENT_MS)).await;
            server.kill();
            server.start();
        }
    }
    staff.settled().await;
    SalesRun {
        staff,
        workspace: opened.workspace,
        past_orders,
    }
}

async fn compare(sold: &SalesRun, warehouse: &Path) {
    let sales = sales(&sold.staff).await;
    let folder = warehouse.join(format!("workspace={}", sold.workspace));
    for file_selection in ["manifest", "pattern"] {
        let read = read(&folder, file_selection);
        assert_eq!(read.totals, sales, "{file_selection}");
        check_rows(&read, sold.past_orders);
    }
}

async fn list_products(staff: &Client) {
    for (sku, price, currency) in PRODUCTS {
        let list = json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
            "sku": sku, "name": sku, "description": "For tea",
            "price": {"amount": price, "currency": currency}, "tags": ["a", "b"],
        }});
        assert!(staff.command(&format!("list-{sku}"), &list).await);
        let receive = json!({
            "type": "ReceiveStock", "stream": format!("inventory-{sku}"), "data": {"quantity": STOCK},
        });
        assert!(staff.command(&format!("receive-{sku}"), &receive).await);
    }
}

fn is_last_before_a_kill(number: usize) -> bool {
    number % BETWEEN_KILLS == BETWEEN_KILLS - 1
}

/// An order of one or two products. One of seven cannot be paid, and every third is cancelled once it is
/// confirmed; the last before a kill is unfinished when the next step comes, which may be its cancellation.
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
    if !is_last_before_a_kill(number) {
        // So that each gets a file of its own, and there are many.
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

pub(crate) fn total(sales: &SalesDocument) -> Total {
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
        refunded_orders: sales.refunded_orders,
        refunded_units: sales.refunded_units,
        refunded_revenue: by_currency(&sales.refunded_revenue),
    }
}

/// What `DuckDB` reads of a workspace's folder.
pub(crate) fn read(folder: &Path, file_selection: &str) -> WarehouseContent {
    let output = python::program("warehouse/totals.py")
        .arg(folder)
        .arg(file_selection)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `past_orders`: the number of orders on past days.
fn check_rows(read: &WarehouseContent, past_orders: usize) {
    let check = |name: &str| read.checks[name];
    assert_eq!(check("rows"), check("lines"), "a line is there twice");
    for fault in ["wrong_amounts", "wrong_days", "without_dimension"] {
        assert_eq!(check(fault), 0, "{fault}");
    }
    // Checks that there is enough to compare: a week, both currencies, cancellations, refunds, and merged
    // files.
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
    let past_orders = u64::try_from(past_orders).unwrap();
    assert!(
        sold > past_orders + 20 && sold < past_orders + 60,
        "{sold} were sold, {past_orders} of them then"
    );
    assert!(sum(|total| total.cancelled_orders) > past_orders / 2, "{days:?}");
    assert!(sum(|total| total.refunded_orders) >= past_orders / 4, "{days:?}");
    println!("{} lines in the files {:?}", check("rows"), read.files);
    let most = read.files.values().max().unwrap();
    assert!(*most < MERGE_THRESHOLD, "files were not merged: {:?}", read.files);
}
