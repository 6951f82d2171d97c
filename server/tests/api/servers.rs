//! Several servers on one PostgreSQL: a client of one sees the changes that another makes.

use domain::access::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use test_postgres::Database;

use gateway::keys::KeyRing;

use crate::{
    app::{Live, Person, TEST_TIMEOUT, TestApp, list_product, problem},
    dials,
};

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

/// Waits until both servers of a database own lane groups.
async fn both_own_lanes(database: &Database) {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let both = async {
        loop {
            let owners = "select count(distinct server) from foldline_views.lane_owners";
            let owners: i64 = sqlx::query_scalar(owners)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            if owners == 2 {
                return;
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, both)
        .await
        .expect("both servers own lanes");
}

/// Given two servers that share the lanes, of which one owns those of a workspace, when both append to it,
/// then a client of either is told every change by itself, in the same order and with the same documents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_both_servers_get_the_same_changes_in_the_same_order() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    both_own_lanes(&database).await;
    // one of these is folded by the one server, most probably, and another one by the other
    for _ in 0..4 {
        let educator = one.educator().await;
        let staff = one.with_role(&educator, Role::Staff);
        // what was stored before a server knows of the workspace may come as a snapshot
        let first = one.command(&staff, &list_product("first")).await;
        read(&one, &educator, "first", &first).await;
        read(&two, &educator, "first", &first).await;
        let mut sockets = [follow(&one, &educator).await, follow(&two, &educator).await];
        for (n, app) in [&one, &two, &two, &one].into_iter().enumerate() {
            app.command(&staff, &list_product(&format!("mug-{n}"))).await;
        }
        let mut told = [Vec::new(), Vec::new()];
        for (live, told) in sockets.iter_mut().zip(&mut told) {
            while told.len() < 4 {
                let is_news = |frame: &Value| frame["op"] == "change" || frame["op"] == "snapshot";
                told.push(live.next_where("a change", is_news).await);
            }
        }
        let [here, there] = &told;
        assert!(here.iter().all(|frame| frame["op"] == "change"), "{here:?}");
        assert_eq!(here, there);
        let settled = (settled(&one, &educator).await, settled(&two, &educator).await);
        assert_eq!(settled.0, settled.1);
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_takes_over_the_lanes_of_one_that_stops() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    both_own_lanes(&database).await;
    let mut people = Vec::new();
    for _ in 0..4 {
        people.push(one.educator().await);
    }
    one.stop().await;
    for educator in &people {
        let staff = two.with_role(educator, Role::Staff);
        let listed = two.command(&staff, &list_product("mug")).await;
        read(&two, educator, "mug", &listed).await;
    }
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_at_one_server_is_seen_at_the_other() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    both_own_lanes(&database).await;
    for (here, there) in [(&one, &two), (&two, &one)] {
        let educator = here.educator().await;
        let staff = here.with_role(&educator, Role::Staff);
        let listed = here.command(&staff, &list_product("mug")).await;
        read(there, &educator, "mug", &listed).await;
        let mut live = follow(there, &educator).await;
        let rebuild = here.request(Method::POST, "/api/v1/lab/projections/products/rebuild");
        let begun = rebuild.bearer_auth(&educator.token).send().await.unwrap();
        assert!(begun.status().is_success(), "{}", begun.status());
        let is_switched = |frame: &Value| frame["op"] == "snapshot" && frame["generation"] == 2;
        live.next_where("the new generation", is_switched).await;
        // and it goes on from there
        let listed = here.command(&staff, &list_product("mug-2")).await;
        read(there, &educator, "mug-2", &listed).await;
        read(here, &educator, "mug-2", &listed).await;
        shows(&mut live, "mug-2").await;
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_other_keys_on_the_same_database_does_not_start() {
    let database = Database::new().await;
    let arguments = ["--event-store", &database.url, "--read-model", &database.url];
    let one = TestApp::start_with(&arguments).await;
    let (refusal, folder) = one.refused_second(&arguments).await;
    let refusal = refusal.to_string();
    for part in ["the signing keys", "emails.key", "--accept-keys"] {
        assert!(refusal.contains(part), "{refusal}");
    }
    assert!(
        !folder.path().join("keys").exists(),
        "the keys of the other server can be copied there"
    );
    // the same keys, and signing keys that are being rotated
    let elsewhere = folder.path().join("other-keys");
    KeyRing::open(&elsewhere, &clock::SystemClock).unwrap();
    for file in std::fs::read_dir(&elsewhere).unwrap() {
        std::fs::copy(file.unwrap().path(), one.folder().join("keys/zz.pem")).unwrap();
    }
    let two = one.start_second(&arguments).await;
    two.stop().await;
    // keys that are lost
    let accepting = [&arguments[..], &["--accept-keys"]].concat();
    let three = TestApp::start_with(&accepting).await;
    three.stop().await;
    let refused = one.restart_after(async |_| {}).await;
    assert!(matches!(refused, Err(server::StartError::SharedKeys(_))));
}

/// Whether a view of the person's workspace is paused at this server.
async fn is_paused(app: &TestApp, person: &Person, view: &str) -> bool {
    let listed = crate::dead_letters::get(app, person, "/api/v1/lab/projections").await;
    let mut listed = listed.as_array().unwrap().iter();
    listed.any(|status| status["view"] == view && status["paused"] == true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dials_that_are_set_at_one_server_hold_at_the_other() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = one.educator().await;
    let elsewhere = two.educator().await;
    for (here, there) in [(&one, &two), (&two, &one)] {
        let (mut live, first) = dials::follow(there, &educator).await;
        let before = first["version"].as_u64().unwrap();
        let paused = json!({"projections": {"products": {"paused": true}}});
        let bent = dials::set(here, &educator, &paused).await;
        assert!(is_paused(here, &educator, "products").await);
        let told = live.next_of("dials").await;
        assert_eq!(told["data"], json!(bent), "with the name of who did it");
        assert!(is_paused(there, &educator, "products").await);
        let stale = dials::put(there, &educator, &format!("\"{before}\""), &json!({})).await;
        assert_eq!(problem(stale).await.status, 412);
        let rest = dials::reset(there, &educator).await;
        let (_, now) = dials::follow(here, &educator).await;
        assert_eq!(now["version"], json!(rest.version));
        assert!(!is_paused(here, &educator, "products").await);
        assert!(!is_paused(there, &educator, "products").await);
    }
    assert_eq!(dials::dials_of(&one, &elsewhere).await.version, 0);
    // a server that starts later has them from the beginning
    let bent = dials::set(
        &one,
        &educator,
        &json!({"projections": {"products": {"paused": true}}}),
    )
    .await;
    let two = two.restart().await;
    assert!(is_paused(&two, &educator, "products").await);
    assert_eq!(dials::dials_of(&two, &educator).await, bent);
    // and one that did not listen for a while misses no change
    cut(&database).await;
    dials::reset(&one, &educator).await;
    let (_, now) = dials::follow(&two, &educator).await;
    assert_eq!(now["bent"], json!([]));
    assert!(!is_paused(&two, &educator, "products").await);
    one.stop().await;
    two.stop().await;
}
