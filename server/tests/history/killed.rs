//! The program itself in a process of its own, on one data folder: started, killed, and started again.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tempfile::TempDir;
use tokio::sync::watch;

/// Longer than a start or an answer may take on a busy machine; whoever waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Which life of the server this is, and where it listens as soon as it does.
#[derive(Debug, Clone, Default)]
struct Life {
    number: u64,
    url: Option<String>,
}

pub(crate) struct Server {
    folder: TempDir,
    stores: Vec<String>,
    process: Mutex<Option<Child>>,
    life: watch::Sender<Life>,
}

impl Server {
    /// `stores`: further arguments of `foldline serve`.
    pub(crate) fn new(stores: Vec<String>) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            stores,
            process: Mutex::new(None),
            life: watch::Sender::default(),
        }
    }

    /// Starts it, and does not wait until it is ready.
    pub(crate) fn start(&self) {
        let mut process = Command::new(env!("CARGO_BIN_EXE_foldline"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--requests-per-minute", "0", "--log-filter", "warn"])
            .arg("--data-dir")
            .arg(self.folder.path())
            .args(&self.stores)
            // the program refuses variables of ours that it does not know
            .env_clear()
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

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process().take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
