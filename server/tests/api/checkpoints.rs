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
    // without the file the server's own folder tells; without that nothing shows, as head and chain fit
    let (code, said) = foldline(&["verify", "--data-dir", &data]).await;
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("kept checkpoints  NOT WELL"), "{said}");
    let elsewhere = there.path().join("none").to_str().unwrap().to_owned();
    let (code, said) = foldline(&["verify", "--data-dir", &data, "--checkpoint-folder", &elsewhere]).await;
    assert_eq!(code, Some(0), "{said}");
    app.stop().await;
}

#[tokio::test]
async fn a_server_on_a_log_that_was_rolled_back_says_so_and_keeps_it_apart() {
    let app = TestApp::start().await;
    let (educator, position) = workspace(&app).await;
    app.settled(&educator).await;
    let signed = get(&app, &educator, "/api/v1/checkpoints").await;
    assert!(signed.get("differences").is_none(), "{signed}");
    let app = app
        .restart_after(async |settings| cut_off(&settings.storage.data_dir, position - 1).await)
        .await
        .unwrap();
    app.settled(&educator).await;
    receive(&app, &educator, "mug-1", 9).await;
    app.settled(&educator).await;
    for path in ["/api/v1/checkpoints", "/api/v1/verify"] {
        let told = get(&app, &educator, path).await;
        let differences = told["differences"].as_array().unwrap();
        assert_eq!(differences.len(), 1, "{told}");
        let place = format!("workspace {}, partition 0", educator.workspace);
        assert!(differences[0].as_str().unwrap().starts_with(&place), "{told}");
    }
    let ready = app.get("/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);

    let kept = app.folder().join("signed-checkpoints");
    let first = kept.join(format!("{}.notes", educator.workspace));
    let before = std::fs::read_to_string(&first).unwrap();
    let app = app.restart().await;
    assert_eq!(
        std::fs::read_to_string(&first).unwrap(),
        before,
        "the lost history stays as it was"
    );
    let second = std::fs::read_to_string(kept.join(format!("{}.2.notes", educator.workspace))).unwrap();
    assert!(second.starts_with(&format!("foldline/{}/0\n", educator.workspace)));
    let told = get(&app, &educator, "/api/v1/checkpoints").await;
    assert_eq!(told["differences"].as_array().unwrap().len(), 1, "{told}");
    app.stop().await;
}

#[tokio::test]
async fn a_file_that_says_nothing_about_the_log_is_refused_and_accuses_nothing() {
    let app = TestApp::start().await;
    let (educator, _) = workspace(&app).await;
    app.settled(&educator).await;
    let data = app.folder().to_str().unwrap().to_owned();
    let (_, notes) = foldline(&["checkpoint", "--data-dir", &data]).await;
    let elsewhere = TestApp::start().await;
    workspace(&elsewhere).await;
    let of_another = elsewhere.folder().to_str().unwrap().to_owned();
    let (_, foreign) = foldline(&["checkpoint", "--data-dir", &of_another]).await;
    let there = tempfile::tempdir().unwrap();
    let file = there.path().join("x.notes");
    let trimmed = notes.trim_end();
    for (what, text) in [
        ("nothing", String::new()),
        ("another text", "hello\n".to_owned()),
        (
            "a signature that was cut",
            trimmed[..trimmed.len() - 20].to_owned(),
        ),
        (
            "a note without a signature",
            notes.lines().take(3).collect::<Vec<_>>().join("\n"),
        ),
        ("a position that was changed", notes.replacen('\n', "\n1", 1)),
        ("notes of another installation", foreign),
        ("a good note before a broken one", format!("{notes}\nhello\n")),
    ] {
        std::fs::write(&file, text).unwrap();
        let verify = [
            "verify",
            "--data-dir",
            &data,
            "--checkpoint",
            file.to_str().unwrap(),
        ];
        let (code, said) = foldline(&verify).await;
        assert_eq!(code, Some(2), "{what}: {said}");
    }
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    let verify = [
        "verify",
        "--data-dir",
        &data,
        "--checkpoint",
        file.to_str().unwrap(),
    ];
    assert_eq!(foldline(&verify).await.0, Some(2));
    elsewhere.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_damaged_workspace_is_named_and_the_others_are_verified_and_exported() {
    let app = TestApp::start().await;
    let (damaged, _) = workspace(&app).await;
    let (intact, _) = workspace(&app).await;
    app.settled(&damaged).await;
    app.settled(&intact).await;
    let data = app.folder().to_str().unwrap().to_owned();
    let url = format!("sqlite:{data}/events.db");
    let mut log = SqliteConnection::connect(&url).await.unwrap();
    log.execute("drop trigger events_are_never_updated")
        .await
        .unwrap();
    let damage = "update events set actor_role = 'wizard' where place = (
        select (p.no << 40) + 2 from partitions p join workspaces w on w.no = p.workspace_no
        where w.id = $1
    )";
    let changed = sqlx::query(damage)
        .bind(damaged.workspace.0)
        .execute(&mut log)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    log.close().await.unwrap();

    let (code, said) = foldline(&["verify", "--data-dir", &data]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("position 2: the event cannot be read"), "{said}");
    assert!(said.contains(&format!("{}  ok", intact.workspace)), "{said}");
    let verified = get(&app, &damaged, "/api/v1/verify").await;
    assert!(
        verified["findings"]
            .to_string()
            .contains("position 2: the event cannot be read"),
        "{verified}"
    );

    let (code, lines) = foldline(&["export", "--data-dir", &data]).await;
    assert_eq!(code, Some(3), "{lines}");
    assert!(lines.contains(&intact.workspace.to_string()));
    assert!(!lines.contains(&damaged.workspace.to_string()));
    let file = app.folder().join("export.ndjson");
    let to_file = ["export", "--data-dir", &data, "--to", file.to_str().unwrap()];
    assert_eq!(foldline(&to_file).await.0, Some(3));
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), lines.lines().count());
    let only = [
        "export",
        "--data-dir",
        &data,
        "--workspace",
        &damaged.workspace.to_string(),
    ];
    assert_eq!(foldline(&only).await.0, Some(1));
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
    assert_eq!(code, Some(2), "bad input is told before anything is verified");
    app.stop().await;
}
