//! What the lab's split view and recordings ask of the server, in the browser.

use domain::{
    event::RecordedEvent,
    token::ConsistencyToken,
    wire::{
        CommandAnswer, CommandRequest, EventPage, KeepRecording, KeptRecording, OpenWorkspace, Page, Problem,
        ProjectionStatus, Template, WorkspaceAccess,
    },
};
use gloo_net::http::{Request, RequestBuilder};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;
use web_sys::RequestCredentials;

use super::{
    browser::{answer, encode, get},
    unreachable_server,
};

/// Events of the log after a token, the oldest first.
pub(crate) async fn events_after(token: &ConsistencyToken) -> Result<Page<RecordedEvent<Value>>, Problem> {
    get(&format!("events?after={}&limit=200", encode(&token.to_string()))).await
}

/// A page of events as they are stored, for folding; `after` is the position before the first one.
pub(crate) async fn stored_events(after: &ConsistencyToken) -> Result<EventPage, Problem> {
    get(&format!("events?after={}&limit=200", encode(&after.to_string()))).await
}

/// The events of an intention, at most 200.
pub(crate) async fn events_of_intention(correlation: Uuid) -> Result<EventPage, Problem> {
    get(&format!("events?correlation={correlation}&limit=200")).await
}

/// The status of every projection.
pub(crate) async fn projections() -> Result<Vec<ProjectionStatus>, Problem> {
    get("lab/projections").await
}

/// Holds a view at its position, or releases it.
pub(crate) async fn hold(view: &str, held: bool) -> Result<ProjectionStatus, Problem> {
    let what = if held { "pause" } else { "resume" };
    let path = format!("/api/v1/lab/projections/{view}/{what}");
    answer(Request::post(&path).send().await).await
}

/// Keeps a run as a recording.
pub(crate) async fn keep_recording(wanted: &KeepRecording) -> Result<KeptRecording, Problem> {
    post(Request::post("/api/v1/lab/recordings"), wanted).await
}

/// A recording as its file has it.
pub(crate) async fn recording(id: Uuid) -> Result<String, Problem> {
    let response = Request::get(&recording_path(id)).send().await;
    let response = response.map_err(|error| unreachable_server(error.to_string()))?;
    if !response.ok() {
        // The answer is a problem; only a success would have a value.
        return answer::<Value>(Ok(response)).await.map(|value| value.to_string());
    }
    let text = response.text().await;
    text.map_err(|error| unreachable_server(error.to_string()))
}

/// Deletes a recording.
pub(crate) async fn delete_recording(id: Uuid) -> Result<(), Problem> {
    answer(Request::delete(&recording_path(id)).send().await).await
}

/// Opens a fresh sandbox, without an effect on the session of this browser.
pub(crate) async fn open_sandbox(template: Template) -> Result<WorkspaceAccess, Problem> {
    let wanted = OpenWorkspace {
        template,
        shards: None,
        name: None,
        language: None,
    };
    let request = Request::post("/api/v1/workspaces").credentials(RequestCredentials::Omit);
    post(request, &wanted).await
}

/// Sends a command to another workspace, with its token instead of the session's cookie. The same `key` again
/// is the same command, and has no second effect.
pub(crate) async fn send_elsewhere(
    access: &WorkspaceAccess,
    command: &CommandRequest,
    key: Uuid,
) -> Result<CommandAnswer, Problem> {
    let request = Request::post("/api/v1/commands")
        .credentials(RequestCredentials::Omit)
        .header("authorization", &["Bearer ", &access.token].concat())
        .header("idempotency-key", &key.to_string());
    post(request, command).await
}

async fn post<B: Serialize, T: serde::de::DeserializeOwned>(
    request: RequestBuilder,
    body: &B,
) -> Result<T, Problem> {
    let request = request
        .json(body)
        .map_err(|error| unreachable_server(error.to_string()))?;
    answer(request.send().await).await
}

fn recording_path(id: Uuid) -> String {
    format!("/api/v1/lab/recordings/{id}")
}
