//! Orders while the program is killed again and again (`kill -9`, at random times): each ends confirmed or
//! undone, its stock adds up, and the payment provider's books show that no customer was charged twice or for
//! an order that failed.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    aggregate::payment::METHODS,
    id::WorkspaceId,
    wire::{DocumentAnswer, ListingAnswer},
};
use payment::test_mode::TestMode;
use serde_json::{Value, json};

use server::settings::StoreUrl;
use test_postgres::Database;

use crate::{client::Client, running::Server};

/// How often the program is killed, and how many orders are placed between two kills.
const KILLS: usize = 8;
const ORDERS: usize = 5;
/// Fewer than ordered, so that some are sold out.
const STOCK: u32 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_ends_confirmed_or_undone_however_often_a_server_with_sqlite_is_killed() {
    let server = Arc::new(Server::new(Vec::new()));
    let workspace = run(&server).await;
    let folder = Arc::into_inner(server).unwrap().into_folder();
    let books = folder.path().join("consumers.db").into();
    check(&books, workspace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_ends_confirmed_or_undone_however_often_a_server_with_postgresql_is_killed() {
    let database = Database::new().await;
    let url = database.url.clone();
    let stores = vec![
        "--event-store".into(),
        url.clone(),
        "--read-model".into(),
        url.clone(),
    ];
    let workspace = run(&Arc::new(Server::new(stores))).await;
    check(&url.parse().unwrap(), workspace).await;
}

/// The outcome of a workspace, by order: its status, and its reserved stock.
struct Outcome {
    workspace: WorkspaceId,
    statuses: BTreeMap<String, String>,
}

async fn run(server: &Arc<Server>) -> Outcome {
    server.start();
    let (client, opened) = Client::open(server, 3).await;
    let list = json!({"type": "ListProduct", "stream": "product-mug", "data": {
        "sku": "mug", "name": "Mug", "description": "Of a kind",
        "price": {"amount": 500, "currency": "EUR"}, "tags": [],
    }});
    assert!(client.command("list", &list).await);
    let receive = json!({"type": "ReceiveStock", "stream": "inventory-mug", "data": {"quantity": STOCK}});
    assert!(client.command("receive", &receive).await);

    for kill in 0..KILLS {
        for order in 0..ORDERS {
            let number = kill * ORDERS + order;
            let place = json!({"type": "PlaceOrder", "stream": format!("order-{number}"), "data": {
                "lines": [{"sku": "mug", "quantity": 1}],
                "payment_method": METHODS[number % METHODS.len()],
            }});
            assert!(client.command(&format!("place-{number}"), &place).await);
            // A customer cancels at any point of the fulfilment.
            if number % 3 == 2 {
                let stream = format!("order-{}", number / 2);
                let cancel = json!({"type": "CancelOrder", "stream": stream, "data": {"reason": "no"}});
                client.command(&format!("cancel-{number}"), &cancel).await;
            }
        }
        // The last order was acknowledged a moment ago: its fulfilment may be at any point.
        server.kill();
        server.start();
    }
    client.settle().await;
    let statuses = check_views(&client).await;
    server.stop().await;
    Outcome {
        workspace: opened.workspace,
        statuses,
    }
}

async fn check_views(client: &Client) -> BTreeMap<String, String> {
    let orders: ListingAnswer = client.get("/api/v1/views/orders?listing=all&limit=200").await;
    assert_eq!(orders.data.len(), KILLS * ORDERS);
    let mut statuses = BTreeMap::new();
    let mut promised = 0;
    for row in orders.data {
        let status = row.data["status"].as_str().unwrap();
        assert!(
            ["confirmed", "rejected", "cancelled"].contains(&status),
            "it is left half done: {}",
            row.data
        );
        promised += u32::from(status == "confirmed");
        statuses.insert(row.key, status.to_owned());
    }
    let stock: DocumentAnswer = client.get("/api/v1/views/inventory/mug").await;
    let figures: Vec<_> = ["on_hand", "reserved", "available"]
        .iter()
        .map(|figure| stock.data[figure].as_u64().unwrap())
        .collect();
    let (all, promised) = (u64::from(STOCK), u64::from(promised));
    assert_eq!(figures, [all, promised, all - promised]);
    let verified: Value = client.get("/api/v1/verify").await;
    assert_eq!(verified["findings"], json!([]));
    statuses
}

/// Compares the provider's books with the outcome of the orders.
async fn check(books: &StoreUrl, outcome: Outcome) {
    let books = process_manager::process::open(books).await.unwrap();
    let charges = TestMode::charges(&*books, outcome.workspace).await.unwrap();
    for (order, status) in outcome.statuses {
        let charges: Vec<_> = charges
            .iter()
            .filter(|charge| charge.key == format!("charge/{order}"))
            .collect();
        assert!(
            charges.len() <= 1,
            "{order} was charged more than once: {charges:?}"
        );
        let kept = charges
            .iter()
            .filter(|charge| charge.refunded_at.is_none())
            .count();
        assert_eq!(
            kept,
            usize::from(status == "confirmed"),
            "{order} is {status}: {charges:?}"
        );
    }
    books.close().await;
}
