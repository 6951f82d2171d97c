//! Erasure: the data of an erased person cannot be read anywhere, also after a crash in between.

use std::path::Path;

use identity::{PeopleStore as _, store::StoredKey};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::*;

/// A person orders, registers, changes their name and is erased; checks what others see, and what the files
/// hold.
async fn erased_everywhere(app: TestApp, files: bool) {
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let person = app.student(&educator.join_code).await;
    let user = id(&app, &person).await;
    let order = SystemClock.new_id();
    app.command(&person, &register(user, "ada@example.org")).await;
    let signed_in = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let renews = cookie(&signed_in, "foldline_refresh").unwrap();
    let placed = app.command(&person, &place_order(order, "mug-01")).await;
    let customer = document(&app, &educator, &format!("customers/{user}"), &placed["token"]).await;
    assert_eq!(customer["data"]["email"], "ada@example.org");
    assert_eq!(customer["data"]["display_name"], "Ada Lovelace");
    assert_eq!(customer["data"]["orders"], 1);
    let shown = document(&app, &educator, &format!("orders/{order}"), &placed["token"]).await;
    assert_eq!(shown["data"]["customer"]["name"], "Ada");
    // a listing and a live frame show the name too
    let mut live = app.live(&educator).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "customers", "listing": "all"}))
        .await;
    let snapshot = live.next_of("snapshot").await;
    assert_eq!(snapshot["data"][0]["data"]["display_name"], "Ada Lovelace");
    let name = json!({"type": "ChangeDisplayName", "stream": format!("user-{user}"),
        "data": {"display_name": "Countess Lovelace"}});
    app.command(&person, &name).await;
    // Changes of the order may arrive before.
    live.next_where("the new name", |frame| {
        frame["op"] == "change" && frame["data"]["display_name"] == "Countess Lovelace"
    })
    .await;
    // the log has the email encrypted
    let log: Value = app
        .get(&format!("/api/v1/streams/user-{user}"))
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let sealed = format!("sealed:{user}:");
    assert!(
        log["data"][0]["payload"]["email"]
            .as_str()
            .unwrap()
            .starts_with(&sealed)
    );

    // staff may not erase a person; the person may
    let erase =
        json!({"type": "EraseUser", "stream": format!("user-{user}"), "data": {"password": PASSWORD}});
    let staff = app.with_role(&educator, Role::Staff);
    assert_eq!(problem(send(&app, &staff, &erase).await).await.status, 422);
    let erased = app.command(&person, &erase).await;
    let customer = document(&app, &educator, &format!("customers/{user}"), &erased["token"]).await;
    assert_eq!(customer["data"]["display_name"], "erased");
    assert_eq!(customer["data"]["erased"], true);
    assert!(customer["data"].get("email").is_none());
    let shown = document(&app, &educator, &format!("orders/{order}"), &erased["token"]).await;
    assert_eq!(shown["data"]["customer"]["name"], "erased");
    assert_eq!(shown["data"]["customer"]["id"], json!(user));
    let gone = live
        .next_where("the erasure", |frame| {
            frame["op"] == "change" && frame["data"]["erased"] == true
        })
        .await;
    assert_eq!(gone["data"]["display_name"], "erased");
    // signing in fails, and the session has ended
    let refused = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&app, &renews).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        send(&app, &person, &name).await.status(),
        StatusCode::UNAUTHORIZED
    );
    // a second erasure appends nothing
    let again = app.command(&educator, &erase).await;
    assert_eq!(again["events"], json!([]));
    // the hash chain is intact, and the views match the log
    let verified: Value = app
        .get("/api/v1/verify")
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(verified["findings"], json!([]), "{verified}");
    if files {
        // files are searched after the server has closed and flushed them
        app.settled(&educator).await;
        let app = app.restart().await;
        for text in ["ada@example.org", "Ada Lovelace", "Countess Lovelace"] {
            assert_eq!(files_with(&app, text), BTreeSet::new(), "{text}");
        }
        let customer = document(&app, &educator, &format!("customers/{user}"), &erased["token"]).await;
        assert_eq!(customer["data"]["display_name"], "erased", "also after a restart");
        app.stop().await;
    } else {
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_is_unreadable_everywhere_and_the_chain_is_intact() {
    erased_everywhere(TestApp::start().await, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_is_unreadable_on_postgresql_too() {
    let database = Database::new().await;
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    erased_everywhere(app, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let (other, other_user) = registered(&app, &educator, "bob@example.org").await;
    let orders = [SystemClock.new_id(), SystemClock.new_id()];
    app.command(&person, &place_order(orders[0], "mug-01")).await;
    let placed = app.command(&other, &place_order(orders[1], "mug-01")).await;
    let app = app
        .restart_after(async |settings| {
            // Both erasures were begun; the event of one was stored.
            let store = identity::open_store(&settings.storage.people()).await.unwrap();
            for person in [user, other_user] {
                let of = PersonId {
                    workspace: educator.workspace,
                    person,
                };
                store.note_erasure(of, SystemClock.now()).await.unwrap();
            }
            store.close().await;
            let stream = format!("user-{user}");
            append_as_of(
                settings,
                educator.workspace,
                &stream,
                ("UserErased", 1),
                &json!({}),
            )
            .await;
        })
        .await
        .unwrap();
    let names = async || {
        let mut names = Vec::new();
        for order in orders {
            let shown = document(&app, &educator, &format!("orders/{order}"), &placed["token"]).await;
            names.push(shown["data"]["customer"]["name"].clone());
        }
        names
    };
    assert_eq!(names().await, ["erased", "Ada"]);
    let refused = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let stays = sign_in(&app, &credentials("bob@example.org", PASSWORD, &person)).await;
    assert_eq!(stays.status(), StatusCode::OK);
}

/// Where a test keeps every key from being destroyed.
enum Keys {
    File,
    Postgresql(Database),
}

impl Keys {
    /// From now on, no key can be destroyed.
    async fn keep(&self, data: &Path) {
        self.run(
            data,
            [
                "create trigger keys_stay before update on person_keys
                 begin select raise(abort, 'no key can be destroyed'); end",
                "create function foldline_people.keep_keys() returns trigger language plpgsql as $$
                 begin raise exception 'no key can be destroyed'; end $$;
                 create trigger keys_stay before update on foldline_people.person_keys
                 for each row execute function foldline_people.keep_keys()",
            ],
        )
        .await;
    }

    /// From now on, keys can be destroyed again.
    async fn release(&self, data: &Path) {
        self.run(
            data,
            [
                "drop trigger keys_stay",
                "drop trigger keys_stay on foldline_people.person_keys",
            ],
        )
        .await;
    }

    async fn run(&self, data: &Path, [on_file, on_postgresql]: [&'static str; 2]) {
        match self {
            Self::File => {
                let options = SqliteConnectOptions::new().filename(data.join("people.db"));
                let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
                raw.execute(on_file).await.unwrap();
                raw.close().await.unwrap();
            }
            Self::Postgresql(database) => {
                let mut raw = PgConnection::connect(&database.url).await.unwrap();
                raw.execute(on_postgresql).await.unwrap();
                raw.close().await.unwrap();
            }
        }
    }
}

/// Given an erasure that is stored while no key can be destroyed, and a repetition that is refused, when keys
/// can be destroyed again, then it is carried out: by its consumer, or by the next start.
async fn is_repeated_until_it_is_done(app: TestApp, keys: Keys, restarts: bool) {
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let order = SystemClock.new_id();
    let placed = app.command(&person, &place_order(order, "mug-01")).await;
    app.settled(&educator).await;
    keys.keep(app.folder()).await;
    let erase = json!({"type": "EraseUser", "stream": format!("user-{user}"), "data": {}});
    app.command(&educator, &erase).await;
    // the log has it, though the key is there
    let name = json!({"type": "ChangeDisplayName", "stream": format!("user-{user}"),
        "data": {"display_name": "Eve"}});
    assert_eq!(
        send(&app, &person, &name).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let mut old = erase.clone();
    old["expected_version"] = json!(1);
    assert_eq!(send(&app, &educator, &old).await.status(), StatusCode::CONFLICT);
    let path = format!("orders/{order}");
    let shown = document(&app, &educator, &path, &placed["token"]).await;
    assert_eq!(shown["data"]["customer"]["name"], "Ada", "its key is there");
    let settled = app
        .get("/api/v1/settled?timeout_ms=1")
        .bearer_auth(&educator.token);
    let waiting = settled.send().await.unwrap();
    assert_eq!(waiting.status(), StatusCode::GATEWAY_TIMEOUT);
    let waiting = waiting.text().await.unwrap();
    assert!(waiting.contains("erasure: events to handle"), "{waiting}");

    let app = if restarts {
        let restarted = app.restart_after(async |settings| keys.release(&settings.storage.data_dir).await);
        restarted.await.unwrap()
    } else {
        keys.release(app.folder()).await;
        app.settled(&educator).await;
        app
    };
    let shown = document(&app, &educator, &path, &placed["token"]).await;
    assert_eq!(shown["data"]["customer"]["name"], "erased");
    let refused = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        send(&app, &person, &name).await.status(),
        StatusCode::UNAUTHORIZED
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_fails_is_repeated_until_it_is_done() {
    for restarts in [false, true] {
        is_repeated_until_it_is_done(TestApp::start().await, Keys::File, restarts).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_fails_is_repeated_until_it_is_done_on_postgresql_too() {
    for restarts in [false, true] {
        let database = Database::new().await;
        let stores = ["--event-store", &database.url, "--read-model", &database.url];
        let app = TestApp::start_with(&stores).await;
        is_repeated_until_it_is_done(app, Keys::Postgresql(database), restarts).await;
    }
}

/// Given an erasure that another server, or an earlier version, has stored without a note, when a server
/// starts, then it finds the event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_without_a_note_is_finished_at_the_next_start() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    app.settled(&educator).await;
    let app = app
        .restart_after(async |settings| {
            let stream = format!("user-{user}");
            append_as_of(
                settings,
                educator.workspace,
                &stream,
                ("UserErased", 1),
                &json!({}),
            )
            .await;
        })
        .await
        .unwrap();
    app.settled(&educator).await;
    let shown = app
        .get(&format!("/api/v1/views/customers/{user}"))
        .bearer_auth(&educator.token);
    let shown: Value = shown.send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["data"]["display_name"], "erased");
    let file = app.folder().join("people.db");
    let store = identity::SqlitePeople::open(&file).await.unwrap();
    let of = PersonId {
        workspace: educator.workspace,
        person: user,
    };
    let key = store.key(of).await.unwrap();
    assert!(matches!(key, Some(StoredKey::Destroyed)), "{key:?}");
    store.close().await;
    let refused = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    app.stop().await;
}
