//! An erased person is shown as "erased" in views, in search, after a rebuild, and to the verifier.

use domain::access::Role;
use monitor::{rebuild::rebuild_server, tail::Remote};
use reqwest::StatusCode;
use serde_json::{Value, json};
use test_postgres::Database;
use uuid::Uuid;

use crate::{
    app::{Person, TestApp},
    dead_letters::get,
    mailbox::{order, registered, stock, subjects},
    transfer::foldline,
};

/// A person who has ordered and was erased; every view and consumer has handled the erasure.
struct Erased {
    educator: Person,
    user: Uuid,
    order: Uuid,
}

async fn erased(app: &TestApp) -> Erased {
    let educator = app.educator().await;
    stock(app, &educator).await;
    let (ada, user) = registered(app, &educator, "ada@example.org").await;
    let order = order(app, &educator, &ada).await;
    let named = Erased {
        educator,
        user,
        order,
    };
    named.is_shown_as(app, "Ada Lovelace", "Ada").await;
    assert_eq!(named.found(app, "lovelace").await, 1);
    assert_eq!(subjects(app, &named.educator, "").await.len(), 2);
    let erase = json!({"type": "EraseUser", "stream": format!("user-{user}"),
        "data": {"password": "correct horse battery"}});
    app.command(&ada, &erase).await;
    app.settled(&named.educator).await;
    named
}

impl Erased {
    /// Checks the name of the customer, in their own document, in their order, and in listings.
    async fn is_shown_as(&self, app: &TestApp, customer: &str, of_order: &str) {
        let staff = app.with_role(&self.educator, Role::Staff);
        let (user, order) = (self.user, self.order);
        for path in [format!("customers/{user}"), "customers?listing=all".to_owned()] {
            let shown = get(app, &staff, &format!("/api/v1/views/{path}")).await;
            let data = shown["data"].pointer("/0/data").unwrap_or(&shown["data"]);
            assert_eq!(data["display_name"], customer, "{path}");
            assert_eq!(data.get("email").is_none(), customer == "erased", "{path}");
            assert_eq!(data["orders"], 1, "{path}");
        }
        let of_customer = format!("orders?listing=by_customer&group={user}");
        for path in [format!("orders/{order}"), of_customer] {
            let shown = get(app, &staff, &format!("/api/v1/views/{path}")).await;
            let data = shown["data"].pointer("/0/data").unwrap_or(&shown["data"]);
            assert_eq!(data["customer"], json!({"id": user, "name": of_order}), "{path}");
            assert_eq!(data["id"], json!(order), "{path}");
        }
    }

    /// The number of customers that a query finds.
    async fn found(&self, app: &TestApp, typed: &str) -> usize {
        let staff = app.with_role(&self.educator, Role::Staff);
        let found = get(app, &staff, &format!("/api/v1/search?q={typed}&kinds=customers")).await;
        found["hits"].as_array().unwrap().len()
    }

    /// The generation of a view.
    async fn generation(&self, app: &TestApp, view: &str) -> Value {
        get(app, &self.educator, &format!("/api/v1/views/{view}")).await["generation"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_is_not_found_by_name_and_has_no_mails() {
    let app = TestApp::start().await;
    let erased = erased(&app).await;
    erased.is_shown_as(&app, "erased", "erased").await;
    for typed in ["lovelace", "ada%20lovelace", "ada@example.org"] {
        assert_eq!(erased.found(&app, typed).await, 0, "{typed}");
    }
    let mails = subjects(&app, &erased.educator, &format!("?user={}", erased.user)).await;
    assert_eq!(mails, Vec::<String>::new());
    // the order is still found, without the name
    let path = format!("/api/v1/search?q={}&kinds=orders", erased.order);
    let found = get(&app, &erased.educator, &path).await;
    assert_eq!(found["hits"][0]["key"], json!(erased.order));
    assert!(!found.to_string().contains("Ada"), "{found}");
}

/// A rebuild on the running server, `foldline verify` and `foldline rebuild` on its data, and the server
/// again.
async fn is_still_erased_when_all_is_folded_again(app: TestApp, stores: &[&str]) {
    let erased = erased(&app).await;
    let remote = Remote {
        url: app.url("").parse().unwrap(),
        token: erased.educator.token.clone(),
    };
    for view in ["customers", "orders"] {
        rebuild_server(&remote, view, &mut Vec::new()).await.unwrap();
        assert_eq!(erased.generation(&app, view).await, 2, "{view}");
    }
    erased.is_shown_as(&app, "erased", "erased").await;
    let found = get(&app, &erased.educator, "/api/v1/verify").await;
    assert_eq!(found["findings"], json!([]), "{found}");

    // events that are not folded while no server runs are a finding
    app.settled(&erased.educator).await;
    let workspace = erased.educator.workspace.to_string();
    let app = app.restart_after(async |settings| {
        let data = ["--data-dir", settings.storage.data_dir.to_str().unwrap()];
        let storage = [&data[..], stores].concat();
        for view in ["customers", "orders"] {
            let rebuild = ["rebuild", "--workspace", &workspace, view];
            let (ok, out, said) = foldline(&[&rebuild[..], &storage].concat()).await;
            assert!(ok && out.contains("generation 3 is read"), "{out}{said}");
        }
        let (ok, out, said) = foldline(&[&["verify"][..], &storage].concat()).await;
        assert!(
            ok && out.contains(&workspace) && out.contains("  ok  "),
            "{out}{said}"
        );
    });
    let app = app.await.unwrap();
    for view in ["customers", "orders"] {
        assert_eq!(erased.generation(&app, view).await, 3, "{view}");
    }
    erased.is_shown_as(&app, "erased", "erased").await;
    let password = json!({"email": "ada@example.org", "password": "correct horse battery"});
    let refused = app.post("/api/v1/sessions", &password).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_view_shows_erased_and_the_verifier_finds_nothing() {
    is_still_erased_when_all_is_folded_again(TestApp::start().await, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuilt_view_shows_erased_on_postgresql_too() {
    let database = Database::new().await;
    let stores = ["--event-store", &database.url, "--read-model", &database.url];
    let app = TestApp::start_with(&stores).await;
    is_still_erased_when_all_is_folded_again(app, &stores).await;
}
