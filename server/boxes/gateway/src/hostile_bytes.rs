//! Hostile bytes for what the gateway parses itself: bodies, queries, URLs, cookies, tokens and the preferred
//! languages of a browser.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use clock::SystemClock;
use domain::{
    access::{Actor, Role},
    control_character,
    id::WorkspaceId,
    language::Language,
    token::ConsistencyToken,
    wire::{CommandRequest, OpenWorkspace, Order},
};
use fuzz::{TestCaseError, bounded, bytes, check, check_cases, json_like, prop_assert, same, texts_like};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    control_characters::{find_violation, is_plain, is_text},
    json_body,
    keys::KeyRing,
    language,
    params::{self, Limit, WholeNumber},
    problem::ApiProblem,
    session_cookie,
    tokens::Tokens,
};

const BODIES: &[&str] = &[
    r#"{"type":"PlaceOrder","stream":"order-1","data":{"lines":[{"sku":"mug","quantity":2}],
        "payment_method":"tok_ok"},"expected_version":0}"#,
    r#"{"template":"shop","shards":4,"name":"A class","language":"de"}"#,
    "{\"type\":\"a\",\"stream\":\"\\ud83d\\ude00\",\"data\":null}",
];

const QUERIES: &[&str] = &[
    "limit=20&order=desc&cursor=a%2Fb+c&from=9&after=0:1",
    "limit=200",
    "after=0%3A12%2C3%3A128&order=asc",
];

/// The parameters of a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageParams {
    cursor: Option<String>,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    limit: Limit<200, 50>,
    from: Option<WholeNumber<1, 9>>,
    after: Option<ConsistencyToken>,
}

/// A refusal names a field, says what is wrong, and is not much longer than what was sent.
fn names_a_field(problem: ApiProblem, sent: usize) -> Result<(), TestCaseError> {
    let problem = problem.into_problem();
    prop_assert!((400..500).contains(&problem.status), "{problem:?}");
    prop_assert!(!problem.violations.is_empty(), "{problem:?}");
    for violation in &problem.violations {
        prop_assert!(!violation.field.is_empty(), "{problem:?}");
        bounded(&violation.message, sent)?;
    }
    bounded(&problem.detail, sent)
}

fn body(json: &[u8]) -> Result<(), TestCaseError> {
    if let Err(problem) = json_body::parse::<OpenWorkspace>(json, "body") {
        names_a_field(problem, json.len())?;
    }
    match json_body::parse::<CommandRequest>(json, "body") {
        Ok(request) => {
            let written = serde_json::to_vec(&request).unwrap();
            let again = json_body::parse(&written, "body");
            same(&Some(request), &again.ok())
        }
        Err(problem) => names_a_field(problem, json.len()),
    }
}

#[test]
fn hostile_bodies_are_the_same_when_they_are_written_and_read_again_or_name_a_field() {
    check(&bytes(BODIES), |json| body(&json));
    check(&json_like(BODIES), |json: Value| {
        let json = json.to_string();
        match json_body::parse::<OpenWorkspace>(json.as_bytes(), "body") {
            Ok(_) => Ok(()),
            Err(problem) => names_a_field(problem, json.len()),
        }
    });
}

#[test]
fn hostile_bodies_are_searched_for_control_characters() {
    check(&bytes(BODIES), |json| {
        if let Some(found) = control_character::in_json(&json) {
            prop_assert!(found.character.is_control(), "{:?}", found.character);
        }
        Ok(())
    });
}

#[test]
fn hostile_queries_are_within_their_ranges_or_name_a_parameter() {
    check(&texts_like(QUERIES), |query| {
        match params::parse::<PageParams>(&query) {
            Ok(params) => {
                prop_assert!((1..=200).contains(&params.limit.get()));
                prop_assert!(params.from.is_none_or(|from| (1..=9).contains(&from.get())));
                prop_assert!(params.cursor.is_none_or(|cursor| cursor.len() <= query.len() * 3));
                prop_assert!([Order::Asc, Order::Desc].contains(&params.order));
                prop_assert!(
                    params
                        .after
                        .is_none_or(|after| after.covers(&ConsistencyToken::default()))
                );
                Ok(())
            }
            Err(problem) => names_a_field(problem, query.len()),
        }
    });
}

#[test]
fn hostile_urls_name_the_part_that_is_no_text() {
    const URLS: &[&str] = &[
        "/api/v1/views/orders/1?after=0:1&timeout_ms=5",
        "/views/%6f%72/%00?x=%0a",
        "/views/orders/caf%C3%A9?q=%E9%A6%AC",
    ];
    check(&texts_like(URLS), |url| {
        let _ = is_text(url.as_bytes());
        let Ok(uri) = url.parse::<Uri>() else {
            return Ok(());
        };
        let found = find_violation(&uri, Some("/views/{view}/{key}"));
        if is_plain(uri.path()) && is_plain(uri.query().unwrap_or_default()) {
            prop_assert!(found.is_none());
        }
        found.map_or(Ok(()), |problem| names_a_field(problem, url.len()))
    });
}

/// The header with hostile bytes, unless HTTP itself has none of them.
fn headers(name: HeaderName, value: &[u8]) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(value).ok()?;
    Some(HeaderMap::from_iter([(name, value)]))
}

#[test]
fn hostile_languages_of_a_browser_are_one_that_is_offered() {
    const ACCEPTED: &[&str] = &["de-AT,de;q=0.9,en;q=0.8", "*;q=0.5, ar;q=1.000", "ja;q=0;q=1,,;"];
    check(&bytes(ACCEPTED), |value| {
        for name in [header::ACCEPT_LANGUAGE, header::COOKIE] {
            if let Some(headers) = headers(name, &value) {
                // An account's language precedes what the browser prefers, but not its cookie.
                let language = language::of(&headers, None);
                same(&Language::from_code(language.code()), &Some(language))?;
            }
        }
        let query = String::from_utf8_lossy(&value);
        let _ = language::chosen(Some(&query));
        Ok(())
    });
}

#[test]
fn hostile_cookies_are_a_part_of_their_header() {
    const COOKIES: &[&str] = &[
        "theme=dark; foldline_session=a.b.c; foldline_refresh=d",
        "__Host-foldline_session=a.b.c; lang=de",
        "foldline_session=\"a\"; foldline_session=",
    ];
    check(&bytes(COOKIES), |value| {
        let Some(headers) = headers(header::COOKIE, &value) else {
            return Ok(());
        };
        for https in [false, true] {
            for token in [
                session_cookie::token(&headers, https),
                session_cookie::refresh_token(&headers, https),
            ] {
                prop_assert!(token.is_none_or(|token| !token.is_empty() && token.len() <= value.len()));
            }
        }
        Ok(())
    });
}

/// A signature takes its time.
const TOKENS: u32 = 64;

#[test]
fn hostile_access_tokens_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock);
    let keys = KeyRing::open(&folder.path().join("keys"), &*clock).unwrap();
    let tokens = Tokens::new(Arc::new(keys), clock);
    let ada = Actor {
        id: Uuid::from_u128(7),
        role: Role::Student,
        name: "Ada".to_owned(),
    };
    let token = tokens.issue(WorkspaceId(Uuid::from_u128(1)), &ada, 600).unwrap();
    // The samples of a generator live as long as the program.
    let samples: &'static [&'static str] = Box::leak(Box::new([&*Box::leak(token.clone().into_boxed_str())]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    check_cases(TOKENS, &texts_like(samples), |hostile| {
        let is_accepted = runtime.block_on(tokens.verify(&hostile)).is_ok();
        prop_assert!(is_accepted == (hostile == token), "{hostile:?}: {is_accepted}");
        Ok(())
    });
}
