//! The program in a process of its own, on one data folder: started, killed, and started again.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::watch;

/// The only deadline of these tests: it ends a test that hangs, and no machine is too slow for it. It is
/// longer than the longest timeout of the API.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_mins(15);

/// The server's timeout of a request.
const REQUEST_TIMEOUT_MS: &str = "180000";

/// One process of the server: its number, and its address once it listens.
#[derive(Debug, Clone, Default)]
struct Incarnation {
    number: u64,
    url: Option<String>,
}

pub(crate) struct Server {
    folder: TempDir,
    arguments: Mutex<Vec<String>>,
    disk: Option<&'static str>,
    variables: Vec<(&'static str, String)>,
    process: Mutex<Option<Child>>,
    incarnation: watch::Sender<Incarnation>,
}

impl Server {
    /// `arguments`: further arguments of `foldline serve`.
    pub(crate) fn new(arguments: Vec<String>) -> Self {
        Self::with(arguments, None)
    }

    fn with(arguments: Vec<String>, disk: Option<&'static str>) -> Self {
        cryptography::use_ring();
        Self {
            folder: tempfile::tempdir().unwrap(),
            arguments: Mutex::new(arguments),
            disk,
            variables: Vec::new(),
            process: Mutex::new(None),
            incarnation: watch::Sender::default(),
        }
    }

    /// A server with these environment variables.
    pub(crate) fn with_variables(arguments: Vec<String>, variables: Vec<(&'static str, String)>) -> Self {
        let mut server = Self::with(arguments, None);
        server.variables = variables;
        server
    }

    /// A server whose data folder is a disk of this size, as `mount` spells it, which only the process sees
    /// and which ends with it.
    pub(crate) fn on_a_disk_of(size: &'static str) -> Self {
        Self::with(Vec::new(), Some(size))
    }

    /// Replaces the further arguments of `foldline serve` for the next starts.
    pub(crate) fn serve_with(&self, arguments: Vec<String>) {
        *self.arguments.lock().unwrap_or_else(PoisonError::into_inner) = arguments;
    }

    /// The data folder of a stopped server.
    pub(crate) fn into_folder(mut self) -> TempDir {
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// The data folder; it is empty if the process has a disk of its own.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Takes the keys of another server, before the first start: servers of one database have the same.
    pub(crate) fn take_keys_of(&self, other: &Self) {
        let (source, target) = (other.folder().join("keys"), self.folder().join("keys"));
        std::fs::create_dir(&target).unwrap();
        std::fs::set_permissions(&target, std::fs::metadata(&source).unwrap().permissions()).unwrap();
        for file in std::fs::read_dir(&source).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), target.join(file.file_name())).unwrap();
        }
    }

    /// The data folder, as the running process sees it.
    pub(crate) fn data(&self) -> PathBuf {
        let process = self.process();
        let id = process.as_ref().expect("it was started").id();
        let inside = self.folder.path().strip_prefix("/").expect("it is absolute");
        Path::new("/proc").join(id.to_string()).join("root").join(inside)
    }

    /// Starts it, without waiting until it is ready.
    pub(crate) fn start(&self) {
        let mut process = self
            .program()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(self.rate())
            .args(["--log-filter", "warn"])
            .args(["--request-timeout-ms", REQUEST_TIMEOUT_MS])
            .arg("--data-dir")
            .arg(self.folder.path())
            .args(&*self.arguments.lock().unwrap_or_else(PoisonError::into_inner))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let mut number = 0;
        self.incarnation.send_modify(|incarnation| {
            incarnation.number += 1;
            incarnation.url = None;
            number = incarnation.number;
        });
        let incarnation = self.incarnation.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix("Foldline is ready at ") {
                    incarnation.send_if_modified(|incarnation| {
                        let current = incarnation.number == number;
                        if current {
                            incarnation.url = Some(url.to_owned());
                        }
                        current
                    });
                }
            }
        });
        *self.process() = Some(process);
    }

    /// Requests have no limit, unless the further arguments set one.
    fn rate(&self) -> &'static [&'static str] {
        const FLAG: &str = "--requests-per-minute";
        let arguments = self.arguments.lock().unwrap_or_else(PoisonError::into_inner);
        if arguments.iter().any(|argument| argument == FLAG) {
            &[]
        } else {
            &[FLAG, "0"]
        }
    }

    /// The id of the running process.
    pub(crate) fn id(&self) -> u32 {
        self.process().as_ref().expect("it was started").id()
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        let mut process = self.process().take().expect("it was started");
        assert_eq!(process.try_wait().unwrap(), None, "it ended by itself");
        process.kill().unwrap();
        process.wait().unwrap();
        // Another program may get its port.
        self.incarnation.send_modify(|incarnation| incarnation.url = None);
    }

    /// Sends it a signal, as in `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.process();
        let id = process.as_ref().expect("it was started").id();
        let sent = Command::new("kill")
            .args([format!("-{name}"), id.to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Stops it as an operator does, and checks its exit status.
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

    /// Waits until another incarnation than this one listens, and returns its address.
    pub(crate) async fn url(&self, other_than: u64) -> (u64, String) {
        let mut lives = self.incarnation.subscribe();
        let incarnation = tokio::time::timeout(
            TEST_TIMEOUT,
            lives.wait_for(|incarnation| incarnation.number != other_than && incarnation.url.is_some()),
        )
        .await
        .expect("it starts")
        .expect("it is not dropped while it is used");
        (
            incarnation.number,
            incarnation.url.clone().expect("it was waited for"),
        )
    }

    /// Its address; `None` while it is not running, or starts.
    pub(crate) fn address(&self) -> Option<String> {
        self.incarnation.borrow().url.clone()
    }

    /// The program, or a shell that mounts its disk and then becomes the program.
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

/// A command without the environment's `FOLDLINE_*` variables: the program refuses those that are not
/// settings.
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
