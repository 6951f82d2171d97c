//! Sessions of people with an account: renewal, sign-out, and protection from other sites' pages.

use sqlx::{Connection as _, PgConnection};

use super::*;

#[tokio::test]
async fn a_session_is_renewed_and_a_replayed_refresh_token_ends_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let first = cookie(&response, "foldline_refresh").unwrap();
    // The tabs of a browser send at about the same time, however long the machine takes over it.
    app.stop_clock();
    let renewed = refresh(&app, &first).await;
    assert_eq!(renewed.status(), StatusCode::OK);
    let second = cookie(&renewed, "foldline_refresh").unwrap();
    assert_ne!(first, second);
    // other tabs of the same browser send the first token too, and get the same next one
    for _ in 0..3 {
        let other_tab = refresh(&app, &first).await;
        assert_eq!(other_tab.status(), StatusCode::OK);
        assert_eq!(
            cookie(&other_tab, "foldline_refresh").as_deref(),
            Some(second.as_str())
        );
    }
    // a day later it is not a tab but a replay
    app.pass_days(1);
    let reused = refresh(&app, &first).await;
    assert_eq!(reused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(cookie(&reused, "foldline_refresh").as_deref(), Some(""));
    problem(reused).await;
    assert_eq!(refresh(&app, &second).await.status(), StatusCode::UNAUTHORIZED);
    for nothing in ["", "nonsense"] {
        assert_eq!(refresh(&app, nothing).await.status(), StatusCode::UNAUTHORIZED);
    }
}

/// Sends the same refresh token often at the same moment, to the servers in turn; the tokens that follow it.
async fn race(apps: &[&TestApp], token: &str) -> BTreeSet<String> {
    let requests = (0..24).map(|n| refresh(apps[n % apps.len()], token));
    let answers = futures::future::join_all(requests).await;
    answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status(), StatusCode::OK);
            cookie(answer, "foldline_refresh").unwrap()
        })
        .collect()
}

async fn racing_tabs_get_one_token(apps: &[&TestApp]) {
    let app = apps[0];
    let educator = app.educator().await;
    let (person, _) = registered(app, &educator, "ada@example.org").await;
    let response = sign_in(app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let mut token = cookie(&response, "foldline_refresh").unwrap();
    for app in apps {
        app.stop_clock();
    }
    for _ in 0..3 {
        let next = race(apps, &token).await;
        assert_eq!(next.len(), 1, "one token follows another");
        token = next.into_iter().next().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_tabs_get_one_token_on_files() {
    racing_tabs_get_one_token(&[&TestApp::start().await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_tabs_get_one_token_from_two_servers_on_postgresql() {
    let database = Database::new().await;
    let (one, two) = crate::servers::two(&database).await;
    racing_tabs_get_one_token(&[&one, &two]).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_token_that_comes_again_after_its_successor_was_used_ends_the_session() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let first = cookie(&response, "foldline_refresh").unwrap();
    // All of it is within the grace period.
    app.stop_clock();
    let second = cookie(&refresh(&app, &first).await, "foldline_refresh").unwrap();
    let third = cookie(&refresh(&app, &second).await, "foldline_refresh").unwrap();
    assert_eq!(refresh(&app, &first).await.status(), StatusCode::UNAUTHORIZED);
    for of_the_family in [first, second, third] {
        let ended = refresh(&app, &of_the_family).await;
        assert_eq!(ended.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_session_that_is_renewed_often_keeps_few_tokens() {
    let database = Database::new().await;
    let arguments = ["--event-store", &database.url, "--read-model", &database.url];
    let app = TestApp::start_with(&arguments).await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let first = cookie(&response, "foldline_refresh").unwrap();
    let mut token = first.clone();
    for _ in 0..80 {
        token = cookie(&refresh(&app, &token).await, "foldline_refresh").unwrap();
    }
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("select count(*) from foldline_people.refresh_tokens where successor is not null")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(rows, 64);
    // A token that is no longer known is refused, and the session goes on.
    assert_eq!(refresh(&app, &first).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&app, &token).await.status(), StatusCode::OK);
    app.stop().await;
}

#[tokio::test]
async fn signing_out_ends_the_session_and_may_be_repeated() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let token = cookie(&response, "foldline_refresh").unwrap();
    for _ in 0..2 {
        let out = app
            .request(Method::DELETE, "/api/v1/sessions")
            .header("cookie", format!("foldline_refresh={token}"))
            .send()
            .await
            .unwrap();
        assert_eq!(out.status(), StatusCode::NO_CONTENT);
        assert_eq!(cookie(&out, "foldline_session").as_deref(), Some(""));
        assert_eq!(cookie(&out, "foldline_refresh").as_deref(), Some(""));
    }
    assert_eq!(refresh(&app, &token).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_sites_page_neither_signs_in_nor_out() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    for (method, path) in [
        (Method::POST, "/api/v1/sessions"),
        (Method::POST, "/api/v1/sessions/refresh"),
        (Method::DELETE, "/api/v1/sessions"),
    ] {
        let response = app
            .request(method, path)
            .header("origin", "http://evil.test")
            .json(&credentials("ada@example.org", PASSWORD, &person))
            .send()
            .await
            .unwrap();
        assert_eq!(problem(response).await.kind, "/problems/foreign-origin", "{path}");
    }
}

#[tokio::test]
async fn a_browser_stays_signed_in_as_long_as_its_cookie_renews_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let token = cookie(&response, "foldline_refresh").unwrap();
    let get = |cookies: String| app.get("/api/v1/session").header("cookie", cookies).send();
    // without an access token a page or a request gets one
    let renewed = get(format!("foldline_refresh={token}")).await.unwrap();
    assert_eq!(renewed.status(), StatusCode::OK);
    let access = cookie(&renewed, "foldline_session").unwrap();
    let next = cookie(&renewed, "foldline_refresh").unwrap();
    let session: Value = renewed.json().await.unwrap();
    assert_eq!(session["actor_id"], json!(user));
    // a fresh token is not renewed
    let cookies = format!("foldline_session={access}; foldline_refresh={next}");
    assert!(
        get(cookies.clone())
            .await
            .unwrap()
            .headers()
            .get(SET_COOKIE)
            .is_none()
    );
    // an old token is renewed, but not without the refresh cookie
    app.pass_days(1);
    let alone = get(format!("foldline_session={access}")).await.unwrap();
    assert_eq!(alone.status(), StatusCode::UNAUTHORIZED);
    let again = get(cookies).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    assert!(cookie(&again, "foldline_session").is_some() && cookie(&again, "foldline_refresh").is_some());
    let page = app
        .get("/orders")
        .header(
            "cookie",
            format!("foldline_refresh={}", cookie(&again, "foldline_refresh").unwrap()),
        )
        .send()
        .await
        .unwrap();
    assert!(cookie(&page, "foldline_session").is_some());
}

#[tokio::test]
async fn a_browsers_socket_outlives_its_token_as_long_as_its_session() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let renews = cookie(&response, "foldline_refresh").unwrap();
    let access: Value = response.json().await.unwrap();
    let claims = access["token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let session: Uuid = claims["sid"].as_str().unwrap().parse().unwrap();
    // The token expires at this moment, and is accepted only for the leeway between clocks.
    app.stop_clock();
    let cookies = format!("foldline_session={}", app.ending(&person, user, session));
    let origin = app.origin();
    let headers = [
        ("cookie", cookies.as_str()),
        ("origin", origin.as_str()),
        ("sec-websocket-protocol", "foldline.v1"),
    ];
    let mut live = app.try_live(&headers).await.unwrap();
    live.send(&json!({"op": "subscribe", "id": 1, "view": "customers", "key": user}))
        .await;
    live.next_of("snapshot").await;
    for name in ["Countess", "Lovelace"] {
        let changed = json!({"type": "ChangeDisplayName", "stream": format!("user-{user}"),
            "data": {"display_name": name}});
        app.command(&person, &changed).await;
        assert_eq!(live.next_of("change").await["data"]["display_name"], name);
    }
    let out = app
        .request(Method::DELETE, "/api/v1/sessions")
        .header("cookie", format!("foldline_refresh={renews}"))
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let goodbye = live.closed().await;
    assert_eq!(goodbye.reason.as_str(), "this session has ended; sign in again");
    assert_eq!(app.try_live(&headers).await.err(), Some(401));
}

fn change_password(app: &TestApp, person: &Person, current: &str, new: &str) -> reqwest::RequestBuilder {
    app.request(Method::PUT, "/api/v1/sessions/password")
        .bearer_auth(&person.token)
        .json(&json!({"current": current, "new": new}))
}

#[tokio::test]
async fn a_new_password_replaces_the_old_and_ends_every_other_session() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let elsewhere = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let elsewhere = cookie(&elsewhere, "foldline_refresh").unwrap();
    let here = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let renews = cookie(&here, "foldline_refresh").unwrap();
    let access: Value = here.json().await.unwrap();
    let here = Person {
        token: access["token"].as_str().unwrap().to_owned(),
        ..person.clone()
    };
    let changed = change_password(&app, &here, PASSWORD, "another horse")
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
    assert_eq!(refresh(&app, &renews).await.status(), StatusCode::OK);
    assert_eq!(refresh(&app, &elsewhere).await.status(), StatusCode::UNAUTHORIZED);
    let old = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(problem(old).await.kind, "/problems/wrong-credentials");
    let new = sign_in(&app, &credentials("ada@example.org", "another horse", &person)).await;
    assert_eq!(new.status(), StatusCode::OK);
    // a repetition is refused: the old password is no longer valid
    let again = change_password(&app, &here, PASSWORD, "another horse")
        .send()
        .await
        .unwrap();
    assert_eq!(fields(&problem(again).await), ["current"]);
}

#[tokio::test]
async fn changing_a_password_needs_the_present_one_and_a_new_one_of_valid_length() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    for (current, new, wrong) in [
        ("not it", "another horse", "current"),
        (PASSWORD, "short", "new"),
        (PASSWORD, &"x".repeat(201), "new"),
    ] {
        let refused = change_password(&app, &person, current, new).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert_eq!(fields(&problem(refused).await), [wrong]);
    }
    // a guest has no password to change
    let visitor = app.student(&educator.join_code).await;
    let refused = change_password(&app, &visitor, PASSWORD, "another horse")
        .send()
        .await
        .unwrap();
    assert_eq!(fields(&problem(refused).await), ["current"]);
    let anonymous = app
        .request(Method::PUT, "/api/v1/sessions/password")
        .json(&json!({"current": PASSWORD, "new": "another horse"}))
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    let same = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(same.status(), StatusCode::OK);
}

/// An email is no secret: attempts of strangers to sign in do not count against the owner's session.
#[tokio::test]
async fn attempts_of_a_stranger_do_not_keep_the_owner_from_changing_the_password() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let wrong = credentials("ada@example.org", "wrong password", &person);
    // The limit is ten, and one more every six seconds, which a slow machine may need for one.
    let mut tries = 0;
    while sign_in(&app, &wrong).await.status() != StatusCode::TOO_MANY_REQUESTS {
        tries += 1;
        assert!(tries < 100, "nothing was refused");
    }
    let changed = change_password(&app, &person, PASSWORD, "another horse")
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
}
