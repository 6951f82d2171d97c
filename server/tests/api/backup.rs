//! `foldline backup`, while a server has the files open and clients use it.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::token::ConsistencyToken;
use event_store::EventFilter;
use futures::future::join_all;
use serde_json::{Value, json};

use monitor::backup::{BackupError, backup};
use server::settings::{ConnectionLimit, StorageSettings};
use test_postgres::Database;

use crate::{
    app::TestApp,
    dead_letters::{get, receive},
    transfer::foldline,
};

fn storage(folder: &Path) -> StorageSettings {
    StorageSettings {
        security_log: None,
        data_dir: folder.to_owned(),
        event_store: None,
        read_model: None,
        postgres_connections: ConnectionLimit::default(),
    }
}

/// The ids of all events of a workspace.
async fn event_ids(folder: &Path, workspace: domain::id::WorkspaceId) -> Vec<String> {
    let store = event_store::open_to_read(&storage(folder).event_store())
        .await
        .unwrap();
    let (events, _) = store
        .read_events(
            workspace,
            &EventFilter::default(),
            &ConsistencyToken::default(),
            100_000,
        )
        .await
        .unwrap();
    events.iter().map(|event| event.event_id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_what_was_acknowledged_before_and_starts() {
    // The writers continue until the backups end, so there is no limit.
    let unlimited = ["--requests-per-minute", "0", "--sandbox-events", "0"];
    let app = Arc::new(TestApp::start_with(&unlimited).await);
    let educator = app.educator().await;
    let acknowledged: Mutex<Vec<Value>> = Mutex::default();
    let done = AtomicBool::new(false);
    let writers = join_all((0..4).map(|n| {
        let (app, educator, acknowledged, done) = (&app, &educator, &acknowledged, &done);
        async move {
            while !done.load(Ordering::Relaxed) {
                let answer = receive(app, educator, &format!("mug-{n}"), 1).await;
                let id = answer["events"][0]["event_id"].clone();
                acknowledged.lock().unwrap().push(id);
            }
        }
    }));
    let backing_up = async {
        let mut backups = Vec::new();
        for n in 0..3 {
            // not before there are new events
            while acknowledged.lock().unwrap().len() < (n + 1) * 40 {
                tokio::task::yield_now().await;
            }
            let before = acknowledged.lock().unwrap().clone();
            // an unused name
            let folder = tempfile::tempdir().unwrap();
            std::fs::remove_dir(folder.path()).unwrap();
            let backed_up = backup(storage(app.folder()).to_back_up(), folder.path())
                .await
                .unwrap();
            assert!(backed_up.events >= before.len() as u64, "{backed_up:?}");
            backups.push((folder, before));
        }
        done.store(true, Ordering::Relaxed);
        backups
    };
    let (_, backups) = tokio::join!(writers, backing_up);
    for (folder, before) in backups {
        let held = event_ids(folder.path(), educator.workspace).await;
        for id in &before {
            assert!(held.iter().any(|held| held == id), "{id} was acknowledged");
        }
        // a server starts on the backup, with the same keys, folds its views, and continues
        let restored = TestApp::start_on(folder).await;
        get(&restored, &educator, "/api/v1/settled").await;
        let report = get(&restored, &educator, "/api/v1/verify").await;
        assert_eq!(
            (&report["events"], &report["findings"]),
            (&json!(held.len()), &json!([]))
        );
        receive(&restored, &educator, "mug-0", 1).await;
        restored.stop().await;
    }
}

#[tokio::test]
async fn a_backup_is_a_new_folder_for_its_owner_only() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 1).await;
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().join("backup");
    let (from, to) = (app.folder().to_str().unwrap(), folder.to_str().unwrap());
    // left by an interrupted backup
    std::fs::create_dir(kept.path().join("backup.partial")).unwrap();
    let (ok, out, said) = foldline(&["backup", "--data-dir", from, to]).await;
    assert!(
        ok && out.is_empty() && said.contains("1 workspaces, 1 events, verified"),
        "{said}"
    );
    assert!(!kept.path().join("backup.partial").exists());
    for file in [
        "events.db",
        "consumers.db",
        "people.db",
        "keys",
        "keys/emails.key",
    ] {
        assert!(folder.join(file).exists(), "{file}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for (path, mode) in [(folder.clone(), 0o700), (folder.join("keys"), 0o700)] {
            assert_eq!(
                std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
                mode
            );
        }
    }
    let (ok, _, said) = foldline(&["backup", "--data-dir", from, to]).await;
    assert!(!ok && said.contains("is there already"), "{said}");
    let nothing = kept.path().join("nothing");
    let refused = backup(storage(&nothing).to_back_up(), &kept.path().join("other")).await;
    assert!(matches!(refused, Err(BackupError::Missing(_))), "{refused:?}");
    assert!(!kept.path().join("other").exists());
}

#[tokio::test]
async fn a_damaged_store_is_not_backed_up() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 1).await;
    let kept = tempfile::tempdir().unwrap();
    let events = app.folder().join("events.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(events);
    let mut raw = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options)
        .await
        .unwrap();
    sqlx::raw_sql("drop trigger events_are_never_updated; update events set payload = '{\"quantity\":2}'")
        .execute(&mut raw)
        .await
        .unwrap();
    let folder = kept.path().join("backup");
    let refused = backup(storage(app.folder()).to_back_up(), &folder)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("corrupt") && refused.contains("its hash"),
        "{refused}"
    );
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_postgresql_is_backed_up_by_its_own_tools() {
    let database = Database::new().await;
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().join("backup");
    let data = kept.path().to_str().unwrap();
    let arguments = [
        "backup",
        "--data-dir",
        data,
        "--event-store",
        &database.url,
        folder.to_str().unwrap(),
    ];
    let (ok, _, said) = foldline(&arguments).await;
    assert!(!ok && said.contains("pg_dump") && said.contains("keys"), "{said}");
    assert!(!folder.exists());
}
