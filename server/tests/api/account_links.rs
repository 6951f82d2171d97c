//! `/password-resets` and `/email-confirmations`: the links in emails, used by programs.

use std::collections::BTreeMap;

use domain::access::Role;
use reqwest::{Method, Response, StatusCode, header::CACHE_CONTROL};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use test_postgres::Database;
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, fields, problem},
    dead_letters::get,
    mailbox::{registered, subjects},
    servers::two,
};

const EMAIL: &str = "ada@example.org";
const OLD: &str = "correct horse battery";
const NEW: &str = "staple of another horse";

/// Requests a link to set a new password, and waits until that is carried out.
async fn forget(app: &TestApp, email: &str, workspace: Option<&Person>) -> Response {
    let mut body = json!({"email": email});
    if let Some(person) = workspace {
        body["workspace"] = json!(person.workspace);
    }
    let answer = app.post("/api/v1/password-resets", &body).send().await.unwrap();
    app.resets_done().await;
    answer
}

/// The token of the link to a page in a person's newest email that has one.
pub(crate) async fn token(app: &TestApp, educator: &Person, user: Uuid, page: &str) -> String {
    app.settled(educator).await;
    let mails = get(app, educator, &format!("/api/v1/mailbox?user={user}")).await;
    let link = format!("{}{page}?token=", app.origin());
    let mut texts = mails["data"].as_array().unwrap().iter();
    let found = texts.find_map(|mail| mail["text"].as_str().unwrap().split_once(&link));
    let (_, rest) = found.unwrap_or_else(|| panic!("no link to {page}: {mails}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Requests a link for the account of a workspace; its token.
async fn reset_token(app: &TestApp, educator: &Person, user: Uuid) -> String {
    let answer = forget(app, EMAIL, Some(educator)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    token(app, educator, user, "/reset-password").await
}

async fn set_password(app: &TestApp, token: &str, password: &str) -> Response {
    let body = json!({"token": token, "password": password});
    let request = app.post("/api/v1/password-resets/complete", &body);
    request.send().await.unwrap()
}

async fn confirm(app: &TestApp, token: &str) -> Response {
    let request = app.post("/api/v1/email-confirmations/complete", &json!({"token": token}));
    request.send().await.unwrap()
}

/// The status and the fields of a refusal.
async fn refusal(answer: Response) -> (u16, Vec<String>) {
    let problem = problem(answer).await;
    let fields = fields(&problem).into_iter().map(str::to_owned).collect();
    (problem.status, fields)
}

fn invalid(field: &str) -> (u16, Vec<String>) {
    (400, vec![field.to_owned()])
}

async fn sign_in(app: &TestApp, person: &Person, email: &str, password: &str) -> StatusCode {
    let body = json!({"email": email, "password": password, "workspace": person.workspace});
    let answer = app.post("/api/v1/sessions", &body).send().await.unwrap();
    answer.status()
}

async fn session(app: &TestApp, person: &Person) -> StatusCode {
    let request = app.get("/api/v1/session").bearer_auth(&person.token);
    request.send().await.unwrap().status()
}

/// The types of the events of a person's account.
async fn events(app: &TestApp, educator: &Person, user: Uuid) -> Vec<String> {
    let stream = get(app, educator, &format!("/api/v1/streams/user-{user}")).await;
    let events = stream["data"].as_array().unwrap().iter();
    events
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

async fn is_confirmed(app: &TestApp, educator: &Person, user: Uuid) -> bool {
    app.settled(educator).await;
    let document = get(app, educator, &format!("/api/v1/views/customers/{user}")).await;
    document["data"]["email_confirmed"] == true
}

async fn change_email(app: &TestApp, person: &Person, user: Uuid, email: &str) {
    let data = json!({"email": email, "password": OLD});
    let command = json!({"type": "ChangeEmail", "stream": format!("user-{user}"), "data": data});
    app.command(person, &command).await;
}

#[tokio::test]
async fn a_forgotten_password_is_set_once_by_the_link_of_an_email_and_ends_every_session() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, EMAIL).await;
    let mut live = app.live(&ada).await;
    let [first, token] = [
        reset_token(&app, &educator, user).await,
        reset_token(&app, &educator, user).await,
    ];
    assert_ne!(first, token);
    // email programs follow links to preview them: that uses nothing up, and no other site learns the link
    for _ in 0..2 {
        let page = app
            .get(&format!("/reset-password?token={token}"))
            .send()
            .await
            .unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()["referrer-policy"], "same-origin");
        assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
    }
    // a password that is refused uses nothing up either
    for weak in ["short", "password1", "ada@example.org", "", &"x".repeat(201)] {
        let refused = refusal(set_password(&app, &token, weak).await).await;
        assert_eq!(refused, invalid("password"), "{weak}");
    }
    assert_eq!(session(&app, &ada).await, StatusCode::OK);
    let set = set_password(&app, &token, NEW).await;
    assert_eq!(set.status(), StatusCode::NO_CONTENT);
    live.ended().await;
    assert_eq!(session(&app, &ada).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        sign_in(&app, &educator, EMAIL, OLD).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(sign_in(&app, &educator, EMAIL, NEW).await, StatusCode::OK);
    // neither this link works again, nor one that was sent before
    for used in [&token, &first] {
        let refused = refusal(set_password(&app, used, "yet another horse").await).await;
        assert_eq!(refused, invalid("token"));
    }
    assert_eq!(sign_in(&app, &educator, EMAIL, NEW).await, StatusCode::OK);
    assert_eq!(
        events(&app, &educator, user).await,
        [
            "UserRegistered",
            "PasswordResetRequested",
            "PasswordResetRequested",
            "PasswordChanged",
            "EmailConfirmed"
        ]
    );
    app.settled(&educator).await;
    assert_eq!(
        subjects(&app, &educator, &format!("?user={user}")).await,
        [
            "Your password was changed",
            "Set a new password",
            "Set a new password",
            "Welcome"
        ]
    );
    // the log and an export have no token
    for path in ["/api/v1/events", "/api/v1/export"] {
        let log = app.get(path).bearer_auth(&educator.token).send().await.unwrap();
        let log = log.text().await.unwrap();
        assert!(log.contains("PasswordResetRequested"), "{log}");
        assert!(!log.contains(&token) && !log.contains(&first), "{log}");
    }
}

#[tokio::test]
async fn a_link_to_set_a_password_expires_after_half_an_hour_and_no_made_up_one_works() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, EMAIL).await;
    app.stop_clock();
    let late = reset_token(&app, &educator, user).await;
    app.pass_minutes(29);
    let in_time = reset_token(&app, &educator, user).await;
    app.pass_minutes(1);
    assert_eq!(
        refusal(set_password(&app, &late, NEW).await).await,
        invalid("token")
    );
    for made_up in [
        "",
        "nonsense",
        &late[1..],
        &"a".repeat(43),
        &"a".repeat(2_000),
        &ada.token,
    ] {
        let refused = refusal(set_password(&app, made_up, NEW).await).await;
        assert_eq!(refused, invalid("token"), "{made_up}");
    }
    assert_eq!(
        set_password(&app, &in_time, NEW).await.status(),
        StatusCode::NO_CONTENT
    );
}

/// An answer without what differs between any two answers.
async fn comparable(answer: Response) -> (u16, BTreeMap<String, String>, String) {
    let headers = answer.headers().iter();
    let headers = headers
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    (answer.status().as_u16(), headers, answer.text().await.unwrap())
}

#[tokio::test]
async fn an_email_without_an_account_gets_the_same_answer_and_no_email() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (_, user) = registered(&app, &educator, EMAIL).await;
    for workspace in [None, Some(&educator)] {
        let known = comparable(forget(&app, EMAIL, workspace).await).await;
        let unknown = comparable(forget(&app, "eve@example.org", workspace).await).await;
        assert_eq!(known, unknown);
        assert_eq!(known.0, 202);
    }
    let elsewhere = app.educator().await;
    assert_eq!(
        forget(&app, EMAIL, Some(&elsewhere)).await.status(),
        StatusCode::ACCEPTED
    );
    app.settled(&educator).await;
    assert_eq!(events(&app, &educator, user).await.len(), 3);
    assert_eq!(subjects(&app, &educator, "").await.len(), 3);
    assert!(subjects(&app, &elsewhere, "").await.is_empty());
    // what cannot be an email is refused, with accounts or without
    for email in ["", " ", &format!("{}@example.org", "a".repeat(300))] {
        assert_eq!(refusal(forget(&app, email, None).await).await, invalid("email"));
    }
}

#[tokio::test]
async fn requests_for_an_email_are_limited_whether_it_has_an_account_or_not() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    registered(&app, &educator, EMAIL).await;
    app.stop_clock();
    for email in [EMAIL, "eve@example.org"] {
        for _ in 0..5 {
            assert_eq!(forget(&app, email, None).await.status(), StatusCode::ACCEPTED);
        }
        let refused = forget(&app, email, None).await;
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(problem(refused).await.status, 429, "{email}");
        let other_spelling = email.to_uppercase();
        let refused = forget(&app, &other_spelling, None).await;
        assert_eq!(problem(refused).await.status, 429, "{other_spelling}");
    }
    app.pass_minutes(60);
    assert_eq!(forget(&app, EMAIL, None).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_link_is_for_the_account_of_one_workspace() {
    let app = TestApp::start().await;
    let (here, elsewhere) = (app.educator().await, app.educator().await);
    let (_, user) = registered(&app, &here, EMAIL).await;
    let (theirs, other) = registered(&app, &elsewhere, EMAIL).await;
    // without a workspace, each account gets a link of its own
    assert_eq!(forget(&app, EMAIL, None).await.status(), StatusCode::ACCEPTED);
    let ours = token(&app, &here, user, "/reset-password").await;
    assert_ne!(ours, token(&app, &elsewhere, other, "/reset-password").await);
    assert_eq!(
        set_password(&app, &ours, NEW).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(sign_in(&app, &here, EMAIL, NEW).await, StatusCode::OK);
    assert_eq!(session(&app, &theirs).await, StatusCode::OK);
    assert_eq!(sign_in(&app, &elsewhere, EMAIL, OLD).await, StatusCode::OK);
    assert_eq!(
        sign_in(&app, &elsewhere, EMAIL, NEW).await,
        StatusCode::UNAUTHORIZED
    );
}

/// Strangers open workspaces, and register the email of another person there.
#[tokio::test]
async fn accounts_of_strangers_do_not_keep_the_confirmed_one_from_its_link() {
    let app = TestApp::start().await;
    let mut strangers = Vec::new();
    for _ in 0..5 {
        let stranger = app.educator().await;
        registered(&app, &stranger, EMAIL).await;
        strangers.push(stranger);
    }
    let educator = app.educator().await;
    let (_, user) = registered(&app, &educator, EMAIL).await;
    let link = token(&app, &educator, user, "/confirm-email").await;
    assert_eq!(confirm(&app, &link).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(forget(&app, EMAIL, None).await.status(), StatusCode::ACCEPTED);
    token(&app, &educator, user, "/reset-password").await;
    let mut others = 0;
    for stranger in &strangers {
        app.settled(stranger).await;
        others += subjects(&app, stranger, "").await.len() - 1;
    }
    assert_eq!(others, 5, "each has a link of its own");
}

/// Without a mail server an educator reads the emails of the workspace, and can confirm any address there.
#[tokio::test]
async fn accounts_that_strangers_have_confirmed_do_not_keep_the_owner_from_a_link() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        let stranger = app.educator().await;
        let (_, claim) = registered(&app, &stranger, EMAIL).await;
        let link = token(&app, &stranger, claim, "/confirm-email").await;
        assert_eq!(confirm(&app, &link).await.status(), StatusCode::NO_CONTENT);
    }
    let educator = app.educator().await;
    let (_, user) = registered(&app, &educator, EMAIL).await;
    assert_eq!(forget(&app, EMAIL, None).await.status(), StatusCode::ACCEPTED);
    let link = token(&app, &educator, user, "/reset-password").await;
    assert_eq!(
        set_password(&app, &link, NEW).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(sign_in(&app, &educator, EMAIL, NEW).await, StatusCode::OK);
}

#[tokio::test]
async fn requests_that_name_made_up_workspaces_take_no_link_from_the_owner() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (_, user) = registered(&app, &educator, EMAIL).await;
    app.stop_clock();
    for n in 0..40 {
        let body = json!({"email": EMAIL, "workspace": Uuid::from_u128(n)});
        let answer = app.post("/api/v1/password-resets", &body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    for workspace in [None, Some(&educator)] {
        assert_eq!(
            forget(&app, EMAIL, workspace).await.status(),
            StatusCode::ACCEPTED
        );
        token(&app, &educator, user, "/reset-password").await;
    }
    app.settled(&educator).await;
    assert_eq!(
        subjects(&app, &educator, "").await,
        ["Set a new password", "Set a new password", "Welcome"]
    );
}

#[tokio::test]
async fn a_link_to_a_former_address_sets_no_password_and_confirms_nothing() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, EMAIL).await;
    let confirmation = token(&app, &educator, user, "/confirm-email").await;
    let reset = reset_token(&app, &educator, user).await;
    change_email(&app, &ada, user, "countess@example.org").await;
    assert_eq!(
        refusal(set_password(&app, &reset, NEW).await).await,
        invalid("token")
    );
    assert_eq!(
        refusal(confirm(&app, &confirmation).await).await,
        invalid("token")
    );
    assert_eq!(
        sign_in(&app, &educator, "countess@example.org", OLD).await,
        StatusCode::OK
    );
    assert!(!is_confirmed(&app, &educator, user).await);
}

#[tokio::test]
async fn an_address_is_confirmed_by_its_link_and_a_new_one_again() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, EMAIL).await;
    let welcome = token(&app, &educator, user, "/confirm-email").await;
    // email programs follow links to preview them
    let page = app
        .get(&format!("/confirm-email?token={welcome}"))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(!is_confirmed(&app, &educator, user).await);
    for _ in 0..2 {
        assert_eq!(confirm(&app, &welcome).await.status(), StatusCode::NO_CONTENT);
    }
    assert!(is_confirmed(&app, &educator, user).await);
    // where it is confirmed, nothing is sent again
    let again = || {
        app.request(Method::POST, "/api/v1/email-confirmations")
            .bearer_auth(&ada.token)
    };
    assert_eq!(again().send().await.unwrap().status(), StatusCode::ACCEPTED);
    app.settled(&educator).await;
    assert_eq!(subjects(&app, &ada, "").await, ["Welcome"]);

    change_email(&app, &ada, user, "countess@example.org").await;
    assert!(!is_confirmed(&app, &educator, user).await);
    assert_eq!(again().send().await.unwrap().status(), StatusCode::ACCEPTED);
    app.settled(&educator).await;
    let mails = get(&app, &ada, "/api/v1/mailbox").await;
    assert_eq!(mails["data"][0]["subject"], "Confirm your email address");
    assert!(
        mails["data"][0]["to"]
            .as_str()
            .unwrap()
            .contains("countess@example.org")
    );
    let newest = token(&app, &educator, user, "/confirm-email").await;
    assert_eq!(confirm(&app, &newest).await.status(), StatusCode::NO_CONTENT);
    assert!(is_confirmed(&app, &educator, user).await);
    assert_eq!(
        events(&app, &educator, user).await,
        [
            "UserRegistered",
            "EmailConfirmed",
            "EmailChanged",
            "EmailConfirmationRequested",
            "EmailConfirmed"
        ]
    );
}

#[tokio::test]
async fn a_link_that_confirms_expires_and_no_other_person_can_use_or_request_one() {
    let app = TestApp::start_with(&["--sandbox-idle-days", "0"]).await;
    let educator = app.educator().await;
    let (_, user) = registered(&app, &educator, EMAIL).await;
    let link = token(&app, &educator, user, "/confirm-email").await;
    let guest = app.student(&educator.join_code).await;
    let request = |person: Option<&Person>| {
        let request = app.request(Method::POST, "/api/v1/email-confirmations");
        match person {
            Some(person) => request.bearer_auth(&person.token),
            None => request,
        }
    };
    let refused = problem(request(Some(&guest)).send().await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.rule.as_deref()),
        (422, Some("user-not-found"))
    );
    assert_eq!(problem(request(None).send().await.unwrap()).await.status, 401);
    let middle = link.len() / 2;
    let (start, end) = (&link[..middle], &link[middle..]);
    for made_up in [
        "",
        "nonsense",
        start,
        &format!("{end}{start}"),
        &format!("{link}AAAA"),
    ] {
        assert_eq!(
            refusal(confirm(&app, made_up).await).await,
            invalid("token"),
            "{made_up}"
        );
    }
    // no command does it, also not an educator's
    for (person, kind) in [(&educator, "ConfirmEmail"), (&guest, "RequestPasswordReset")] {
        let command = json!({"type": kind, "stream": format!("user-{user}"), "data": {}});
        let sent = app.post("/api/v1/commands", &command).bearer_auth(&person.token);
        assert_eq!(problem(sent.send().await.unwrap()).await.status, 403, "{kind}");
    }
    app.pass_days(8);
    assert_eq!(refusal(confirm(&app, &link).await).await, invalid("token"));
    let later = app.with_role(&educator, Role::Educator);
    assert!(!is_confirmed(&app, &later, user).await);
}

#[tokio::test]
async fn another_site_can_neither_request_nor_use_a_link() {
    let app = TestApp::start().await;
    for path in [
        "/api/v1/password-resets",
        "/api/v1/password-resets/complete",
        "/api/v1/email-confirmations/complete",
    ] {
        let body = match path {
            "/api/v1/password-resets" => json!({"email": EMAIL}),
            "/api/v1/password-resets/complete" => json!({"token": "a", "password": NEW}),
            _ => json!({"token": "a"}),
        };
        let sent = app.post(path, &body).header("origin", "https://evil.test");
        assert_eq!(problem(sent.send().await.unwrap()).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_password_that_is_changed_within_a_session_is_reported_and_ends_the_links() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, EMAIL).await;
    let link = reset_token(&app, &educator, user).await;
    let change = app
        .request(Method::PUT, "/api/v1/sessions/password")
        .bearer_auth(&ada.token)
        .json(&json!({"current": OLD, "new": NEW}));
    assert_eq!(change.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let refused = refusal(set_password(&app, &link, "yet another horse").await).await;
    assert_eq!(refused, invalid("token"));
    app.settled(&educator).await;
    assert_eq!(
        subjects(&app, &ada, "").await,
        ["Your password was changed", "Set a new password", "Welcome"]
    );
    assert!(
        !is_confirmed(&app, &educator, user).await,
        "no email was read for that"
    );
}

/// A server that crashes between the new hash and its event has noted the change.
#[tokio::test]
async fn a_changed_password_that_a_crash_has_left_unrecorded_is_recorded_once() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (_, user) = registered(&app, &educator, EMAIL).await;
    let (workspace, command) = (educator.workspace, Uuid::from_u128(7));
    let app = app
        .restart_after(async |settings| {
            let file = settings.storage.data_dir.join("people.db");
            let options = SqliteConnectOptions::new().filename(file);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::query("insert into password_changes values ($1, $2, $3, 1, 0)")
                .bind(workspace.0)
                .bind(user)
                .bind(command)
                .execute(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
        })
        .await
        .unwrap();
    let mut live = app.live(&educator).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "customers", "key": user}))
        .await;
    let is_recorded = |frame: &Value| frame["data"]["email_confirmed"] == true;
    live.next_where("a confirmed email", is_recorded).await;
    app.settled(&educator).await;
    let app = app.restart().await;
    app.settled(&educator).await;
    assert_eq!(
        events(&app, &educator, user).await,
        ["UserRegistered", "PasswordChanged", "EmailConfirmed"]
    );
    assert_eq!(
        subjects(&app, &educator, &format!("?user={user}")).await,
        ["Your password was changed", "Welcome"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_one_server_sends_works_once_at_another_and_ends_the_sessions_of_both() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = one.educator().await;
    let (ada, user) = registered(&one, &educator, EMAIL).await;
    assert_eq!(session(&two, &ada).await, StatusCode::OK);
    let answer = forget(&one, EMAIL, Some(&educator)).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    one.settled(&educator).await;
    // either server has written it, into its own folder and with its own address
    let mut mails = String::new();
    for app in [&one, &two] {
        app.settled(&educator).await;
        let path = format!("/api/v1/mailbox?user={user}");
        mails.push_str(&get(app, &educator, &path).await.to_string());
    }
    let (_, rest) = mails.split_once("/reset-password?token=").unwrap();
    let length = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
        .unwrap();
    let link = &rest[..length];
    let (here, there) = tokio::join!(set_password(&one, link, NEW), set_password(&two, link, NEW));
    let mut statuses = [here.status().as_u16(), there.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 400], "once");
    for app in [&one, &two] {
        assert_eq!(sign_in(app, &educator, EMAIL, NEW).await, StatusCode::OK);
        assert_eq!(
            sign_in(app, &educator, EMAIL, OLD).await,
            StatusCode::UNAUTHORIZED
        );
    }
    one.stop().await;
    two.stop().await;
}
