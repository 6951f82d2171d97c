//! The log of a server whose lanes an educator crashes again and again: it must not fill a disk.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use domain::wire::WorkspaceAccess;
use serde_json::{Value, json};

use crate::running::TEST_TIMEOUT;

const CRASHES: usize = 20;

/// A server that ends with the test.
struct Process {
    child: Child,
    _output: BufReader<ChildStdout>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_lane_that_is_crashed_in_a_loop_leaves_one_line_each_and_no_back_trace() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_foldline"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .env("RUST_BACKTRACE", "full")
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut ready = String::new();
    output.read_line(&mut ready).unwrap();
    let process = Process {
        child,
        _output: output,
    };
    let url = ready.trim().rsplit(' ').next().unwrap();
    let client = reqwest::Client::builder().timeout(TEST_TIMEOUT).build().unwrap();
    let opened = client
        .post(format!("{url}/api/v1/workspaces"))
        .json(&json!({"template": "shop"}));
    let educator: WorkspaceAccess = opened.send().await.unwrap().json().await.unwrap();
    // There are lanes once events were folded.
    let settled = client.get(format!("{url}/api/v1/settled?timeout_ms=60000"));
    let settled = settled.bearer_auth(&educator.token).send().await.unwrap();
    assert_eq!(settled.status(), 200);
    for crashes in 1..=CRASHES {
        let crash = client.post(format!("{url}/api/v1/lab/projections/orders/crash"));
        let crashed = crash.bearer_auth(&educator.token).send().await.unwrap();
        let status: Value = crashed.json().await.unwrap();
        assert_eq!(status["panics"], crashes, "{status}");
    }
    drop(process);
    let log = fs::read_to_string(log).unwrap();
    let of_crashes = log.lines().filter(|line| line.contains("the lab has intervened"));
    assert_eq!(of_crashes.count(), CRASHES, "{log}");
    for unwanted in ["panicked", "backtrace", "had this lane crash"] {
        assert!(!log.contains(unwanted), "{unwanted}: {log}");
    }
}
