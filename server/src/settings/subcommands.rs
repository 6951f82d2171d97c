//! The settings of every subcommand but `serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use domain::{
    access::Role,
    aggregate::user::require_display_name,
    id::{StreamName, WorkspaceId},
    rejection::Violations,
    timestamp::Timestamp,
    token::ConsistencyToken,
    view::{self, AnyView},
};
use monitor::{checkpoint::Verifier, terminal::Format};
use url::Url;
use uuid::Uuid;

use super::{CheckpointPlaces, StorageSettings};

/// The settings of `foldline streams`.
#[derive(Debug, Clone, Args)]
pub struct StreamsSettings {
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The workspace whose streams to list; without it, workspaces are listed
    #[arg(long, value_name = "ID")]
    pub workspace: Option<WorkspaceId>,
    /// Only streams whose names begin with this
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub prefix: String,
    /// The output format
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// A stream whose events to write
    #[arg(requires = "workspace")]
    pub stream: Option<StreamName>,
}

/// The settings of `foldline tail`.
#[derive(Debug, Clone, Args)]
pub struct TailSettings {
    /// The storage settings.
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
    /// Only events after this consistency token [default: all]
    #[arg(long, value_name = "TOKEN")]
    pub after: Option<ConsistencyToken>,
    /// The output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// The settings of `foldline rebuild`.
#[derive(Debug, Clone, Args)]
pub struct RebuildSettings {
    /// The storage settings.
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
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// Key and folder of signed checkpoints.
    #[command(flatten)]
    pub places: CheckpointPlaces,
    /// Only this workspace [default: all]
    #[arg(long, value_name = "ID")]
    pub workspace: Option<WorkspaceId>,
    /// Also compare the signed checkpoints of this file with the log, besides those that the server keeps;
    /// `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// The public key that verifies them, as `foldline checkpoint --print-verifier` writes it [default: that
    /// of the installation's own key]
    #[arg(long, value_name = "VERIFIER")]
    pub checkpoint_verifier: Option<Verifier>,
}

/// The settings of `foldline replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplaySettings {
    /// The storage settings.
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
    /// Also show the documents of these views; "all" means every view
    #[arg(long = "view", value_name = "VIEW", value_parser = views)]
    pub views: Vec<Views>,
    /// Do not show the aggregate's state
    #[arg(long)]
    pub no_state: bool,
    /// The last event: its version in the stream, or its position in the partition
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<u64>,
    /// Only events recorded by then, as in 2026-11-21T20:22:36Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// The output format
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
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The action
    pub action: DeadLetterAction,
    /// The dead letter to retry or discard
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
    /// The output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// An action on dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeadLetterAction {
    /// List them, one a line.
    List,
    /// Retry it, and then the events that wait behind it.
    Retry,
    /// Discard it for its view, and apply the events that wait behind it.
    Discard,
}

/// The settings of `foldline export`.
#[derive(Debug, Clone, Args)]
pub struct ExportSettings {
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// Only this workspace [default: all]
    #[arg(long, value_name = "ID", conflicts_with = "url")]
    pub workspace: Option<WorkspaceId>,
    /// A running server, as in `http://127.0.0.1:3000`: the token's workspace
    #[arg(long, value_name = "URL", requires = "token")]
    pub url: Option<Url>,
    /// The access token of an educator for that server
    #[arg(long, env = "FOLDLINE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// A new file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// The settings of `foldline import`.
#[derive(Debug, Clone, Args)]
pub struct ImportSettings {
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// An export file; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// The settings of `foldline backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupSettings {
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// A new folder
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// The settings of `foldline token`.
#[derive(Debug, Clone, Args)]
pub struct TokenSettings {
    /// The storage settings.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// The workspace that the token is for
    #[arg(long, value_name = "ID")]
    pub workspace: WorkspaceId,
    /// The role of its bearer: customer, staff, student, educator
    #[arg(long, value_parser = role)]
    pub role: Role,
    /// The user that it identifies [default: a new one]. A user with an account signs in instead: a token
    /// without a session of theirs is refused
    #[arg(long, value_name = "ID")]
    pub actor: Option<Uuid>,
    /// The name that other users see: one line of visible text
    #[arg(long, default_value = "Operator", value_name = "NAME", value_parser = person_name)]
    pub name: String,
    /// Its lifetime, in seconds
    #[arg(
        long,
        default_value = "43200",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=31_536_000)
    )]
    pub ttl: u64,
}

/// The name of a person, by the rules for names in commands.
fn person_name(text: &str) -> Result<String, String> {
    let mut violations = Violations::default();
    require_display_name(&mut violations, text, "a name");
    violations.finish().map_err(|rejection| {
        let messages = rejection
            .violations
            .iter()
            .map(|violation| violation.message.as_str());
        format!("a name {}", messages.collect::<Vec<_>>().join("; "))
    })?;
    Ok(text.to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    [Role::Customer, Role::Staff, Role::Student, Role::Educator]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| "a role is customer, staff, student or educator".to_owned())
}
