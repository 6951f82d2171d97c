//! The pages: rendered completely, with a policy that permits only their own scripts.

use clock::{Clock as _, SystemClock};
use domain::access::Role;
use reqwest::StatusCode;

use crate::{
    app::{Person, TestApp, list_product, place_order},
    dead_letters::receive,
    dials,
};

#[tokio::test]
async fn every_visitor_sees_the_start_page() {
    let app = TestApp::start().await;
    let response = app.get("/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let html = response.text().await.unwrap();
    assert!(html.starts_with("<!DOCTYPE html>"), "{html}");
}

#[tokio::test]
async fn a_session_sees_the_shop() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let token = app.command(&educator, &list_product("mug-01")).await["token"].clone();
    let folded = format!("/api/v1/views/products/mug-01?after={}", token.as_str().unwrap());
    app.get(&folded)
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    let page = app
        .get("/shop")
        .header("cookie", format!("foldline_session={}", educator.token));
    let response = page.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let html = response.text().await.unwrap();
    assert!(html.contains("Mug"), "{html}");
    // The token is not in the page, where a script could read it.
    assert!(!html.contains(&educator.token));
}

#[tokio::test]
async fn pages_are_compressed_unless_another_site_could_measure_a_secret() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let encoding = async |path: &str, has_session: bool, site: Option<&str>| {
        let mut page = app.get(path).header("accept-encoding", "gzip");
        if has_session {
            page = page.header("cookie", format!("foldline_session={}", educator.token));
        }
        if let Some(site) = site {
            page = page.header("sec-fetch-site", site);
        }
        let response = page.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let encoding = response.headers().get("content-encoding");
        encoding.map(|encoding| encoding.to_str().unwrap().to_owned())
    };
    let gzip = Some("gzip".to_owned());
    for (path, has_session, site, expected) in [
        ("/shop", true, Some("same-origin"), &gzip),
        ("/shop?q=mug", true, Some("same-origin"), &gzip),
        ("/shop", true, Some("none"), &gzip),
        ("/shop?q=mug", true, Some("cross-site"), &None),
        ("/shop", true, Some("cross-site"), &None),
        ("/shop", true, None, &gzip),
        ("/shop?q=mug", true, None, &None),
        ("/sign-in?lang=de", false, Some("cross-site"), &gzip),
    ] {
        let found = encoding(path, has_session, site).await;
        assert_eq!(&found, expected, "{path}, session {has_session}, {site:?}");
    }
    let plain = app.get("/").send().await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
}

#[tokio::test]
async fn an_order_and_a_product_link_to_streams_for_those_who_may_read_them() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    for (role, links) in [
        (Role::Educator, true),
        (Role::Student, true),
        (Role::Staff, false),
        (Role::Customer, false),
    ] {
        let person = app.with_role(&educator, role);
        let order = SystemClock.new_id();
        let placed = app.command(&person, &place_order(order, "mug-01")).await["token"].clone();
        let folded = format!("/api/v1/views/orders/{order}?after={}", placed.as_str().unwrap());
        let folded = app.get(&folded).bearer_auth(&person.token).send().await.unwrap();
        folded.error_for_status().unwrap();
        for path in [format!("/orders/{order}"), "/shop/mug-01".to_owned()] {
            let page = app
                .get(&path)
                .header("cookie", format!("foldline_session={}", person.token));
            let html = page.send().await.unwrap().text().await.unwrap();
            assert!(html.contains("class=\"freshness\""), "{path}: {html}");
            assert_eq!(
                html.contains("href=\"/lab/streams/"),
                links,
                "{role:?} {path}: {html}"
            );
        }
    }
}

#[tokio::test]
async fn the_lab_is_linked_for_those_who_may_read_the_log_and_refused_to_others() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (role, reads) in [
        (Role::Educator, true),
        (Role::Student, true),
        (Role::Staff, false),
        (Role::Customer, false),
    ] {
        let person = app.with_role(&educator, role);
        let shop = page_of(&app, &person, "/shop").await.1;
        assert_eq!(shop.contains("href=\"/lab\""), reads, "{role:?}: {shop}");
        for path in [
            "/lab",
            "/lab/dials",
            "/lab/streams",
            "/lab/projections",
            "/lab/views",
            "/lab/dead-letters",
            "/lab/split",
            "/lab/recording",
        ] {
            let (status, html) = page_of(&app, &person, path).await;
            assert_eq!(status == StatusCode::OK, reads, "{role:?} {path}: {status}");
            assert_eq!(
                status == StatusCode::FORBIDDEN,
                !reads,
                "{role:?} {path}: {status}"
            );
            assert_eq!(
                html.contains("data-component=\"lab-"),
                reads,
                "{role:?} {path}: {html}"
            );
        }
    }
}

#[tokio::test]
async fn the_map_has_the_drawing_of_its_sheet_and_the_names_of_its_boxes_without_a_script() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (query, drawn, other) in [
        ("", "arrow-append", "arrow-inventory_sink"),
        ("?sheet=business", "arrow-inventory_sink", "arrow-validate"),
        ("?sheet=of-paper", "arrow-validate", "arrow-inventory_sink"),
    ] {
        let (status, html) = page_of(&app, &educator, &format!("/lab{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {html}");
        assert_eq!(html.matches("id=\"lab-drawing\"").count(), 1, "{query}: {html}");
        assert_eq!(html.matches(&format!("id=\"{drawn}\"")).count(), 1, "{query}");
        assert!(!html.contains(&format!("id=\"{other}\"")), "{query}");
    }
    let arabic = page_of(&app, &educator, "/lab?lang=ar").await.1;
    assert!(arabic.contains("dir=\"rtl\""), "{arabic}");
    assert!(
        arabic.contains("direction=\"rtl\""),
        "the drawing is mirrored: {arabic}"
    );
}

#[tokio::test]
async fn every_page_says_to_everybody_in_the_workspace_what_is_bent_and_by_whom() {
    let app = TestApp::start().await;
    let (educator, other) = (app.educator().await, app.educator().await);
    let session = app.get("/api/v1/session").bearer_auth(&educator.token);
    let session: serde_json::Value = session.send().await.unwrap().json().await.unwrap();
    let bent = serde_json::json!({
        "broker": {"delay_ms": 2_000},
        "guarantees": {"duplicate_detection": false},
    });
    dials::set(&app, &educator, &bent).await;
    let name = session["display_name"].as_str().unwrap();
    let sentence = format!("Bent by {name}: broker delay 2 s, no duplicate detection");
    for (role, reads_lab) in [
        (Role::Educator, true),
        (Role::Student, true),
        (Role::Staff, false),
        (Role::Customer, false),
    ] {
        let person = app.with_role(&educator, role);
        for path in [
            "/shop",
            "/orders",
            "/account",
            "/lab",
            "/lab/dials",
            "/no-such-page",
        ] {
            let html = page_of(&app, &person, path).await.1;
            assert!(html.contains(&sentence), "{role:?} {path}: {html}");
            let has_link = html.contains("bent__link");
            assert_eq!(has_link, reads_lab, "{role:?} {path}: {html}");
        }
    }
    let elsewhere = page_of(&app, &other, "/shop").await.1;
    assert!(!elsewhere.contains("Bent by"), "{elsewhere}");

    dials::reset(&app, &educator).await;
    for path in ["/shop", "/lab/dials"] {
        let html = page_of(&app, &educator, path).await.1;
        assert!(!html.contains("Bent by"), "{path}: {html}");
    }
}

#[tokio::test]
async fn the_page_of_the_dials_has_every_dial_and_every_light_and_only_educators_get_controls() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let bent = serde_json::json!({"projections": {"orders": {"paused": true}}});
    dials::set(&app, &educator, &bent).await;
    for (role, controls) in [(Role::Educator, true), (Role::Student, false)] {
        let person = app.with_role(&educator, role);
        let (status, html) = page_of(&app, &person, "/lab/dials").await;
        assert_eq!(status, StatusCode::OK, "{html}");
        for dial in [
            "broker.lose_acknowledgement",
            "projections.orders.poison_type",
            "cache.ttl_ms",
            "payment.mode",
            "mail.away",
            "live.cut",
            "clock.frozen",
            "guarantees.publish_after_commit",
        ] {
            assert!(html.contains(&format!("id=\"{dial}\"")), "{dial}: {html}");
        }
        for invariant in domain::wire::Invariant::ALL {
            let light = format!("data-light=\"{invariant}\"");
            assert!(html.contains(&light), "{invariant}: {html}");
        }
        assert_eq!(html.matches("id=\"lab-drawing\"").count(), 1, "{html}");
        for (view, is_bent) in [("orders", true), ("sales", false)] {
            let id = format!("id=\"projections.{view}.paused\"");
            let row = html.split('<').find(|tag| tag.contains(&id)).unwrap();
            assert!(row.contains(&format!("data-bent=\"{is_bent}\"")), "{row}");
        }
        assert_eq!(html.contains("role=\"switch\""), controls, "{role:?}: {html}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_own_views_has_their_documents_and_the_types_for_another_one() {
    let app = TestApp::start().await;
    let (educator, other) = (app.educator().await, app.educator().await);
    receive(&app, &educator, "mug", 3).await;
    let definition = serde_json::json!({
        "name": "received", "on": ["StockReceived"], "key": "stream",
        "fold": [{"field": "times", "op": "count"}],
    });
    let created = app
        .request(reqwest::Method::POST, "/api/v1/lab/views")
        .bearer_auth(&educator.token)
        .json(&definition);
    assert_eq!(created.send().await.unwrap().status(), StatusCode::CREATED);
    app.settled(&educator).await;
    for (role, may_delete) in [(Role::Educator, true), (Role::Student, false)] {
        let person = app.with_role(&educator, role);
        let (status, html) = page_of(&app, &person, "/lab/views").await;
        assert_eq!(status, StatusCode::OK, "{html}");
        for part in [
            "data-own-view=\"received\"",
            "data-key=\"inventory-mug\"",
            "times = count()",
            "value=\"OrderCreated\"",
            "value=\"recorded_at\"",
            "href=\"/lab/projections#handler-received\"",
        ] {
            assert!(html.contains(part), "{role:?} {part}: {html}");
        }
        let deletes = html.contains("data-action=\"delete\"");
        assert_eq!(deletes, may_delete, "{role:?}: {html}");
        let dials = page_of(&app, &person, "/lab/dials").await.1;
        assert!(dials.contains("id=\"projections.received.paused\""), "{dials}");
        let handlers = page_of(&app, &person, "/lab/projections").await.1;
        assert!(handlers.contains("data-handler=\"received\""), "{handlers}");
    }
    let elsewhere = page_of(&app, &other, "/lab/views").await.1;
    assert!(!elsewhere.contains("data-own-view"), "{elsewhere}");
}

/// A page as a person gets it.
async fn page_of(app: &TestApp, person: &Person, path: &str) -> (StatusCode, String) {
    let request = app
        .get(path)
        .header("cookie", format!("foldline_session={}", person.token));
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

#[tokio::test]
async fn an_ended_session_is_rendered_as_none() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let expired = app.expired(&educator).token;
    for cookie in [
        "foldline_session=nonsense",
        &format!("foldline_session={expired}"),
    ] {
        for path in ["/", "/shop", "/orders"] {
            let response = app.get(path).header("cookie", cookie).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{path} {cookie}");
        }
    }
}

#[tokio::test]
async fn an_unknown_page_is_404() {
    let app = TestApp::start().await;
    for path in [
        "/no-such-page",
        "/shop/a/b/c",
        "/problems",
        "/.env",
        "/..%2f..%2fetc/passwd",
    ] {
        let response = app.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(
            response.text().await.unwrap().starts_with("<!DOCTYPE html>"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_script_of_a_page_carries_the_nonce_of_its_policy() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let cookie = format!("foldline_session={}", educator.token);
    let mut nonces = Vec::new();
    let paths = [
        "/",
        "/shop",
        "/orders",
        "/lab",
        "/class",
        "/lab/class",
        "/lab/class/present",
        "/lab/dials",
        "/lab/projections",
        "/lab/views",
        "/lab/dead-letters",
        "/lab/split",
        "/lab/streams",
        "/no-such-page",
    ];
    for path in paths {
        let response = app.get(path).header("cookie", &cookie).send().await.unwrap();
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        let nonce = policy
            .split("'nonce-")
            .nth(1)
            .unwrap()
            .split('\'')
            .next()
            .unwrap()
            .to_owned();
        assert!(nonce.len() >= 20, "{nonce}");
        let html = response.text().await.unwrap();
        for script in html.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap();
            assert!(
                tag.contains(&format!("nonce=\"{nonce}\"")),
                "{path}: <script{tag}>"
            );
        }
        assert!(
            !html.contains(" style=\"") && !html.contains("<style"),
            "{path} has inline style"
        );
        assert!(!html.contains(" onclick="), "{path}");
        nonces.push(nonce);
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), paths.len(), "a nonce is used once");
}

#[tokio::test]
async fn a_page_outside_of_a_workspace_loads_no_webassembly() {
    let app = TestApp::start().await;
    for path in ["/", "/join/ABCDEFG", "/sign-in", "/shop"] {
        let html = app.get(path).send().await.unwrap().text().await.unwrap();
        assert!(!html.contains(".wasm"), "{path}: {html}");
        assert!(html.contains("id=\"theme-switch\""), "{path}: {html}");
    }
}

#[tokio::test]
async fn the_query_chooses_the_language_of_the_page_and_the_browser_keeps_it() {
    let app = TestApp::start().await;
    let response = app.get("/?lang=ar").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("lang=ar; "), "{cookie}");
    let vary = response.headers()["vary"].to_str().unwrap().to_owned();
    assert!(vary.contains("accept-language"), "{vary}");
    let html = response.text().await.unwrap();
    assert!(html.contains("<html lang=\"ar\" dir=\"rtl\""), "{html}");

    let page = app.get("/").header("cookie", "lang=ar");
    let html = page.header("accept-language", "de").send().await.unwrap();
    let html = html.text().await.unwrap();
    assert!(html.contains("<html lang=\"ar\" dir=\"rtl\""), "{html}");
}

#[tokio::test]
async fn a_browser_gets_the_language_that_it_prefers() {
    let app = TestApp::start().await;
    for (header, expected) in [
        ("de-AT,de;q=0.9,en;q=0.8", "<html lang=\"de\" dir=\"ltr\""),
        // The interface is not translated into Korean: the page says what it is written in.
        ("ko", "<html lang=\"en\" dir=\"ltr\""),
        ("nonsense;;q", "<html lang=\"en\" dir=\"ltr\""),
    ] {
        let response = app.get("/").header("accept-language", header).send().await;
        let response = response.unwrap();
        assert!(!response.headers().contains_key("set-cookie"), "{header}");
        let html = response.text().await.unwrap();
        assert!(html.contains(expected), "{header}: {html}");
    }
    let response = app.get("/?lang=xx").send().await.unwrap();
    assert!(!response.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn the_theme_of_the_cookie_is_in_the_first_paint() {
    let app = TestApp::start().await;
    let html = app
        .get("/")
        .header("cookie", "theme=light")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(html.contains("data-theme=\"light\""), "{html}");
    let html = app
        .get("/")
        .header("cookie", "theme=\"><script>")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(html.contains("data-theme=\"auto\""), "{html}");
}

#[tokio::test]
async fn the_back_office_is_shown_to_its_roles_and_refuses_customers() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    let paths = [
        "",
        "/orders?status=all",
        "/stock",
        "/products",
        "/payments",
        "/customers",
        "/sales",
        "/activity",
        "/people",
    ];
    for (role, status) in [
        (Role::Educator, StatusCode::OK),
        (Role::Staff, StatusCode::OK),
        (Role::Student, StatusCode::OK),
        (Role::Customer, StatusCode::FORBIDDEN),
    ] {
        let person = app.with_role(&educator, role);
        for path in paths {
            let page = app
                .get(&format!("/office{path}"))
                .header("cookie", format!("foldline_session={}", person.token));
            let response = page.send().await.unwrap();
            assert_eq!(response.status(), status, "{role:?} {path}");
            let html = response.text().await.unwrap();
            let is_offered = html.contains("href=\"/office\"");
            assert_eq!(is_offered, role != Role::Customer, "{role:?} {path}: {html}");
        }
    }
    let response = app.get("/office/stock").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("You are not in a workspace")
    );
}

/// The rendering of a page waits, and continues on any thread; pages that are rendered concurrently must not
/// mix.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pages_that_are_rendered_concurrently_do_not_mix() {
    let app = TestApp::start().await;
    let (one, two) = (app.educator_of("shop").await, app.educator().await);
    let fetch = |path: &'static str, token: &str| {
        let cookie = format!("foldline_session={token}");
        let request = app.get(path).header("cookie", cookie);
        async move {
            let response = request.send().await.unwrap();
            let status = response.status();
            (path, status, response.text().await.unwrap())
        }
    };
    for _ in 0..5 {
        let paths = ["/orders", "/shop", "/basket", "/lab/streams"];
        let pages = paths
            .iter()
            .flat_map(|path| [fetch(path, &one.token), fetch(path, &two.token)]);
        for (path, status, html) in futures::future::join_all(pages).await {
            assert_eq!(status, StatusCode::OK, "{path}: {html}");
            assert!(html.contains("<title>"), "{path}: {html}");
        }
    }
}

#[tokio::test]
async fn an_order_is_waited_for_only_if_the_log_has_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let customer = app.with_role(&educator, Role::Customer);
    let written = app.command(&educator, &list_product("mug-01")).await["token"].clone();
    app.settled(&educator).await;
    let pause = app.request(reqwest::Method::POST, "/api/v1/lab/projections/orders/pause");
    let paused = pause.bearer_auth(&educator.token).send().await.unwrap();
    paused.error_for_status().unwrap();
    let order = SystemClock.new_id();
    app.command(&educator, &place_order(order, "mug-01")).await;

    // The browser has written a moment ago, which says nothing about this order.
    let written = format!("{}.{}", educator.workspace, written.as_str().unwrap());
    let unfolded = format!("/orders/{order}");
    for (person, path, expected) in [
        (&educator, "/orders/nope", StatusCode::NOT_FOUND),
        (&educator, unfolded.as_str(), StatusCode::OK),
        (&customer, unfolded.as_str(), StatusCode::NOT_FOUND),
    ] {
        let cookie = format!("foldline_session={}; foldline_written={written}", person.token);
        let response = app.get(path).header("cookie", cookie).send().await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
        let html = response.text().await.unwrap();
        assert!(html.contains("href=\"/orders\""), "{path}: {html}");
        assert_eq!(
            html.contains("The order is stored"),
            expected == StatusCode::OK,
            "{path}: {html}"
        );
    }
}
