//! Search: products, orders and people by words, as far as the index is, or as far as the caller asks to wait.

use axum::{Json, extract::State};
use domain::{
    token::MAX_PARTITIONS,
    wire::{Problem, SearchAnswer, SearchKind},
};
use serde_json::{Value, value::RawValue};

use super::views::wait;
use query::{QueryError, Wait};
use search::{NAME, SearchError, Wanted};

use crate::{
    SharedGateway,
    auth::Caller,
    params::Params,
    problem::{ApiProblem, Kind},
};

/// The longest that may be typed, in characters.
const MAX_TYPED: usize = 200;
/// The longest tag, in characters.
const MAX_TAG: usize = 64;
/// The most hits of an answer.
const MAX_LIMIT: u32 = 50;
/// Hits of an answer where nobody says.
const DEFAULT_LIMIT: u32 = 20;

/// Search
///
/// Every word must be found, in any order, also where a letter is wrong; the last one may go on. A customer finds products, and
/// own orders.
#[utoipa::path(get, path = "/search", tag = "views",
    params(
        ("q" = String, Query, min_length = 1, max_length = 200, description = "What was typed"),
        ("kinds" = Option<String>, Query, description = "Of `products,orders,customers`; all where absent"),
        ("tag" = Option<String>, Query, max_length = 64, description = "Only what has this tag"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 50, description = "1 to 50; 20 where absent"),
        ("after" = Option<String>, Query, description = "A consistency token: wait until the index is as far"),
        ("timeout_ms" = Option<u64>, Query, maximum = 60_000, description = "How long to wait, up to 60000; 5000 where absent"),
    ),
    responses(
        (status = 200, description = "What was found, the best first", body = SearchAnswer<Value>),
        (status = 400, description = "A parameter is not valid", body = Problem),
        (status = 401, description = "Nobody is signed in", body = Problem),
        (status = 503, description = "Not indexed in time: `waiting_for`", body = Problem),
    ))]
pub(super) async fn search(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<SearchAnswer<Box<RawValue>>>, ApiProblem> {
    let wanted = Wanted {
        typed: typed(params.text("q").unwrap_or_default())?,
        kinds: kinds(&mut params)?,
        tag: tag(&mut params)?,
        limit: params.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)? as usize,
    };
    let wait = wait(&mut params)?;
    params.finish()?;
    found(&gateway, &caller, wanted, wait).await.map(Json)
}

/// The products that a page of the catalogue shows for what was typed.
pub(crate) async fn found_products(
    gateway: &SharedGateway,
    caller: &Caller,
    what: &str,
    tag: Option<String>,
    wait: Option<Wait>,
) -> Result<SearchAnswer<Box<RawValue>>, ApiProblem> {
    let wanted = Wanted {
        typed: typed(what.to_owned())?,
        kinds: vec![SearchKind::Products],
        tag,
        limit: MAX_LIMIT as usize,
    };
    found(gateway, caller, wanted, wait).await
}

async fn found(
    gateway: &SharedGateway,
    caller: &Caller,
    wanted: Wanted,
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
        let reached = tokio::time::timeout(wait.timeout, progress.reaches(&wait.after)).await;
        if reached.is_err() {
            let folded = progress.folded();
            return Err(QueryError::TimedOut {
                waiting_for: vec![format!("{NAME} {folded} of {}", wait.after)],
                paused: false,
            }
            .into());
        }
    }
    // Looked at first: what the index has by then may be more, and never less.
    let as_of = progress.folded();
    let found = gateway.search.find(workspace, caller.actor(), wanted).await?;
    Ok(SearchAnswer {
        hits: found.hits,
        facets: found.facets,
        behind: as_of.behind(&gateway.queries.head(workspace)),
        as_of,
    })
}

fn typed(typed: String) -> Result<String, ApiProblem> {
    let length = typed.trim().chars().count();
    if (1..=MAX_TYPED).contains(&length) {
        Ok(typed)
    } else {
        Err(ApiProblem::field("q", format!("has 1 to {MAX_TYPED} characters")))
    }
}

fn kinds(params: &mut Params) -> Result<Vec<SearchKind>, ApiProblem> {
    let Some(names) = params.text("kinds") else {
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

fn tag(params: &mut Params) -> Result<Option<String>, ApiProblem> {
    let tag = params.text("tag");
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
