//! `GET /checkpoints`, `foldline checkpoint` and `foldline verify --checkpoint`.

use std::path::Path;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::{
    app::{Person, TestApp, list_product, problem},
    dead_letters::{get, receive},
};

/// Runs the program: its exit code, and its standard output.
async fn foldline(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_foldline"));
    // The environment's own settings must not apply.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FOLDLINE_") {
            command.env_remove(name);
        }
    }
    let output = command.args(arguments).output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A workspace with some events in its one partition, and how many.
async fn workspace(app: &TestApp) -> (Person, u64) {
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-1")).await;
    receive(app, &educator, "mug-1", 2).await;
    let answer = receive(app, &educator, "mug-1", 3).await;
    let position = answer["events"][0]["position"].as_u64().unwrap();
    (educator, position)
}

/// Changes the log of a server that runs, behind its back: the newest events and their head.
async fn cut_off(folder: &Path, kept: u64) {
    let file = folder.join("events.db");
    let url = format!("sqlite:{}", file.to_str().unwrap());
    let mut log = SqliteConnection::connect(&url).await.unwrap();
    let statements = format!(
        "drop trigger events_are_never_deleted;
         delete from events where place & 1099511627775 > {kept};
         delete from streams where no not in (select stream_no from events);
         update partitions set head = {kept}, head_hash = (
             select hash from events where place = (partitions.no << 40) + {kept}
         ) where head > {kept};"
    );
    log.execute(sqlx::AssertSqlSafe(statements)).await.unwrap();
    log.close().await.unwrap();
}

#[tokio::test]
async fn the_heads_of_a_workspace_are_signed_for_those_who_read_its_log() {
    let app = TestApp::start().await;
    let (educator, position) = workspace(&app).await;
    let (_other, _) = workspace(&app).await;
    let student = app.student(&educator.join_code).await;
    let signed = get(&app, &student, "/api/v1/checkpoints").await;
    let [checkpoint] = signed["data"].as_array().unwrap().as_slice() else {
        panic!("one partition: {signed}");
    };
    let events = get(&app, &student, "/api/v1/events?limit=200").await;
    let newest = events["data"].as_array().unwrap().last().unwrap();
    assert_eq!(checkpoint["position"], newest["position"]);
    assert_eq!(checkpoint["hash"], newest["hash"]);
    assert!(checkpoint["position"].as_u64().unwrap() >= position);
    let note = checkpoint["note"].as_str().unwrap();
    let origin = format!("foldline/{}/0\n", educator.workspace);
    assert!(note.starts_with(&origin), "{note}");
    assert!(signed["verifier"].as_str().unwrap().starts_with("foldline+"));

    let response = app.get("/api/v1/checkpoints?limit=0").bearer_auth(&student.token);
    assert_eq!(problem(response.send().await.unwrap()).await.status, 400);
    let customer = app.with_role(&educator, domain::access::Role::Customer);
    let response = app.get("/api/v1/checkpoints").bearer_auth(&customer.token);
    assert_eq!(response.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_has_kept_the_newest_heads() {
    let app = TestApp::start().await;
    let (educator, _) = workspace(&app).await;
    let fresh = get(&app, &educator, "/api/v1/checkpoints").await;
    let app = app.restart().await;
    let kept = get(&app, &educator, "/api/v1/checkpoints?kept=true").await;
    let newest = kept["data"].as_array().unwrap().last().unwrap();
    assert_eq!(*newest, fresh["data"][0]);
    assert_eq!(kept["verifier"], fresh["verifier"]);
    app.stop().await;
}

#[tokio::test]
async fn the_program_tells_whether_the_log_has_the_history_that_was_signed() {
    let app = TestApp::start().await;
    let (educator, position) = workspace(&app).await;
    app.settled(&educator).await;
    let data = app.folder().to_str().unwrap().to_owned();
    let (code, notes) = foldline(&["checkpoint", "--data-dir", &data]).await;
    assert_eq!(code, Some(0));
    let there = tempfile::tempdir().unwrap();
    let file = there.path().join("checkpoints.txt");
    std::fs::write(&file, &notes).unwrap();
    let file = file.to_str().unwrap();
    let (_, verifier) = foldline(&["checkpoint", "--data-dir", &data, "--print-verifier"]).await;
    let signed: Value = get(&app, &educator, "/api/v1/checkpoints").await;
    assert_eq!(json!(verifier.trim()), signed["verifier"]);

    receive(&app, &educator, "mug-1", 1).await;
    app.settled(&educator).await;
    let verify = ["verify", "--data-dir", &data, "--checkpoint", file];
    let (code, said) = foldline(&verify).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("checkpoints  ok  1 are in the log"), "{said}");
    let by_name = [&verify[..], &["--checkpoint-verifier", verifier.trim()]].concat();
    assert_eq!(foldline(&by_name).await.0, Some(0));

    let app = app
        .restart_after(async |settings| cut_off(&settings.storage.data_dir, position - 1).await)
        .await
        .unwrap();
    app.settled(&educator).await;
    let (code, said) = foldline(&verify).await;
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("before the checkpoint at"), "{said}");
    // without a checkpoint nothing shows: head and chain fit each other
    let (code, said) = foldline(&["verify", "--data-dir", &data]).await;
    assert_eq!(code, Some(0), "{said}");
    app.stop().await;
}

#[tokio::test]
async fn findings_have_an_exit_code_of_their_own() {
    let app = TestApp::start().await;
    let (educator, _) = workspace(&app).await;
    app.settled(&educator).await;
    let data = app.folder().to_str().unwrap().to_owned();
    let url = format!("sqlite:{data}/events.db");
    let mut log = SqliteConnection::connect(&url).await.unwrap();
    log.execute("update partitions set head_hash = zeroblob(32) where head > 0")
        .await
        .unwrap();
    log.close().await.unwrap();
    let (code, said) = foldline(&["verify", "--data-dir", &data]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("the hash of its head is not that of its event"),
        "{said}"
    );
    let (code, _) = foldline(&["verify", "--data-dir", &data, "--checkpoint", "/nowhere"]).await;
    assert_eq!(code, Some(1));
    app.stop().await;
}
