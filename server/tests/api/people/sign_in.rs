//! Signing in: without a workspace among the accounts of strangers, and while the password is being guessed.

use super::*;

/// A sign-in from an address, by a proxy that the server trusts.
async fn sign_in_from(app: &TestApp, address: &str, body: &Value) -> StatusCode {
    let request = app.post("/api/v1/sessions", body);
    let response = request.header("x-forwarded-for", address).send().await.unwrap();
    response.status()
}

/// A server behind a proxy, so that a test can be at several addresses.
async fn behind_a_proxy() -> TestApp {
    TestApp::start_with(&["--trusted-proxies", "127.0.0.1,::1"]).await
}

/// Strangers open workspaces, and register the email there with passwords of their own.
async fn claim(app: &TestApp, email: &str, count: usize) {
    for _ in 0..count {
        let stranger = app.educator().await;
        let mut command = register(SystemClock.new_id(), email);
        command["data"]["password"] = json!("a password of strangers");
        app.command(&stranger, &command).await;
    }
}

async fn is_found_among_strangers(app: TestApp) {
    let email = "ada@example.org";
    claim(&app, email, 5).await;
    let (person, _) = registered(&app, &app.educator().await, email).await;
    claim(&app, email, 5).await;
    let response = sign_in(&app, &json!({"email": email, "password": PASSWORD})).await;
    assert_eq!(response.status(), StatusCode::OK);
    let access: Value = response.json().await.unwrap();
    assert_eq!(access["workspace"], json!(person.workspace));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_strangers_with_the_same_email_do_not_keep_the_owner_out() {
    is_found_among_strangers(TestApp::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_strangers_with_the_same_email_do_not_keep_the_owner_out_on_postgresql() {
    let database = Database::new().await;
    let stores = ["--event-store", &database.url, "--read-model", &database.url];
    is_found_among_strangers(TestApp::start_with(&stores).await).await;
}

#[tokio::test]
async fn an_account_in_a_purged_workspace_does_not_count() {
    let app = TestApp::start().await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let gone = app.educator().await;
    registered(&app, &gone, "ada@example.org").await;
    registered(&app, &app.educator().await, "ada@example.org").await;
    assert_eq!(sign_in(&app, &body).await.status(), StatusCode::BAD_REQUEST);
    let path = format!("/api/v1/workspace?confirm={}", gone.workspace);
    let purge = app.request(Method::DELETE, &path).bearer_auth(&gone.token);
    assert_eq!(purge.send().await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(sign_in(&app, &body).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_owner_signs_in_from_another_address_while_the_password_is_guessed() {
    let app = behind_a_proxy().await;
    app.stop_clock();
    let (person, _) = registered(&app, &app.educator().await, "ada@example.org").await;
    let wrong = credentials("ada@example.org", "a wrong password", &person);
    let right = credentials("ada@example.org", PASSWORD, &person);
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(sign_in_from(&app, "192.0.2.1", &wrong).await.as_u16());
    }
    assert_eq!(answers, [&[401; 10][..], &[429; 2][..]].concat());
    // The right password waits at this address as well, and nowhere else.
    assert_eq!(
        sign_in_from(&app, "192.0.2.1", &right).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(sign_in_from(&app, "192.0.2.2", &right).await, StatusCode::OK);
    assert_eq!(sign_in_from(&app, "2001:db8::2", &right).await, StatusCode::OK);
    // The wait ends.
    app.pass_days(1);
    assert_eq!(sign_in_from(&app, "192.0.2.1", &right).await, StatusCode::OK);
}

#[tokio::test]
async fn the_addresses_of_one_ipv6_network_guess_as_one() {
    let app = behind_a_proxy().await;
    app.stop_clock();
    let (person, _) = registered(&app, &app.educator().await, "ada@example.org").await;
    let wrong = credentials("ada@example.org", "a wrong password", &person);
    for n in 0..10 {
        let answer = sign_in_from(&app, &format!("2001:db8:0:7::{n}"), &wrong).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        sign_in_from(&app, "2001:db8:0:7:ffff::1", &wrong).await,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn an_address_that_a_client_makes_up_does_not_help_it_to_guess() {
    let app = TestApp::start().await;
    app.stop_clock();
    let (person, _) = registered(&app, &app.educator().await, "ada@example.org").await;
    let wrong = credentials("ada@example.org", "a wrong password", &person);
    for n in 0..10 {
        let answer = sign_in_from(&app, &format!("192.0.2.{n}"), &wrong).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        sign_in_from(&app, "192.0.2.99", &wrong).await,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn a_password_is_guessed_in_a_session_as_slowly_however_the_person_is_written() {
    let app = TestApp::start().await;
    app.stop_clock();
    let (person, user) = registered(&app, &app.educator().await, "ada@example.org").await;
    let spellings = [user.hyphenated().to_string(), user.simple().to_string()];
    let mut answers = Vec::new();
    for n in 0..12 {
        let erase = json!({"type": "EraseUser", "stream": format!("user-{}", spellings[n % 2]),
            "data": {"password": "a wrong password"}});
        answers.push(send(&app, &person, &erase).await.status().as_u16());
    }
    assert_eq!(answers, [&[422; 10][..], &[429; 2][..]].concat());
}
