//! The words of a question of the class in a reader's language. The bundle of the shop, which the phones of a
//! class load, has no texts of lessons.

use axum::{Json, extract::State, http::HeaderMap};
use domain::{
    language::Language,
    view::predictions::QuestionDocument,
    wire::{Problem, QuestionWords},
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{SharedGateway, auth::Caller, language, params::QueryParams, problem::ApiProblem};

/// Which question, and the language of its words.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuestionParams {
    /// The question: the id part of its stream; needed
    question: Option<Uuid>,
    /// A language of the interface, as in `de`; by default, that of the request.
    #[param(value_type = Option<String>)]
    lang: Option<Language>,
}

/// A question in words
///
/// The words of a question of the class and of its choices: the educator's own, or those of the lesson's step
/// in the reader's language.
#[utoipa::path(get, path = "/lab/class/words", tag = "class", params(QuestionParams), responses(
    (status = 200, description = "The words", body = QuestionWords),
    (status = 400, description = "A parameter is missing or not valid", body = Problem),
    (status = 404, description = "No such question", body = Problem),
))]
pub(super) async fn words(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    headers: HeaderMap,
    QueryParams(QuestionParams { question, lang }): QueryParams<QuestionParams>,
) -> Result<Json<QuestionWords>, ApiProblem> {
    let id = question.ok_or_else(|| ApiProblem::field("question", "is the id of a question"))?;
    let language = lang.unwrap_or_else(|| language::of(&headers, caller.bearer().language));
    let (workspace, actor) = (caller.workspace(), caller.actor());
    let document = gateway
        .queries
        .document(workspace, actor, "predictions", &id.to_string(), None)
        .await?;
    let question: QuestionDocument =
        serde_json::from_str(document.data.get()).map_err(ApiProblem::internal)?;
    Ok(Json(app::question_in_words(&question, language)))
}
