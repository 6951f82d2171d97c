//! `cargo xtask dev`: a development server that follows the sources. It builds what a change concerns,
//! restarts the server when its program has changed, and reloads open pages. A failed build is shown, and the
//! old server runs on.
//!
//! The server has no code for this. Its debug build reads the client from the site folder at every request,
//! so a new style and a new client are served as soon as they are published. Each publication has other file
//! names; the script that is added to every page's script here requests its own file, and reloads the page
//! once the server no longer has it.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead as _, BufReader},
    path::Path,
    process::{self, Child, Command, ExitCode, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use notify::{Event, EventKind, RecursiveMode, Watcher as _};

use crate::{
    assets::Effort,
    client::{self, Bundles, Client},
    machine::progress,
    server,
    workspace::Workspace,
};

/// The folders of sources, and what is made from each.
const SOURCES: [(&str, Stale); 7] = [
    ("style", Stale::STYLE),
    ("frontend", Stale::CLIENT),
    ("server", Stale::SERVER),
    ("drawing", Stale::SERVER),
    ("migrations", Stale::SERVER),
    ("app", Stale::PROGRAMS),
    ("domain", Stale::PROGRAMS),
];
/// Files of the workspace's root that both programs are made from.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "Cargo.lock"];

/// Changes that follow each other within this time are one: an editor or git writes several files.
const QUIET: Duration = Duration::from_millis(100);

/// What open pages run, in no other client than this one. The answer is 404 once another build is published,
/// and none while the server starts.
const RELOAD: &str = "
(function watch() {
  setTimeout(async () => {
    const answer = await fetch(import.meta.url, { method: \"HEAD\", cache: \"no-store\" }).catch(() => null);
    if (answer?.status === 404) location.reload(); else watch();
  }, 500);
})();
";

/// Runs until it is interrupted; arguments are for `foldline serve`.
pub(crate) fn dev(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    let root = workspace.root.canonicalize()?;
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(sender).context("the sources cannot be watched")?;
    for (folder, _) in SOURCES {
        watcher.watch(&root.join(folder), RecursiveMode::Recursive)?;
    }
    watcher.watch(&root, RecursiveMode::NonRecursive)?;

    let mut session = Session {
        workspace,
        arguments,
        stale: Stale::PROGRAMS,
        bundles: Bundles::default(),
        server: None,
        publications: 0,
    };
    loop {
        match session.update() {
            Ok(()) => progress("waiting for a change"),
            Err(error) => eprintln!("xtask: {error:#}\nxtask: waiting for a change …"),
        }
        session.stale = session.stale.and(next_change(&events, &root)?);
    }
}

/// What has to be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stale {
    style: bool,
    client: bool,
    server: bool,
}

impl Stale {
    const NOTHING: Self = Self {
        style: false,
        client: false,
        server: false,
    };
    const STYLE: Self = Self {
        style: true,
        ..Self::NOTHING
    };
    const CLIENT: Self = Self {
        client: true,
        ..Self::NOTHING
    };
    const SERVER: Self = Self {
        server: true,
        ..Self::NOTHING
    };
    /// The programs of both halves.
    const PROGRAMS: Self = Self {
        client: true,
        server: true,
        ..Self::NOTHING
    };

    fn and(self, other: Self) -> Self {
        Self {
            style: self.style || other.style,
            client: self.client || other.client,
            server: self.server || other.server,
        }
    }

    /// What is made from a file, by its path in the workspace.
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name.ends_with('~') {
            // An editor's own.
            return Self::NOTHING;
        }
        if MANIFESTS.iter().any(|manifest| path == Path::new(manifest)) {
            return Self::PROGRAMS;
        }
        let source = SOURCES.iter().find(|(folder, _)| path.starts_with(folder));
        source.map_or(Self::NOTHING, |(_, stale)| *stale)
    }
}

/// Waits for a change, and for those that follow it at once.
fn next_change(events: &Receiver<notify::Result<Event>>, root: &Path) -> Result<Stale> {
    let mut stale = Stale::NOTHING;
    loop {
        let event = if stale == Stale::NOTHING {
            events.recv()?
        } else {
            match events.recv_timeout(QUIET) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => return Ok(stale),
                Err(error @ RecvTimeoutError::Disconnected) => return Err(error.into()),
            }
        };
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                eprintln!("xtask: a source is not watched: {error}");
                continue;
            }
        };
        if event.need_rescan() {
            // Events were lost, so anything may have changed.
            stale = SOURCES.iter().fold(stale, |all, (_, stale)| all.and(*stale));
        }
        // The compiler's own reading of a source is an event too.
        if matches!(event.kind, EventKind::Access(_)) {
            continue;
        }
        let paths = event.paths.iter().filter_map(|path| path.strip_prefix(root).ok());
        stale = paths.fold(stale, |all, path| all.and(Stale::of(path)));
    }
}

/// What has been built so far, and runs.
struct Session<'a> {
    workspace: &'a Workspace,
    arguments: &'a [OsString],
    stale: Stale,
    bundles: Bundles,
    server: Option<Server>,
    publications: u32,
}

impl Session<'_> {
    /// Makes what is stale. What could not be made stays stale, and what runs goes on.
    fn update(&mut self) -> Result<()> {
        if self.stale.client {
            self.bundles = client::compile(self.workspace, Effort::Dev)?;
            self.stale.client = false;
        }
        if let Some(server) = &mut self.server {
            // One that has ended by itself is started again.
            self.stale.server |= !server.is_running()?;
        }
        let is_first = self.server.is_none();
        if is_first {
            self.publish()?;
        }
        if self.stale.server {
            let binary = server::build(self.workspace, Effort::Dev)?;
            self.restart(&binary)?;
            self.stale.server = false;
        }
        // After the server has started: it is what has pages load again.
        if !is_first {
            self.publish()?;
        }
        Ok(())
    }

    fn publish(&mut self) -> Result<()> {
        self.publications += 1;
        // Makes the content another one, and with it the names of the files.
        let build = format!("\n// build {} of {}", self.publications, process::id());
        let script = build + RELOAD;
        Client::publish(self.workspace, Effort::Dev, &self.bundles, &script)?;
        self.stale.style = false;
        Ok(())
    }

    /// Starts the binary in place of the server that runs, unless that one was started from the same build.
    fn restart(&mut self, binary: &Path) -> Result<()> {
        let built = fs::metadata(binary)?.modified()?;
        if let Some(mut server) = self.server.take() {
            if server.built == built && server.is_running()? {
                self.server = Some(server);
                return Ok(());
            }
            server.stop()?;
        }
        progress("starting the server");
        self.server = Some(Server::start(binary, self.arguments, built)?);
        Ok(())
    }
}

/// A server that has said that it is ready.
struct Server {
    child: Child,
    /// When its binary was built.
    built: SystemTime,
}

impl Server {
    /// Starts it, and waits for the line that it prints when it is ready.
    fn start(binary: &Path, arguments: &[OsString], built: SystemTime) -> Result<Self> {
        let mut child = Command::new(binary)
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .context("the server did not start")?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        if output.read_line(&mut line)? == 0 {
            bail!("the server ended with {}", child.wait()?);
        }
        print!("{line}");
        thread::spawn(move || io::copy(&mut output, &mut io::stdout()));
        Ok(Self { child, built })
    }

    fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Has it finish what is under way, where it can be told so.
    fn stop(mut self) -> Result<()> {
        if self.is_running()? {
            #[cfg(unix)]
            rustix::process::kill_process(
                rustix::process::Pid::from_child(&self.child),
                rustix::process::Signal::TERM,
            )?;
            #[cfg(not(unix))]
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, ModifyKind};

    use super::*;

    #[test]
    fn a_change_concerns_what_is_made_from_the_file() {
        for (path, expected) in [
            ("style/main.css", Stale::STYLE),
            ("frontend/src/main.rs", Stale::CLIENT),
            ("server/boxes/cache/src/lib.rs", Stale::SERVER),
            ("migrations/sqlite/events/0001.sql", Stale::SERVER),
            ("app/src/lib.rs", Stale::PROGRAMS),
            ("domain/src/lib.rs", Stale::PROGRAMS),
            ("Cargo.toml", Stale::PROGRAMS),
            ("docs/building.md", Stale::NOTHING),
            ("data/events.db", Stale::NOTHING),
            ("style/.main.css.swp", Stale::NOTHING),
            ("app/src/lib.rs~", Stale::NOTHING),
        ] {
            assert_eq!(Stale::of(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn every_folder_of_sources_is_there() {
        let workspace = Workspace::locate().unwrap();
        for (folder, _) in SOURCES {
            assert!(workspace.root.join(folder).is_dir(), "{folder}");
        }
    }

    #[test]
    fn changes_that_come_together_are_one_and_reading_is_none() {
        let (sender, events) = mpsc::channel();
        let event = |kind, path: &str| Ok(Event::new(kind).add_path(Path::new("/root").join(path)));
        let changed = EventKind::Modify(ModifyKind::Any);
        for event in [
            event(EventKind::Access(AccessKind::Read), "domain/src/lib.rs"),
            event(changed, "style/main.css"),
            event(changed, "server/src/lib.rs"),
        ] {
            sender.send(event).unwrap();
        }
        let stale = next_change(&events, Path::new("/root")).unwrap();
        assert_eq!(stale, Stale::STYLE.and(Stale::SERVER));
    }
}
