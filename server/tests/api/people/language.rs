//! The language of a person: of the registration, changed later, in the session and in emails; and of the
//! template that a person opens.

use serde_json::{Value, json};

use super::{credentials, id, register, registered, send, sign_in};
use crate::app::{Person, TestApp, problem};

async fn json_of(app: &TestApp, token: &str, path: &str) -> Value {
    let answer = app.get(path).bearer_auth(token).send().await.unwrap();
    answer.json().await.unwrap()
}

/// The language of the session that a sign-in begins; null without one.
async fn language_after_sign_in(app: &TestApp, person: &Person, email: &str) -> Value {
    let answer = sign_in(app, &credentials(email, super::PASSWORD, person)).await;
    let answer: Value = answer.json().await.unwrap();
    let session = json_of(app, answer["token"].as_str().unwrap(), "/api/v1/session").await;
    session["language"].clone()
}

#[tokio::test]
async fn a_person_registers_in_the_language_of_the_request_unless_they_name_one() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (email, header, named, expected) in [
        ("a@example.org", "", None, "en"),
        ("b@example.org", "de-AT, en;q=0.5", None, "de"),
        ("c@example.org", "xx", None, "en"),
        ("d@example.org", "de", Some("ar"), "ar"),
    ] {
        let person = app.student(&educator.join_code).await;
        let mut command = register(id(&app, &person).await, email);
        if let Some(language) = named {
            command["data"]["language"] = json!(language);
        }
        let sent = app
            .post("/api/v1/commands", &command)
            .header("accept-language", header)
            .bearer_auth(&person.token);
        assert!(sent.send().await.unwrap().status().is_success(), "{email}");
        let events = json_of(&app, &educator.token, "/api/v1/events?type=UserRegistered").await;
        let event = events["data"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&event["schema_version"], &event["payload"]["language"]),
            (&json!(2), &json!(expected))
        );
        assert_eq!(language_after_sign_in(&app, &person, email).await, expected);
    }
}

#[tokio::test]
async fn a_person_changes_their_language_and_reads_emails_in_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, "ada@post.test").await;
    let change = |language: &str| {
        let data = json!({"language": language});
        json!({"type": "ChangeLanguage", "stream": format!("user-{user}"), "data": data})
    };
    let refused = problem(send(&app, &ada, &change("xx")).await).await;
    assert_eq!(
        (refused.status, refused.violations[0].field.as_str()),
        (400, "data.language")
    );
    let refused = problem(send(&app, &educator, &change("de")).await).await;
    assert_eq!(refused.rule.as_deref(), Some("not-your-account"));
    // The first email is written in the language of that moment.
    app.settled(&educator).await;
    app.command(&ada, &change("ar")).await;
    assert_eq!(language_after_sign_in(&app, &ada, "ada@post.test").await, "ar");

    let email = json!({"type": "ChangeEmail", "stream": format!("user-{user}"),
        "data": {"email": "countess@post.test", "password": super::PASSWORD}});
    app.command(&ada, &email).await;
    app.settled(&educator).await;
    let mails = json_of(&app, &ada.token, "/api/v1/mailbox").await;
    let [_, changed, welcome] = mails["data"].as_array().unwrap().as_slice() else {
        panic!("three emails: {mails}");
    };
    assert_eq!(
        (&changed["language"], &welcome["language"]),
        (&json!("ar"), &json!("en"))
    );
    // The page shows each email in its own direction.
    let page = app
        .get("/mailbox")
        .header("cookie", format!("foldline_session={}", ada.token));
    let page = page.send().await.unwrap().text().await.unwrap();
    for part in ["<h2 lang=\"ar\" dir=\"rtl\">", "<h2 lang=\"en\" dir=\"ltr\">"] {
        assert!(page.contains(part), "{page}");
    }
}

#[tokio::test]
async fn a_shop_opens_in_the_language_of_the_request_unless_it_names_one() {
    let app = TestApp::start().await;
    for (header, named, name, tag) in [
        ("", None, "Enamel mug", "kitchen"),
        ("de", None, "Emaillebecher", "küche"),
        ("de", Some("ja"), "ホーローマグ", "キッチン"),
        ("fr", None, "Enamel mug", "kitchen"),
    ] {
        let mut wanted = json!({"template": "shop"});
        if let Some(language) = named {
            wanted["language"] = json!(language);
        }
        let opened = app
            .post("/api/v1/workspaces", &wanted)
            .header("accept-language", header);
        let opened: Value = opened.send().await.unwrap().json().await.unwrap();
        let token = opened["token"].as_str().unwrap();
        let listed = json_of(&app, token, "/api/v1/streams/product-mug-01").await;
        let product = &listed["data"][0]["payload"];
        assert_eq!(
            (&product["name"], &product["tags"][0]),
            (&json!(name), &json!(tag))
        );
    }
}
