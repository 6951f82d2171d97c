//! What the lab's pages ask of the server, in the browser.

use domain::{
    event::RecordedEvent,
    token::ConsistencyToken,
    wire::{
        CommandAnswer, CommandRequest, DeadLetterInfo, DeadLetterOutcome, EventPage, HandledAnswer,
        HandlersAnswer, InvariantStatus, KeepRecording, KeptRecording, OpenWorkspace, OwnViewDefinition,
        OwnViewsAnswer, Page, Problem, ProjectionStatus, RebuildProgress, RetriedDeadLetters, StepPhase,
        Template, WaitingEvent, WorkspaceAccess,
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
use crate::lab::dials::changed;

/// Where the views of one's own are.
const OWN_VIEWS: &str = "/api/v1/lab/views";

/// Where the dials are.
const DIALS: &str = "/api/v1/lab/dials";

/// Events of the log after a token, the oldest first.
pub(crate) async fn events_after(token: &ConsistencyToken) -> Result<Page<RecordedEvent<Value>>, Problem> {
    get(&format!("events?after={}&limit=200", encode(&token.to_string()))).await
}

/// A page of events as they are stored, for folding; `after` is the position before the first one.
pub(crate) async fn stored_events(after: &ConsistencyToken) -> Result<EventPage, Problem> {
    get(&format!("events?after={}&limit=200", encode(&after.to_string()))).await
}

/// The events of a stream from a version on.
pub(crate) async fn stream_events(stream: &str, from: u64) -> Result<EventPage, Problem> {
    get(&format!("streams/{}?from={from}&limit=200", encode(stream))).await
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

/// The dials of the workspace, and what is bent by whom, as JSON.
pub(crate) async fn dials() -> Result<Value, Problem> {
    get("lab/dials/bent").await
}

/// Sets every dial, if the dials have this version, and reads them anew.
pub(crate) async fn set_dials(version: u64, dials: &Value) -> Result<Value, Problem> {
    let request = Request::put(DIALS).header("if-match", &["\"", &version.to_string(), "\""].concat());
    // The time of a frozen clock falls behind: as it was read, it would step the clock.
    let dials = changed(dials, "clock.ahead_ms", Value::Null);
    post::<_, Value>(request, &dials).await?;
    self::dials().await
}

/// Sets some dials, and leaves the others as they are; reads them anew.
pub(crate) async fn patch_dials(patch: &Value) -> Result<Value, Problem> {
    post::<_, Value>(Request::patch(DIALS), patch).await?;
    self::dials().await
}

/// Puts one dial to rest by its path, or every dial, and reads them anew.
pub(crate) async fn rest_dials(dial: Option<&str>) -> Result<Value, Problem> {
    let path = match dial {
        Some(dial) => [DIALS, "/", &encode(dial)].concat(),
        None => DIALS.to_owned(),
    };
    answer::<Value>(Request::delete(&path).send().await).await?;
    self::dials().await
}

/// Makes the lanes of a view panic.
pub(crate) async fn crash(view: &str) -> Result<ProjectionStatus, Problem> {
    let path = format!("/api/v1/lab/projections/{view}/crash");
    answer(Request::post(&path).send().await).await
}

/// Every view, process manager and consumer, and where it is.
pub(crate) async fn handlers() -> Result<HandlersAnswer, Problem> {
    get("lab/handlers").await
}

/// What each of them has done with the event at a place, as in `0:127`.
pub(crate) async fn handled(place: &str) -> Result<HandledAnswer, Problem> {
    get(&["lab/handled?event=", &encode(place)].concat()).await
}

/// Folds a view again from the whole log, beside the live one.
pub(crate) async fn rebuild(view: &str) -> Result<RebuildProgress, Problem> {
    answer(Request::post(&rebuild_path(view)).send().await).await
}

/// Cancels the rebuild of a view.
pub(crate) async fn cancel_rebuild(view: &str) -> Result<(), Problem> {
    answer(Request::delete(&rebuild_path(view)).send().await).await
}

/// A page of the dead letters, of one handler or of all.
pub(crate) async fn dead_letters(
    view: Option<&str>,
    cursor: Option<&str>,
) -> Result<Page<DeadLetterInfo>, Problem> {
    get(&["dead-letters?", &page_of(view, cursor)].concat()).await
}

/// The first events that wait behind a dead letter.
pub(crate) async fn waiting_events(id: Uuid) -> Result<Page<WaitingEvent>, Problem> {
    get(&format!("dead-letters/{id}/waiting")).await
}

/// Retries a dead letter, or discards it.
pub(crate) async fn settle_dead_letter(id: Uuid, retries: bool) -> Result<DeadLetterOutcome, Problem> {
    let what = if retries { "retry" } else { "discard" };
    let path = format!("/api/v1/dead-letters/{id}/{what}");
    answer(Request::post(&path).send().await).await
}

/// Retries a page of the dead letters, of one handler or of all.
pub(crate) async fn retry_dead_letters(
    view: Option<&str>,
    cursor: Option<&str>,
) -> Result<RetriedDeadLetters, Problem> {
    let path = ["/api/v1/dead-letters/retry?limit=200&", &page_of(view, cursor)].concat();
    answer(Request::post(path.trim_end_matches('&')).send().await).await
}

/// The parameters of a page of dead letters.
fn page_of(view: Option<&str>, cursor: Option<&str>) -> String {
    let of = |name: &str, value: Option<&str>| value.map(|value| [name, "=", &encode(value)].concat());
    let parameters = [of("view", view), of("cursor", cursor)];
    let parameters: Vec<String> = parameters.into_iter().flatten().collect();
    parameters.join("&")
}

/// The views of one's own.
pub(crate) async fn own_views() -> Result<OwnViewsAnswer, Problem> {
    get("lab/views").await
}

/// Defines a view.
pub(crate) async fn create_own_view(definition: &OwnViewDefinition) -> Result<Value, Problem> {
    post(Request::post(OWN_VIEWS), definition).await
}

/// Deletes a view of one's own.
pub(crate) async fn delete_own_view(name: &str) -> Result<Value, Problem> {
    let path = [OWN_VIEWS, "/", &encode(name)].concat();
    answer(Request::delete(&path).send().await).await
}

/// Does what a broken invariant names as its cure.
pub(crate) async fn cure(invariant: &str) -> Result<InvariantStatus, Problem> {
    let path = format!("/api/v1/lab/invariants/{invariant}/cure");
    answer(Request::post(&path).send().await).await
}

/// The time in the workspace.
pub(crate) async fn clock() -> Result<Value, Problem> {
    get("lab/clock").await
}

/// Moves the clock of the workspace.
pub(crate) async fn move_clock(forward: &Value) -> Result<Value, Problem> {
    post(Request::post("/api/v1/lab/clock"), forward).await
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

/// Begins a run of a lesson.
pub(crate) async fn start_lesson(lesson: &str) -> Result<(), Problem> {
    let path = ["/api/v1/lab/lessons/", lesson, "/runs"].concat();
    answer::<Value>(Request::post(&path).send().await).await?;
    Ok(())
}

/// Does a phase of a step of a run. What came of it is in the page of the run.
pub(crate) async fn carry_out_step(run: Uuid, step: u8, phase: &StepPhase) -> Result<(), Problem> {
    let path = format!("/api/v1/lab/runs/{run}/steps/{step}");
    post::<_, Value>(Request::post(&path), phase).await?;
    Ok(())
}

/// A page of this server, as HTML.
pub(crate) async fn page(address: &str) -> Result<String, Problem> {
    let response = Request::get(address).send().await;
    let response = response.map_err(|error| unreachable_server(error.to_string()))?;
    let text = response.text().await;
    text.map_err(|error| unreachable_server(error.to_string()))
}

/// Opens a fresh sandbox, without an effect on the session of this browser.
pub(crate) async fn open_sandbox(template: Template) -> Result<WorkspaceAccess, Problem> {
    let wanted = OpenWorkspace {
        template: Some(template),
        snapshot: None,
        shards: None,
        name: None,
        language: None,
        clock: None,
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

fn rebuild_path(view: &str) -> String {
    ["/api/v1/lab/projections/", view, "/rebuild"].concat()
}

fn recording_path(id: Uuid) -> String {
    format!("/api/v1/lab/recordings/{id}")
}
