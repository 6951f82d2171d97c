//! The history checker: clients record what they send and what they see, while servers fail. Afterwards every
//! record of the history must agree with the log.
//!
//! Here one server is killed again and again (`kill -9`, at random times, also while it starts); [`faults`]
//! draws faults of several servers from a seed.
//!
//! A run fails on: an acknowledged event that is not in the log; an event that was never acknowledged, or a
//! second effect of one command; a stream or a partition with a gap or out of order; events in another order
//! than their acknowledgements; a read older than its token, or one that went back; a document, listing or
//! live view that differs from the fold of the log as of its token.
//!
//! `cargo xtask history --kills 500` runs it longer.

mod check;
mod clients;
mod faults;
mod proxy;
mod record;
mod servers;
mod watchers;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::task::JoinHandle;

use check::{NewerDocuments, check};
use clients::{Access, Reader, Writer};
use record::History;
use servers::Servers;
use test_postgres::Database;
use watchers::Watcher;

use crate::running::TEST_TIMEOUT;

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
    let kills = number(KILLS, DEFAULT_KILLS);
    let servers = Servers::one(stores);
    let server = Arc::clone(&servers.node(0).server);
    server.start();
    let history = Arc::new(History::default());
    let (access, _) = Access::open(&servers).await;
    access.list_products(&history, 0).await;
    let mut clients = Clients::start(&access, &history, &["tok_ok"]);

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

    clients.stop_writing(&history).await;
    access.settled().await;
    let witnesses = clients.see_the_end(&access, &history).await;
    let verified = access.verify().await;
    assert_eq!(verified.findings, Vec::<String>::new());
    let log = access.log().await;
    let report = check(&history, &log, &witnesses, NewerDocuments::Refused);
    history.require_no_findings(&format!("a run of {kills} kills"), &log);
    println!("{kills} kills: {report}");
    servers.stop().await;
}

/// A number of a run, from the environment.
fn number<N: std::str::FromStr>(variable: &str, default: N) -> N {
    std::env::var(variable).map_or(default, |number| {
        number
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is a number, not {number}"))
    })
}

/// The clients of a run.
struct Clients {
    writers: Vec<JoinHandle<()>>,
    /// Readers and watchers.
    observers: Vec<JoinHandle<()>>,
    /// The names of the observers.
    witnesses: Vec<String>,
}

impl Clients {
    /// Starts them; orders are paid by these methods.
    fn start(access: &Access, history: &Arc<History>, methods: &'static [&'static str]) -> Self {
        let writers = (0..WRITERS)
            .map(|number| tokio::spawn(Writer::new(&access.at(number), history, methods).write()))
            .collect();
        let readers: Vec<_> = (0..READERS)
            .map(|reader| Reader::new(access, history, reader))
            .collect();
        let watchers = Watcher::all(access, history);
        let witnesses = readers
            .iter()
            .map(|reader| reader.name.clone())
            .chain(watchers.iter().map(|watcher| watcher.name.clone()))
            .collect();
        let readers = readers.into_iter().map(|reader| tokio::spawn(reader.read()));
        let watchers = watchers.into_iter().map(|watcher| tokio::spawn(watcher.watch()));
        let observers = readers.chain(watchers).collect();
        Self {
            writers,
            observers,
            witnesses,
        }
    }

    /// Writers stop when their last request has an answer.
    async fn stop_writing(&mut self, history: &History) {
        history.no_more_commands();
        ended(
            "the last answers to the writers",
            std::mem::take(&mut self.writers),
        )
        .await;
    }

    /// Readers and watchers continue until they have seen the whole log. Returns their names.
    async fn see_the_end(self, access: &Access, history: &History) -> Vec<String> {
        history.ends_at(access.head().await);
        ended("the end of the log, at every reader and watcher", self.observers).await;
        self.witnesses
    }
}

/// Waits for the end of tasks; `what` names what they wait for.
async fn ended(what: &str, tasks: Vec<JoinHandle<()>>) {
    let ended = tokio::time::timeout(TEST_TIMEOUT, join_all(tasks)).await;
    for task in ended.unwrap_or_else(|_| panic!("within {TEST_TIMEOUT:?}, there was not {what}")) {
        task.expect("a client ends well");
    }
}
