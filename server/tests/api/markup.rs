//! Texts of people are escaped: markup in them ends no title, begins no element and adds no attribute, on any
//! page, in any email, and in the answer to any forged link.

use clock::{Clock as _, SystemClock};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::{Person, TestApp, place_order},
    dead_letters::{get, receive},
};

/// A text that ends every kind of element and attribute of a page, and begins a new one.
const HOSTILE: &str = "</title></textarea></script>--><hostile x=\"'><hostile>\" hostile='&lt;";
/// The same, within the length of display names.
const HOSTILE_NAME: &str = "</title><hostile x=\"'><hostile>";
/// The same, encoded for a URL.
const HOSTILE_IN_ADDRESS: &str =
    "%3C%2Ftitle%3E%3Chostile%20x%3D%22%27%3E%3Chostile%3E%20%22%20hostile%3D%27";

/// The path of every page; `{}` stands for the text that the page shows.
const PAGES: &[&str] = &[
    "/",
    "/join/{}",
    "/register",
    "/sign-in",
    "/account",
    "/shop",
    "/shop?q={}",
    "/shop?tag={}",
    "/shop/mug-01",
    "/shop/{}",
    "/basket",
    "/inbox",
    "/mailbox",
    "/mailbox?cursor={}",
    "/orders",
    "/orders?cursor={}",
    "/orders/{order}",
    "/orders/{}",
    "/office",
    "/office/orders?status={}",
    "/office/products",
    "/office/payments?status={}",
    "/office/customers?order={}",
    "/office/sales",
    "/office/activity",
    "/office/people",
    "/office/stock?listing={}",
    "/lab",
    "/lab?sheet={}",
    "/class",
    "/lab/class",
    "/lab/class/code",
    "/lab/class/present",
    "/lab/dials",
    "/lab/projections",
    "/lab/projections?event={}",
    "/lab/views",
    "/lab/dead-letters",
    "/lab/dead-letters?view={}",
    "/lab/dead-letters?cursor={}",
    "/lab/split",
    "/lab/recording",
    "/lab/recording/{}",
    "/lab/streams",
    "/lab/streams?by=all",
    "/lab/streams?prefix={}",
    "/lab/streams?type={}&category={}&correlation={}&version={}&since={}&until={}&to={}",
    "/lab/streams/order-{order}",
    "/lab/streams/user-{educator}",
    "/lab/streams/product-mug-01?version={}",
    "/lab/streams/{}",
    "/lab/events/{}",
    "/{}",
    "/?problem={}&code={}&retry={}",
    "/join?problem={}&code={}",
    "/open?problem={}",
    "/infographic?title={}&sheet={}",
    "/unsubscribe?token={}",
    "/api/docs/{}",
    "/api/v1/{}",
];

#[tokio::test]
async fn markup_in_texts_is_escaped_on_every_page_and_in_every_mail() {
    let app = TestApp::start().await;
    let (educator, ada) = hostile_people(&app).await;
    let educators_id = get(&app, &educator, "/api/v1/session").await["actor_id"].clone();
    let order = SystemClock.new_id();
    hostile_shop(&app, &educator).await;
    app.command(&ada, &place_order(order, "mug-01")).await;
    app.settled(&educator).await;
    for (person, command) in [
        (
            &ada,
            json!({"type": "CancelOrder", "stream": format!("order-{order}"), "data": {"reason": HOSTILE}}),
        ),
        (
            &educator,
            json!({"type": "ChangeDisplayName", "stream": format!("user-{}", educators_id.as_str().unwrap()),
                "data": {"display_name": HOSTILE_NAME}}),
        ),
    ] {
        app.command(person, &command).await;
    }
    app.settled(&educator).await;

    let mut shown = 0;
    for person in [&educator, &ada] {
        for page in PAGES {
            let path = page
                .replace("{order}", &order.to_string())
                .replace("{educator}", educators_id.as_str().unwrap())
                .replace("{}", HOSTILE_IN_ADDRESS);
            let request = app
                .get(&path)
                .header("cookie", format!("foldline_session={}", person.token));
            let response = request.send().await.unwrap();
            let is_html = response.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html");
            let body = response.text().await.unwrap();
            if is_html {
                shown += usize::from(body.contains("hostile"));
                assert_eq!(injected_tag(&body), None, "{path}: {body}");
            }
        }
    }
    assert!(shown > 30, "it is shown on pages: {shown}");

    let mails = get(&app, &educator, "/api/v1/mailbox").await;
    let mails = mails["data"].as_array().unwrap();
    assert!(
        mails
            .iter()
            .any(|mail| mail["html"].as_str().unwrap().contains("hostile")),
        "{mails:?}"
    );
    for mail in mails {
        assert_eq!(injected_tag(mail["html"].as_str().unwrap()), None, "{mail}");
    }
}

#[tokio::test]
async fn a_page_runs_no_script_for_its_origin_alone() {
    let app = TestApp::start().await;
    for path in ["/", "/shop", "/no-such-page"] {
        let response = app.get(path).send().await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        let scripts = policy
            .split(';')
            .find_map(|directive| directive.trim().strip_prefix("script-src "))
            .unwrap();
        // Injected markup cannot use files of this server, such as the scripts of the API's documentation.
        for source in scripts.split(' ') {
            assert!(
                source.starts_with("'nonce-") || source == "'wasm-unsafe-eval'",
                "{path}: {policy}"
            );
        }
    }
}

/// An educator, and a student with an account, in a workspace, all with names that are markup.
async fn hostile_people(app: &TestApp) -> (Person, Person) {
    let open = json!({"template": "empty", "name": HOSTILE});
    let response = app.post("/api/v1/workspaces", &open).send().await.unwrap();
    let educator = crate::app::person(response).await;
    register(app, &educator, "educator@example.org").await;
    let join = json!({"code": educator.join_code, "display_name": HOSTILE_NAME});
    let response = app.post("/api/v1/workspaces/join", &join).send().await.unwrap();
    let ada = crate::app::person(response).await;
    register(app, &ada, "\"<hostile>\"@example.org").await;
    (educator, ada)
}

/// Registers; an email that is refused for its characters is replaced by a valid one.
async fn register(app: &TestApp, person: &Person, email: &str) {
    let session = get(app, person, "/api/v1/session").await;
    let command = |email: &str| {
        json!({"type": "RegisterUser", "stream": format!("user-{}", session["actor_id"].as_str().unwrap()),
            "data": {"email": email, "display_name": HOSTILE_NAME, "password": "correct horse battery"}})
    };
    let request = app.post("/api/v1/commands", &command(email));
    let response = request.bearer_auth(&person.token).send().await.unwrap();
    if response.status() == StatusCode::UNPROCESSABLE_ENTITY {
        app.command(person, &command("ada@example.org")).await;
    }
}

/// Lists a product whose texts are all markup.
async fn hostile_shop(app: &TestApp, educator: &Person) {
    let product = json!({"type": "ListProduct", "stream": "product-mug-01", "data": {
        "sku": "mug-01", "name": HOSTILE, "description": HOSTILE,
        "price": {"amount": 1200, "currency": "EUR"},
        "tags": tags(app, educator).await,
    }});
    app.command(educator, &product).await;
    receive(app, educator, "mug-01", 40).await;
}

/// A tag that is markup where the server accepts it; otherwise a plain one.
async fn tags(app: &TestApp, educator: &Person) -> Value {
    let product = json!({"type": "ListProduct", "stream": "product-mug-02", "data": {
        "sku": "mug-02", "name": HOSTILE, "description": "",
        "price": {"amount": 1, "currency": "EUR"}, "tags": ["<hostile>"],
    }});
    let request = app.post("/api/v1/commands", &product);
    let response = request.bearer_auth(&educator.token).send().await.unwrap();
    if response.status() == StatusCode::OK {
        json!(["<hostile>"])
    } else {
        json!(["kitchen"])
    }
}

/// The first tag of a document that comes from a text: its name or an attribute is `hostile`. It parses tags,
/// quotes and raw-text elements as a browser does.
pub(crate) fn injected_tag(html: &str) -> Option<&str> {
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        if rest.starts_with("<!--") {
            rest = rest.get(rest.find("-->")?..)?;
            continue;
        }
        let end = end_of_tag(rest)?;
        let (tag, after) = rest.split_at(end);
        rest = after;
        if unquoted(tag).contains("hostile") {
            return Some(tag);
        }
        let name: String = tag[1..].chars().take_while(char::is_ascii_alphanumeric).collect();
        if ["title", "textarea", "script", "style"].contains(&name.as_str()) {
            rest = &rest[rest.find(&format!("</{name}")).unwrap_or(rest.len())..];
        }
    }
    None
}

/// The index after the `>` that ends the tag; a `>` in quotes does not.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in tag.char_indices() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (None, '>') => return Some(at + 1),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

/// The tag without its quoted texts.
fn unquoted(tag: &str) -> String {
    let mut quote = None;
    tag.chars()
        .filter(|&letter| match quote {
            None => {
                quote = Some(letter).filter(|letter| ['"', '\''].contains(letter));
                true
            }
            Some(open) => {
                if open == letter {
                    quote = None;
                }
                false
            }
        })
        .collect()
}

#[test]
fn an_injected_tag_is_found_where_a_browser_finds_it() {
    for html in [
        "<title></title><hostile></title>",
        "<p hostile='1'>",
        "<p x=\"1\" hostile>",
    ] {
        assert!(injected_tag(html).is_some(), "{html}");
    }
    for html in [
        "<title><hostile></title>",
        "<p x=\"<hostile>\">",
        "&lt;hostile> <p>hostile</p>",
    ] {
        assert_eq!(injected_tag(html), None, "{html}");
    }
}
