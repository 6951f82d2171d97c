//! Several servers on one PostgreSQL: a client of one sees the changes that another makes.

use domain::access::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use test_postgres::Database;

use crate::app::{Live, Person, TEST_TIMEOUT, TestApp, list_product};

/// Two servers on one database, for events and for views.
pub(crate) async fn two(database: &Database) -> (TestApp, TestApp) {
    let arguments = ["--event-store", &database.url, "--read-model", &database.url];
    let one = TestApp::start_with(&arguments).await;
    let two = one.start_second(&arguments).await;
    (one, two)
}

async fn follow(app: &TestApp, person: &Person) -> Live {
    let mut live = app.live(person).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "products", "listing": "all"}))
        .await;
    live.next_of("snapshot").await;
    live
}

/// Waits until a socket shows a product: by a change, or by a snapshot where the other server has folded it
/// first.
async fn shows(live: &mut Live, sku: &str) {
    let is_there = |frame: &Value| match frame["op"].as_str() {
        Some("change") => frame["data"]["sku"] == sku,
        Some("snapshot") => frame["data"].to_string().contains(&format!("\"{sku}\"")),
        _ => false,
    };
    live.next_where(sku, is_there).await;
}

async fn read(app: &TestApp, person: &Person, sku: &str, listed: &Value) {
    let token = listed["token"].as_str().unwrap();
    let path = format!("/api/v1/views/products/{sku}?after={token}");
    let response = app.get(&path).bearer_auth(&person.token).send().await.unwrap();
    let status = response.status();
    let product: Value = response.json().await.unwrap();
    assert_eq!(
        (status, &product["data"]["sku"]),
        (StatusCode::OK, &json!(sku)),
        "{product}"
    );
}

async fn settled(app: &TestApp, person: &Person) -> Value {
    let path = "/api/v1/settled";
    let response = app.get(path).bearer_auth(&person.token).send().await.unwrap();
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// Ends every connection on which a server of this database listens to the others.
pub(crate) async fn cut(database: &Database) {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let cut = async {
        // A server that was disconnected before may not listen again yet.
        loop {
            let ended: Vec<bool> = sqlx::query_scalar(
                "select pg_terminate_backend(pid, 60000) from pg_stat_activity
                 where application_name = 'foldline listener' and datname = current_database()",
            )
            .fetch_all(&mut connection)
            .await
            .unwrap();
            if !ended.is_empty() {
                break;
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, cut)
        .await
        .expect("a server listens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_one_server_sees_the_changes_of_the_other() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    // the second server does not know a workspace that was opened while both were running
    let educator = one.educator().await;
    two.student(&educator.join_code).await;
    let staff = one.with_role(&educator, Role::Staff);
    let mut sockets = [follow(&one, &educator).await, follow(&two, &educator).await];
    for (n, (here, there)) in [(&one, &two), (&two, &one), (&one, &two)].into_iter().enumerate() {
        let sku = format!("mug-{n}");
        let listed = here.command(&staff, &list_product(&sku)).await;
        read(there, &educator, &sku, &listed).await;
        read(here, &educator, &sku, &listed).await;
        for live in &mut sockets {
            shows(live, &sku).await;
        }
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_its_own_read_model_folds_the_events_of_the_other() {
    let database = Database::new().await;
    let one = TestApp::start_with(&["--event-store", &database.url]).await;
    let two = one.start_second(&["--event-store", &database.url]).await;
    let educator = one.educator().await;
    let staff = one.with_role(&educator, Role::Staff);
    let mut live = follow(&two, &educator).await;
    for sku in ["mug-1", "mug-2"] {
        one.command(&staff, &list_product(sku)).await;
        let change = live.next_of("change").await;
        assert_eq!(
            (&change["key"], &change["event"]["type"]),
            (&json!(sku), &json!("ProductListed"))
        );
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_listen_for_a_while_misses_no_change() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = one.educator().await;
    let staff = one.with_role(&educator, Role::Staff);
    let mut live = follow(&two, &educator).await;
    for n in 0..2 {
        let sku = format!("mug-{n}");
        cut(&database).await;
        let listed = one.command(&staff, &list_product(&sku)).await;
        read(&two, &educator, &sku, &listed).await;
        shows(&mut live, &sku).await;
    }
    // nor one of a workspace that was opened meanwhile
    cut(&database).await;
    let another = one.educator().await;
    let staff = one.with_role(&another, Role::Staff);
    let listed = one.command(&staff, &list_product("mug-9")).await;
    read(&two, &another, "mug-9", &listed).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_either_server_are_settled_at_both() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = one.educator().await;
    let staff = one.with_role(&educator, Role::Staff);
    for n in 0..5 {
        for (name, app) in [("a", &one), ("b", &two)] {
            app.command(&staff, &list_product(&format!("{name}-{n}"))).await;
        }
    }
    let (here, there) = tokio::join!(settled(&one, &educator), settled(&two, &educator));
    assert_eq!(
        (&here, &there),
        (&json!({"as_of": "0:10"}), &json!({"as_of": "0:10"}))
    );
    // by a correlation id too, which the other server does not know
    let listed = one.command(&staff, &list_product("c-0")).await;
    let caused = format!(
        "/api/v1/settled?correlation={}",
        listed["correlation_id"].as_str().unwrap()
    );
    let caused = two
        .get(&caused)
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    assert_eq!(
        caused.json::<Value>().await.unwrap(),
        json!({"as_of": listed["token"], "events": 1})
    );
    one.stop().await;
    two.stop().await;
}
