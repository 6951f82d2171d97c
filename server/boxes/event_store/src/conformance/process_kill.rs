//! A process that appends is killed at random moments, several times. Everything that it acknowledged is
//! stored afterwards, and the log is complete.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    sync::Arc,
};

use domain::id::WorkspaceId;
use uuid::Uuid;

use super::{super::Expected, TestDatabase, checked_partition, one, open_workspace};

const PLACE: &str = "FOLDLINE_TEST_KILLED_PLACE";
const WORKSPACE: &str = "FOLDLINE_TEST_KILLED_WORKSPACE";
const ROUNDS: usize = 6;

/// Appends without end and reports each acknowledgement, in a process that was started for it.
pub(crate) async fn append_until_killed<B: TestDatabase>() {
    let (Ok(place), Ok(workspace)) = (std::env::var(PLACE), std::env::var(WORKSPACE)) else {
        return;
    };
    let workspace: WorkspaceId = workspace.parse().unwrap();
    let store = B::open_at(&place, None).await.unwrap();
    let callers = (0..16).map(|caller| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            loop {
                let sent = one(workspace, &format!("order-{caller}"), Expected::Any);
                let command = sent.metadata.command_id;
                store.append(sent).await.unwrap();
                // one write for each line: only the last line may be incomplete
                std::io::stdout()
                    .write_all(format!("\nacknowledged {command}\n").as_bytes())
                    .unwrap();
            }
        })
    });
    futures::future::join_all(callers).await;
}

pub(crate) async fn an_acknowledged_append_survives_a_kill<B: TestDatabase>(database: &B, module: &str) {
    let store = database.open().await;
    let workspace = open_workspace(&*store, 2).await;
    store.close().await;
    let mut acknowledged = HashSet::new();
    for _ in 0..ROUNDS {
        let (module, place) = (module.to_owned(), database.place());
        let until: usize = rand::random_range(1..400);
        let round = tokio::task::spawn_blocking(move || kill_after(&module, &place, workspace, until))
            .await
            .unwrap();
        assert!(round.len() >= until, "the process ended by itself");
        acknowledged.extend(round);

        let store = database.open().await;
        let mut stored = HashSet::new();
        for partition in 0..2 {
            let events = checked_partition(&*store, workspace, partition).await;
            stored.extend(events.iter().map(|event| event.metadata.command_id));
        }
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "{} acknowledged appends are lost", lost.len());
        for command in stored {
            assert!(
                store
                    .recorded_command(workspace, command)
                    .await
                    .unwrap()
                    .is_some()
            );
        }
        store.close().await;
    }
}

/// Runs the process until it has acknowledged `until` appends, kills it, and returns every acknowledged
/// command.
fn kill_after(module: &str, place: &str, workspace: WorkspaceId, until: usize) -> Vec<Uuid> {
    let name = format!(
        "{}::the_process_that_is_killed",
        module.split_once("::").unwrap().1
    );
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture"])
        .env(PLACE, place)
        .env(WORKSPACE, workspace.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if let Some(id) = line.strip_prefix("acknowledged ").and_then(|id| id.parse().ok()) {
            acknowledged.push(id);
        }
        if acknowledged.len() == until {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}
