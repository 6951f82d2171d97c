//! What the program creates on disk is for its own user, whatever mask it was started with.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::running::clean;

/// The program under a mask that lets every user read and write new files.
fn program(arguments: &[&dyn AsRef<OsStr>]) -> Command {
    let mut command = clean("sh");
    command
        .args(["-c", r#"umask 000 && exec "$@""#, "sh"])
        .arg(env!("CARGO_BIN_EXE_foldline"))
        .args(arguments);
    command
}

/// A running server, which ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What other users may do with an entry, and with everything in it, by its path.
fn open_to_others(path: &Path, found: &mut Vec<String>) {
    // A running server removes files, such as the one by which it tries the disk.
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        found.push(format!("{} {mode:o}", path.display()));
    }
    if metadata.is_dir()
        && let Ok(entries) = std::fs::read_dir(path)
    {
        for entry in entries.flatten() {
            open_to_others(&entry.path(), found);
        }
    }
}

fn is_private(path: &Path) {
    let mut found = Vec::new();
    open_to_others(path, &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_folder_its_databases_a_backup_and_an_export_are_for_the_programs_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    // The program makes this folder.
    let data = folder.path().join("data");
    let mut server = Running(
        program(&[&"serve", &"--listen", &"127.0.0.1:0", &"--data-dir", &data])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let output = server.0.stdout.take().unwrap();
    let url = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.find_map(|line| line.strip_prefix("Foldline is ready at ").map(str::to_owned))
    });
    let url = url.await.unwrap().expect("it starts");
    let http = reqwest::Client::new();
    let open = http.post(format!("{url}/api/v1/workspaces"));
    let opened = open.json(&json!({"template": "shop"})).send().await.unwrap();
    let opened: Value = opened.json().await.unwrap();
    assert!(opened["workspace"].is_string(), "{opened}");
    for name in [
        "events.db",
        "events.db-wal",
        "events.db-shm",
        "people.db",
        "views.db",
        "keys",
    ] {
        assert!(data.join(name).exists(), "{name}");
    }
    is_private(&data);

    let backup = folder.path().join("backup");
    let copied = program(&[&"backup", &"--data-dir", &data, &backup])
        .output()
        .unwrap();
    assert!(
        copied.status.success(),
        "{}",
        String::from_utf8_lossy(&copied.stderr)
    );
    is_private(&backup);
    let export = folder.path().join("class.ndjson");
    let exported = program(&[&"export", &"--data-dir", &data, &"--to", &export])
        .output()
        .unwrap();
    assert!(
        exported.status.success(),
        "{}",
        String::from_utf8_lossy(&exported.stderr)
    );
    is_private(&export);
}
