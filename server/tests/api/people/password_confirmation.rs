//! Changing the email and erasing an account need its present password, and the old address gets an email.

use super::*;
use crate::mailbox::subjects;

fn change(user: Uuid, email: &str, password: Option<&str>) -> Value {
    let mut data = json!({"email": email});
    if let Some(password) = password {
        data["password"] = json!(password);
    }
    json!({"type": "ChangeEmail", "stream": format!("user-{user}"), "data": data})
}

fn erase(user: Uuid, password: Option<&str>) -> Value {
    let data = password.map_or(json!({}), |password| json!({"password": password}));
    json!({"type": "EraseUser", "stream": format!("user-{user}"), "data": data})
}

async fn confirms_the_password(app: TestApp) {
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let mut live = app.live(&person).await;
    let mut id = 0;
    for (password, rule) in [(None, "invalid-data"), (Some("battery staple"), "wrong-password")] {
        for command in [
            change(user, "countess@example.org", password),
            erase(user, password),
        ] {
            let refused = problem(send(&app, &person, &command).await).await;
            assert_eq!(
                (refused.status, refused.rule.as_deref(), fields(&refused)),
                (422, Some(rule), vec!["data.password"])
            );
            id += 1;
            let key = format!("key-{id}");
            live.send(&json!({"op": "command", "id": id, "command": command, "idempotency_key": key}))
                .await;
            let result = live.next_of("result").await;
            assert_eq!(
                (
                    &result["problem"]["status"],
                    &result["problem"]["violations"][0]["field"]
                ),
                (&json!(422), &json!("data.password")),
                "{result}"
            );
        }
    }
    // another person cannot erase it with their own password, and an educator needs none
    let (other, _) = registered(&app, &educator, "bob@example.org").await;
    let refused = problem(send(&app, &other, &erase(user, Some(PASSWORD))).await).await;
    assert_eq!(refused.rule.as_deref(), Some("not-your-account"));
    // the right password changes the email, over the socket too, and is stored nowhere
    id += 1;
    let moved = change(user, "countess@example.org", Some(PASSWORD));
    live.send(&json!({"op": "command", "id": id, "command": moved, "idempotency_key": "moved"}))
        .await;
    assert_eq!(live.next_of("result").await["result"]["version"], 2);
    app.settled(&educator).await;
    let own = format!("?user={user}");
    let told = subjects(&app, &educator, &own).await;
    assert_eq!(
        told,
        [
            "Confirm your email address",
            "The email of your account was changed",
            "Welcome"
        ]
    );
    let mails = crate::dead_letters::get(&app, &educator, &format!("/api/v1/mailbox{own}")).await;
    assert!(
        mails["data"][1]["to"]
            .as_str()
            .unwrap()
            .contains("ada@example.org")
    );
    assert!(!mails["data"][1].to_string().contains("countess@"));
    let log: Value = app
        .get(&format!("/api/v1/streams/user-{user}"))
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(!log.to_string().contains(PASSWORD));
    assert!(files_with(&app, PASSWORD).is_empty());
    app.command(&educator, &erase(user, None)).await;
    app.settled(&educator).await;
    assert!(subjects(&app, &educator, &own).await.is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_the_email_and_erasing_need_the_password() {
    confirms_the_password(TestApp::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_the_email_and_erasing_need_the_password_on_postgresql_too() {
    let database = Database::new().await;
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    confirms_the_password(app).await;
}

#[tokio::test]
async fn attempts_to_change_the_email_are_limited() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let mut refused = None;
    for _ in 0..12 {
        let guess = change(user, "countess@example.org", Some("battery staple"));
        let response = send(&app, &person, &guess).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert!(refused.headers().contains_key(RETRY_AFTER));
    problem(refused).await;
}

#[tokio::test]
async fn a_guest_is_erased_without_a_password_and_an_educator_with_an_account_is_not() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let guest = app.student(&educator.join_code).await;
    let user = id(&app, &guest).await;
    app.command(&guest, &erase(user, None)).await;
    assert_eq!(
        send(&app, &guest, &erase(user, None)).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let own = id(&app, &educator).await;
    let mut command = register(own, "grace@example.org");
    command["data"]["role"] = json!("educator");
    app.command(&educator, &command).await;
    let refused = problem(send(&app, &educator, &erase(own, None)).await).await;
    assert_eq!(fields(&refused), ["data.password"]);
    app.command(&educator, &erase(own, Some(PASSWORD))).await;
}
