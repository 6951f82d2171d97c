//! `GET`, `PUT` and `DELETE /lab/dials`, and what each dial does to the pipeline, seen from outside.

mod broker;
mod cache;
mod clock;
mod control;
mod handlers;
mod lanes;
mod lights;
mod live;
mod log;
mod mail;
mod payment;
mod servers;

use domain::wire::{Dials, DialsAnswer};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::app::{Live, Person, TestApp};

/// The dials of a workspace in the API.
pub(crate) const DIALS: &str = "/api/v1/lab/dials";

/// Sends the dials of a workspace, with the version that they replace.
pub(crate) async fn put(app: &TestApp, person: &Person, if_match: &str, dials: &Value) -> Response {
    let request = app.request(Method::PUT, DIALS).bearer_auth(&person.token);
    request
        .header("if-match", if_match)
        .json(dials)
        .send()
        .await
        .unwrap()
}

/// Sets the dials of a workspace, whichever they were; every dial that `dials` does not name is at rest.
pub(crate) async fn set(app: &TestApp, educator: &Person, dials: &Value) -> DialsAnswer {
    let set: Dials = answer(put(app, educator, "*", dials).await).await;
    agreeing(app, educator, &set).await
}

/// Puts every dial of a workspace to rest.
pub(crate) async fn reset(app: &TestApp, educator: &Person) -> DialsAnswer {
    let request = app.request(Method::DELETE, DIALS).bearer_auth(&educator.token);
    let rest: Dials = answer(request.send().await.unwrap()).await;
    let rest = agreeing(app, educator, &rest).await;
    assert!(rest.dials.are_at_rest() && rest.bent.is_empty(), "{rest:?}");
    rest
}

/// Puts one dial of a workspace to rest, by its path as in `broker.delay_ms`.
pub(crate) async fn reset_one(app: &TestApp, educator: &Person, dial: &str) -> DialsAnswer {
    let path = format!("{DIALS}/{dial}");
    let request = app.request(Method::DELETE, &path).bearer_auth(&educator.token);
    let reset: Dials = answer(request.send().await.unwrap()).await;
    agreeing(app, educator, &reset).await
}

/// The dials of a workspace, with what is bent.
pub(crate) async fn dials_of(app: &TestApp, person: &Person) -> DialsAnswer {
    let path = format!("{DIALS}/bent");
    answer(app.get(&path).bearer_auth(&person.token).send().await.unwrap()).await
}

/// What is bent, which has to agree with the dials that a change has answered.
async fn agreeing(app: &TestApp, educator: &Person, changed: &Dials) -> DialsAnswer {
    let bent = dials_of(app, educator).await;
    assert_eq!(changed.bent(), bent.dials.bent());
    bent
}

/// A socket that follows the dials, and its first frame.
pub(crate) async fn follow(app: &TestApp, person: &Person) -> (Live, Value) {
    let mut live = app.live(person).await;
    live.send(&json!({"op": "subscribe", "id": 7, "lab": "dials"}))
        .await;
    let first = live.next_of("dials").await;
    assert_eq!(first["id"], 7);
    (live, first["data"].clone())
}

async fn answer<T: DeserializeOwned>(response: Response) -> T {
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}
