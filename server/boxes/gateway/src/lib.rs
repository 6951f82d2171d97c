//! Box 2, API Gateway: authenticates requests and routes commands.
//!
//! A request goes through, in this order: the log and the metrics ([`observe`]), the security headers ([`headers`]), who
//! is asking ([`auth`]), how much they ask for ([`limits`]), and then to its handler: the API ([`api`]), the browser's way
//! in ([`entry`]), a page ([`pages`]), or what operators ask ([`operations`]). The gateway decides nothing about the shop:
//! it asks the command service and the query API, and turns what goes wrong into problems ([`problem`]).

mod account;
pub mod api;
pub mod assets;
mod auth;
mod connections;
mod control_characters;
mod entry;
mod form_answer;
mod form_notes;
mod headers;
mod json_body;
pub mod keys;
mod limits;
mod listener;
mod live;
mod observe;
mod operations;
mod origin;
mod pages;
mod params;
mod problem;
mod session_cookie;
pub mod settings;
pub mod tls;
pub mod tokens;
pub mod unsubscribe;

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use clock::SharedClock;
use command::{CommandService, Workspaces};
use consumer::RunningConsumer;
use identity::People;
use lab::Lab;
use lifecycle::{Presence, Sweeper};
use mail::mailbox::Mailbox;
use metrics_exporter_prometheus::PrometheusHandle;
use monitor::inspection::Inspection;
use query::{QueryApi, settled::Settling};
use search::Search;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::catch_panic::CatchPanicLayer;

use limits::{OpeningLimit, RateLimit, SignInLimit};
pub use listener::Listener;
pub use observe::recorder;
pub use operations::Readiness;
use settings::Limits;
use tokens::Tokens;
use unsubscribe::UnsubscribeLinks;

/// The gateway: the boxes behind it, and its own state.
#[derive(Debug)]
pub struct Gateway {
    tokens: Tokens,
    clock: SharedClock,
    commands: Arc<CommandService>,
    workspaces: Arc<Workspaces>,
    presence: Arc<Presence>,
    sweeper: Arc<Sweeper>,
    lab: Lab,
    queries: Arc<QueryApi>,
    settling: Arc<Settling>,
    inspection: Inspection,
    readiness: Arc<dyn Readiness>,
    people: Arc<People>,
    search: Arc<Search>,
    search_index: Arc<RunningConsumer>,
    mailbox: Mailbox,
    links: Arc<UnsubscribeLinks>,
    limits: Limits,
    rate: RateLimit,
    opening: OpeningLimit,
    sign_ins: SignInLimit,
    https: bool,
    metrics: PrometheusHandle,
    stopping: CancellationToken,
    sockets: TaskTracker,
}

/// The gateway as handlers share it.
pub type SharedGateway = Arc<Gateway>;

/// What the gateway needs of the other boxes.
#[derive(Debug)]
pub struct Dependencies {
    /// Makes and verifies access tokens.
    pub tokens: Tokens,
    /// What time it is.
    pub clock: SharedClock,
    /// Box 3.
    pub commands: Arc<CommandService>,
    /// Opens and joins workspaces.
    pub workspaces: Arc<Workspaces>,
    /// Who is where.
    pub presence: Arc<Presence>,
    /// Purges workspaces.
    pub sweeper: Arc<Sweeper>,
    /// Bends the pipeline.
    pub lab: Lab,
    /// Box 10.
    pub queries: Arc<QueryApi>,
    /// Whether all is done.
    pub settling: Arc<Settling>,
    /// Box 11.
    pub inspection: Inspection,
    /// What keeps the server from being ready.
    pub readiness: Arc<dyn Readiness>,
    /// Keys and credentials of people, and their sessions.
    pub people: Arc<People>,
    /// Finds things.
    pub search: Arc<Search>,
    /// How far the search index is.
    pub search_index: Arc<RunningConsumer>,
    /// Mails that went to no server.
    pub mailbox: Mailbox,
    /// Reads the links by which people get no more mails.
    pub links: Arc<UnsubscribeLinks>,
    /// The metrics of all boxes.
    pub metrics: PrometheusHandle,
}

impl Gateway {
    /// A gateway in front of the boxes. `opening`: how many workspaces an address may open in an
    /// hour. `https`: whether it speaks HTTPS itself.
    pub fn new(
        dependencies: Dependencies,
        limits: &Limits,
        opening: Option<NonZeroU32>,
        https: bool,
    ) -> SharedGateway {
        let Dependencies {
            tokens,
            clock,
            commands,
            workspaces,
            presence,
            sweeper,
            lab,
            queries,
            settling,
            inspection,
            readiness,
            people,
            search,
            search_index,
            mailbox,
            links,
            metrics,
        } = dependencies;
        let rate = RateLimit::new(limits.rate());
        let gateway = Arc::new(Self {
            tokens,
            clock,
            commands,
            workspaces,
            presence,
            sweeper,
            lab,
            queries,
            settling,
            inspection,
            readiness,
            people,
            search,
            search_index,
            mailbox,
            links,
            limits: limits.clone(),
            rate,
            opening: OpeningLimit::new(opening),
            sign_ins: SignInLimit::new(limits.sign_ins()),
            https,
            metrics,
            stopping: CancellationToken::new(),
            sockets: TaskTracker::new(),
        });
        gateway.sockets.spawn(operations::upkeep(Arc::clone(&gateway)));
        gateway
    }

    /// Closes the sockets with a reason, and waits until each has said so.
    pub async fn close_sockets(&self) {
        self.stopping.cancel();
        self.sockets.close();
        self.sockets.wait().await;
    }
}

/// Everything that is served.
pub fn router(gateway: &SharedGateway) -> Router {
    let with = || Arc::clone(gateway);
    let limited = Router::new()
        .merge(api::router(gateway))
        .merge(entry::router(gateway.limits.request_timeout()))
        .merge(account::router(gateway.limits.request_timeout()))
        .merge(pages::router(gateway))
        .merge(unsubscribe::router())
        .layer(from_fn_with_state(with(), limits::rate))
        .layer(from_fn_with_state(with(), auth::identify));
    Router::new()
        .route("/healthz", get(operations::alive))
        .route("/readyz", get(operations::ready))
        .route("/metrics", get(observe::metrics))
        .route("/.well-known/jwks.json", get(operations::public_keys))
        .merge(assets::router())
        .merge(limited)
        .method_not_allowed_fallback(observe::method_not_allowed)
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(from_fn(control_characters::refuse))
        .layer(DefaultBodyLimit::max(gateway.limits.max_body_bytes))
        .layer(from_fn_with_state(with(), headers::secure))
        .layer(from_fn_with_state(with(), observe::request))
        .with_state(with())
}
