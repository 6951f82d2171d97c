//! The dials of the lab: they bend the pipeline of a workspace, and show everybody in it what is bent.
//!
//! Every workspace is a sandbox, so each has dials; none reaches another workspace. The names of the people
//! who have bent them are stored sealed, and opened here.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::ETAG},
    response::{IntoResponse as _, Response},
};
use domain::{
    event::personal::ERASED,
    id::WorkspaceId,
    language::Language,
    wire::{Dials, DialsAnswer, Problem},
};
use lab::{
    LabError,
    dials::{Bender, DialError},
};
use serde::Deserialize;
use telemetry::security::{SecurityEvent, SecurityRecord};
use utoipa::IntoParams;

use crate::{
    SharedGateway,
    auth::Caller,
    etag::{self, IfMatch},
    json_body::{self, JsonBody},
    language,
    limits::{COST_OF_INTERVENING, charge_workspace},
    params::{NoParams, QueryParams},
    problem::{ApiProblem, Kind},
};

/// The dials
///
/// Every dial of your workspace, those at rest too, for everybody in it. `ETag` is the version of the dials;
/// `If-None-Match` saves you an answer that you have. The clock is not part of the version.
#[utoipa::path(get, path = "/lab/dials", tag = "lab",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of an answer that you have")),
    responses(
        (status = 200, description = "The dials; `ETag` is their version", body = Dials),
        (status = 304, description = "You have the present dials"),
        (status = 400, description = "There are no parameters", body = Problem),
    ))]
pub(super) async fn read(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    headers: HeaderMap,
    _: QueryParams<NoParams>,
) -> Result<Response, ApiProblem> {
    let answer = gateway.lab.dials().of(caller.workspace()).await?;
    let tag = tag(&answer)?;
    if etag::is_known(&tag, &headers) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    shown(&gateway, caller.workspace(), answer).await
}

/// What is bent?
///
/// The dials of your workspace with their version, and who has bent which of them, for everybody in it. Over
/// the live socket, `{"op":"subscribe","id":7,"lab":"dials"}` tells the same at each change.
#[utoipa::path(get, path = "/lab/dials/bent", tag = "lab", responses(
    (status = 200, description = "The dials, and what is bent; empty at rest", body = DialsAnswer),
    (status = 400, description = "There are no parameters", body = Problem),
))]
pub(super) async fn bent(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Json<DialsAnswer>, ApiProblem> {
    Ok(Json(present_dials(&gateway, caller.workspace()).await?))
}

/// The language of the words for dials.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WordsParams {
    /// A language of the interface, as in `de`; by default, that of the request.
    #[param(value_type = Option<String>)]
    lang: Option<Language>,
}

/// What is bent, in words
///
/// A sentence for each person who has bent something, as every page shows them; empty at rest.
#[utoipa::path(get, path = "/lab/dials/words", tag = "lab", params(WordsParams), responses(
    (status = 200, description = "The sentences", body = Vec<String>),
    (status = 400, description = "A parameter is not valid", body = Problem),
))]
pub(super) async fn words(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    headers: HeaderMap,
    QueryParams(params): QueryParams<WordsParams>,
) -> Result<Json<Vec<String>>, ApiProblem> {
    let answer = present_dials(&gateway, caller.workspace()).await?;
    let language = params
        .lang
        .unwrap_or_else(|| language::of(&headers, caller.bearer().language));
    Ok(Json(app::dials_in_words(&answer, language)))
}

/// Set every dial
///
/// Replaces all dials of your workspace; what the body leaves out is at rest. `If-Match` names the version
/// that you have read, so that two educators do not undo each other's work unseen, or `*` for any. Each
/// change makes a new version, at which everything that is counted begins anew: after `"fail_next":3` three
/// fail, and then none until the dials are set again. The dials are stored, and hold at every
/// server and after a restart, until they are put to rest.
#[utoipa::path(put, path = "/lab/dials", tag = "lab", request_body = Dials,
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the dials that you replace, or \
        `*`; without it nothing is set")),
    responses(
        (status = 200, description = "They are set; `ETag` is their version", body = Dials),
        (status = 400, description = "A value is not valid", body = Problem),
        (status = 403, description = "Not an educator", body = Problem),
        (status = 409, description = "A projection that is to pause is being rebuilt", body = Problem),
        (status = 412, description = "The dials have changed meanwhile", body = Problem),
        (status = 422, description = "The clock would go too far forward", body = Problem),
        (status = 428, description = "`If-Match` is missing", body = Problem),
    ))]
pub(super) async fn set(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    headers: HeaderMap,
    _: QueryParams<NoParams>,
    JsonBody(dials): JsonBody<Dials>,
) -> Result<Response, ApiProblem> {
    caller.require_lab_control()?;
    let expected = IfMatch::required(&headers, "dials")?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let by = bender(&gateway, &caller).await?;
    let is_expected = |version: u64| expected.is_met_by(&version.to_string());
    let set = gateway
        .lab
        .set_dials(caller.workspace(), &by, &is_expected, dials);
    let answer = set.await?;
    note("dials_set", None);
    shown(&gateway, caller.workspace(), answer).await
}

/// Set some dials
///
/// A merge patch (RFC 7396) of the dials: a member that is null is put to rest, and what the body leaves out
/// stays as it is. `If-Match` is checked if it is sent; without it the patch applies to the present dials,
/// also while others change theirs. A person who was handed dials may change these, and no others.
#[utoipa::path(patch, path = "/lab/dials", tag = "lab",
    request_body(content = Object, content_type = "application/merge-patch+json",
        description = "Members of the dials; each may be null"),
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the dials that you change")),
    responses(
        (status = 200, description = "They are set; `ETag` is their version", body = Dials),
        (status = 400, description = "A value is not valid", body = Problem),
        (status = 403, description = "Neither an educator nor handed the dial", body = Problem),
        (status = 409, description = "A projection that is to pause is being rebuilt", body = Problem),
        (status = 412, description = "The dials have changed meanwhile", body = Problem),
        (status = 422, description = "The clock would go too far forward", body = Problem),
    ))]
pub(super) async fn patch(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    headers: HeaderMap,
    _: QueryParams<NoParams>,
    JsonBody(patch): JsonBody<serde_json::Value>,
) -> Result<Response, ApiProblem> {
    Reach::of(&gateway, &caller).await?;
    let expected = IfMatch::of(&headers);
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let by = bender(&gateway, &caller).await?;
    loop {
        let reach = Reach::of(&gateway, &caller).await?;
        let present = gateway.lab.dials().of(caller.workspace()).await?;
        let mut merged = serde_json::to_value(&present.dials).map_err(ApiProblem::internal)?;
        merge(&mut merged, &patch);
        let bytes = serde_json::to_vec(&merged).map_err(ApiProblem::internal)?;
        let dials: Dials = json_body::parse(&bytes, "body")?;
        let changed = present.dials.differences(&dials);
        reach.require(&changed)?;
        let is_met = |version: u64| {
            let version = version.to_string();
            expected
                .as_ref()
                .is_none_or(|expected| expected.is_met_by(&version))
        };
        // A value that is not valid is refused before the version is compared.
        let is_present = |version: u64| version == present.version && is_met(version);
        let set = gateway.lab.set_dials(caller.workspace(), &by, &is_present, dials);
        match set.await {
            // Another person was faster, and the patch says nothing of the dials that it leaves out.
            Err(LabError::Dials(DialError::Changed { current })) if is_met(current) => {}
            Err(error) => return Err(error.into()),
            Ok(answer) => {
                note("dials_set", None);
                if let Reach::Handed(_) = reach {
                    put_back_late(&gateway, &caller, &by, &changed).await?;
                }
                return shown(&gateway, caller.workspace(), answer).await;
            }
        }
    }
}

/// The dials that a caller may change.
enum Reach {
    /// All: the caller is an educator.
    All,
    /// Those that the caller was handed, at least one.
    Handed(Vec<String>),
}

impl Reach {
    /// The reach of a caller as it is now, or the refusal of one who may change no dial.
    async fn of(gateway: &SharedGateway, caller: &Caller) -> Result<Self, ApiProblem> {
        let Err(refusal) = caller.require_lab_control() else {
            return Ok(Self::All);
        };
        let handed = gateway
            .class
            .dials_of(caller.workspace(), caller.actor().id)
            .await?;
        if handed.is_empty() {
            return Err(refusal);
        }
        Ok(Self::Handed(handed))
    }

    /// Refuses a change of a dial that is out of reach, by its name.
    fn require(&self, changed: &[String]) -> Result<(), ApiProblem> {
        let Self::Handed(handed) = self else {
            return Ok(());
        };
        match changed.iter().find(|dial| !handed.contains(dial)) {
            None => Ok(()),
            Some(dial) => {
                let detail = format!("you were handed {}, and not {dial}", handed.join(", "));
                Err(ApiProblem::new(Kind::Forbidden, detail))
            }
        }
    }
}

/// Puts dials to rest that were taken back from the caller while they were bent: taking one back puts it to
/// rest, which may have come before.
async fn put_back_late(
    gateway: &SharedGateway,
    caller: &Caller,
    by: &Bender,
    changed: &[String],
) -> Result<(), ApiProblem> {
    let workspace = caller.workspace();
    let handed = gateway.class.dials_of(workspace, caller.actor().id).await?;
    let lost = changed.iter().filter(|dial| !handed.contains(dial));
    let mut is_lost = false;
    for dial in lost {
        is_lost = true;
        gateway.lab.dials().reset_one(workspace, by, dial).await?;
    }
    if is_lost {
        let detail = "the dial was taken back from you meanwhile";
        return Err(ApiProblem::new(Kind::Forbidden, detail));
    }
    Ok(())
}

/// Applies a merge patch (RFC 7396). Its depth is bounded by that of a body.
fn merge(target: &mut serde_json::Value, patch: &serde_json::Value) {
    let serde_json::Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = serde_json::Value::Object(serde_json::Map::new());
    }
    let Some(members) = target.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(serde_json::Value::Null), value);
        }
    }
}

/// Reset everything
///
/// Puts every dial of your workspace to rest, and gives back every guarantee; the seed stays. The clock goes
/// on from where it is. Dials at rest stay as they are.
#[utoipa::path(delete, path = "/lab/dials", tag = "lab", responses(
    (status = 200, description = "All dials are at rest; `ETag` is their version", body = Dials),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
))]
pub(super) async fn reset(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Response, ApiProblem> {
    caller.require_lab_control()?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let by = bender(&gateway, &caller).await?;
    let answer = gateway.lab.dials().reset(caller.workspace(), &by).await?;
    note("dials_reset", None);
    shown(&gateway, caller.workspace(), answer).await
}

/// Reset one dial
///
/// Puts it to rest, or gives back the guarantee; the others stay as they are.
#[utoipa::path(delete, path = "/lab/dials/{dial}", tag = "lab",
    params(("dial" = String, Path, description = "Its path, as in `broker.delay_ms` or \
        `projections.orders.paused`")),
    responses(
        (status = 200, description = "It is at rest; `ETag` is the version of all dials", body = Dials),
        (status = 400, description = "There are no parameters", body = Problem),
        (status = 403, description = "Neither an educator nor handed the dial", body = Problem),
        (status = 404, description = "No such dial", body = Problem),
    ))]
pub(super) async fn reset_one(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    Path(dial): Path<String>,
    _: QueryParams<NoParams>,
) -> Result<Response, ApiProblem> {
    let reach = Reach::of(&gateway, &caller).await?;
    reach.require(std::slice::from_ref(&dial))?;
    charge_workspace(&gateway, &caller, COST_OF_INTERVENING)?;
    let by = bender(&gateway, &caller).await?;
    let reset = gateway.lab.dials().reset_one(caller.workspace(), &by, &dial);
    let answer = reset.await?;
    note("dial_reset", Some(&dial));
    shown(&gateway, caller.workspace(), answer).await
}

/// The caller as the person who changes dials: their name is stored, so it is sealed.
pub(crate) async fn bender(gateway: &SharedGateway, caller: &Caller) -> Result<Bender, ApiProblem> {
    let (id, mut name) = (caller.actor().id, caller.actor().name.clone());
    let seals = &gateway.people.seals;
    seals.seal(caller.workspace(), id, vec![&mut name]).await?;
    Ok(Bender { id, name })
}

/// The dials as people of the workspace may see them: with the names of those who have bent them.
pub(crate) async fn opened(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    mut answer: DialsAnswer,
) -> Result<DialsAnswer, ApiProblem> {
    for bent in &mut answer.bent {
        let name = gateway.people.seals.opened(workspace, &bent.name).await?;
        bent.name = name.unwrap_or_else(|| ERASED.to_owned());
    }
    Ok(answer)
}

/// The dials of a workspace, for its pages.
pub(crate) async fn present_dials(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
) -> Result<DialsAnswer, ApiProblem> {
    let answer = gateway.lab.dials().of(workspace).await?;
    opened(gateway, workspace, answer).await
}

/// The dials, those at rest too, and the time of the clock.
async fn shown(
    gateway: &SharedGateway,
    workspace: WorkspaceId,
    answer: DialsAnswer,
) -> Result<Response, ApiProblem> {
    let tag = tag(&answer)?;
    let mut dials = answer.dials;
    dials.name_handlers();
    dials.name_projections(gateway.lab.own_view_names(workspace));
    dials.clock.ahead_ms = Some(gateway.lab.clock(workspace).await?.ahead_ms);
    Ok(([(ETAG, tag)], Json(dials)).into_response())
}

fn tag(answer: &DialsAnswer) -> Result<HeaderValue, ApiProblem> {
    HeaderValue::try_from(format!("\"{}\"", answer.version)).map_err(ApiProblem::internal)
}

fn note(reason: &'static str, dial: Option<&str>) {
    let record = SecurityRecord::new(SecurityEvent::PipelineChanged).because(reason);
    match dial {
        Some(dial) => record.about(dial).write(),
        None => record.write(),
    }
}

impl From<DialError> for ApiProblem {
    fn from(error: DialError) -> Self {
        let detail = error.to_string();
        match error {
            DialError::Invalid(rejection) => {
                Self::new(Kind::Malformed, detail).with(|problem| problem.violations = rejection.violations)
            }
            DialError::Changed { current } => Self::new(Kind::PreconditionFailed, detail)
                .with(|problem| problem.current_version = Some(current)),
            DialError::Unknown => Self::new(Kind::NotFound, detail),
            DialError::Documents(error) => error.into(),
        }
    }
}
