//! What the pages of the class ask of the server, in the browser.

use domain::wire::{CommandRequest, ExpectedVersion, Problem};
use gloo_net::http::{Request, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    browser::{answer, encode, get, send},
    unreachable_server,
};
use crate::{
    islands::hydrate::workspace,
    lab::class::{QuestionSource, changed, number_of, question_data, version},
    language::language,
};

/// Where the state of the class is.
const CLASS: &str = "/api/v1/lab/class";

/// Where its shoppers are.
const BOTS: &str = "/api/v1/lab/bots";

/// How often a change of the state is tried again upon what another client has set meanwhile.
const ATTEMPTS: usize = 3;

/// The words of a question in the page's language: the question, and its answers.
pub(crate) async fn question_words(question: &str) -> Result<Value, Problem> {
    let path = ["lab/class/words?question=", &encode(question), "&lang="].concat();
    get(&[&path, language().code()].concat()).await
}

/// The state of the class.
pub(crate) async fn class() -> Result<Value, Problem> {
    get("lab/class").await
}

/// Changes members of the state, and leaves the others as they are. `changes` are made from the newest state.
pub(crate) async fn change_class(changes: impl Fn(&Value) -> Value) -> Result<Value, Problem> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let state = class().await?;
        let version = ["\"", &version(&state).to_string(), "\""].concat();
        let request = Request::put(CLASS).header("if-match", &version);
        match send_json(request, &changed(&state, &changes(&state))).await {
            Err(problem) if problem.status == 412 && attempts < ATTEMPTS => {}
            answered => return answered,
        }
    }
}

/// Asks the class a question, and puts it before all: the question has this id, whose repetition asks nothing
/// twice.
pub(crate) async fn ask(question: Uuid, of: &QuestionSource, choices: Option<u8>) -> Result<(), Problem> {
    let stream = ["question-", &question.to_string()].concat();
    let data = question_data(of, choices);
    send(command("AskQuestion", stream, data), question).await?;
    let changes = match of {
        QuestionSource::Step { lesson, step } => {
            json!({ "question": question, "lesson": lesson, "step": step })
        }
        QuestionSource::Own { .. } => json!({ "question": question }),
    };
    change_class(|_| changes.clone()).await?;
    Ok(())
}

/// Calls everybody to order now.
pub(crate) async fn call_orders() -> Result<Value, Problem> {
    change_class(|state| json!({ "order_call": number_of(state, "order_call") + 1 })).await
}

/// Reveals the right answer of a question.
pub(crate) async fn reveal(question: &str, right: i64, key: Uuid) -> Result<(), Problem> {
    let stream = ["question-", question].concat();
    send(command("RevealAnswer", stream, json!({ "right": right })), key).await?;
    Ok(())
}

/// Hands a dial to a person.
pub(crate) async fn hand_dial(dial: &str, person: &str) -> Result<Value, Problem> {
    send_json(Request::put(&dial_path(dial)), &json!({ "person": person })).await
}

/// Takes a dial back.
pub(crate) async fn take_dial(dial: &str) -> Result<Value, Problem> {
    answer(Request::delete(&dial_path(dial)).send().await).await
}

fn dial_path(dial: &str) -> String {
    [CLASS, "/dials/", &encode(dial)].concat()
}

/// The simulated shoppers.
pub(crate) async fn bots() -> Result<Value, Problem> {
    get("lab/bots").await
}

/// Lets simulated shoppers in.
pub(crate) async fn start_bots(count: u32, orders_per_minute: u32) -> Result<Value, Problem> {
    let wanted = json!({ "count": count, "orders_per_minute": orders_per_minute });
    send_json(Request::put(BOTS), &wanted).await
}

/// Sends them away.
pub(crate) async fn stop_bots() -> Result<Value, Problem> {
    answer(Request::delete(BOTS).send().await).await
}

/// Makes copies of the workspace: one for each student, up to `count`.
pub(crate) async fn copy_workspace(count: u32) -> Result<Value, Problem> {
    let request = Request::post("/api/v1/lab/class/copies");
    send_json(request, &json!({ "count": count })).await
}

/// Puts a new workspace in the place of the one that this page is of, under the same code.
pub(crate) async fn reset(to: &str) -> Result<Value, Problem> {
    let confirmed = workspace().map(|workspace| workspace.to_string());
    let path = ["/api/v1/lab/reset?confirm=", &confirmed.unwrap_or_default()].concat();
    send_json(Request::post(&path), &json!({ "to": to })).await
}

fn command(command_type: &str, stream: String, data: Value) -> CommandRequest {
    CommandRequest {
        command_type: command_type.to_owned(),
        stream,
        data,
        expected_version: ExpectedVersion::Any,
        correlation_id: None,
    }
}

async fn send_json(request: RequestBuilder, body: &Value) -> Result<Value, Problem> {
    let request = request
        .json(body)
        .map_err(|error| unreachable_server(error.to_string()))?;
    answer(request.send().await).await
}
