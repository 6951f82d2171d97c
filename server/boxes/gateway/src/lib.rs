//! Box 2, API Gateway: authenticates requests and routes commands.
//!
//! A request passes, in this order, the log, the metrics and the security headers ([`observability`]),
//! authentication and the limits ([`auth`]), and then reaches its handler: the API ([`api`]), an HTML form
//! ([`web_forms`]), a page ([`pages`]), or an endpoint for operators ([`operations`]). A repeated query whose
//! answer is in memory is answered before that, with the same checks and headers ([`hot`]). The gateway
//! decides nothing about the shop: it calls the command service and the query API, and turns their errors
//! into problems ([`problem`]).

mod account_mails;
pub mod api;
pub mod assets;
mod auth;
mod connections;
mod control_characters;
mod etag;
mod headers;
#[cfg(test)]
mod hostile_bytes;
mod hot;
mod in_process;
mod infographic;
mod json_body;
pub mod keys;
mod language;
mod limits;
mod listener;
mod live;
pub mod mail_links;
mod observability;
mod operations;
mod origin;
mod pages;
mod params;
mod problem;
pub mod proxies;
mod request_hops;
mod session_cookie;
pub mod settings;
mod site_files;
pub mod tls;
pub mod tokens;
pub mod unsubscribe;
mod web_forms;

use std::{num::NonZeroU32, ops::Deref, sync::Arc};

use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state, routing::get};
use clock::SharedClock;
use command::{CommandService, Workspaces};
use consumer::RunningConsumer;
use identity::People;
use lab::{
    Lab, class::ClassKeeper, hops::Observatory, invariants::Invariants, own_views::OwnViewKeeper,
    recordings::Recordings,
};
use lifecycle::{Presence, Sweeper};
use mail::mailbox::Mailbox;
use metrics_exporter_prometheus::PrometheusHandle;
use monitor::inspection::Inspection;
use query::{QueryApi, settled::Settlement};
use search::Search;
use teaching::{bots::Bots, runs::Lessons};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::catch_panic::CatchPanicLayer;

use account_mails::ResetQueue;
pub use hot::Interface;
pub use in_process::{InProcessApi, OpenedApi};
use infographic::DrawnSheets;
use limits::{
    Client, HeavyWork, MailRequests, OpeningLimit, PasswordAttempts, RateLimit, Turns, password_turns,
};
pub use listener::Listener;
pub use live::Line;
use live::SocketQuota;
pub use observability::recorder;
use observability::{RenderedMetrics, RequestMetrics};
pub use operations::Readiness;
pub use origin::PublicAddress;
use settings::Limits;
use tokens::Tokens;
use unsubscribe::UnsubscribeLinks;

/// The gateway: the boxes behind it, and its own state.
#[derive(Debug)]
pub struct Gateway {
    dependencies: Dependencies,
    limits: Limits,
    rate: RateLimit,
    opening: OpeningLimit,
    password_attempts: PasswordAttempts,
    password_turns: Arc<Turns<Client>>,
    heavy_work: HeavyWork,
    mail_requests: MailRequests,
    resets: ResetQueue,
    public: PublicAddress,
    /// Whether browsers reach it by HTTPS.
    https: bool,
    request_metrics: RequestMetrics,
    rendered_metrics: RenderedMetrics,
    drawn_sheets: DrawnSheets,
    stopping: CancellationToken,
    sockets: TaskTracker,
    socket_quota: Arc<SocketQuota>,
}

/// Handlers reach the other boxes directly, as in `gateway.commands`.
impl Deref for Gateway {
    type Target = Dependencies;

    fn deref(&self) -> &Dependencies {
        &self.dependencies
    }
}

/// The gateway, shared by its handlers.
pub type SharedGateway = Arc<Gateway>;

/// The parts of other boxes that the gateway calls.
#[derive(Debug)]
pub struct Dependencies {
    /// Makes and verifies access tokens.
    pub tokens: Tokens,
    /// The clock that judges expiry.
    pub clock: SharedClock,
    /// Box 3, the command service.
    pub commands: Arc<CommandService>,
    /// Opens and joins workspaces.
    pub workspaces: Arc<Workspaces>,
    /// Whether a workspace exists, and when it was last used.
    pub presence: Arc<Presence>,
    /// Purges workspaces.
    pub sweeper: Arc<Sweeper>,
    /// An educator's controls over the pipeline of a workspace.
    pub lab: Lab,
    /// The hops of workspaces that students and educators look at.
    pub observatory: Arc<Observatory>,
    /// The invariants of workspaces, which are checked while a person looks or a dial is bent.
    pub invariants: Arc<Invariants>,
    /// Keeps the classes of workspaces.
    pub class: Arc<ClassKeeper>,
    /// Keeps the views that people of workspaces define.
    pub own_views: Arc<OwnViewKeeper>,
    /// Keeps recordings of the lab.
    pub recordings: Recordings,
    /// Keeps the runs of lessons.
    pub lessons: Arc<Lessons>,
    /// Keeps the bots of classes.
    pub bots: Arc<Bots>,
    /// Box 10, the query API.
    pub queries: Arc<QueryApi>,
    /// Tells when a correlation is settled: folded by every view, handled by every consumer.
    pub settlement: Arc<Settlement>,
    /// Box 11, the monitor: the log, its verification and exports.
    pub inspection: Inspection,
    /// The readiness of the boxes behind the gateway.
    pub readiness: Arc<dyn Readiness>,
    /// Encryption keys, credentials and sessions of people.
    pub people: Arc<People>,
    /// Full-text search.
    pub search: Arc<Search>,
    /// The consumer of the search index, which knows its checkpoints.
    pub search_index: Arc<RunningConsumer>,
    /// The mailbox that holds emails where no mail server is configured.
    pub mailbox: Mailbox,
    /// Signs and verifies the unsubscribe links of emails.
    pub links: Arc<UnsubscribeLinks>,
    /// How the picture names the event bus and the search index, after the running configuration.
    pub picture_names: drawing::Names,
    /// The line to the clients of live sockets.
    pub line: Arc<dyn Line>,
    /// The metrics of all boxes.
    pub metrics: PrometheusHandle,
}

impl Gateway {
    /// A gateway in front of the boxes. `opening`: how many workspaces an address may open in an hour.
    pub fn new(
        dependencies: Dependencies,
        limits: &Limits,
        opening: Option<NonZeroU32>,
        public: PublicAddress,
    ) -> SharedGateway {
        let is_limited = limits.rate().is_some();
        let (resets, queued_resets) = ResetQueue::new();
        let gateway = Arc::new(Self {
            dependencies,
            limits: limits.clone(),
            rate: RateLimit::new(limits.rate()),
            opening: OpeningLimit::new(opening),
            password_attempts: PasswordAttempts::new(limits.sign_ins()),
            password_turns: password_turns(is_limited),
            heavy_work: HeavyWork::new(is_limited),
            mail_requests: MailRequests::new(is_limited),
            resets,
            https: public.is_https(),
            public,
            request_metrics: RequestMetrics::default(),
            rendered_metrics: RenderedMetrics::default(),
            drawn_sheets: DrawnSheets::default(),
            stopping: CancellationToken::new(),
            sockets: TaskTracker::new(),
            socket_quota: Arc::new(SocketQuota::new(limits)),
        });
        gateway.sockets.spawn(operations::upkeep(Arc::clone(&gateway)));
        gateway
            .sockets
            .spawn(account_mails::work(Arc::clone(&gateway), queued_resets));
        gateway
    }

    /// Waits until every request for a new password until now is carried out: their answers do not wait.
    pub async fn resets_done(&self) {
        self.resets.done().await;
    }

    /// Closes every live socket with a reason, and waits for their closing handshakes.
    pub async fn close_sockets(&self) {
        self.stopping.cancel();
        self.sockets.close();
        self.sockets.wait().await;
        telemetry::security::write_suppressed();
    }
}

/// All routes that the server has, with their middleware. Each layer of a router clones and boxes everything
/// below it for every request, so there are few, and each does more than one thing.
pub fn router(gateway: &SharedGateway) -> Interface {
    let with = || Arc::clone(gateway);
    let limited = Router::new()
        .merge(api::router(gateway))
        .merge(web_forms::router(gateway.limits.request_timeout()))
        .merge(pages::router(gateway))
        .merge(unsubscribe::router())
        .layer(from_fn_with_state(with(), auth::identify));
    let layers = (
        from_fn_with_state(with(), observability::receive),
        DefaultBodyLimit::max(gateway.limits.max_body_bytes),
        CatchPanicLayer::custom(observability::panic_response),
    );
    let routes = Router::new()
        .route("/healthz", get(operations::liveness))
        .route("/readyz", get(operations::readiness))
        .route("/metrics", get(observability::metrics))
        .route("/.well-known/jwks.json", get(operations::public_keys))
        .merge(assets::router())
        .merge(site_files::router())
        .merge(limited)
        .method_not_allowed_fallback(observability::method_not_allowed)
        .layer(layers)
        .with_state(with());
    Interface::new(with(), routes)
}
