//! `foldline serve --for-tests`: only on stores without real data, and only for this machine.

use std::sync::Arc;

use domain::wire::{DocumentAnswer, VerifyReport};
use serde_json::json;
use test_postgres::Database;

use crate::{
    client::Client,
    refused::{foldline, refused, used},
    running::{Server, clean},
};

#[test]
fn a_server_for_tests_listens_on_loopback_only() {
    let data = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let output = clean(env!("CARGO_BIN_EXE_foldline"))
            .args(["serve", "--for-tests", "--listen", address, "--data-dir"])
            .arg(data.path())
            .output()
            .unwrap();
        refused(&output, 2, "--for-tests listens on loopback only");
    }
    assert_eq!(
        std::fs::read_dir(data.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_that_was_not_made_for_tests_is_left_alone() {
    let data = used().await;
    let listed = || {
        let mut files: Vec<_> = std::fs::read_dir(data.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        files.sort();
        files
    };
    let before = listed();
    refused(
        &foldline(&["--for-tests"], data.path()),
        1,
        "is not empty and was not made so",
    );
    assert_eq!(listed(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_that_was_made_for_tests_serves_tests_again_and_nothing_else() {
    let server = Arc::new(Server::new(vec!["--for-tests".into()]));
    server.start();
    Client::open(&server, 1).await;
    server.stop().await;
    server.start();
    Client::open(&server, 1).await;
    server.stop().await;
    let data = Arc::into_inner(server).unwrap().into_folder();
    refused(&foldline(&[], data.path()), 1, "was made by --for-tests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_holds_workspaces_is_left_alone() {
    let database = Database::new().await;
    let stores = vec!["--event-store".into(), database.url.clone()];
    let real = Arc::new(Server::new(stores.clone()));
    real.start();
    Client::open(&real, 1).await;
    real.stop().await;

    let data = tempfile::tempdir().unwrap();
    let arguments = ["--for-tests", "--event-store", &database.url];
    refused(&foldline(&arguments, data.path()), 1, "holds workspaces already");
    // The second attempt is refused too: a refusal does not create test stores.
    refused(&foldline(&arguments, data.path()), 1, "holds workspaces already");
}

/// Lists a product, and waits until every view has it.
async fn list_product(educator: &Client) {
    let product = json!({"type": "ListProduct", "stream": "product-mug", "data": {
        "sku": "mug", "name": "Mug", "description": "For tea.",
        "price": {"amount": 1200, "currency": "EUR"}, "tags": [],
    }});
    assert!(educator.command("list", &product).await);
    educator.settled().await;
}

/// A server with a workspace and a listed product, and its views outside of its data folder.
async fn with_views_at(read_model: &str) -> (Arc<Server>, Client) {
    let server = Arc::new(Server::new(vec!["--read-model".into(), read_model.into()]));
    server.start();
    let (educator, _) = Client::open(&server, 1).await;
    list_product(&educator).await;
    (server, educator)
}

/// Checks that the server's verification of its views has no findings.
async fn is_whole(educator: &Client) {
    let verified: VerifyReport = educator.get("/api/v1/verify").await;
    assert_eq!(verified.findings, Vec::<String>::new());
    assert!(verified.documents > 0, "{verified:?}");
    let shown: DocumentAnswer = educator.get("/api/v1/views/products/mug").await;
    assert_eq!((&shown.data["sku"], shown.behind), (&json!("mug"), 0));
}

/// Neither a server for tests nor another one starts on the views of a server with another event store, and
/// the views do not change.
async fn views_of_another_server_are_left_alone(read_model: &str) {
    let (server, educator) = with_views_at(read_model).await;
    is_whole(&educator).await;
    for _ in 0..2 {
        let data = tempfile::tempdir().unwrap();
        let output = foldline(&["--for-tests", "--read-model", read_model], data.path());
        refused(&output, 1, "holds workspaces already, give another --read-model");
        let data = tempfile::tempdir().unwrap();
        let output = foldline(&["--read-model", read_model], data.path());
        refused(
            &output,
            1,
            "the read model that --read-model names holds workspaces",
        );
        refused(&output, 1, "--event-store");
        is_whole(&educator).await;
    }
    // The server continues.
    server.stop().await;
    server.start();
    is_whole(&educator).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_another_server_are_left_alone_in_a_database() {
    let database = Database::new().await;
    views_of_another_server_are_left_alone(&database.url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_another_server_are_left_alone_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("views.db");
    views_of_another_server_are_left_alone(&format!("sqlite:{}", file.display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_whose_events_are_another_servers_is_refused() {
    let server = Arc::new(Server::new(Vec::new()));
    server.start();
    let (educator, _) = Client::open(&server, 1).await;
    list_product(&educator).await;
    server.stop().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let events = format!("sqlite:{}", elsewhere.path().join("events.db").display());
    let output = foldline(&["--event-store", &events], server.folder());
    refused(
        &output,
        1,
        "the read model that --data-dir names holds workspaces",
    );
    server.start();
    is_whole(&educator).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_that_holds_workspaces_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = folder.path().to_str().unwrap();
    let of_a_workspace = folder
        .path()
        .join("workspace=0198c1a2-7b1c-7d3e-8f4a-5b6c7d8e9f00");
    std::fs::create_dir(&of_a_workspace).unwrap();
    std::fs::write(of_a_workspace.join("kept"), "something").unwrap();
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--for-tests", "--warehouse", warehouse];
    for _ in 0..2 {
        let output = foldline(&arguments, data.path());
        refused(&output, 1, "holds workspaces already, give another --warehouse");
    }
    assert!(of_a_workspace.join("kept").is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_elsewhere_that_were_empty_serve_tests_again() {
    let folder = tempfile::tempdir().unwrap();
    let views = format!("sqlite:{}", folder.path().join("views.db").display());
    let warehouse = folder.path().join("warehouse").display().to_string();
    let server = Arc::new(Server::new(vec![
        "--for-tests".into(),
        "--read-model".into(),
        views,
        "--warehouse".into(),
        warehouse,
    ]));
    for _ in 0..2 {
        server.start();
        let (educator, _) = Client::open(&server, 1).await;
        list_product(&educator).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_empty_serves_tests_again() {
    let database = Database::new().await;
    let stores = vec!["--for-tests".into(), "--event-store".into(), database.url.clone()];
    let server = Arc::new(Server::new(stores));
    for _ in 0..2 {
        server.start();
        Client::open(&server, 1).await;
        server.stop().await;
    }
}
