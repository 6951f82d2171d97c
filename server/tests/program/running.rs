//! The program itself in a process of its own, on one data folder: started, killed, and started again.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::watch;

/// The one deadline of these tests: it ends a test that hangs, and no machine is too slow for it. It is longer than the
/// minute that the interface lets a client wait for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// How long the server may take over an answer: as long as it is waited for.
const REQUEST_TIMEOUT_MS: &str = "180000";

/// Which life of the server this is, and where it listens as soon as it does.
#[derive(Debug, Clone, Default)]
struct Life {
    number: u64,
    url: Option<String>,
}

pub(crate) struct Server {
    folder: TempDir,
    stores: Mutex<Vec<String>>,
    disk: Option<&'static str>,
    variables: Vec<(&'static str, String)>,
    process: Mutex<Option<Child>>,
    life: watch::Sender<Life>,
}

impl Server {
    /// `stores`: further arguments of `foldline serve`.
    pub(crate) fn new(stores: Vec<String>) -> Self {
        Self::with(stores, None)
    }

    fn with(stores: Vec<String>, disk: Option<&'static str>) -> Self {
        cryptography::use_ring();
        Self {
            folder: tempfile::tempdir().unwrap(),
            stores: Mutex::new(stores),
            disk,
            variables: Vec::new(),
            process: Mutex::new(None),
            life: watch::Sender::default(),
        }
    }

    /// One that is told more by variables.
    pub(crate) fn with_variables(stores: Vec<String>, variables: Vec<(&'static str, String)>) -> Self {
        let mut server = Self::with(stores, None);
        server.variables = variables;
        server
    }

    /// One whose data folder is a disk of this size, as `mount` says it, that only the process sees and that goes with it.
    pub(crate) fn on_a_disk_of(size: &'static str) -> Self {
        Self::with(Vec::new(), Some(size))
    }

    /// Further arguments of `foldline serve`, in place of those of before, for the lives that come.
    pub(crate) fn serve_with(&self, arguments: Vec<String>) {
        *self.stores.lock().unwrap_or_else(PoisonError::into_inner) = arguments;
    }

    /// The data folder of a server that was stopped.
    pub(crate) fn into_folder(mut self) -> TempDir {
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// The data folder, whether it runs or not; nothing is in it where the process has a disk of its own.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder, as the running process sees it.
    pub(crate) fn data(&self) -> PathBuf {
        let process = self.process();
        let id = process.as_ref().expect("it was started").id();
        let inside = self.folder.path().strip_prefix("/").expect("it is absolute");
        Path::new("/proc").join(id.to_string()).join("root").join(inside)
    }

    /// Starts it, and does not wait until it is ready.
    pub(crate) fn start(&self) {
        let mut process = self
            .program()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--requests-per-minute", "0", "--log-filter", "warn"])
            .args(["--request-timeout-ms", REQUEST_TIMEOUT_MS])
            .arg("--data-dir")
            .arg(self.folder.path())
            .args(&*self.stores.lock().unwrap_or_else(PoisonError::into_inner))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let mut number = 0;
        self.life.send_modify(|life| {
            life.number += 1;
            life.url = None;
            number = life.number;
        });
        let life = self.life.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("Foldline is ready at ") {
                    life.send_if_modified(|life| {
                        let current = life.number == number;
                        if current {
                            life.url = Some(url.to_owned());
                        }
                        current
                    });
                }
            }
        });
        *self.process() = Some(process);
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        let mut process = self.process().take().expect("it was started");
        assert_eq!(process.try_wait().unwrap(), None, "it ended by itself");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks it to stop, as an operator does, and sees that it ends well.
    pub(crate) async fn stop(&self) {
        let mut process = self.process().take().expect("it was started");
        let asked = Command::new("kill")
            .args(["-TERM", &process.id().to_string()])
            .status()
            .unwrap();
        assert!(asked.success());
        let status = tokio::task::spawn_blocking(move || process.wait()).await.unwrap();
        assert!(status.unwrap().success());
    }

    /// Where it listens, as soon as it does, in a life other than this one.
    pub(crate) async fn url(&self, other_than: u64) -> (u64, String) {
        let mut lives = self.life.subscribe();
        let life = tokio::time::timeout(
            PATIENCE,
            lives.wait_for(|life| life.number != other_than && life.url.is_some()),
        )
        .await
        .expect("it starts")
        .expect("it is not dropped while it is used");
        (life.number, life.url.clone().expect("it was waited for"))
    }

    /// The program, or what mounts its disk and then becomes the program.
    fn program(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_foldline");
        let Some(size) = self.disk else {
            return clean(program);
        };
        let mut command = clean("unshare");
        command
            .args(["--mount", "--user", "--map-root-user", "sh", "-c"])
            .arg(r#"mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@""#)
            .args(["sh", size])
            .arg(self.folder.path())
            .arg(program);
        command
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command without the variables around us: the program refuses those of ours that are not settings.
pub(crate) fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process().take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
