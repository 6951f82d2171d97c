//! Starts that the program refuses: it names the cause in one sentence, and ends.

use std::process::Output;

use crate::running::{Server, clean};

pub(crate) fn foldline(arguments: &[&str], data: &std::path::Path) -> Output {
    clean(env!("CARGO_BIN_EXE_foldline"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data)
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn refused(output: &Output, code: i32, sentence: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(sentence), "{said}");
}

/// A data folder that a server has used.
pub(crate) async fn used() -> tempfile::TempDir {
    let server = Server::new(Vec::new());
    server.start();
    server.url(0).await;
    server.stop().await;
    server.into_folder()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_file_that_cannot_be_read_is_named() {
    let data = used().await;
    let key = std::fs::read_dir(data.path().join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| !path.ends_with("emails.key"))
        .unwrap();
    for garbage in ["not a key", "\u{0}\u{ff}", ""] {
        std::fs::write(&key, garbage).unwrap();
        refused(
            &foldline(&[], data.path()),
            1,
            &format!("{} is not an Ed25519 private key", key.display()),
        );
    }
    std::fs::remove_file(&key).unwrap();
    std::fs::create_dir(&key).unwrap();
    refused(&foldline(&[], data.path()), 1, &key.display().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_newer_program_are_left_alone() {
    for file in ["events.db", "views.db"] {
        let data = used().await;
        let path = data.path().join(file);
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
        let mut newer = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options)
            .await
            .unwrap();
        sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9000, 'from the future', true, x'00', 0)",
        )
        .execute(&mut newer)
        .await
        .unwrap();
        sqlx::Connection::close(newer).await.unwrap();
        refused(
            &foldline(&[], data.path()),
            1,
            "from a newer version of this program",
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_that_another_server_uses_is_left_alone() {
    let server = Server::new(Vec::new());
    server.start();
    server.url(0).await;
    refused(&foldline(&[], &server.data()), 1, "another process has");
    server.stop().await;
}

#[test]
fn a_wrong_setting_is_named_with_what_is_allowed() {
    let data = tempfile::tempdir().unwrap();
    for (arguments, sentence) in [
        (["--listen", "nonsense"], "--listen"),
        (["--event-store", "mysql://localhost"], "sqlite:"),
        (["--requests-per-minute", "many"], "--requests-per-minute"),
        (["--log-format", "xml"], "text"),
    ] {
        refused(&foldline(&arguments, data.path()), 2, sentence);
    }
    let variable = clean(env!("CARGO_BIN_EXE_foldline"))
        .env("FOLDLINE_LISTN", "127.0.0.1:0")
        .arg("serve")
        .output()
        .unwrap();
    refused(&variable, 2, "FOLDLINE_LISTN is not a setting");
    let file = data.path().join("foldline.toml");
    std::fs::write(&file, "listn = \"127.0.0.1:0\"").unwrap();
    refused(
        &foldline(&["--config", file.to_str().unwrap()], data.path()),
        2,
        "listn",
    );
}
