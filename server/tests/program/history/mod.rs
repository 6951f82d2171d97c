//! The history checker: clients record what they send and what they see, while the server is killed again and
//! again (`kill -9`, at random times, also while it starts). Afterwards every record of the history must
//! agree with the log.
//!
//! A run fails on: an acknowledged event that is not in the log; an event that was never acknowledged, or a
//! second effect of one command; a stream or a partition with a gap or out of order; events in another order
//! than their acknowledgements; a read older than its token, or one that went back; a document, listing or
//! live view that differs from the fold of the log as of its token.
//!
//! `cargo xtask history --kills 500` runs it longer.

mod check;
mod clients;
mod record;
mod watchers;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;

use check::check;
use clients::{Access, Reader, Writer};
use record::History;
use test_postgres::Database;
use watchers::Watcher;

use crate::running::Server;

/// How often the server is killed.
const KILLS: &str = "FOLDLINE_TEST_KILLS";
const DEFAULT_KILLS: u32 = 50;

/// The most acknowledged commands between two kills.
const MAX_COMMANDS_BETWEEN_KILLS: u64 = 60;
/// The longest time to a kill during a start.
const MAX_START_BEFORE_KILL: Duration = Duration::from_millis(600);

const WRITERS: usize = 8;
const READERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_doubled_or_stale_however_often_a_server_with_sqlite_is_killed() {
    run(Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_doubled_or_stale_however_often_a_server_with_postgresql_is_killed() {
    let database = Database::new().await;
    let url = database.url.clone();
    run(vec![
        "--event-store".into(),
        url.clone(),
        "--read-model".into(),
        url,
    ])
    .await;
}

async fn run(stores: Vec<String>) {
    let kills = std::env::var(KILLS).map_or(DEFAULT_KILLS, |kills| {
        kills
            .parse()
            .unwrap_or_else(|_| panic!("{KILLS} is a number, not {kills}"))
    });
    let server = Arc::new(Server::new(stores));
    server.start();
    let history = Arc::new(History::default());
    let access = Access::open(&server).await;
    access.list_products(&history).await;

    let writers: Vec<_> = (0..WRITERS)
        .map(|_| tokio::spawn(Writer::new(&access, &history).write()))
        .collect();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| Reader::new(&access, &history, reader))
        .collect();
    let watchers = Watcher::all(&access, &history);
    let names = readers.iter().map(|reader| reader.name.clone());
    let witnesses: Vec<_> = names
        .chain(watchers.iter().map(|watcher| watcher.name.clone()))
        .collect();
    let readers: Vec<_> = readers
        .into_iter()
        .map(|reader| tokio::spawn(reader.read()))
        .collect();
    let watchers: Vec<_> = watchers
        .into_iter()
        .map(|watcher| tokio::spawn(watcher.watch()))
        .collect();

    for kill in 0..kills {
        if rand::random_ratio(1, 5) {
            // The time of the kill is random; no work must be done by then.
            tokio::time::sleep(MAX_START_BEFORE_KILL.mul_f64(rand::random())).await;
        } else {
            let until = history.acknowledged() + rand::random_range(0..MAX_COMMANDS_BETWEEN_KILLS);
            history.until_acknowledged(until).await;
        }
        server.kill();
        server.start();
        if (kill + 1) % 10 == 0 {
            println!(
                "{} kills, {} commands acknowledged",
                kill + 1,
                history.acknowledged()
            );
        }
    }
    let until = history.acknowledged() + MAX_COMMANDS_BETWEEN_KILLS;
    history.until_acknowledged(until).await;

    // Writers and readers continue until their last request has an answer; watchers continue until they have
    // seen the whole log.
    history.no_more_commands();
    for task in join_all(writers).await {
        task.expect("a writer ends well");
    }
    access.settled().await;
    let head = access.head().await;
    history.ends_at(head);
    for task in join_all(readers.into_iter().chain(watchers)).await {
        task.expect("who reads and who watches ends well");
    }
    let verified = access.verify().await;
    assert_eq!(verified.findings, Vec::<String>::new());
    let report = check(&access, &history, &witnesses).await;
    println!("{kills} kills: {report}");
    server.stop().await;
}
