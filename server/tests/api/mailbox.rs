//! `GET /mailbox`: emails in the data folder, readable by their recipients.

use clock::{Clock as _, SystemClock};
use domain::access::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    account_links::token,
    app::{Person, TestApp, fields, list_product, place_order, problem},
    dead_letters::{get, receive},
};

/// A student who has registered and got the welcome email; their id too.
pub(crate) async fn registered(app: &TestApp, educator: &Person, email: &str) -> (Person, Uuid) {
    let person = app.student(&educator.join_code).await;
    let session = get(app, &person, "/api/v1/session").await;
    let user: Uuid = session["actor_id"].as_str().unwrap().parse().unwrap();
    let register = json!({"type": "RegisterUser", "stream": format!("user-{user}"), "data": {
        "email": email, "display_name": "Ada Lovelace", "password": "correct horse battery",
    }});
    app.command(&person, &register).await;
    app.settled(educator).await;
    (person, user)
}

/// Lists a product and receives stock of it.
pub(crate) async fn stock(app: &TestApp, educator: &Person) {
    app.command(educator, &list_product("mug-01")).await;
    receive(app, educator, "mug-01", 40).await;
}

/// Places an order, and waits until its emails are sent.
pub(crate) async fn order(app: &TestApp, educator: &Person, person: &Person) -> Uuid {
    let order = SystemClock.new_id();
    app.command(person, &place_order(order, "mug-01")).await;
    app.settled(educator).await;
    order
}

/// The subjects of the emails that a person may read.
pub(crate) async fn subjects(app: &TestApp, person: &Person, query: &str) -> Vec<String> {
    let page = get(app, person, &format!("/api/v1/mailbox{query}")).await;
    let mails = page["data"].as_array().unwrap();
    mails
        .iter()
        .map(|mail| mail["subject"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_person_reads_their_own_mails_and_an_educator_all_of_the_workspace() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    stock(&app, &educator).await;
    let (ada, user) = registered(&app, &educator, "ada@example.org").await;
    let (bob, _) = registered(&app, &educator, "bob@example.org").await;
    let placed = order(&app, &educator, &ada).await;
    let page = get(&app, &ada, "/api/v1/mailbox").await;
    let [confirmed, welcome] = page["data"].as_array().unwrap().as_slice() else {
        panic!("two mails: {page}");
    };
    assert_eq!(
        (&confirmed["subject"], &welcome["subject"]),
        (&json!("Your order is confirmed"), &json!("Welcome")),
        "the newest first"
    );
    assert_eq!(confirmed["user"], json!(user));
    assert!(confirmed["to"].as_str().unwrap().contains("ada@example.org"));
    for part in ["text", "html"] {
        let said = confirmed[part].as_str().unwrap();
        for expected in [
            // The address is not confirmed.
            "Hello,",
            &placed.to_string(),
            "12.00 EUR",
            "unsubscribe?token=",
        ] {
            assert!(said.contains(expected), "{said}");
        }
    }
    assert_eq!(
        get(&app, &ada, "/api/v1/mailbox").await,
        page,
        "again is the same"
    );
    let own = format!("?user={user}");
    assert_eq!(subjects(&app, &ada, &own).await.len(), 2);
    assert_eq!(subjects(&app, &bob, "").await, ["Welcome"]);
    assert_eq!(subjects(&app, &educator, "").await.len(), 3);
    assert_eq!(subjects(&app, &educator, &own).await.len(), 2);
    // no other role reads the emails of another person
    let staff = app.with_role(&educator, Role::Staff);
    assert!(subjects(&app, &staff, "").await.is_empty());
    for person in [&bob, &staff, &app.with_role(&educator, Role::Customer)] {
        let path = format!("/api/v1/mailbox{own}");
        let refused = app.get(&path).bearer_auth(&person.token).send().await.unwrap();
        assert_eq!(problem(refused).await.status, 403);
    }
    // an educator does not read those of another workspace
    let stranger = app.educator().await;
    for query in ["", &own] {
        assert!(subjects(&app, &stranger, query).await.is_empty());
    }
}

#[tokio::test]
async fn an_address_gets_no_text_that_another_person_has_chosen_as_a_link_before_it_is_confirmed() {
    const NAME: &str = "Win now evil.dev/win";
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut product = list_product("mug-01");
    product["data"]["name"] = json!("https://evil.dev/win");
    app.command(&educator, &product).await;
    receive(&app, &educator, "mug-01", 40).await;
    let person = app.student(&educator.join_code).await;
    let session = get(&app, &person, "/api/v1/session").await;
    let user: Uuid = session["actor_id"].as_str().unwrap().parse().unwrap();
    let register = json!({"type": "RegisterUser", "stream": format!("user-{user}"), "data": {
        "email": "ada@example.org", "display_name": NAME, "password": "correct horse battery",
    }});
    app.command(&person, &register).await;
    app.settled(&educator).await;
    order(&app, &educator, &person).await;
    let before = get(&app, &person, "/api/v1/mailbox").await;
    assert_eq!(before["data"].as_array().unwrap().len(), 2);
    let before = before.to_string();
    assert!(
        !before.contains("evil.dev") && !before.contains("Win now"),
        "{before}"
    );
    let link = token(&app, &educator, user, "/confirm-email").await;
    let confirm = app.post("/api/v1/email-confirmations/complete", &json!({"token": link}));
    assert_eq!(confirm.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    app.settled(&educator).await;
    order(&app, &educator, &person).await;
    let after = get(&app, &person, "/api/v1/mailbox?limit=1").await;
    let text = after["data"][0]["text"].as_str().unwrap();
    assert!(
        text.contains(NAME) && text.contains("https://evil.dev/win"),
        "{text}"
    );
}

#[tokio::test]
async fn a_mailbox_is_read_page_by_page() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    stock(&app, &educator).await;
    let (ada, _) = registered(&app, &educator, "ada@example.org").await;
    for _ in 0..2 {
        order(&app, &educator, &ada).await;
    }
    let whole = get(&app, &ada, "/api/v1/mailbox").await;
    assert_eq!(whole.get("next"), None, "{whole}");
    let (mut read, mut query) = (Vec::new(), "limit=1".to_owned());
    loop {
        let page = get(&app, &ada, &format!("/api/v1/mailbox?{query}")).await;
        let mails = page["data"].as_array().unwrap();
        assert_eq!(mails.len(), 1);
        read.extend(mails.iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=1&cursor={next}");
    }
    assert_eq!(Value::Array(read), whole["data"]);
}

#[tokio::test]
async fn an_unknown_person_has_no_mails_and_an_invalid_parameter_is_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, _) = registered(&app, &educator, "ada@example.org").await;
    let unknown = format!("?user={}", SystemClock.new_id());
    assert!(subjects(&app, &educator, &unknown).await.is_empty());
    for (query, field) in [
        ("user=ada", "user"),
        ("cursor=1", "cursor"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("subject=Welcome", "subject"),
    ] {
        let path = format!("/api/v1/mailbox?{query}");
        let refused = app.get(&path).bearer_auth(&ada.token).send().await.unwrap();
        let refused = problem(refused).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]), "{query}");
    }
    let visitor = app.get("/api/v1/mailbox").send().await.unwrap();
    assert_eq!(visitor.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_page_shows_the_persons_own_mails_only() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, _) = registered(&app, &educator, "ada@example.org").await;
    let (bob, _) = registered(&app, &educator, "bob@example.org").await;
    for (person, own, others) in [
        (&ada, "ada@example.org", "bob@example.org"),
        (&bob, "bob@example.org", "ada@example.org"),
    ] {
        let subject = subjects(&app, person, "").await.remove(0);
        let page = app
            .get("/mailbox")
            .header("cookie", format!("foldline_session={}", person.token));
        let page = page.send().await.unwrap().text().await.unwrap();
        assert!(page.contains(&subject) && page.contains(own), "{page}");
        assert!(!page.contains(others), "{page}");
    }
    let wrong = app
        .get("/mailbox?cursor=nonsense")
        .header("cookie", format!("foldline_session={}", ada.token));
    let page = wrong.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("cursor"), "{page}");
}
