//! The pages: the application renders every path without another route, completely, before it is sent.
//!
//! A page is rendered with the rights of its session, through the same queries that the API has. Its inline
//! scripts carry a nonce that only this answer's policy names. The status is the one that the application
//! sets; an unknown path is 404. Pages are compressed, unless their size could give away a secret
//! ([`may_be_compressed`]).

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    task::Poll,
    time::Duration,
};

use app::{
    AssetNames, BundleFiles, LabFiles, StatusSetter, Theme,
    backend::{Backend, ListingQuery, SharedBackend},
    lab::log_filter::LogFilter,
};
use async_trait::async_trait;
use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{
        Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, Version,
        header::{CONTENT_SECURITY_POLICY, VARY},
        uri::PathAndQuery,
    },
    middleware::from_fn,
    response::{IntoResponse, Redirect, Response},
    routing::{any, get},
};
use axum_extra::extract::cookie::CookieJar;
use domain::{
    access::Role,
    id::StreamName,
    token::ConsistencyToken,
    view::own::offered_fields,
    wire::{
        ClassAnswer, DeadLetterInfo, DialsAnswer, DocumentAnswer, EventPage, HandledAnswer, HandlersAnswer,
        InvariantsAnswer, LessonRun, ListingAnswer, MailboxMessage, OfferedFields, OwnViewsAnswer, Page,
        Problem, ProjectionStatus, RecordingInfo, RunInfo, SessionInfo, StoredEventAnswer, StreamInfo,
    },
};
use leptos::{config::LeptosOptions, context::provide_context, nonce::Nonce, reactive::owner::Sandboxed};
use serde_json::Value;
use tower_http::{CompressionLevel, compression::CompressionLayer};
use uuid::Uuid;

use super::{
    SharedGateway,
    api::{
        begin_if_led, class_answer, dead_letter_page, event_answer, event_handlers, found_products,
        handled_event, learner, mailbox_page, newest_events_page, own_views, present_dials, session_info,
        stream_page, streams_page,
    },
    assets,
    auth::{self, Authentication, Caller},
    headers, language, limits, observability,
    origin::{Origin, PublicAddress},
    problem::{ApiProblem, Kind},
    proxies,
    request_hops::note_page,
    session_cookie::preference,
    web_forms::flash,
};
use monitor::{Direction, EventFilter, LogQuery};
use query::{ListingRequest, QueryError, Wait};

/// How long a page waits until the views have folded what its browser has just written.
const PATIENCE: Duration = Duration::from_secs(2);
/// Entries of a page of the log, as the application shows it.
const LOG_PAGE: u32 = 50;

/// A route for each page of the application, and the application's "not found" page for every other path.
pub(super) fn router(gateway: &SharedGateway) -> Router<SharedGateway> {
    let most = gateway.limits.request_timeout();
    // One rendering without a session finds the routes. It also starts Leptos's executor, which rendering
    // needs.
    let anonymous: SharedBackend = Arc::new(SessionBackend {
        gateway: Arc::clone(gateway),
        caller: None,
        session: None,
        dials: None,
        written: None,
    });
    let context = move || provide_context(Arc::clone(&anonymous));
    let compressed = CompressionLayer::new()
        // A page is compressed for one reader, so quickly.
        .quality(CompressionLevel::Fastest)
        .compress_when(is_compressible);
    let (routes, _) =
        leptos_axum::generate_route_list_with_exclusions_and_ssg_and_context(app::App, None, context);
    routes
        .iter()
        .fold(Router::new(), |pages, route| pages.route(route.path(), get(page)))
        .route("/streams", get(moved_to_the_lab))
        .route("/streams/{stream}", get(moved_to_the_lab))
        .fallback(any(unknown_page))
        .layer(from_fn(move |request, next| limits::within(most, request, next)))
        .layer(compressed)
}

/// Marks the answer of a page that may be compressed.
#[derive(Clone, Copy)]
struct Compressible;

fn is_compressible(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<Compressible>().is_some()
}

/// Whether a page with the secrets of a session, such as the join code, may be compressed.
///
/// The size of a compressed page tells a listener on the network whether a text that it has put into the page
/// is in the page already (the attack BREACH). For that another site must have the browser request the page
/// with the text in its address, again and again; browsers say that such a request is another site's. Where
/// one says nothing, the address must have no query, and no form may have been sent.
fn may_be_compressed(request: &Request, brings_notes: bool, public: &PublicAddress) -> bool {
    match Origin::of(request.headers(), request.uri(), public) {
        Origin::Same => true,
        Origin::Foreign => false,
        Origin::Unknown => request.uri().query().is_none() && !brings_notes,
    }
}

async fn page(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    render(gateway, authentication, request, StatusCode::OK).await
}

/// The addresses at which the lab's pages of streams were before.
async fn moved_to_the_lab(address: Uri) -> Redirect {
    let address = address.path_and_query().map_or("/streams", PathAndQuery::as_str);
    Redirect::permanent(&["/lab", address].concat())
}

async fn unknown_page(
    State(gateway): State<SharedGateway>,
    Extension(authentication): Extension<Authentication>,
    request: Request,
) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        render(gateway, authentication, request, StatusCode::NOT_FOUND).await
    } else {
        observability::method_not_allowed(request.method().clone())
            .await
            .into_response()
    }
}

async fn render(
    gateway: SharedGateway,
    authentication: Authentication,
    request: Request,
    status: StatusCode,
) -> Response {
    // An ended session is rendered as no session.
    let caller = authentication.caller();
    let session = match &caller {
        Some(caller) => session_info(&gateway, caller).await.ok(),
        None => None,
    };
    let dials = match (&caller, &session) {
        (Some(caller), Some(_)) => dials_of_page(&gateway, caller, request.uri().path()).await,
        _ => None,
    };
    let cookies = CookieJar::from_headers(request.headers());
    let theme = preference(&cookies, app::THEME_COOKIE)
        .map(Theme::from_cookie)
        .unwrap_or_default();
    let chosen_language = language::chosen(request.uri().query());
    let language = chosen_language.unwrap_or_else(|| {
        let of_person = session.as_ref().and_then(|session| session.language);
        language::of(request.headers(), of_person)
    });
    let written = caller.as_ref().and_then(|caller| {
        let cookie = preference(&cookies, app::LAST_WRITE_COOKIE)?;
        app::last_write_of(caller.workspace(), cookie)
    });
    let notes = flash::of(&gateway, request.headers());
    let brings_notes = notes.is_some();
    // A page without a session has no secrets.
    let compressible = session.is_none() || may_be_compressed(&request, brings_notes, &gateway.public);
    let shown_by = Arc::clone(&gateway);
    let picture_names = gateway.picture_names;
    let trusted = &gateway.limits.trusted_proxies;
    let says_https = proxies::says_https(trusted, auth::peer(&request), request.headers());
    let site = gateway.public.site(request.headers(), request.uri(), says_https);
    let backend: SharedBackend = Arc::new(SessionBackend {
        gateway,
        caller,
        session,
        dials,
        written,
    });
    let nonce = Nonce::new();
    let policy = HeaderValue::try_from(headers::page_policy(&nonce)).map_err(ApiProblem::internal);
    let said = Arc::new(AtomicU16::new(status.as_u16()));
    let setter = {
        let said = Arc::clone(&said);
        StatusSetter(Arc::new(move |status| said.store(status, Ordering::Relaxed)))
    };
    let context = move || {
        // Replaces the nonce of leptos_axum: this one is in the policy.
        provide_context(nonce.clone());
        provide_context(Arc::clone(&backend));
        provide_context(theme);
        provide_context(language);
        provide_context(picture_names);
        provide_context(app::SiteAddress(site.clone()));
        provide_context(setter.clone());
        provide_context(notes.clone().unwrap_or_default());
    };
    let handler = leptos_axum::render_app_async_with_context(context, shell);
    let mut response = in_its_own_arena(handler(request)).await;
    match policy {
        Ok(policy) => response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy),
        Err(problem) => return problem.into_response(),
    };
    let pages_differ_by = HeaderValue::from_static("accept-language, cookie");
    response.headers_mut().append(VARY, pages_differ_by);
    if compressible {
        response.extensions_mut().insert(Compressible);
    }
    if let Some(language) = chosen_language {
        language::remember(&shown_by, language, response.headers_mut());
    }
    if brings_notes {
        flash::clear(&shown_by, response.headers_mut());
    }
    // A redirect of the application keeps its status.
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::from_u16(said.load(Ordering::Relaxed)).unwrap_or(status);
    }
    response
}

/// The dials that a page shows; `None` if they cannot be read. While nothing is bent, the board says so
/// without a query, except to the pages of the lab, which also want the version.
async fn dials_of_page(gateway: &SharedGateway, caller: &Caller, path: &str) -> Option<DialsAnswer> {
    let workspace = caller.workspace();
    let is_at_rest = gateway.lab.dials().board().of(workspace).is_none();
    if is_at_rest && !path.starts_with("/lab") {
        return Some(DialsAnswer::default());
    }
    present_dials(gateway, workspace).await.ok()
}

/// Renders a page in its own arena of signals, on any thread.
///
/// Leptos keeps a request's signals in an arena, and finds the arena by a variable of the thread.
/// `leptos_axum` makes the arena when the rendering begins, and restores it for the parts of a page but not
/// for the code that joins them; so after an `await` a page could be given another request's arena, or none,
/// and panic when its title is read.
async fn in_its_own_arena<T>(mut rendering: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    // The first poll makes the arena, and leaves it in the thread's variable.
    match poll_fn(|context| Poll::Ready(rendering.as_mut().poll(context))).await {
        Poll::Ready(page) => page,
        Poll::Pending => Sandboxed::new(rendering).await,
    }
}

fn shell() -> impl leptos::IntoView {
    let assets::Manifest {
        bundle,
        lab,
        frame,
        infographic,
        css,
        ..
    } = assets::manifest();
    let files = |assets::ManifestBundle { js, wasm }| BundleFiles { js, wasm };
    let options = LeptosOptions::builder().output_name("foldline").build();
    app::shell(
        options,
        AssetNames {
            bundle: bundle.map(files),
            lab: lab.map(|lab| LabFiles {
                map: files(lab.map),
                split: files(lab.split),
                recording: files(lab.recording),
                dials: files(lab.dials),
                handlers: files(lab.handlers),
                views: files(lab.views),
                lessons: files(lab.lessons),
                class: files(lab.class),
                log: files(lab.log),
                folds: files(lab.folds),
            }),
            frame_script: frame,
            infographic_script: infographic,
            css,
        },
    )
}

/// The backend of a page, with the rights of its session.
struct SessionBackend {
    gateway: SharedGateway,
    caller: Option<Caller>,
    session: Option<SessionInfo>,
    dials: Option<DialsAnswer>,
    /// The consistency token of what the browser has just written; views are waited for until they have it,
    /// or time is up.
    written: Option<ConsistencyToken>,
}

impl SessionBackend {
    fn wait(&self) -> Option<Wait> {
        self.written.clone().map(|after| Wait {
            after,
            timeout: PATIENCE,
        })
    }

    fn caller(&self) -> Result<&Caller, Problem> {
        self.caller
            .as_ref()
            .ok_or_else(|| ApiProblem::new(Kind::Unauthenticated, "not signed in").into_problem())
    }
}

#[async_trait]
impl Backend for SessionBackend {
    fn session(&self) -> Option<SessionInfo> {
        self.session.clone()
    }

    fn dials(&self) -> Option<DialsAnswer> {
        self.dials.clone()
    }

    async fn document(&self, view: &str, key: &str) -> Result<DocumentAnswer<Value>, Problem> {
        let caller = self.caller()?;
        let ask = |wait| {
            let queries = &self.gateway.queries;
            queries.document(caller.workspace(), caller.actor(), view, key, wait)
        };
        let mut answer = ask(self.wait()).await;
        if cannot_wait(&answer) {
            answer = ask(None).await;
        }
        note_page(caller.workspace(), view);
        parsed(&answer.map_err(|error| error.problem())?)
    }

    async fn listing(&self, query: &ListingQuery) -> Result<ListingAnswer<Value>, Problem> {
        let caller = self.caller()?;
        let request = ListingRequest {
            view: query.view.clone(),
            listing: Some(query.listing.clone()),
            group: Some(query.group.clone()),
            order: query.order,
            limit: Some(query.limit),
            cursor: query.cursor.clone(),
        };
        let ask = |wait| {
            let queries = &self.gateway.queries;
            queries.listing(caller.workspace(), caller.actor(), request.clone(), wait)
        };
        let mut answer = ask(self.wait()).await;
        if cannot_wait(&answer) {
            answer = ask(None).await;
        }
        note_page(caller.workspace(), &query.view);
        parsed(&answer.map_err(|error| error.problem())?)
    }

    async fn search(&self, typed: &str, tag: Option<&str>) -> Result<Value, Problem> {
        let caller = self.caller()?;
        let ask = |wait| found_products(&self.gateway, caller, typed, tag.map(str::to_owned), wait);
        let mut answer = ask(self.wait()).await;
        // an index that is too far behind is queried as it is, and its answer says so
        if self.written.is_some() && answer.is_err() {
            answer = ask(None).await;
        }
        parsed(&answer.map_err(ApiProblem::into_problem)?)
    }

    async fn mails(&self, cursor: Option<&str>) -> Result<Page<MailboxMessage>, Problem> {
        mailbox_page(&self.gateway, self.caller()?, cursor)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn streams(&self, prefix: &str, cursor: Option<&str>) -> Result<Page<StreamInfo>, Problem> {
        streams_page(&self.gateway, self.caller()?, prefix, cursor, LOG_PAGE)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn stream(&self, stream: &str, from: u64) -> Result<EventPage, Problem> {
        stream_page(
            &self.gateway,
            self.caller()?,
            stream,
            from,
            Direction::Forwards,
            LOG_PAGE,
        )
        .await
        .map_err(ApiProblem::into_problem)
    }

    async fn newest_events(&self, filter: &LogFilter, to: Option<&str>) -> Result<EventPage, Problem> {
        // A text that is no token is no place in the log: the newest events are shown.
        let to: Option<ConsistencyToken> = to.and_then(|to| to.parse().ok());
        let query = query_of(filter);
        newest_events_page(&self.gateway, self.caller()?, &query, to.as_ref(), LOG_PAGE)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn event(&self, id: &str) -> Result<StoredEventAnswer, Problem> {
        event_answer(&self.gateway, self.caller()?, id)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn has_stream(&self, stream: &str) -> Result<bool, Problem> {
        let caller = self.caller()?;
        // A text that cannot be a name is the name of no stream.
        let Ok(stream) = stream.parse::<StreamName>() else {
            return Ok(false);
        };
        let page = self
            .gateway
            .inspection
            .stream(caller.workspace(), &stream, 1, Direction::Forwards, 1)
            .await
            .map_err(|error| ApiProblem::from(error).into_problem())?;
        let actor = caller.actor();
        let first = page.and_then(|page| page.data.into_iter().next());
        Ok(first.is_some_and(|event| actor.role != Role::Customer || event.metadata.actor.id == actor.id))
    }

    fn head(&self) -> Result<ConsistencyToken, Problem> {
        let caller = self.caller()?;
        caller.require_lab_reader().map_err(ApiProblem::into_problem)?;
        Ok(self.gateway.queries.head(caller.workspace()))
    }

    async fn projections(&self) -> Result<Vec<ProjectionStatus>, Problem> {
        let caller = self.caller()?;
        caller.require_lab_reader().map_err(ApiProblem::into_problem)?;
        let projections = self.gateway.inspection.projections(caller.workspace());
        projections
            .await
            .map_err(|error| ApiProblem::from(error).into_problem())
    }

    async fn handlers(&self) -> Result<HandlersAnswer, Problem> {
        event_handlers(&self.gateway, self.caller()?)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn handled(&self, event: &str) -> Result<HandledAnswer, Problem> {
        handled_event(&self.gateway, self.caller()?, event)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn dead_letters(
        &self,
        view: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page<DeadLetterInfo>, Problem> {
        dead_letter_page(&self.gateway, self.caller()?, view, cursor, LOG_PAGE)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn invariants(&self) -> Result<InvariantsAnswer, Problem> {
        let caller = self.caller()?;
        caller.require_lab_reader().map_err(ApiProblem::into_problem)?;
        let lights = self.gateway.invariants.lights(caller.workspace()).await;
        let lights = lights.map_err(|error| ApiProblem::from(error).into_problem())?;
        Ok((*lights).clone())
    }

    async fn class(&self) -> Result<ClassAnswer, Problem> {
        let caller = self.caller()?;
        let (workspace, actor) = (caller.workspace(), caller.actor());
        let begun = begin_if_led(&self.gateway, workspace, actor).await;
        begun.map_err(ApiProblem::into_problem)?;
        let now = self.gateway.class.of(workspace).await;
        let now = now.map_err(|error| ApiProblem::from(error).into_problem())?;
        class_answer(&self.gateway, workspace, actor, &now)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn own_views(&self) -> Result<OwnViewsAnswer, Problem> {
        own_views(&self.gateway, self.caller()?)
            .await
            .map_err(ApiProblem::into_problem)
    }

    async fn own_view_fields(&self) -> Result<OfferedFields, Problem> {
        let caller = self.caller()?;
        caller.require_lab_reader().map_err(ApiProblem::into_problem)?;
        Ok(offered_fields().clone())
    }

    async fn recordings(&self) -> Result<Vec<RecordingInfo>, Problem> {
        let caller = self.caller()?;
        caller.require_lab_reader().map_err(ApiProblem::into_problem)?;
        let recordings = self.gateway.recordings.list(caller.workspace());
        recordings
            .await
            .map_err(|error| ApiProblem::from(error).into_problem())
    }

    async fn lesson_runs(&self) -> Result<Vec<RunInfo>, Problem> {
        let caller = self.caller()?;
        caller.require_lab_reader().map_err(ApiProblem::into_problem)?;
        let runs = self.gateway.lessons.list(&learner(caller)).await;
        runs.map_err(|error| ApiProblem::from(error).into_problem())
    }

    async fn lesson_run(&self, id: Uuid) -> Result<LessonRun, Problem> {
        let caller = self.caller()?;
        caller.require_lab_reader().map_err(ApiProblem::into_problem)?;
        let run = self.gateway.lessons.read(&learner(caller), id).await;
        run.map_err(|error| ApiProblem::from(error).into_problem())
    }
}

/// The query of a selection that a page shows.
fn query_of(filter: &LogFilter) -> LogQuery {
    let LogFilter {
        people,
        category,
        event_type,
        correlation,
        version,
        since,
        until,
    } = filter.clone();
    LogQuery {
        filter: EventFilter {
            event_type,
            correlation_id: correlation,
            category,
        },
        people,
        version,
        since,
        until,
    }
}

/// Whether a view is too far behind, the server stops, or the browser invented its token: then the view is
/// shown as it is, and says so.
fn cannot_wait<T>(answer: &Result<T, QueryError>) -> bool {
    matches!(
        answer,
        Err(QueryError::TimedOut { .. } | QueryError::Stopping | QueryError::BadToken)
    )
}

/// Parses a document; the API passes documents on unparsed.
fn parsed<T: serde::de::DeserializeOwned>(answer: &impl serde::Serialize) -> Result<T, Problem> {
    serde_json::to_vec(answer)
        .and_then(|json| serde_json::from_slice(&json))
        .map_err(|error| ApiProblem::internal(error).into_problem())
}
