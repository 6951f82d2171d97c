//! `foldline serve --for-tests`: only where no real data is, and only for this machine.

use std::sync::Arc;
use testing_postgres::Database;

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
    // Asked again, it says the same: to be refused makes no stores for tests.
    refused(&foldline(&arguments, data.path()), 1, "holds workspaces already");
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
