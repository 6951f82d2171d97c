//! What the program may be told: flags, then `FOLDLINE_*` variables, then a TOML file.
//!
//! The three spell one set of settings, declared once as flags; a key of the file is a flag without its dashes. What is
//! unknown or wrong is refused at start, by its name and with what is allowed: see [`load()`]. Settings say what is wanted;
//! whether a file or an address is really there is found out by the box that needs it.

mod load;
mod subcommands;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
pub use database::url::{MemoryUrl, PostgresUrl, SqliteUrl, StoreUrl, UrlError};
use gateway::settings::{Limits, TlsSettings};
pub use load::{SettingsError, load};
use mail::MailSettings;
use monitor::backup::BackupSources;
pub use subcommands::{
    BackupSettings, DeadLetterAction, DeadLetterSettings, ExportSettings, ImportSettings, RebuildSettings,
    ReplaySettings, StreamsSettings, TailSettings, TokenSettings, VerifySettings, Views,
};
use warehouse::place::{WarehouseAt, WarehousePlace, WarehousePlaceError};

/// An event-sourced shop that you can see through.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "foldline",
    version,
    about,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// A TOML file with settings; its keys are the flags without their dashes
    #[arg(long, global = true, env = "FOLDLINE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Command {
    /// Where the data lies.
    pub fn storage(&self) -> &StorageSettings {
        match self {
            Self::Serve(settings) => &settings.storage,
            Self::Streams(settings) => &settings.storage,
            Self::Tail(settings) => &settings.storage,
            Self::Rebuild(settings) => &settings.storage,
            Self::Verify(settings) => &settings.storage,
            Self::Replay(settings) => &settings.storage,
            Self::DeadLetters(settings) => &settings.storage,
            Self::Export(settings) => &settings.storage,
            Self::Import(settings) => &settings.storage,
            Self::Backup(settings) => &settings.storage,
            Self::Token(settings) => &settings.storage,
        }
    }
}

/// What `foldline` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Box<Settings>),
    /// List workspaces, the streams of one, or the events of a stream
    Streams(StreamsSettings),
    /// Follow the log of a workspace, in the data folder or on a running server
    Tail(TailSettings),
    /// Fold a view again from the whole log, beside the one that is read, and switch
    Rebuild(RebuildSettings),
    /// Compute every hash and fold every view again, and say what differs
    Verify(VerifySettings),
    /// Fold a stream or a partition again, and show what came of each event
    Replay(ReplaySettings),
    /// List events that views or policies could not apply, try one again, or give it up
    DeadLetters(DeadLetterSettings),
    /// Write workspaces as CloudEvents, one JSON object a line
    Export(ExportSettings),
    /// Bring exported workspaces in, each whole or not at all, and fold their views
    Import(ImportSettings),
    /// Copy events, process managers' memory and keys into a folder, also while a server runs
    Backup(BackupSettings),
    /// Print an access token, signed with the key in the data folder
    Token(TokenSettings),
}

/// Where the data lies; every command needs it.
#[derive(Debug, Clone, Args)]
pub struct StorageSettings {
    /// Everything that the embedded default keeps: keys, events, views
    #[arg(
        long,
        env = "FOLDLINE_DATA_DIR",
        default_value = "./data",
        value_name = "FOLDER"
    )]
    pub data_dir: PathBuf,
    /// The event store: sqlite:FILE or `postgres://USER:PASSWORD@HOST/DATABASE` [default: sqlite: in the data folder]
    #[arg(
        long,
        env = "FOLDLINE_EVENT_STORE",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub event_store: Option<StoreUrl>,
    /// The read model: sqlite:FILE or `postgres://USER:PASSWORD@HOST/DATABASE`, also the database of the event store
    /// [default: sqlite: in the data folder]
    #[arg(long, env = "FOLDLINE_READ_MODEL", hide_env_values = true, value_name = "URL")]
    pub read_model: Option<StoreUrl>,
}

impl StorageSettings {
    /// Where the event store lies.
    pub fn event_store(&self) -> StoreUrl {
        self.event_store
            .clone()
            .unwrap_or_else(|| self.data_dir.join("events.db").into())
    }

    /// Where the read model lies.
    pub fn read_model(&self) -> StoreUrl {
        self.read_model
            .clone()
            .unwrap_or_else(|| self.data_dir.join("views.db").into())
    }

    /// Where process managers keep what they remember: beside the events, as it is backed up with them.
    pub fn processes(&self) -> StoreUrl {
        match &self.event_store {
            Some(StoreUrl::Postgres(url)) => StoreUrl::Postgres(url.clone()),
            _ => self.data_dir.join("consumers.db").into(),
        }
    }

    /// Where what is known of people and must not be in the log is kept: beside the events, as it is backed up with them.
    pub fn people(&self) -> StoreUrl {
        match &self.event_store {
            Some(StoreUrl::Postgres(url)) => StoreUrl::Postgres(url.clone()),
            _ => self.data_dir.join("people.db").into(),
        }
    }

    /// What a backup is made of.
    pub fn to_back_up(&self) -> BackupSources {
        BackupSources {
            events: self.event_store(),
            processes: self.processes(),
            people: self.people(),
            keys: self.keys_folder(),
        }
    }

    /// The folder of mails, where there is no mail server.
    pub fn mailbox_folder(&self) -> PathBuf {
        self.data_dir.join("mailbox")
    }

    /// The folder of the search index.
    pub fn search_folder(&self) -> PathBuf {
        self.data_dir.join("search")
    }

    /// The folder of the checkpoints of consumers that keep them beside what they make.
    pub fn checkpoints_folder(&self) -> PathBuf {
        self.data_dir.join("checkpoints")
    }

    /// The folder of the signing keys.
    pub fn keys_folder(&self) -> PathBuf {
        self.data_dir.join("keys")
    }
}

/// An IP address and a port. A name is none: it may stand for several addresses, and a server listens at one.
fn address_to_listen_at(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "an IP address and a port are wanted, as in 127.0.0.1:3000 or [::1]:3000")
}

/// The settings of `foldline serve`.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        env = "FOLDLINE_LISTEN",
        default_value = "127.0.0.1:3000",
        value_name = "ADDRESS",
        value_parser = address_to_listen_at
    )]
    pub listen: SocketAddr,
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The message broker: memory: (in this process)
    #[arg(long, env = "FOLDLINE_BROKER", default_value = "memory:", value_name = "URL")]
    pub broker: MemoryUrl,
    /// The cache: memory: (in this process)
    #[arg(long, env = "FOLDLINE_CACHE", default_value = "memory:", value_name = "URL")]
    pub cache: MemoryUrl,
    /// HTTPS: where its certificate comes from.
    #[command(flatten)]
    pub tls: TlsSettings,
    /// How the log is written to standard error
    #[arg(long, env = "FOLDLINE_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged: a level, or directives as in info,server=debug
    #[arg(
        long,
        env = "FOLDLINE_LOG_FILTER",
        default_value = "info",
        value_name = "DIRECTIVES"
    )]
    pub log_filter: String,
    /// Where traces go.
    #[command(flatten)]
    pub traces: TraceSettings,
    /// Mails to customers.
    #[command(flatten)]
    pub mail: MailSettings,
    /// Where the warehouse lies: a folder, or `s3://BUCKET/PATH` with the credentials in AWS_… variables [default: in the
    /// data folder]
    #[arg(long, env = "FOLDLINE_WAREHOUSE", value_name = "PLACE")]
    pub warehouse: Option<WarehousePlace>,
    /// What one client may ask for.
    #[command(flatten)]
    pub limits: Limits,
    /// What a workspace may hold.
    #[command(flatten)]
    pub sandboxes: Sandboxes,
    /// Serve test suites, and nothing else: no rate limits, and password hashes that cost nothing. Listens on loopback only, and
    /// only on stores that were made so
    #[arg(long, env = "FOLDLINE_FOR_TESTS", num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, value_name = "true|false")]
    pub for_tests: bool,
}

impl Settings {
    /// Where the warehouse lies.
    pub fn warehouse(&self) -> Result<WarehouseAt, WarehousePlaceError> {
        let default = || WarehouseAt::Folder(self.storage.data_dir.join("warehouse"));
        self.warehouse
            .as_ref()
            .map_or_else(|| Ok(default()), WarehousePlace::warehouse)
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where traces go, and how many.
#[derive(Debug, Clone, Args)]
pub struct TraceSettings {
    /// Export traces by OTLP over HTTP to this collector, as in `http://localhost:4318`
    #[arg(long, env = "FOLDLINE_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<url::Url>,
    /// How many of a hundred traces are exported, unless the caller has decided
    #[arg(long, env = "FOLDLINE_OTLP_SAMPLE_PERCENT", default_value = "100", value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(0..=100))]
    pub otlp_sample_percent: u8,
}

/// What a sandbox may hold, and for how long: every workspace that was opened without an account is one.
#[derive(Debug, Clone, Args)]
pub struct Sandboxes {
    /// Events that people may bring about in a sandbox; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOX_EVENTS",
        default_value = "100000",
        value_name = "COUNT"
    )]
    pub sandbox_events: u64,
    /// People that may come into a sandbox, whoever opened it included; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOX_PEOPLE",
        default_value = "1000",
        value_name = "COUNT"
    )]
    pub sandbox_people: u32,
    /// Live subscriptions of a sandbox at a time, on one server; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_SANDBOX_SUBSCRIPTIONS",
        default_value = "10000",
        value_name = "COUNT"
    )]
    pub sandbox_subscriptions: u32,
    /// Days with nobody in it after which a sandbox is purged; 0 is never
    #[arg(long, env = "FOLDLINE_SANDBOX_IDLE_DAYS", default_value = "7", value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub sandbox_idle_days: u32,
    /// Sandboxes that may be opened from one address in an hour, behind a proxy from all together; 0 is no limit
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

    /// The most people; `None` is no limit.
    pub fn people(&self) -> Option<u32> {
        Some(self.sandbox_people).filter(|most| *most > 0)
    }

    /// The most live subscriptions; `None` is no limit.
    pub fn subscriptions(&self) -> Option<u32> {
        Some(self.sandbox_subscriptions).filter(|most| *most > 0)
    }

    /// How long nobody may be in it; `None` is for ever.
    pub fn idle(&self) -> Option<Duration> {
        let days = Some(self.sandbox_idle_days).filter(|days| *days > 0);
        days.map(|days| Duration::from_hours(24) * days)
    }

    /// The most in an hour from an address; `None` is no limit.
    pub fn per_hour(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.sandboxes_per_hour)
    }
}
