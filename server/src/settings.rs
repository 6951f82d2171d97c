//! What the program may be told: flags, then `FOLDLINE_*` variables, then a TOML file.
//!
//! The three spell one set of settings, declared once as flags; a key of the file is a flag without its dashes. What is
//! unknown or wrong is refused at start, by its name and with what is allowed: see [`load()`]. Settings say what is wanted;
//! whether a file or an address is really there is found out by the box that needs it.

mod load;
mod store_url;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::RangedU64ValueParser};
use domain::{
    access::Role,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
    view::{self, AnyView},
};
use url::Url;
use uuid::Uuid;

use crate::monitor::terminal::Format;
pub use load::{SettingsError, load};
pub use store_url::{MemoryUrl, PostgresUrl, SqliteUrl, StoreUrl, UrlError};

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

    /// The folder of the signing keys.
    pub fn keys_folder(&self) -> PathBuf {
        self.data_dir.join("keys")
    }
}

/// The settings of `foldline serve`.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        env = "FOLDLINE_LISTEN",
        default_value = "127.0.0.1:3000",
        value_name = "ADDRESS"
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
    /// What one client may ask for.
    #[command(flatten)]
    pub limits: Limits,
}

/// The certificate of HTTPS; without any of these the server speaks plain HTTP.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsSettings {
    /// The certificate chain, PEM
    #[arg(
        long,
        env = "FOLDLINE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "tls"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(
        long,
        env = "FOLDLINE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert",
        conflicts_with = "tls"
    )]
    pub tls_key: Option<PathBuf>,
    /// Make a certificate, and keep it in the data folder
    #[arg(long, env = "FOLDLINE_TLS")]
    pub tls: Option<TlsMode>,
}

/// A certificate that is not given as files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsMode {
    /// Signed by itself: for trying things out.
    SelfSigned,
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
    /// Export traces by OTLP over HTTP to this collector, as in http://localhost:4318
    #[arg(long, env = "FOLDLINE_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<url::Url>,
    /// How many of a hundred traces are exported, unless the caller has decided
    #[arg(long, env = "FOLDLINE_OTLP_SAMPLE_PERCENT", default_value = "100", value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(0..=100))]
    pub otlp_sample_percent: u8,
}

/// What one client may ask for, and for how long.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// The largest request body, and the largest frame of a socket, in bytes
    #[arg(long, env = "FOLDLINE_MAX_BODY_BYTES", default_value = "262144", value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1_024..=16_777_216))]
    pub max_body_bytes: usize,
    /// Requests a minute of one person, or of one address where nobody signed in; 0 is no limit
    #[arg(
        long,
        env = "FOLDLINE_REQUESTS_PER_MINUTE",
        default_value = "6000",
        value_name = "COUNT"
    )]
    pub requests_per_minute: u32,
    /// How long an answer may take, besides what the request itself asks to wait
    #[arg(long, env = "FOLDLINE_REQUEST_TIMEOUT_MS", default_value = "10000", value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub request_timeout_ms: u64,
    /// How long requests may take to finish when the server stops
    #[arg(long, env = "FOLDLINE_SHUTDOWN_TIMEOUT_MS", default_value = "5000", value_name = "MS",
        value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub shutdown_timeout_ms: u64,
}

impl Limits {
    /// Requests a minute; `None` is no limit.
    pub fn rate(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.requests_per_minute)
    }

    /// How long an answer may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long stopping may wait for requests.
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}

/// The settings of `foldline streams`.
#[derive(Debug, Clone, Args)]
pub struct StreamsSettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The workspace whose streams are listed; without it, the workspaces are
    #[arg(long, value_name = "ID")]
    pub workspace: Option<WorkspaceId>,
    /// Only streams whose names begin with this
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub prefix: String,
    /// How events are written
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// A stream whose events are written
    #[arg(requires = "workspace")]
    pub stream: Option<StreamName>,
}

/// The settings of `foldline tail`.
#[derive(Debug, Clone, Args)]
pub struct TailSettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The workspace, in the data folder
    #[arg(
        long,
        value_name = "ID",
        required_unless_present = "url",
        conflicts_with = "url"
    )]
    pub workspace: Option<WorkspaceId>,
    /// A running server, as in `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL", requires = "token")]
    pub url: Option<Url>,
    /// The access token for that server
    #[arg(long, env = "FOLDLINE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Only events behind this consistency token; all where absent
    #[arg(long, value_name = "TOKEN")]
    pub after: Option<ConsistencyToken>,
    /// How events are written
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// The settings of `foldline rebuild`.
#[derive(Debug, Clone, Args)]
pub struct RebuildSettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The workspace, in the data folder
    #[arg(
        long,
        value_name = "ID",
        required_unless_present = "url",
        conflicts_with = "url"
    )]
    pub workspace: Option<WorkspaceId>,
    /// A running server, as in `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL", requires = "token")]
    pub url: Option<Url>,
    /// The access token of an educator for that server
    #[arg(long, env = "FOLDLINE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The view, as in orders
    #[arg(value_name = "VIEW")]
    pub view: String,
}

/// The settings of `foldline verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifySettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// Only this workspace; all where absent
    #[arg(long, value_name = "ID")]
    pub workspace: Option<WorkspaceId>,
}

/// The settings of `foldline replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplaySettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The workspace
    #[arg(long, value_name = "ID")]
    pub workspace: WorkspaceId,
    /// A stream, as in order-0198c1…
    #[arg(required_unless_present = "partition", conflicts_with = "partition")]
    pub stream: Option<StreamName>,
    /// Instead of a stream: every event of a partition
    #[arg(long, value_name = "NUMBER")]
    pub partition: Option<u32>,
    /// Show the documents of these views as well; "all" are all
    #[arg(long = "view", value_name = "VIEW", value_parser = views)]
    pub views: Vec<Views>,
    /// Do not show the aggregate's state
    #[arg(long)]
    pub no_state: bool,
    /// The last event: its version in the stream, or its position in the partition
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<u64>,
    /// Only what was recorded by then, as in 2026-11-21T20:22:36Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// How events and what came of them are written
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// One view, or all.
#[derive(Debug, Clone, Copy)]
pub struct Views(pub &'static [&'static dyn AnyView]);

fn views(name: &str) -> Result<Views, String> {
    let all = view::all();
    if name == "all" {
        return Ok(Views(all));
    }
    let found = all.iter().position(|view| view.name() == name);
    found.map(|index| Views(&all[index..=index])).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|view| view.name()).collect();
        format!("a view is {} or all", names.join(", "))
    })
}

/// The settings of `foldline dead-letters`.
#[derive(Debug, Clone, Args)]
pub struct DeadLetterSettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// What to do
    pub action: DeadLetterAction,
    /// Which one, to retry or discard it
    #[arg(required_if_eq_any = [("action", "retry"), ("action", "discard")])]
    pub id: Option<Uuid>,
    /// The workspace, in the data folder
    #[arg(
        long,
        value_name = "ID",
        required_unless_present = "url",
        conflicts_with = "url"
    )]
    pub workspace: Option<WorkspaceId>,
    /// A running server, as in `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL", requires = "token")]
    pub url: Option<Url>,
    /// The access token of staff or an educator for that server
    #[arg(long, env = "FOLDLINE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// List only those of this view or policy
    #[arg(long, value_name = "VIEW")]
    pub view: Option<String>,
    /// How they are written
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// What is done about dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeadLetterAction {
    /// Write each on a line.
    List,
    /// Apply it, and what waits behind it.
    Retry,
    /// Give it up for its view, and apply what waits behind it.
    Discard,
}

/// The settings of `foldline export`.
#[derive(Debug, Clone, Args)]
pub struct ExportSettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// Only this workspace; all where absent
    #[arg(long, value_name = "ID", conflicts_with = "url")]
    pub workspace: Option<WorkspaceId>,
    /// A running server, as in `http://127.0.0.1:3000`: the token's workspace
    #[arg(long, value_name = "URL", requires = "token")]
    pub url: Option<Url>,
    /// The access token of an educator for that server
    #[arg(long, env = "FOLDLINE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// A new file; standard output where absent
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// The settings of `foldline import`.
#[derive(Debug, Clone, Args)]
pub struct ImportSettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// What `foldline export` wrote; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// The settings of `foldline backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupSettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// A new folder
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// The settings of `foldline token`.
#[derive(Debug, Clone, Args)]
pub struct TokenSettings {
    /// Where the data lies.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The workspace that the token is for
    #[arg(long, value_name = "ID")]
    pub workspace: WorkspaceId,
    /// What its bearer may do: customer, staff, student, educator
    #[arg(long, value_parser = role)]
    pub role: Role,
    /// Who its bearer is; a new person where absent
    #[arg(long, value_name = "ID")]
    pub actor: Option<Uuid>,
    /// The name that others see
    #[arg(long, default_value = "Operator", value_name = "NAME")]
    pub name: String,
    /// How long it is good for, in seconds
    #[arg(long, default_value = "43200", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub ttl: u64,
}

fn role(text: &str) -> Result<Role, String> {
    [Role::Customer, Role::Staff, Role::Student, Role::Educator]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| "a role is customer, staff, student or educator".to_owned())
}
