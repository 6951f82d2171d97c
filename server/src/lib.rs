//! Foldline's server: the boxes of the diagram, wired in the diagram's order.
//!
//! ```text
//! Web Client → API Gateway → Command Service → Aggregate / Domain Logic → Event Store
//!                                                    Event Store → Message Broker → Projection Worker
//!                                                    Event Store → Projection Worker
//!                                                    Projection Worker → Read Model Database
//! Web Client → Query API → Cache, Read Model Database
//! Message Broker → consumers → Command Service
//! Monitoring / Replay Tool → Event Store
//! ```
//!
//! [`Foldline::start`] is this diagram in code; every box is a crate, and depends only on the boxes that
//! ARCHITECTURE.md allows.

mod bent_line;
mod bent_workspaces;
mod class_bots;
mod classes;
mod cli;
mod consumers;
mod disk_reserve;
mod for_tests;
pub mod import_files;
mod lesson_workspaces;
mod moved_workspaces;
mod observed_workspaces;
pub mod read_side;
mod readiness;
mod server_lanes;
pub mod settings;
mod shared_keys;
mod stored_documents;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bent_line::BentLine;
use bent_workspaces::BentWorkspaces;
use class_bots::{BotWorkspaces, LedClasses};
use classes::{ClassNames, ClassWorkspaces};
pub use cli::run;
use clock::SharedClock;
use command::{CommandService, Workspaces};
pub use consumers::registry::ConsumerError;
use consumers::{Consumers, registry};
use disk_reserve::DiskReserve;
use documents::DocumentStoreError;
use domain::policy;
use event_store::{EventStore, StoreError, TypeCompatibility};
use for_tests::ForTestsMark;
pub use for_tests::{ForTestsError, StoreKind};
use gateway::{
    Gateway, InProcessApi, Listener, OpenedApi, PublicAddress, SharedGateway,
    keys::{KeyError, KeyRing},
    mail_links::MailLinks,
    tls::{self, TlsError},
    tokens::Tokens,
    unsubscribe::UnsubscribeLinks,
};
use identity::{People, PeopleError, passwords::HashCost};
use lab::{
    Lab,
    class::ClassKeeper,
    dials::{
        DialBoard, DialKeeper, lanes::BentLanes, payment::BentProvider, replay::RepeatedEffects,
        store::BentStore,
    },
    hops::Observatory,
    invariants::{Invariants, Witness},
    own_views::OwnViewKeeper,
    recordings::Recordings,
};
use lesson_workspaces::LessonWorkspaces;
use lifecycle::{
    Presence, Purger, Sweeper,
    foreign_stores::{ForeignStoresError, SeparateStores},
};
use monitor::{
    checkpoint::{CheckpointError, CheckpointKeeper, CheckpointKey},
    inspection::Inspection,
};
use moved_workspaces::MovedWorkspaces;
use observed_workspaces::ObservedWorkspaces;
use payment::test_mode::TestMode;
use read_side::{ReadSide, ReadSideBuilder};
use readiness::{BoxesReadiness, WriteProbe};
use server_lanes::ServerLanes;
use settings::Settings;
pub use shared_keys::SharedKeysError;
use stored_documents::ServerDocuments;
use teaching::{api::Api, bots::Bots, runs::Lessons};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warehouse::WarehouseError;
use workspace_clock::{Clocks, LogClock};

/// How the picture names what this program runs on: it has its own event bus and its own search index.
const PICTURE_NAMES: drawing::Names = drawing::Names {
    bus: drawing::Bus::InProcess,
    search: drawing::Search::Embedded,
};

/// How long stopping may take at least: lanes finish their transactions, and stores are closed.
const LEAST_SHUTDOWN: Duration = Duration::from_secs(1);

/// The part of the shutdown timeout, at its end, that is left once consumers are interrupted; a fifth of a
/// short one.
const INTERRUPTED_SHUTDOWN: Duration = Duration::from_secs(1);

/// A running server.
#[derive(Debug)]
pub struct Foldline {
    listener: Listener,
    gateway: SharedGateway,
    sweeper: Arc<Sweeper>,
    read_side: Arc<ReadSide>,
    consumers: Arc<Consumers>,
    people: Arc<People>,
    background_tasks: (TaskTracker, CancellationToken),
    lessons: Arc<Lessons>,
    bots: Arc<Bots>,
    opened_api: OpenedApi,
    events: Arc<dyn EventStore>,
    https: bool,
    shutdown_timeout: Duration,
}

/// Why the server does not start; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The keys that sign tokens cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Checkpoints of the log cannot be signed.
    #[error("checkpoints of the log cannot be signed: {0}")]
    Checkpoints(#[from] CheckpointError),
    /// The keys are not those of the other servers on the database.
    #[error(transparent)]
    SharedKeys(#[from] SharedKeysError),
    /// A real server was started on test stores, or a test server on real ones.
    #[error(transparent)]
    ForTests(#[from] ForTestsError),
    /// The certificate of HTTPS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The event store cannot be used.
    #[error(transparent)]
    Events(#[from] StoreError),
    /// The log holds events that this program cannot read.
    #[error(
        "this program cannot read stored events; start the version that wrote them, or a newer one: {}",
        .0.join("; ")
    )]
    UnreadableEvents(Vec<String>),
    /// The schema of a stored event differs from that of this program.
    #[error(
        "the schema of an event never changes once it is stored, and this program has another one; what has \
         changed is a new version, with an upcaster: {}", .0.join("; ")
    )]
    ChangedSchemas(Vec<String>),
    /// The keys or credentials of users cannot be used.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// The stores do not belong together.
    #[error(transparent)]
    ForeignStores(#[from] ForeignStoresError),
    /// The read model cannot be used.
    #[error("the read model cannot be used: {0}")]
    ReadModel(#[from] DocumentStoreError),
    /// The dials of workspaces cannot be read.
    #[error("the dials of workspaces cannot be read: {0}")]
    Dials(DocumentStoreError),
    /// The views that workspaces have defined cannot be read.
    #[error("the views that workspaces have defined cannot be read: {0}")]
    OwnViews(DocumentStoreError),
    /// The classes of workspaces cannot be read.
    #[error("the classes of workspaces cannot be read: {0}")]
    Classes(DocumentStoreError),
    /// The projections cannot start.
    #[error("the projections cannot start: {0}")]
    Projections(#[from] projection::StartError),
    /// A consumer cannot start.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
    /// Metrics cannot be recorded.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(Box<dyn std::error::Error + Send + Sync>),
    /// The server cannot listen at the address.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
}

/// Registers the program's event types, and refuses a store with other ones.
pub(crate) async fn event_types_fit(events: &dyn EventStore) -> Result<(), StartError> {
    let TypeCompatibility { unreadable, changed } = events.register_types().await?;
    if !unreadable.is_empty() {
        return Err(StartError::UnreadableEvents(unreadable));
    }
    if !changed.is_empty() {
        return Err(StartError::ChangedSchemas(changed));
    }
    Ok(())
}

impl Foldline {
    /// Starts every box, then listens.
    #[expect(clippy::too_many_lines, reason = "it is the diagram, read from top to bottom")]
    pub async fn start(settings: &Settings, clock: SharedClock) -> Result<Self, StartError> {
        cryptography::use_ring();
        // The machine's clock for all boxes, which also knows the time of each workspace.
        let log_clock = LogClock::new(clock);
        let clock: SharedClock = log_clock.clone();
        let reserve = DiskReserve::release(&settings.storage.data_dir);
        let mut for_tests = ForTestsMark::open(settings)?;
        let metrics = gateway::recorder().map_err(StartError::Metrics)?;
        let tls_folder = settings.storage.data_dir.join("tls");
        let tls = tls::server_config(&settings.tls, &tls_folder, settings.listen.ip())?;
        let https = tls.is_some();
        let has_keys = settings.storage.keys_folder().exists();
        let keys = KeyRing::open(&settings.storage.keys_folder(), &*clock)?;
        let checkpoint_key = CheckpointKey::open(&settings.checkpoints.key(&settings.storage))?;

        // Event Store → Message Broker: published domain events.
        let quotas = &settings.sandboxes;
        let read_side = ReadSideBuilder::with_own_views().with_quota(quotas.subscriptions());
        let url = settings.storage.event_store();
        let events = event_store::open(&url, clock.clone(), Some(read_side.observer())).await?;
        // The stores beside the log: the views, the process store, and the personal data that must not be in
        // it.
        let storage = &settings.storage;
        let people = identity::open_store(&storage.people()).await?;
        let read_model = read_model::open(&storage.read_model()).await?;
        let process_store = process_manager::process::open(&storage.process_store()).await?;
        let apart = SeparateStores {
            read_model: &*read_model,
            process_store: &*process_store,
            people: &*people,
        };
        if let Some(for_tests) = &mut for_tests {
            for_tests.admit(storage, &*events, &apart).await?;
            tracing::warn!(
                "this server is for tests only: it has no rate limits, and its passwords are cheap to guess"
            );
        }
        let read_model_setting = storage
            .read_model
            .as_ref()
            .map_or("--data-dir", |_| "--read-model");
        apart.check_belong_to(&*events, read_model_setting).await?;
        event_types_fit(&*events).await?;
        // What educators have bent; the boxes are wrapped with it below.
        let dial_board = Arc::new(DialBoard::default());
        // What only a bent box knows, for the lights of invariants.
        let witness = Arc::new(Witness::default());

        // Seals and unseals personal fields in the log, and signs users in.
        let keys_folder = settings.storage.keys_folder();
        let hash_cost = if settings.for_tests {
            HashCost::Least
        } else {
            HashCost::Recommended
        };
        let people = People::new(
            people,
            Arc::clone(&events),
            &keys_folder,
            hash_cost,
            clock.clone(),
        )?;
        let people = Arc::new(people);
        shared_keys::check(&*events, &keys_folder, &keys, (settings.accept_keys, !has_keys)).await?;
        // Digests of commands that an earlier version has stored get their key.
        events.key_digests(people.digest_key()).await?;
        // Before the first request: finish erasures that a crash has interrupted. A file of keys may have
        // been restored from a backup that is older than the log; on PostgreSQL they are in one database.
        if let Err(error) = people.maintain().await {
            tracing::warn!(%error, "interrupted erasures could not be finished");
        }
        if !people.store().is_shared()
            && let Err(error) = erasure::finish(&people, &*events).await
        {
            tracing::warn!(%error, "keys of erased people may exist until the next start");
        }

        // Message Broker → Projection Worker: event subscription. Event Store → Projection Worker:
        // historical events. Projection Worker → Read Model Database: upsert projection. Query API →
        // Cache, Read Model Database.
        let dependencies =
            read_side::Dependencies::in_process(Arc::clone(&events), read_model, clock.clone());
        // It holds before anything is delivered.
        let (store, broker) = (Arc::clone(&process_store), Arc::clone(&dependencies.broker));
        let dial_keeper = DialKeeper::open(store, Arc::clone(&dial_board), broker, clock.clone());
        let dial_keeper = dial_keeper.await.map_err(StartError::Dials)?;
        let (store, broker) = (Arc::clone(&process_store), Arc::clone(&dependencies.broker));
        let progress = read_side.progress();
        let own_views = OwnViewKeeper::open(store, &progress, broker, clock.clone());
        let own_views = own_views.await.map_err(StartError::OwnViews)?;
        dial_keeper.know_own_views(Arc::clone(progress.own_views()));
        let bent_lanes = BentLanes::bend(&read_side.progress(), &dial_board);
        let read_side = Arc::new(
            read_side
                .with_opener(Arc::new(people.seals.clone()))
                .start(dependencies.with_dials(&dial_board).with_shared_lanes().await?)
                .await?,
        );

        // Command Service → Aggregate / Domain Logic: validate command. Aggregate → Event Store: append
        // events.
        let clocks = Arc::new(Clocks::new(clock.clone(), Arc::clone(&process_store)));
        log_clock.follow(&clocks);
        let payments = TestMode::new(Arc::clone(&process_store), Arc::clone(&clocks));
        let payments = BentProvider::new(Arc::new(payments), Arc::clone(&dial_board));
        let stored_documents = ServerDocuments {
            read_model: Arc::clone(read_side.read_model()),
            process_store: Arc::clone(&process_store),
            events: Arc::clone(&events),
            progress: Arc::clone(&read_side.progress),
        };
        let port = BentStore::new(
            Arc::clone(&events),
            Arc::clone(&read_side.broker),
            Arc::clone(&dial_board),
            clock.clone(),
        );
        let port = port.with_witness(Arc::clone(&witness));
        let commands = CommandService::new(Arc::clone(&events), clock.clone())
            .with_port(Arc::new(port))
            .with_quota(quotas.events())
            .with_clocks(Arc::clone(&clocks))
            .with_documents(Arc::new(stored_documents), quotas.storage())
            .with_people(Arc::clone(&people))
            .with_payments(Arc::new(payments));
        let commands = Arc::new(commands);
        let workspaces = Workspaces::new(Arc::clone(&events), Arc::clone(&commands), clock.clone());
        let have_shares = settings.limits.rate().is_some();
        let workspaces = Arc::new(workspaces.with_quota(quotas.people(), have_shares));

        // Message Broker → consumers → Command Service: process managers. Message Broker → consumers:
        // emails, warehouse, index, erasure of keys.
        let dependencies = consumers::Dependencies {
            store: Arc::clone(&events),
            broker: read_side.broker.clone(),
            commands: Arc::clone(&commands),
            process_store: Arc::clone(&process_store),
            clocks: Arc::clone(&clocks),
            folder: settings.storage.checkpoints_folder(),
            lane_setup: Arc::new(ServerLanes {
                views: Arc::clone(&read_side.progress),
                board: Arc::clone(&dial_board),
            }),
            clock: clock.clone(),
        };
        let keys = Arc::new(keys);
        let links = UnsubscribeLinks::new(Arc::clone(&keys), settings.mail.public_url.clone());
        let links = Arc::new(links);
        let mail_links = MailLinks::new(Arc::clone(&links), Arc::clone(&people));
        let recorded_runs = Arc::clone(&process_store);
        let registry_dependencies = registry::Dependencies {
            store: Arc::clone(&events),
            process_store,
            people: Arc::clone(&people),
            opener: Arc::new(people.seals.clone()),
            links: Arc::new(mail_links),
            dials: Arc::clone(&dial_board),
            clock: clock.clone(),
        };
        let opened = registry::open(settings, registry_dependencies).await?;
        if let (Some(for_tests), Some(url)) = (&mut for_tests, &settings.warehouse) {
            let at = url
                .warehouse()
                .map_err(WarehouseError::from)
                .map_err(ConsumerError::from)?;
            for_tests.admit_warehouse(&at, &*opened.warehouse).await?;
        }
        let consumers = Consumers::start(dependencies, policy::all(), opened.all).await?;
        let consumers = Arc::new(consumers);
        read_side.settlement.wait_for(consumers.clone());
        own_views.attach(
            Arc::clone(&read_side.projections),
            (Arc::clone(&dial_keeper), bent_lanes),
            consumers
                .lanes()
                .flat_map(|lanes| lanes.handler_names())
                .collect(),
        );
        let search_index = consumers.consumer(search::NAME).map(Arc::clone);
        let search_index = search_index.ok_or(ConsumerError::Missing(search::NAME))?;

        // Across the boxes: which users are in which workspace, and the purge of unused workspaces.
        let presence = Arc::new(Presence::new(Arc::clone(&events), clock.clone(), quotas.idle()));
        let observatory = Observatory::new(Arc::clone(&read_side.broker), clock.clone());
        let invariants = Invariants::new(lab::invariants::Dependencies {
            events: Arc::clone(&events),
            read_model: Arc::clone(read_side.read_model()),
            process_store: Arc::clone(&recorded_runs),
            progress: Arc::clone(&read_side.progress),
            projections: Arc::clone(&read_side.projections),
            dials: Arc::clone(&dial_keeper),
            witness: Arc::clone(&witness),
            clock: clock.clone(),
        });
        let observed = Arc::new(ObservedWorkspaces {
            hops: Arc::clone(&observatory),
            invariants: Arc::clone(&invariants),
        });
        let bent = Arc::new(BentWorkspaces(Arc::clone(&dial_keeper)));
        let class = ClassKeeper::open(
            Arc::clone(&recorded_runs),
            Arc::clone(&read_side.broker),
            Arc::new(ClassNames(Arc::clone(&people))),
            clock.clone(),
        );
        let class = class.await.map_err(StartError::Classes)?;
        // Lessons are clients of the API, which answers them once the gateway is there.
        let in_process_api = Arc::new(InProcessApi::default());
        let api = Arc::clone(&in_process_api) as Arc<dyn Api>;
        let lessons = Lessons::new(Arc::clone(&api), Arc::clone(&recorded_runs), clock.clone());
        let led = Arc::new(LedClasses(Arc::clone(&class)));
        let bots = Bots::new(api, Arc::clone(&recorded_runs), led, clock.clone());
        let sweeper = Sweeper::start(Purger {
            store: Arc::clone(&events),
            presence: Arc::clone(&presence),
            commands: Arc::clone(&commands),
            keepers: vec![
                Arc::new(BotWorkspaces(Arc::clone(&bots))) as _,
                Arc::clone(&read_side) as _,
                Arc::clone(&consumers) as _,
                observed as _,
                bent as _,
                Arc::new(ClassWorkspaces(Arc::clone(&class))) as _,
                Arc::new(LessonWorkspaces(Arc::clone(&lessons))) as _,
                Arc::new(MovedWorkspaces(Arc::clone(&read_side.broker))) as _,
            ],
            people: Arc::clone(&people),
        });
        let background_tasks = (TaskTracker::new(), CancellationToken::new());
        background_tasks
            .0
            .spawn(Arc::clone(&people).run(background_tasks.1.clone()));
        let following = Arc::clone(&dial_keeper).run(background_tasks.1.clone());
        background_tasks.0.spawn(following);
        let following = Arc::clone(&own_views).run(background_tasks.1.clone());
        background_tasks.0.spawn(following);
        let following = Arc::clone(&class).run(background_tasks.1.clone());
        background_tasks.0.spawn(following);
        let following = moved_workspaces::follow(
            Arc::clone(&read_side.broker),
            Arc::clone(&sweeper),
            background_tasks.1.clone(),
        );
        background_tasks.0.spawn(following);
        let lab = Lab::new(
            Arc::clone(&read_side.projections),
            consumers.lanes().cloned().collect(),
            dial_keeper,
            clocks,
            clock.clone(),
        );
        let following = Arc::clone(lab.clock_dials()).run(background_tasks.1.clone());
        background_tasks.0.spawn(following);
        let observing = Arc::clone(&observatory).run(background_tasks.1.clone());
        background_tasks.0.spawn(observing);
        let checking = Arc::clone(&invariants).run(background_tasks.1.clone());
        background_tasks.0.spawn(checking);
        let recordings = Recordings::new(recorded_runs, Arc::clone(&events), clock.clone());
        // A rebuild has no side effects, unless the dials of its workspace take that guarantee away.
        let repeated_effects = RepeatedEffects::new(
            (Arc::clone(&events), opened.notification),
            (Arc::clone(&dial_board), Arc::clone(&witness)),
            clock.clone(),
            background_tasks.clone(),
        );
        read_side.projections.rebuilds.observe(repeated_effects);

        // API Gateway → Command Service: REST/JSON command. Monitoring / Replay Tool → Event Store:
        // replay stream, signed checkpoints.
        let folder = settings.checkpoints.folder(storage);
        let checkpoints = CheckpointKeeper::new(Arc::clone(&events), checkpoint_key, folder);
        let checkpoints = Arc::new(checkpoints);
        let every = settings.checkpoint_interval.interval();
        let keeping = Arc::clone(&checkpoints).run(every, background_tasks.1.clone());
        background_tasks.0.spawn(keeping);
        let inspection = Inspection::new(
            Arc::clone(&events),
            Arc::clone(read_side.read_model()),
            Arc::clone(&read_side.projections),
            consumers.lanes().cloned().collect(),
            checkpoints,
        );
        let readiness = BoxesReadiness {
            read_side: Arc::clone(&read_side),
            events: Arc::clone(&events),
            people: Arc::clone(&people),
            write_probe: WriteProbe::new(&settings.storage),
        };
        let dependencies = gateway::Dependencies {
            tokens: Tokens::new(keys, clock.clone()),
            clock,
            commands,
            workspaces,
            presence,
            sweeper: Arc::clone(&sweeper),
            lab,
            observatory,
            invariants,
            recordings,
            class,
            own_views,
            lessons: Arc::clone(&lessons),
            bots: Arc::clone(&bots),
            queries: Arc::clone(&read_side.query),
            settlement: Arc::clone(&read_side.settlement),
            inspection,
            readiness: Arc::new(readiness),
            people: Arc::clone(&people),
            search: opened.search,
            search_index,
            mailbox: opened.mailbox,
            links: Arc::clone(&links),
            picture_names: PICTURE_NAMES,
            line: Arc::new(BentLine {
                board: Arc::clone(&dial_board),
                witness: Arc::clone(&witness),
            }),
            metrics,
        };
        let public = PublicAddress::new(settings.mail.public_url.as_ref(), https);
        let gateway = Gateway::new(dependencies, &settings.limits, quotas.per_hour(), public);

        // Web Client → API Gateway: HTTPS + JWT command request. Web Client → Query API: HTTPS read
        // request.
        let address = settings.listen;
        let interface = gateway::router(&gateway);
        let opened_api = in_process_api.open(&gateway, &interface);
        let listener = Listener::open(address, tls, interface, &settings.limits)
            .map_err(|source| StartError::Listen { address, source })?;
        let shutdown_timeout = settings.limits.shutdown_timeout();
        let foldline = Self {
            listener,
            gateway,
            sweeper,
            read_side,
            consumers,
            people,
            background_tasks,
            lessons,
            bots,
            opened_api,
            events,
            https,
            shutdown_timeout,
        };
        links.listens_at(&foldline.url());
        reserve.keep();
        Ok(foldline)
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Runs a sweep of unused and purged workspaces now, and waits until they are gone.
    pub async fn swept(&self) {
        self.sweeper.sweep_now().await;
    }

    /// Waits until every request for a new password until now is carried out. Its answer does not wait, so
    /// that it tells nothing about accounts.
    pub async fn resets_done(&self) {
        self.gateway.resets_done().await;
    }

    /// The URL for a browser.
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let address = self.address();
        if address.ip().is_unspecified() {
            format!("{scheme}://localhost:{}", address.port())
        } else {
            format!("{scheme}://{address}")
        }
    }

    /// Stops in reverse order: no new connections, requests and sockets end, lanes finish their transactions,
    /// and every acknowledged event is durable.
    ///
    /// Callers that wait for a view or for `/settled` are told at once. Consumers that wait for the outside
    /// world, such as a mail server, are interrupted before the shutdown timeout is over.
    pub async fn stop(self) {
        let timeout = self.longest_shutdown();
        let undisturbed = timeout.saturating_sub((timeout / 5).min(INTERRUPTED_SHUTDOWN));
        let for_requests = self.shutdown_timeout.min(undisturbed);
        let consumers = Arc::clone(&self.consumers);
        let mut stopped = pin!(self.stop_boxes(for_requests));
        if tokio::time::timeout(undisturbed, stopped.as_mut()).await.is_err() {
            consumers.interrupt();
            stopped.await;
        }
    }

    /// Stops, and gives up when the shutdown timeout is over, for a process that ends then. What did not end
    /// is left as a crash would leave it, and done again after the next start.
    pub async fn stop_in_time(self) {
        let timeout = self.longest_shutdown();
        if tokio::time::timeout(timeout, self.stop()).await.is_err() {
            tracing::warn!("running work did not end in time; it is done again after the next start");
        }
    }

    fn longest_shutdown(&self) -> Duration {
        self.shutdown_timeout.max(LEAST_SHUTDOWN)
    }

    async fn stop_boxes(self, for_requests: Duration) {
        self.read_side.stop_waiting();
        tokio::join!(self.listener.close(for_requests), self.gateway.close_sockets());
        self.bots.shut_down().await;
        // Without answers, a lesson that acts comes to its end at once.
        drop(self.opened_api);
        self.lessons.stop().await;
        self.sweeper.stop().await;
        self.consumers.stop().await;
        let (tasks, stopping) = self.background_tasks;
        stopping.cancel();
        tasks.close();
        tasks.wait().await;
        self.read_side.shutdown().await;
        self.people.store().close().await;
        self.events.close().await;
    }
}
