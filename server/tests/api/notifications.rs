//! `ReadNotifications`: a person marks notifications that exist for them, and ids that a client makes up
//! become nothing.

use clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, fields, problem},
    dead_letters::get,
    mailbox::{order, registered, stock},
};

/// The most notifications that one command may name.
const MOST: usize = 200;

fn read(user: Uuid, events: &[Uuid]) -> Value {
    json!({"type": "ReadNotifications", "stream": format!("inbox-{user}"), "data": {"events": events}})
}

fn made_up(count: usize) -> Vec<Uuid> {
    (0..count).map(|_| SystemClock.new_id()).collect()
}

/// The events of a person's notifications that are listed as unread.
async fn unread(app: &TestApp, person: &Person, user: Uuid) -> Vec<Uuid> {
    let path = format!("/api/v1/views/notifications?listing=inbox&group={user}");
    let page = get(app, person, &path).await;
    let rows = page["data"].as_array().unwrap().iter().map(|row| &row["data"]);
    rows.filter(|notification| notification["read"] == false)
        .map(|notification| notification["event_id"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// The events that marked notifications.
async fn marks(app: &TestApp, educator: &Person) -> Vec<Value> {
    let page = get(app, educator, "/api/v1/events?type=NotificationsRead").await;
    page["data"].as_array().unwrap().clone()
}

async fn refused(app: &TestApp, person: &Person, command: &Value) {
    let request = app.post("/api/v1/commands", command);
    let response = request.bearer_auth(&person.token).send().await.unwrap();
    let refused = problem(response).await;
    assert_eq!(
        (refused.status, fields(&refused)),
        (422, vec!["data.events"]),
        "{refused:?}"
    );
}

#[tokio::test]
async fn ids_that_are_made_up_become_no_documents() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    stock(&app, &educator).await;
    let (ada, user) = registered(&app, &educator, "ada@example.org").await;
    let (bob, bobs) = registered(&app, &educator, "bob@example.org").await;
    order(&app, &educator, &bob).await;
    let of_bob = unread(&app, &bob, bobs).await;
    assert_eq!(of_bob.len(), 1, "the order is confirmed");

    // neither ids of nothing, nor of an event without a notification, nor of another person's notification
    let log = get(&app, &educator, "/api/v1/events?limit=1").await;
    let no_notification: Uuid = log["data"][0]["event_id"].as_str().unwrap().parse().unwrap();
    for events in [made_up(1), made_up(MOST), vec![no_notification], of_bob.clone()] {
        refused(&app, &ada, &read(user, &events)).await;
    }
    app.settled(&educator).await;
    assert!(marks(&app, &educator).await.is_empty());
    for event in made_up(3).into_iter().chain(of_bob) {
        let path = format!("/api/v1/views/notifications/{user}%2F{event}");
        let response = app.get(&path).bearer_auth(&educator.token).send().await.unwrap();
        assert_eq!(problem(response).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn among_ids_that_are_made_up_only_the_notifications_are_marked() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    stock(&app, &educator).await;
    let (ada, user) = registered(&app, &educator, "ada@example.org").await;
    order(&app, &educator, &ada).await;
    order(&app, &educator, &ada).await;
    let both = unread(&app, &ada, user).await;
    assert_eq!(both.len(), 2);

    let mut events = made_up(MOST - 2);
    events.extend(&both);
    app.command(&ada, &read(user, &events)).await;
    app.settled(&educator).await;
    assert!(unread(&app, &ada, user).await.is_empty());
    let marks = marks(&app, &educator).await;
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0]["payload"]["events"], json!(both));

    // marked already: accepted, and nothing changes
    let again = app.command(&ada, &read(user, &events)).await;
    assert_eq!(again["events"], json!([]));
}
