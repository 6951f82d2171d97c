//! The hops of several servers on one PostgreSQL: a person who looks at one of them sees those of all.

use std::{collections::BTreeSet, sync::Arc};

use domain::wire::{Arrow, CommandAnswer, HopPage};
use reqwest::StatusCode;
use serde_json::json;
use test_postgres::Database;
use uuid::Uuid;

use crate::{client::Client, running::Server};

/// A server that has been started.
async fn started(arguments: &[String], keys_of: Option<&Server>) -> Arc<Server> {
    let server = Arc::new(Server::new(arguments.to_vec()));
    if let Some(other) = keys_of {
        server.take_keys_of(other);
    }
    server.start();
    server.url(0).await;
    server
}

/// Sends a command by a client; the ids of its events.
async fn receive(client: &Client, key: &str) -> BTreeSet<Uuid> {
    let command = json!({"type": "ReceiveStock", "stream": "inventory-mug", "data": {"quantity": 1}});
    let (status, answer) = client.post("/api/v1/commands", &command, key).await;
    assert_eq!(status, StatusCode::OK, "{answer:?}");
    let answer: CommandAnswer = serde_json::from_value(answer.unwrap()).unwrap();
    answer.events.iter().map(|event| event.event_id).collect()
}

/// Given two servers of which a person watches the hops of one, when commands are sent to both, then the hops
/// of both arrive there, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hops_of_all_servers_arrive_at_the_one_that_is_watched() {
    let database = Database::new().await;
    let stores = ["--event-store", &database.url, "--read-model", &database.url].map(str::to_owned);
    let one = started(&stores, None).await;
    let two = started(&stores, Some(&one)).await;
    let (here, _) = Client::open(&one, 1).await;
    let there = here.at(&two);
    let mut after = here.get::<HopPage>("/api/v1/lab/hops").await.next;
    let (mut by_one, mut by_two) = (BTreeSet::new(), BTreeSet::new());
    let mut appended = Vec::new();
    let mut round = 0;
    // The other server is told that it is to make hops, and may have its first commands before.
    loop {
        by_one.extend(receive(&here, &format!("one-{round}")).await);
        by_two.extend(receive(&there, &format!("two-{round}")).await);
        let page: HopPage = here
            .get(&format!("/api/v1/lab/hops?limit=1000&after={after}"))
            .await;
        after = page.next;
        let hops = page.data.into_iter();
        let appends = hops.filter(|hop| hop.arrow == Arrow::AppendEvents);
        appended.extend(appends.filter_map(|hop| hop.event_id));
        let has_some_of = |ids: &BTreeSet<Uuid>| appended.iter().any(|id| ids.contains(id));
        if has_some_of(&by_one) && has_some_of(&by_two) {
            break;
        }
        round += 1;
        assert!(
            round < 10_000,
            "the hops of one server never arrive: {appended:?}"
        );
    }
    let distinct: BTreeSet<Uuid> = appended.iter().copied().collect();
    assert_eq!(distinct.len(), appended.len(), "{appended:?}");
    one.stop().await;
    two.stop().await;
}
