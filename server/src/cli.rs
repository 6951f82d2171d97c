//! The command line of the binary: reads the settings, starts the log, and runs one subcommand.

mod checkpoints;
mod transfer;

use std::{
    ffi::OsString,
    fs::File,
    io::Write as _,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use clock::{SharedClock, SystemClock};
use domain::{access::Actor, id::WorkspaceId, view::AnyView};
use gateway::{keys::KeyRing, tokens::Tokens};
use lab::own_views::define_stored;
use monitor::{
    dead_letters::{self, DeadLetterRequest, FileDeadLetters},
    rebuild,
    replay::{self, ReplayOptions, Source},
    tail::{self, Remote},
    terminal::{self, MonitorError},
};
use process_manager::process;
use projection::{dead_letters::Remedy, progress::Progress};
use telemetry::{
    Exporter,
    hops::Observer,
    security::{self, SecurityEvent, SecurityRecord},
};
use tokio::signal;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::{FilterExt, LevelFilter, Targets},
    layer::{Filter, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};
use url::Url;

use crate::{
    Foldline,
    settings::{
        self, Command, DeadLetterAction, DeadLetterSettings, LogFormat, RebuildSettings, ReplaySettings,
        Settings, SettingsError, StorageSettings, StreamsSettings, TailSettings, TokenSettings,
        VerifySettings, Views,
    },
};

/// The crates whose spans are exported: all that create spans. Spans of libraries are left out, because a
/// library is no box of the diagram.
const CRATES: [&str; 20] = [
    "broker",
    "command",
    "consumer",
    "documents",
    "erasure",
    "event_store",
    "gateway",
    "identity",
    "lab",
    "lifecycle",
    "mail",
    "monitor",
    "payment",
    "process_manager",
    "projection",
    "query",
    "search",
    "server",
    "teaching",
    "warehouse",
];

/// The libraries that log below `info` what passes through them: frames, mails, statements, handshakes.
const LOG_CONTENTS: [&str; 8] = [
    "h2",
    "hyper",
    "lettre",
    "reqwest",
    "rustls",
    "sqlx",
    "tokio_tungstenite",
    "tungstenite",
];

/// The exit code if a flag, a setting or a file that a flag names is wrong.
const BAD_INPUT: u8 = 2;

/// The exit code of `foldline verify` if it has findings, and of `foldline export` if it has left out a
/// damaged workspace.
const FINDINGS: u8 = 3;

/// The exit code of `foldline verify` if the log does not contain a history that was signed.
const HISTORY_DIFFERS: u8 = 4;

/// Why a subcommand failed; the text is shown to the user of the command line.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the program with a command line and the names of the environment's variables.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = OsString>,
) -> ExitCode {
    cryptography::use_ring();
    create_private_files();
    if let Err(error) = survive_file_size_limit() {
        return failed(1, &error);
    }
    let command = match settings::load(arguments, variables) {
        Ok(cli) => cli.command,
        // Also `--help` and `--version`, which are not failures.
        Err(SettingsError::Flags(error)) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return ExitCode::from(code);
        }
        Err(error) => return failed(BAD_INPUT, &error),
    };
    // The server adds it to its own log.
    if !matches!(command, Command::Serve(_))
        && let Err(error) = start_security_log(command.storage())
    {
        return failed(BAD_INPUT, &*error);
    }
    let outcome = match command {
        Command::Serve(settings) => serve(*settings).await,
        Command::Streams(settings) => streams(&settings).await,
        Command::Tail(settings) => tail(&settings).await,
        Command::Rebuild(settings) => rebuild(&settings).await,
        Command::Verify(settings) => verify(&settings).await,
        Command::Checkpoint(settings) => checkpoints::checkpoint(&settings).await,
        Command::Replay(settings) => replay(settings).await,
        Command::DeadLetters(settings) => dead_letters(&settings).await,
        Command::Export(settings) => transfer::export(&settings).await,
        Command::Import(settings) => transfer::import(&settings).await,
        Command::Backup(settings) => transfer::backup(&settings).await,
        Command::Token(settings) => token(&settings),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(exit_code(&*error), &*error),
    }
}

/// The exit code of a failure: 1, unless something was found, or the input is wrong.
fn exit_code(error: &(dyn std::error::Error + Send + Sync + 'static)) -> u8 {
    match error.downcast_ref::<MonitorError>() {
        Some(MonitorError::BadCheckpoints(_)) => BAD_INPUT,
        Some(MonitorError::FindingsReported(_) | MonitorError::NotExported(_)) => FINDINGS,
        Some(MonitorError::HistoryDiffers(_)) => HISTORY_DIFFERS,
        _ => 1,
    }
}

fn failed(code: u8, error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "foldline: {error}");
    ExitCode::from(code)
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    let traces = &settings.traces;
    let exporter = traces.otlp_endpoint.as_ref();
    let exporter = exporter
        .map(|endpoint| Exporter::new(endpoint, traces.otlp_sample_percent))
        .transpose()?;
    start_logging(&settings, exporter.as_ref())?;
    let stop = stop_signal()?;
    let foldline = Foldline::start(&settings, Arc::new(SystemClock)).await?;
    writeln!(std::io::stdout(), "Foldline is ready at {}", foldline.url())?;
    stop.await;
    tracing::info!("stopping: no new connections; running requests are finished");
    foldline.stop_in_time().await;
    if let Some(exporter) = exporter {
        tokio::task::spawn_blocking(|| exporter.close()).await?;
    }
    tracing::info!("stopped");
    Ok(())
}

async fn streams(settings: &StreamsSettings) -> Result<(), Failure> {
    let store = event_store::open_to_read(&settings.storage.event_store()).await?;
    let mut out = std::io::stdout();
    match (settings.workspace, &settings.stream) {
        (Some(workspace), Some(stream)) => {
            terminal::stream(&*store, workspace, stream, settings.format, &mut out).await?;
        }
        (Some(workspace), None) => terminal::streams(&*store, workspace, &settings.prefix, &mut out).await?,
        (None, _) => terminal::workspaces(&*store, &mut out).await?,
    }
    Ok(())
}

async fn tail(settings: &TailSettings) -> Result<(), Failure> {
    let after = settings.after.clone().unwrap_or_default();
    let mut out = std::io::stdout();
    if let Some(remote) = remote(settings.url.as_ref(), settings.token.as_ref()) {
        tail::follow_server(&remote, after, settings.format, &mut out).await?;
    } else if let Some(workspace) = settings.workspace {
        let store = event_store::open_to_read(&settings.storage.event_store()).await?;
        tail::follow_files(&*store, workspace, after, settings.format, &mut out).await?;
    }
    Ok(())
}

async fn rebuild(settings: &RebuildSettings) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    if let Some(remote) = remote(settings.url.as_ref(), settings.token.as_ref()) {
        rebuild::rebuild_server(&remote, &settings.view, &mut out).await?;
    } else if let Some(workspace) = settings.workspace {
        let store = event_store::open_to_read(&settings.storage.event_store()).await?;
        let read_model = read_model::open(&settings.storage.read_model()).await?;
        let files = (
            read_model,
            defined_views(&settings.storage, Some(workspace)).await?,
        );
        let clock = Arc::new(SystemClock);
        rebuild::rebuild_files(store, files, clock, workspace, &settings.view, &mut out).await?;
        by_command_line(SecurityEvent::Rebuilt)
            .workspace(workspace.0)
            .about(&settings.view)
            .write();
    }
    Ok(())
}

async fn verify(settings: &VerifySettings) -> Result<(), Failure> {
    let store = event_store::open_to_read(&settings.storage.event_store()).await?;
    // A file that says nothing is refused before a whole log is read.
    let checkpoints = checkpoints::read(settings)?;
    let read_model = read_model::open_to_read(&settings.storage.read_model()).await?;
    let views = defined_views(&settings.storage, settings.workspace).await?;
    let mut out = std::io::stdout();
    let stored = (&*read_model, &views);
    let verified = terminal::verify_defined(&*store, stored, settings.workspace, &mut out).await;
    let record = by_command_line(SecurityEvent::Verified);
    match settings.workspace {
        Some(workspace) => record.workspace(workspace.0),
        None => record,
    }
    .write();
    // A workspace that the log does not have may be one whose checkpoints are kept.
    if !matches!(
        verified,
        Ok(())
            | Err(MonitorError::FindingsReported(_)
                | MonitorError::NotVerified(_)
                | MonitorError::UnknownWorkspace(_))
    ) {
        return Ok(verified?);
    }
    let unusable = checkpoints::compare(&*store, settings, checkpoints).await?;
    verified?;
    if unusable > 0 {
        let reason = format!("{unusable} checkpoints of the file say nothing about this log");
        return Err(MonitorError::BadCheckpoints(reason).into());
    }
    Ok(())
}

async fn replay(settings: ReplaySettings) -> Result<(), Failure> {
    let source = match (settings.stream, settings.partition) {
        (Some(stream), _) => Source::Stream(stream),
        (None, partition) => Source::Partition(partition.unwrap_or_default()),
    };
    let mut views = Vec::new();
    for Views(named) in settings.views {
        for view in named {
            if !views
                .iter()
                .any(|known: &&dyn AnyView| known.name() == view.name())
            {
                views.push(*view);
            }
        }
    }
    let options = ReplayOptions {
        to: settings.to,
        at: settings.at,
        states: !settings.no_state,
        views,
    };
    let store = event_store::open_to_read(&settings.storage.event_store()).await?;
    let (workspace, format) = (settings.workspace, settings.format);
    replay::replay(
        &*store,
        workspace,
        &source,
        options,
        format,
        &mut std::io::stdout(),
    )
    .await?;
    Ok(())
}

async fn dead_letters(settings: &DeadLetterSettings) -> Result<(), Failure> {
    let remedy = match settings.action {
        DeadLetterAction::List => None,
        DeadLetterAction::Retry => Some(Remedy::Retry),
        DeadLetterAction::Discard => Some(Remedy::Discard),
    };
    let request = match (remedy, settings.id) {
        (Some(remedy), Some(id)) => DeadLetterRequest::Remedy(id, remedy),
        _ => DeadLetterRequest::List(settings.view.as_deref()),
    };
    let mut out = std::io::stdout();
    if let Some(remote) = remote(settings.url.as_ref(), settings.token.as_ref()) {
        dead_letters::on_server(&remote, request, settings.format, &mut out).await?;
    } else if let Some(workspace) = settings.workspace {
        let storage = &settings.storage;
        let letters = FileDeadLetters::open(
            event_store::open_to_read(&storage.event_store()).await?,
            (
                read_model::open(&storage.read_model()).await?,
                defined_views(storage, Some(workspace)).await?,
            ),
            (
                process::open(&storage.process_store()).await?,
                process::managers(domain::policy::all()),
            ),
            Arc::new(SystemClock),
            workspace,
        )
        .await?;
        let reason = match remedy {
            Some(Remedy::Retry) => Some("dead_letter_retried"),
            Some(Remedy::Discard) => Some("dead_letter_discarded"),
            None => None,
        };
        letters.run(request, settings.format, &mut out).await?;
        if let Some(reason) = reason {
            SecurityRecord::new(SecurityEvent::PipelineChanged)
                .because(reason)
                .workspace(workspace.0)
                .write();
        }
    }
    Ok(())
}

/// The views that there are in files or a database: those of the program, and those that a workspace has
/// defined for itself, or that all have.
async fn defined_views(
    storage: &StorageSettings,
    workspace: Option<WorkspaceId>,
) -> Result<Progress, Failure> {
    let progress = Progress::default().with_own_views();
    let url = storage.process_store();
    // Stores on which no server was started have none.
    if !process::is_made(&url).await? {
        return Ok(progress);
    }
    let process_store = process::open_to_read(&url).await?;
    define_stored(&progress, &*process_store, workspace).await?;
    Ok(progress)
}

/// The server that a subcommand asks, if any.
fn remote(url: Option<&Url>, token: Option<&String>) -> Option<Remote> {
    let (url, token) = url.cloned().zip(token.cloned())?;
    Some(Remote { url, token })
}

fn token(settings: &TokenSettings) -> Result<(), Failure> {
    let clock: SharedClock = Arc::new(SystemClock);
    let keys = KeyRing::open(&settings.storage.keys_folder(), &*clock)?;
    let actor = Actor {
        id: settings.actor.unwrap_or_else(|| clock.new_id()),
        role: settings.role,
        name: settings.name.clone(),
    };
    let token = Tokens::new(Arc::new(keys), clock).issue(settings.workspace, &actor, settings.ttl)?;
    by_command_line(SecurityEvent::TokenCreated)
        .person(settings.workspace.0, actor.id)
        .role(actor.role.as_str())
        .write();
    writeln!(std::io::stdout(), "{token}")?;
    Ok(())
}

/// Logs to standard error, sends spans to the exporter, if there is one, and makes hops of them for the lab.
/// Standard output is for results.
fn start_logging(settings: &Settings, exporter: Option<&Exporter>) -> Result<(), Failure> {
    let filter = log_filter::<Registry>(&settings.log_filter)?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match settings.log_format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let traces = exporter.map(|exporter| {
        tracing_opentelemetry::layer()
            .with_tracer(exporter.tracer())
            .with_filter(Targets::new().with_targets(CRATES.map(|name| (name, LevelFilter::DEBUG))))
    });
    tracing_subscriber::registry()
        .with(log.with_filter(filter))
        .with(Observer::layer())
        .with(traces)
        .with(security_layer(&settings.storage)?)
        .try_init()?;
    log_panics();
    Ok(())
}

/// The filter of the log by the setting's directives. Whatever they say, no library logs the contents of
/// messages, which have passwords and names in them: none logs below `debug`, and those of [`LOG_CONTENTS`]
/// none below `info`.
fn log_filter<S>(directives: &str) -> Result<impl Filter<S> + use<S>, Failure>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let chosen = EnvFilter::try_new(directives).map_err(|error| {
        format!("--log-filter cannot be read: {error}; allowed are levels and directives")
    })?;
    let without_contents = Targets::new()
        .with_default(LevelFilter::DEBUG)
        .with_targets(LOG_CONTENTS.map(|library| (library, LevelFilter::INFO)));
    Ok(FilterExt::<S>::and(chosen, without_contents))
}

/// A record of what an operator does at the command line.
fn by_command_line(event: SecurityEvent) -> SecurityRecord {
    SecurityRecord::new(event).because("command_line")
}

/// Adds the security log of a subcommand to its file, if there is one.
fn start_security_log(settings: &StorageSettings) -> Result<(), Failure> {
    if let Some(layer) = security_layer(settings)? {
        tracing_subscriber::registry().with(layer).try_init()?;
    }
    Ok(())
}

/// Adds the security log to its file, if there is one.
fn security_layer<S>(
    settings: &StorageSettings,
) -> Result<Option<impl tracing_subscriber::Layer<S> + use<S>>, Failure>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let Some(path) = &settings.security_log else {
        return Ok(None);
    };
    let file = private_file(path).map_err(|error| format!("--security-log {}: {error}", path.display()))?;
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(Mutex::new(file))
        .with_filter(Targets::new().with_target(security::TARGET, LevelFilter::INFO));
    Ok(Some(layer))
}

/// Opens a file to add to it; a new one is for the server's user alone.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Logs a panic in one line instead of a back trace: what supervises the task says what follows from it. A
/// message that was put together may hold a person's data, so only a fixed one is logged.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(
            panic.location = location,
            panic.message = message,
            "a task panicked"
        );
    }));
}

/// Lets no other user of the machine read or change what the program creates, whatever mask it was started
/// with: the data folder with its databases and their journals, backups, exports, keys.
#[cfg(unix)]
fn create_private_files() {
    use rustix::{fs::Mode, process::umask};

    let others = Mode::RWXG | Mode::RWXO;
    let given = umask(others);
    umask(given | others);
}

#[cfg(not(unix))]
fn create_private_files() {}

/// Has a write beyond the process's limit of file sizes (`ulimit -f`) fail with an error, as on a full disk.
/// Without a handler, `SIGXFSZ` ends the process.
#[cfg(unix)]
fn survive_file_size_limit() -> std::io::Result<()> {
    use signal::unix::{SignalKind, signal};

    let limit_exceeded = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    // The handler stays installed; nothing has to be done at the signal.
    signal(limit_exceeded).map(drop)
}

#[cfg(not(unix))]
fn survive_file_size_limit() -> std::io::Result<()> {
    Ok(())
}

/// Resolves at the first signal to stop. Listening begins at once, so that no signal is missed during the
/// start.
#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        let _ = signal::ctrl_c().await;
    })
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::layer::Context;

    use super::*;

    /// The targets and levels of what is logged.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<(&'static str, Level)>>>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Logged {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            self.0
                .lock()
                .unwrap()
                .push((metadata.target(), *metadata.level()));
        }
    }

    macro_rules! log_from {
        ($($target:literal),*) => {{
            $(
                tracing::trace!(target: $target, "Received message SECRET");
                tracing::debug!(target: $target, "Wrote: SECRET");
                tracing::warn!(target: $target, "a failure");
            )*
        }};
    }

    fn logged(directives: &str) -> Vec<(&'static str, Level)> {
        let logged = Logged::default();
        let filter = log_filter::<Registry>(directives).unwrap();
        let layer = logged.clone().with_filter(filter);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            log_from!(
                "tungstenite::protocol",
                "tokio_tungstenite::compat",
                "sqlx::query",
                "hyper::proto::h1::io",
                "hyper_util::client",
                "h2::codec::framed_read",
                "lettre::transport::smtp",
                "rustls::conn",
                "reqwest::connect",
                "axum::rejection",
                "another_library"
            );
        });
        logged.0.lock().unwrap().clone()
    }

    #[test]
    fn no_filter_has_a_library_log_the_contents_of_messages() {
        for directives in [
            "trace",
            "info,tungstenite=trace,sqlx=trace,hyper=trace,h2=trace,lettre=trace,rustls=trace",
            "tungstenite::protocol=trace,lettre::transport=debug,axum::rejection=trace,another_library=trace",
        ] {
            for (target, level) in logged(directives) {
                assert_ne!(level, Level::TRACE, "{directives}: {target}");
                let logs_contents = LOG_CONTENTS.iter().any(|library| target.starts_with(library));
                assert!(!logs_contents || level != Level::DEBUG, "{directives}: {target}");
            }
        }
    }

    #[test]
    fn failures_of_libraries_and_chosen_levels_of_others_are_logged() {
        let all = logged("trace");
        for target in ["tungstenite::protocol", "sqlx::query", "another_library"] {
            assert!(all.contains(&(target, Level::WARN)), "{target}");
        }
        assert!(all.contains(&("another_library", Level::DEBUG)));
        assert!(logged("error").is_empty());
    }
}
