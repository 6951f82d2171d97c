//! `GET /search`: full-text search.

use clock::{Clock as _, SystemClock};
use domain::access::Role;
use serde_json::Value;

use crate::app::{Person, TestApp, fields, list_product, place_order, problem};

/// The hits of a query, once the index has indexed up to the token.
async fn found(app: &TestApp, person: &Person, query: &str, after: &Value) -> Value {
    let path = format!("/api/v1/search?{query}&after={}", after.as_str().unwrap());
    let response = app.get(&path).bearer_auth(&person.token).send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{path}: {body}");
    body
}

fn keys(found: &Value) -> Vec<&str> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_product_is_found_by_its_words_by_prefixes_and_with_typing_errors() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    // the template's process managers are done: no event follows the token
    app.settled(&educator).await;
    let answer = app.command(&educator, &list_product("zeppelin-01")).await;
    let token = &answer["token"];
    let exact = found(&app, &educator, "q=folding%20knife&kinds=products", token).await;
    assert_eq!(keys(&exact), ["knife-01"]);
    let parts = exact["hits"][0]["highlights"][0]["parts"].as_array().unwrap();
    assert!(parts.iter().any(|part| part["matched"] == true), "{exact}");
    assert_eq!(exact["behind"], 0, "it waited for the token");
    for typed in ["foldign%20knife", "folding%20kni"] {
        let found = found(&app, &educator, &format!("q={typed}&kinds=products"), token).await;
        assert_eq!(keys(&found), ["knife-01"], "{typed}");
    }
    // a repetition is answered the same
    let again = found(&app, &educator, "q=folding%20knife&kinds=products", token).await;
    assert_eq!(keys(&again), keys(&exact));
    let nothing = found(&app, &educator, "q=quux", token).await;
    assert_eq!(keys(&nothing), Vec::<&str>::new());
}

#[tokio::test]
async fn a_person_finds_only_what_they_may_see() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("zeppelin-01")).await;
    let (ada, bob) = (
        app.with_role(&educator, Role::Customer),
        app.with_role(&educator, Role::Customer),
    );
    let order = SystemClock.new_id();
    let answer = app.command(&ada, &place_order(order, "zeppelin-01")).await;
    let token = &answer["token"];
    let query = format!("q={order}&kinds=orders");
    let key = order.to_string();
    assert_eq!(keys(&found(&app, &ada, &query, token).await), [key.as_str()]);
    assert_eq!(keys(&found(&app, &educator, &query, token).await), [key.as_str()]);
    assert!(keys(&found(&app, &bob, &query, token).await).is_empty());
    let stranger = app.educator().await;
    let path = format!("/api/v1/search?{query}");
    let response = app.get(&path).bearer_auth(&stranger.token).send().await.unwrap();
    let elsewhere: Value = response.json().await.unwrap();
    assert!(keys(&elsewhere).is_empty(), "{elsewhere}");
}

#[tokio::test]
async fn an_invalid_query_is_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let long = "x".repeat(201);
    for (query, field) in [
        ("kinds=products", "q"),
        (&*format!("q={long}"), "q"),
        ("q=mug&kinds=streams", "kinds"),
        ("q=mug&limit=51", "limit"),
        ("q=mug&colour=red", "colour"),
    ] {
        let path = format!("/api/v1/search?{query}");
        let response = app.get(&path).bearer_auth(&educator.token).send().await.unwrap();
        let problem = problem(response).await;
        assert_eq!((problem.status, fields(&problem)), (400, vec![field]), "{query}");
    }
    let anonymous = app.get("/api/v1/search?q=mug").send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}
