//! Search: finds products, orders and people by words, at the index's position or, where the client asks for
//! it, at a token.

use axum::{Json, extract::State};
use domain::{
    token::{ConsistencyToken, MAX_PARTITIONS},
    wire::{Problem, SearchAnswer, SearchKind},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use utoipa::IntoParams;

use super::views::{TimeoutMs, wait};
use query::{QueryError, Wait};
use search::{NAME, SearchError, SearchRequest};

use crate::{
    SharedGateway,
    auth::Caller,
    params::{Limit, QueryParams},
    problem::{ApiProblem, Kind},
};

/// The longest search text, in characters.
const MAX_TYPED: usize = 200;
/// The longest tag, in characters.
const MAX_TAG: usize = 64;
/// The most hits of an answer.
const MAX_LIMIT: u32 = 50;
/// The hits of an answer if the client names no limit.
const DEFAULT_LIMIT: u32 = 20;

/// The limit of an answer's hits.
type HitLimit = Limit<MAX_LIMIT, DEFAULT_LIMIT>;

/// What to search for, and how fresh the index must be.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParams {
    /// The text to search for
    #[serde(default)]
    #[param(required = true, min_length = 1, max_length = 200)]
    q: String,
    /// Of `products,orders,customers`; all where absent
    kinds: Option<String>,
    /// Only hits with this tag
    #[param(max_length = 64)]
    tag: Option<String>,
    /// 1 to 50; 20 where absent
    #[serde(default)]
    #[param(inline)]
    limit: HitLimit,
    /// A consistency token: wait until the index is as far
    #[param(value_type = Option<String>)]
    after: Option<ConsistencyToken>,
    /// How long to wait, up to 60000; 5000 where absent
    #[param(inline)]
    timeout_ms: Option<TimeoutMs>,
}

/// Search
///
/// A hit has every word, in any order, also where a letter is wrong; the last word may be the beginning of
/// one. Case, accents and encodings of a letter make no difference, and in scripts without spaces, a word may
/// be anywhere in a name. A customer finds products and own orders.
#[utoipa::path(get, path = "/search", tag = "views",
    params(SearchParams),
    responses(
        (status = 200, description = "The hits, the best first", body = SearchAnswer<Value>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Not signed in", body = Problem),
        (status = 503, description = "Not indexed in time: `waiting_for`", body = Problem),
    ))]
pub(super) async fn search(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    QueryParams(params): QueryParams<SearchParams>,
) -> Result<Json<SearchAnswer<Box<RawValue>>>, ApiProblem> {
    let request = SearchRequest {
        text: text(&params.q)?,
        kinds: kinds(params.kinds.as_deref())?,
        tag: tag(params.tag)?,
        limit: params.limit.get() as usize,
    };
    let wait = wait(params.after, params.timeout_ms);
    found(&gateway, &caller, request, wait).await.map(Json)
}

/// The products that a page of the catalogue shows for a search text.
pub(crate) async fn found_products(
    gateway: &SharedGateway,
    caller: &Caller,
    what: &str,
    tag: Option<String>,
    wait: Option<Wait>,
) -> Result<SearchAnswer<Box<RawValue>>, ApiProblem> {
    let request = SearchRequest {
        text: text(what)?,
        kinds: vec![SearchKind::Products],
        tag,
        limit: MAX_LIMIT as usize,
    };
    found(gateway, caller, request, wait).await
}

async fn found(
    gateway: &SharedGateway,
    caller: &Caller,
    request: SearchRequest,
    wait: Option<Wait>,
) -> Result<SearchAnswer<Box<RawValue>>, ApiProblem> {
    let workspace = caller.workspace();
    let progress = gateway
        .search_index
        .progress_of(workspace)
        .ok_or_else(|| ApiProblem::new(Kind::Unavailable, "there is no search index"))?;
    if let Some(wait) = wait {
        if wait
            .after
            .iter()
            .any(|(partition, _)| partition as usize >= MAX_PARTITIONS)
        {
            return Err(QueryError::BadToken.into());
        }
        let reached = tokio::time::timeout(wait.timeout, progress.reaches(&wait.after));
        let reached = tokio::select! {
            biased;
            reached = reached => reached,
            () = gateway.stopping.cancelled() => return Err(QueryError::Stopping.into()),
        };
        if reached.is_err() {
            let folded = progress.folded();
            return Err(QueryError::TimedOut {
                waiting_for: vec![format!("{NAME} {folded} of {}", wait.after)],
                paused: progress.controls().is_paused(),
            }
            .into());
        }
    }
    // Read before the search: the index may have more by then, and never less.
    let as_of = progress.folded();
    let found = gateway.search.find(workspace, caller.actor(), request).await?;
    Ok(SearchAnswer {
        hits: found.hits,
        facets: found.facets,
        behind: as_of.behind(&gateway.queries.head(workspace)),
        as_of,
    })
}

fn text(text: &str) -> Result<String, ApiProblem> {
    let text = text.trim();
    if (1..=MAX_TYPED).contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err(ApiProblem::field("q", format!("has 1 to {MAX_TYPED} characters")))
    }
}

fn kinds(names: Option<&str>) -> Result<Vec<SearchKind>, ApiProblem> {
    let Some(names) = names else {
        return Ok(SearchKind::ALL.to_vec());
    };
    let mut kinds = Vec::new();
    for name in names.split(',') {
        let kind = SearchKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        let known = SearchKind::ALL.map(SearchKind::as_str).join(", ");
        let kind =
            kind.ok_or_else(|| ApiProblem::field("kinds", format!("are some of {known}, with commas")))?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

fn tag(tag: Option<String>) -> Result<Option<String>, ApiProblem> {
    if tag.as_ref().is_some_and(|tag| tag.chars().count() > MAX_TAG) {
        return Err(ApiProblem::field(
            "tag",
            format!("has at most {MAX_TAG} characters"),
        ));
    }
    Ok(tag)
}

impl From<SearchError> for ApiProblem {
    fn from(error: SearchError) -> Self {
        Self::internal(error)
    }
}
