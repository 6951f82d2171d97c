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
    let (left, _) = registered(&app, &gone, "ada@example.org").await;
    let (stays, _) = registered(&app, &app.educator().await, "ada@example.org").await;
    let named = credentials("ada@example.org", PASSWORD, &left);
    assert_eq!(sign_in(&app, &named).await.status(), StatusCode::OK);
    assert_eq!(
        signed_in_to(sign_in(&app, &body).await).await,
        json!(left.workspace)
    );
    let path = format!("/api/v1/workspace?confirm={}", gone.workspace);
    let purge = app.request(Method::DELETE, &path).bearer_auth(&gone.token);
    assert_eq!(purge.send().await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(
        signed_in_to(sign_in(&app, &body).await).await,
        json!(stays.workspace)
    );
}

/// A stranger's account under the email of another person, in a workspace that the stranger has opened.
async fn stranger(app: &TestApp, email: &str, password: &str) -> Person {
    let sandbox = app.educator().await;
    let person = app.student(&sandbox.join_code).await;
    let mut command = register(id(app, &person).await, email);
    command["data"]["password"] = json!(password);
    app.command(&person, &command).await;
    person
}

/// Makes a guess at the owner's password the password of the stranger's own account.
async fn set_own_password(app: &TestApp, stranger: &Person, current: &str, new: &str) {
    let change = app
        .request(Method::PUT, "/api/v1/sessions/password")
        .bearer_auth(&stranger.token)
        .json(&json!({"current": current, "new": new}));
    assert_eq!(change.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

/// The workspace of an access token that a sign-in has answered.
async fn signed_in_to(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    let access: Value = response.json().await.unwrap();
    access["workspace"].clone()
}

#[tokio::test]
async fn a_guess_that_is_the_password_of_a_strangers_own_account_counts_and_is_not_told() {
    let app = behind_a_proxy().await;
    app.stop_clock();
    let email = "ada@example.org";
    let (owner, _) = registered(&app, &app.educator().await, email).await;
    let mut own = "a password of strangers".to_owned();
    let stranger = stranger(&app, email, &own).await;
    let mut answers = Vec::new();
    for n in 0..14 {
        // The owner's own password is among the guesses that are too many.
        let guess = match n {
            12 => PASSWORD.to_owned(),
            _ => format!("guess number {n} of a stranger"),
        };
        set_own_password(&app, &stranger, &own, &guess).await;
        let request = app.post("/api/v1/sessions", &json!({"email": email, "password": guess}));
        let answer = request
            .header("x-forwarded-for", "192.0.2.1")
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        if status == 200 {
            assert_eq!(signed_in_to(answer).await, json!(stranger.workspace), "{n}");
        }
        answers.push(status);
        own = guess;
    }
    assert_eq!(answers, [&[200; 10][..], &[429; 4][..]].concat());
    // As many wrong passwords as these were tried at the owner's account.
    let right = credentials(email, PASSWORD, &owner);
    assert_eq!(
        sign_in_from(&app, "192.0.2.1", &right).await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(sign_in_from(&app, "192.0.2.2", &right).await, StatusCode::OK);
    let anywhere = json!({"email": email, "password": PASSWORD});
    assert_eq!(sign_in_from(&app, "192.0.2.2", &anywhere).await, StatusCode::OK);
}

#[tokio::test]
async fn a_right_guess_that_is_the_password_of_a_strangers_own_account_is_answered_like_a_wrong_one() {
    let app = TestApp::start().await;
    let email = "ada@example.org";
    registered(&app, &app.educator().await, email).await;
    let mut own = "a password of strangers".to_owned();
    let stranger = stranger(&app, email, &own).await;
    for guess in ["a wrong password", PASSWORD, "another wrong password"] {
        let before = sign_in(&app, &credentials(email, &own, &stranger)).await;
        assert_eq!(before.status(), StatusCode::OK);
        set_own_password(&app, &stranger, &own, guess).await;
        guess.clone_into(&mut own);
        let answer = sign_in(&app, &json!({"email": email, "password": guess})).await;
        assert_eq!(signed_in_to(answer).await, json!(stranger.workspace), "{guess}");
    }
}

#[tokio::test]
async fn a_sign_in_to_a_strangers_own_account_does_not_end_the_count_of_the_owners() {
    let app = behind_a_proxy().await;
    app.stop_clock();
    let email = "ada@example.org";
    let (owner, _) = registered(&app, &app.educator().await, email).await;
    let stranger = stranger(&app, email, "a password of strangers").await;
    let guess = credentials(email, "a wrong password", &owner);
    let own = credentials(email, "a password of strangers", &stranger);
    let anywhere = json!({"email": email, "password": "a password of strangers"});
    let mut answers = Vec::new();
    for _ in 0..4 {
        for _ in 0..4 {
            answers.push(sign_in_from(&app, "192.0.2.1", &guess).await.as_u16());
        }
        for right in [&own, &anywhere] {
            sign_in_from(&app, "192.0.2.1", right).await;
        }
    }
    // The stranger's own password without a workspace is one guess at the owner's account, the first time.
    assert_eq!(answers, [&[401; 9][..], &[429; 7][..]].concat());
    let right = credentials(email, PASSWORD, &owner);
    assert_eq!(sign_in_from(&app, "192.0.2.2", &right).await, StatusCode::OK);
}

#[tokio::test]
async fn a_person_signs_in_without_a_workspace_as_often_as_they_like() {
    let app = TestApp::start().await;
    app.stop_clock();
    claim(&app, "ada@example.org", 2).await;
    let (person, _) = registered(&app, &app.educator().await, "ada@example.org").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    for _ in 0..30 {
        assert_eq!(
            signed_in_to(sign_in(&app, &body).await).await,
            json!(person.workspace)
        );
    }
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
