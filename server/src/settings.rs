//! The settings of the program: flags, then `FOLDLINE_*` variables, then a TOML file.
//!
//! All three set the same settings, which are declared once, as flags; a key of the file is a flag without
//! its dashes. Unknown or invalid settings are refused at start, with their name and the allowed values: see
//! [`load()`]. Whether a file or an address exists is checked by the box that needs it.

mod checkpoints;
mod load;
mod subcommands;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

pub use checkpoints::{CheckpointInterval, CheckpointPlaces, CheckpointSettings};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use command::StorageLimits;
pub use database::{
    connections::ConnectionLimit,
    url::{MemoryUrl, PostgresUrl, SqliteUrl, StoreUrl, UrlError},
};
use gateway::settings::{Limits, TlsSettings};
pub use load::{SettingsError, load};
use mail::MailSettings;
use monitor::backup::BackupSources;
pub use subcommands::{
    BackupSettings, DeadLetterAction, DeadLetterSettings, ExportSettings, ImportSettings, RebuildSettings,
    ReplaySettings, StreamsSettings, TailSettings, TokenSettings, VerifySettings, Views,
};
use warehouse::location::{WarehouseLocation, WarehouseUrl, WarehouseUrlError};

/// The version, and the commit that `build.rs` has named.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("BUILT_FROM_COMMIT"),
    ")"
);

/// An event-sourced shop that you can see through.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "foldline",
    version = VERSION,
    about,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// A TOML file with settings; its keys are the flags without their dashes
    #[arg(long, global = true, env = "FOLDLINE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

impl Command {
    /// The storage settings.
    pub fn storage(&self) -> &StorageSettings {
        match self {
            Self::Serve(settings) => &settings.storage,
            Self::Streams(settings) => &settings.storage,
            Self::Tail(settings) => &settings.storage,
            Self::Rebuild(settings) => &settings.storage,
            Self::Verify(settings) => &settings.storage,
            Self::Checkpoint(settings) => &settings.storage,
            Self::Replay(settings) => &settings.storage,
            Self::DeadLetters(settings) => &settings.storage,
            Self::Export(settings) => &settings.storage,
            Self::Import(settings) => &settings.storage,
            Self::Backup(settings) => &settings.storage,
            Self::Token(settings) => &settings.storage,
        }
    }
}

/// The subcommands of `foldline`.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Box<Settings>),
    /// List workspaces, the streams of one, or the events of a stream
    Streams(StreamsSettings),
    /// Follow the log of a workspace, in the data folder or on a running server
    Tail(TailSettings),
    /// Rebuild a view from the whole log, beside the live one, and switch to it
    Rebuild(RebuildSettings),
    /// Recompute every hash, fold every view again, and report differences
    Verify(VerifySettings),
    /// Sign the heads of the log, and print them: `verify --checkpoint` says later whether the log still has
    /// that history
    Checkpoint(CheckpointSettings),
    /// Fold a stream or a partition again, and show the result of each event
    Replay(ReplaySettings),
    /// List events that views or policies could not apply, and retry or discard one
    DeadLetters(DeadLetterSettings),
    /// Export workspaces as CloudEvents, one JSON object a line
    Export(ExportSettings),
    /// Import exported workspaces, each completely or not at all, and fold their views
    Import(ImportSettings),
    /// Back up events, processes, personal data and keys into a folder, even while a server runs
    Backup(BackupSettings),
    /// Print an access token, signed with the key in the data folder
    Token(TokenSettings),
}

/// The storage settings, which every subcommand needs.
#[derive(Debug, Clone, Args)]
pub struct StorageSettings {
    /// The folder of keys, and of events, views and all other data that no other setting places elsewhere
    #[arg(
        long,
        env = "FOLDLINE_DATA_DIR",
        default_value = "./data",
        value_name = "FOLDER"
    )]
    pub data_dir: PathBuf,
    /// The event store: sqlite:FILE or `postgres://USER:PASSWORD@HOST/DATABASE` [default: sqlite: in the data
    /// folder]
    #[arg(
        long,
        env = "FOLDLINE_EVENT_STORE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub event_store: Option<StoreUrl>,
    /// The read model: sqlite:FILE or `postgres://USER:PASSWORD@HOST/DATABASE`, which may be the database of
    /// the event store [default: sqlite: in the data folder]
    #[arg(long, env = "FOLDLINE_READ_MODEL", hide_env_values = true, value_name = "URL")]
    pub read_model: Option<StoreUrl>,
    /// The most connections to PostgreSQL, of all stores together; 9 at least
    #[arg(
        long,
        env = "FOLDLINE_POSTGRES_CONNECTIONS",
        default_value_t,
        value_name = "COUNT"
    )]
    pub postgres_connections: ConnectionLimit,
    /// A file to which events of security are added, one JSON object a line; without it, those of the server
    /// are only in its log
    #[arg(long, env = "FOLDLINE_SECURITY_LOG", value_name = "FILE")]
    pub security_log: Option<PathBuf>,
}

impl StorageSettings {
    /// The URL of the event store.
    pub fn event_store(&self) -> StoreUrl {
        self.event_store
            .clone()
            .unwrap_or_else(|| self.data_dir.join("events.db").into())
            .with_connections(self.postgres_connections)
    }

    /// The URL of the read model.
    pub fn read_model(&self) -> StoreUrl {
        self.read_model
            .clone()
            .unwrap_or_else(|| self.data_dir.join("views.db").into())
            .with_connections(self.postgres_connections)
    }

    /// The URL of the process store: beside the events, because it is backed up with them.
    pub fn process_store(&self) -> StoreUrl {
        self.beside_the_events("consumers.db")
    }

    /// The URL of the store of personal data that must not be in the log: beside the events, because it is
    /// backed up with them.
    pub fn people(&self) -> StoreUrl {
        self.beside_the_events("people.db")
    }

    /// The PostgreSQL database of the events, or a file in the data folder.
    fn beside_the_events(&self, file: &str) -> StoreUrl {
        match self.event_store() {
            StoreUrl::Sqlite(_) => self.data_dir.join(file).into(),
            database @ StoreUrl::Postgres(_) => database,
        }
    }

    /// The stores and the folder that a backup copies.
    pub fn to_back_up(&self) -> BackupSources {
        BackupSources {
            events: self.event_store(),
            process_store: self.process_store(),
            people: self.people(),
            keys: self.keys_folder(),
        }
    }

    /// The folder of emails, for servers without a mail server.
    pub fn mailbox_folder(&self) -> PathBuf {
        self.data_dir.join("mailbox")
    }

    /// The folder of the search index.
    pub fn search_folder(&self) -> PathBuf {
        self.data_dir.join("search")
    }

    /// The folder of consumers' checkpoints that are bound to their output.
    pub fn checkpoints_folder(&self) -> PathBuf {
        self.data_dir.join("checkpoints")
    }

    /// The folder of the signing keys.
    pub fn keys_folder(&self) -> PathBuf {
        self.data_dir.join("keys")
    }
}

/// Parses an IP address and a port. A host name is not accepted: it may have several addresses, and a server
/// listens at one.
fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "an IP address and a port are wanted, as in 127.0.0.1:3000 or [::1]:3000")
}

/// The settings of `foldline serve`.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The address to listen at; port 0 takes a free one
    #[arg(
        long,
        env = "FOLDLINE_LISTEN",
        default_value = "127.0.0.1:3000",
        value_name = "ADDRESS",
        value_parser = listen_address
    )]
    pub listen: SocketAddr,
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The message broker: memory: (in this process)
    #[arg(long, env = "FOLDLINE_BROKER", default_value = "memory:", value_name = "URL")]
    pub broker: MemoryUrl,
    /// The cache: memory: (in this process)
    #[arg(long, env = "FOLDLINE_CACHE", default_value = "memory:", value_name = "URL")]
    pub cache: MemoryUrl,
    /// The certificate of HTTPS.
    #[command(flatten)]
    pub tls: TlsSettings,
    /// The format of the log on standard error
    #[arg(long, env = "FOLDLINE_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// The log filter: a level, or directives as in info,server=debug
    #[arg(
        long,
        env = "FOLDLINE_LOG_FILTER",
        default_value = "info",
        value_name = "DIRECTIVES"
    )]
    pub log_filter: String,
    /// The export of traces.
    #[command(flatten)]
    pub traces: TraceSettings,
    /// Emails to customers.
    #[command(flatten)]
    pub mail: MailSettings,
    /// The warehouse: a folder, or `s3://BUCKET/PATH` with the credentials in AWS_… variables [default: in
    /// the data folder]
    #[arg(long, env = "FOLDLINE_WAREHOUSE", value_name = "LOCATION")]
    pub warehouse: Option<WarehouseUrl>,
    /// Take the keys in the data folder as those of the database from now on, though the servers on it had
    /// others: for keys that are lost or were replaced
    #[arg(long, env = "FOLDLINE_ACCEPT_KEYS", num_args = 0..=1, require_equals = true,
        default_value_t = false, default_missing_value = "true", action = ArgAction::Set,
        value_name = "true|false")]
    pub accept_keys: bool,
    /// Signed checkpoints of the log.
    #[command(flatten)]
    pub checkpoints: CheckpointPlaces,
    /// Their interval.
    #[command(flatten)]
    pub checkpoint_interval: CheckpointInterval,
    /// The limits of a client's requests.
    #[command(flatten)]
    pub limits: Limits,
    /// The quotas of sandboxes.
    #[command(flatten)]
    pub sandboxes: Sandboxes,
    /// Run as a server for test suites only: no rate limits, and password hashes that cost nothing. Listens
    /// on loopback only, and only on stores that were created for tests
    #[arg(long, env = "FOLDLINE_FOR_TESTS", num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, value_name = "true|false")]
    pub for_tests: bool,
}

impl Settings {
    /// The location of the warehouse.
    pub fn warehouse(&self) -> Result<WarehouseLocation, WarehouseUrlError> {
        let default = || WarehouseLocation::Folder(self.storage.data_dir.join("warehouse"));
        self.warehouse
            .as_ref()
            .map_or_else(|| Ok(default()), WarehouseUrl::warehouse)
    }
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Readable text.
    Text,
    /// One JSON object a line.
    Json,
}

/// The export of traces.
#[derive(Debug, Clone, Args)]
pub struct TraceSettings {
    /// Export traces by OTLP over HTTP to this collector, as in `http://localhost:4318`
    #[arg(long, env = "FOLDLINE_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<url::Url>,
    /// The percentage of traces that are exported, unless the client has decided
    #[arg(long, env = "FOLDLINE_OTLP_SAMPLE_PERCENT", default_value = "100", value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(0..=100))]
    pub otlp_sample_percent: u8,
}

/// The bytes of a megabyte.
const MEGABYTE: u64 = 1_000_000;

/// The quotas of sandboxes. Every workspace that was opened without an account is one.
#[derive(Debug, Clone, Args)]
pub struct Sandboxes {
    /// The most events in a sandbox that commands of users may cause; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOX_EVENTS",
        default_value = "100000",
        value_name = "COUNT"
    )]
    pub sandbox_events: u64,
    /// The most documents of views and processes in a sandbox that commands of users may cause; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOX_DOCUMENTS",
        default_value = "500000",
        value_name = "COUNT"
    )]
    pub sandbox_documents: u64,
    /// The most megabytes (10^6 bytes) of these documents; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOX_MEGABYTES",
        default_value = "500",
        value_name = "COUNT"
    )]
    pub sandbox_megabytes: u64,
    /// The most users of a sandbox, its first one included; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOX_PEOPLE",
        default_value = "1000",
        value_name = "COUNT"
    )]
    pub sandbox_people: u32,
    /// The most live subscriptions of a sandbox at a time, on one server; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOX_SUBSCRIPTIONS",
        default_value = "10000",
        value_name = "COUNT"
    )]
    pub sandbox_subscriptions: u32,
    /// Days without a request after which a sandbox is purged; 0 is never
    #[arg(long, env = "FOLDLINE_SANDBOX_IDLE_DAYS", default_value = "7", value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub sandbox_idle_days: u32,
    /// The most sandboxes opened from one address in an hour, behind a proxy that is not trusted from all
    /// together; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOXES_PER_HOUR",
        default_value = "300",
        value_name = "COUNT"
    )]
    pub sandboxes_per_hour: u32,
}

impl Sandboxes {
    /// The most events; `None` is no limit.
    pub fn events(&self) -> Option<u64> {
        Some(self.sandbox_events).filter(|most| *most > 0)
    }

    /// The most documents, and the most bytes of them.
    pub fn storage(&self) -> StorageLimits {
        let limit = |most: u64| Some(most).filter(|most| *most > 0);
        StorageLimits {
            documents: limit(self.sandbox_documents),
            bytes: limit(self.sandbox_megabytes).map(|most| most.saturating_mul(MEGABYTE)),
        }
    }

    /// The most users; `None` is no limit.
    pub fn people(&self) -> Option<u32> {
        Some(self.sandbox_people).filter(|most| *most > 0)
    }

    /// The most live subscriptions; `None` is no limit.
    pub fn subscriptions(&self) -> Option<u32> {
        Some(self.sandbox_subscriptions).filter(|most| *most > 0)
    }

    /// The time without a request after which it is purged; `None` is never.
    pub fn idle(&self) -> Option<Duration> {
        let days = Some(self.sandbox_idle_days).filter(|days| *days > 0);
        days.map(|days| Duration::from_hours(24) * days)
    }

    /// The most opened in an hour from an address; `None` is no limit.
    pub fn per_hour(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.sandboxes_per_hour)
    }
}
