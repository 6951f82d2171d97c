//! The pages: every path that is nothing else is rendered by the application, complete, before it is sent.
//!
//! A page is rendered with the rights of its session, through the same questions that the API answers. Its inline
//! scripts carry a nonce that only this answer's policy names. What the application says about its status is the
//! answer's status; a path that it does not know is 404.

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
    AssetNames, Program, ProgramFiles, StatusSetter, Theme,
    backend::{Backend, HasWritten, ListingQuery, SharedBackend},
};
use async_trait::async_trait;
use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header::CONTENT_SECURITY_POLICY},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::{any, get},
};
use axum_extra::extract::cookie::CookieJar;
use domain::{
    token::ConsistencyToken,
    wire::{
        DocumentAnswer, EventPage, ListingAnswer, MailboxMessage, Page, Problem, SessionInfo, StreamInfo,
    },
};
use leptos::{config::LeptosOptions, context::provide_context, nonce::Nonce, reactive::owner::Sandboxed};
use serde_json::Value;

use super::{
    SharedGateway,
    api::{found_products, mailbox_page, session_info, stream_page, streams_page},
    assets,
    auth::{Caller, Identity},
    form_notes, headers, limits, observe,
    problem::{ApiProblem, Kind},
};
use monitor::Direction;
use query::{ListingRequest, QueryError, Wait};

/// How long a page waits for the views to have what its browser has just written.
const PATIENCE: Duration = Duration::from_secs(2);
/// Entries of a page of the log, as the application shows it.
const LOG_PAGE: u32 = 50;

/// A route for each page that the application has, and the application's own answer to every other path.
pub(super) fn router(gateway: &SharedGateway) -> Router<SharedGateway> {
    let most = gateway.limits.request_timeout();
    // The routes are found by rendering once, for nobody. This also begins Leptos's executor, which rendering needs.
    let nobody: SharedBackend = Arc::new(SessionBackend {
        gateway: Arc::clone(gateway),
        caller: None,
        session: None,
        written: None,
    });
    let context = move || provide_context(Arc::clone(&nobody));
    let (routes, _) =
        leptos_axum::generate_route_list_with_exclusions_and_ssg_and_context(app::App, None, context);
    routes
        .iter()
        .fold(Router::new(), |pages, route| pages.route(route.path(), get(page)))
        .fallback(any(unknown_page))
        .layer(from_fn(move |request, next| limits::within(most, request, next)))
}

async fn page(
    State(gateway): State<SharedGateway>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    render(gateway, identity, request, StatusCode::OK).await
}

async fn unknown_page(
    State(gateway): State<SharedGateway>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        render(gateway, identity, request, StatusCode::NOT_FOUND).await
    } else {
        observe::method_not_allowed(request.method().clone())
            .await
            .into_response()
    }
}

async fn render(
    gateway: SharedGateway,
    identity: Identity,
    request: Request,
    status: StatusCode,
) -> Response {
    // Whose session is over sees what somebody sees who has none.
    let caller = identity.caller();
    let session = match &caller {
        Some(caller) => session_info(&gateway, caller).await.ok(),
        None => None,
    };
    let program = Program::of(session.is_some());
    let cookies = CookieJar::from_headers(request.headers());
    let theme = cookies
        .get(app::THEME_COOKIE)
        .map(|cookie| Theme::from_cookie(cookie.value()))
        .unwrap_or_default();
    let written = caller.as_ref().and_then(|caller| {
        let cookie = cookies.get(app::WRITTEN_COOKIE)?;
        app::written_in(caller.workspace(), cookie.value())
    });
    let has_written = written.is_some();
    let notes = form_notes::of(request.headers());
    let brings_notes = notes.is_some();
    let shown_by = Arc::clone(&gateway);
    let backend: SharedBackend = Arc::new(SessionBackend {
        gateway,
        caller,
        session,
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
        // In place of the one that leptos_axum made: this one is in the policy.
        provide_context(nonce.clone());
        provide_context(Arc::clone(&backend));
        provide_context(theme);
        provide_context(program);
        provide_context(setter.clone());
        provide_context(notes.clone().unwrap_or_default());
        if has_written {
            provide_context(HasWritten);
        }
    };
    let handler = leptos_axum::render_app_async_with_context(context, shell);
    let mut response = in_its_own_arena(handler(request)).await;
    match policy {
        Ok(policy) => response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy),
        Err(problem) => return problem.into_response(),
    };
    if brings_notes {
        form_notes::forget(&shown_by, response.headers_mut());
    }
    // A redirect of the application stays one.
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::from_u16(said.load(Ordering::Relaxed)).unwrap_or(status);
    }
    response
}

/// Renders a page among its own signals, whichever thread goes on with it.
///
/// Leptos keeps a request's signals in an arena, and finds the arena by a variable of the thread. `leptos_axum` makes the
/// arena when the rendering begins, and restores it for the parts of a page but not for what puts them together; so
/// behind an `await` a page could be given another request's arena, or none, and panic when its title is read.
async fn in_its_own_arena<T>(mut rendering: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    // The first step makes the arena, and leaves it in the thread's variable.
    match poll_fn(|context| Poll::Ready(rendering.as_mut().poll(context))).await {
        Poll::Ready(page) => page,
        Poll::Pending => Sandboxed::new(rendering).await,
    }
}

fn shell() -> impl leptos::IntoView {
    let assets::Manifest { programs, css, .. } = assets::manifest().clone();
    let programs = programs
        .into_iter()
        .map(|assets::ManifestProgram { name, js, wasm }| ProgramFiles { name, js, wasm })
        .collect();
    let options = LeptosOptions::builder().output_name("foldline").build();
    app::shell(options, AssetNames { programs, css })
}

/// What a page may ask, with the rights of its session.
struct SessionBackend {
    gateway: SharedGateway,
    caller: Option<Caller>,
    session: Option<SessionInfo>,
    /// What the browser has just written: its views are not older, where that can be had in time.
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
            .ok_or_else(|| ApiProblem::new(Kind::Unauthenticated, "nobody is signed in").into_problem())
    }
}

#[async_trait]
impl Backend for SessionBackend {
    fn session(&self) -> Option<SessionInfo> {
        self.session.clone()
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
        parsed(&answer.map_err(|error| error.problem())?)
    }

    async fn search(&self, typed: &str, tag: Option<&str>) -> Result<Value, Problem> {
        let caller = self.caller()?;
        let ask = |wait| found_products(&self.gateway, caller, typed, tag.map(str::to_owned), wait);
        let mut answer = ask(self.wait()).await;
        // an index that is too far behind is asked as it is, and says so
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
}

/// Whether a view is too far behind, or the browser made its token up: then the view is shown as it is, and says so.
fn cannot_wait<T>(answer: &Result<T, QueryError>) -> bool {
    matches!(answer, Err(QueryError::TimedOut { .. } | QueryError::BadToken))
}

/// The server passes documents on without reading them; a page reads them.
fn parsed<T: serde::de::DeserializeOwned>(answer: &impl serde::Serialize) -> Result<T, Problem> {
    serde_json::to_vec(answer)
        .and_then(|json| serde_json::from_slice(&json))
        .map_err(|error| ApiProblem::internal(error).into_problem())
}
