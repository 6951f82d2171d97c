//! The mail server of the test, `peer.py`: a process that is started, commanded and killed. It reports each
//! accepted email before it answers for it, so after a kill every email that it has answered for is known.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{net::TcpSocket, sync::watch};

use crate::{python, running::TEST_TIMEOUT};

const USER: &str = "foldline";
/// The prefix of every password. The rest names the incarnation of our server that has signed in.
const PASSWORD_PREFIX: &str = "correct horse battery ";

/// An accepted email.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// The incarnations of our server and of the mail server.
    pub(crate) session: (String, u32),
    /// Whether the mail server has sent its answer.
    pub(crate) answered: bool,
    /// The sender and the recipients of the envelope.
    pub(crate) sender: String,
    pub(crate) to: Vec<String>,
    pub(crate) content: Vec<u8>,
}

/// All output of the mail server so far, across restarts.
#[derive(Debug, Default)]
pub(crate) struct PeerOutput {
    pub(crate) mails: Vec<Mail>,
    pub(crate) refused: usize,
    ready: u32,
    obeyed: usize,
}

/// A line of its output.
#[derive(Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
enum Line {
    Ready,
    Obeyed,
    Refused,
    Mail {
        by: String,
        sender: String,
        to: Vec<String>,
        answered: bool,
        content: String,
    },
}

struct Process {
    child: Child,
    orders: ChildStdin,
    reader: JoinHandle<()>,
}

pub(crate) struct Peer {
    /// Keeps the port reserved while the mail server is down, so that connections are refused.
    port: TcpSocket,
    folder: TempDir,
    process: Mutex<Option<Process>>,
    output: Arc<watch::Sender<PeerOutput>>,
}

impl Peer {
    /// A mail server with its own certificate, not started yet.
    pub(crate) fn new() -> Self {
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseport(true).unwrap();
        port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self {
            port,
            folder,
            process: Mutex::new(None),
            output: Arc::default(),
        }
    }

    /// The arguments of `foldline serve` that name it.
    pub(crate) fn settings(&self) -> Vec<String> {
        let port = self.port.local_addr().unwrap().port();
        let file = |name| self.file(name).to_str().unwrap().to_owned();
        vec![
            "--smtp-url".into(),
            format!("smtp+starttls://{USER}@127.0.0.1:{port}"),
            "--smtp-password-file".into(),
            file("password"),
            "--smtp-ca".into(),
            file("certificate.pem"),
        ]
    }

    /// Sets the password of the next server that is started.
    pub(crate) fn expect(&self, incarnation: u32) {
        std::fs::write(self.file("password"), format!("{PASSWORD_PREFIX}{incarnation}\n")).unwrap();
    }

    /// Starts it, and returns when it listens.
    pub(crate) async fn start(&self) {
        let number = self.output.borrow().ready + 1;
        let mut child = python::program("mails/peer.py")
            .arg(self.port.local_addr().unwrap().port().to_string())
            .args([self.file("certificate.pem"), self.file("key.pem")])
            .args([USER, PASSWORD_PREFIX])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        let output = Arc::clone(&self.output);
        let reader = std::thread::spawn(move || read_output(stdout, number, &output));
        *self.process() = Some(Process {
            child,
            orders,
            reader,
        });
        self.until("it listens", |output| output.ready == number).await;
    }

    /// `kill -9`. When this returns, all its output has been read.
    pub(crate) fn kill(&self) {
        let mut process = self.process().take().expect("it was started");
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        process.reader.join().unwrap();
    }

    /// Sends it a command. When this returns, it has obeyed, and all earlier output has been read.
    pub(crate) async fn order(&self, word: &str) {
        let obeyed = self.output.borrow().obeyed + 1;
        writeln!(self.process().as_mut().expect("it was started").orders, "{word}").unwrap();
        self.until(word, |output| output.obeyed == obeyed).await;
    }

    /// Waits for a condition on its output.
    pub(crate) async fn until(&self, what: &str, is_reached: impl FnMut(&PeerOutput) -> bool) {
        let mut output = self.output.subscribe();
        let waited = tokio::time::timeout(TEST_TIMEOUT, output.wait_for(is_reached)).await;
        waited
            .unwrap_or_else(|_| panic!("the mail server: not in time: {what}"))
            .expect("it is not dropped while it is used");
    }

    /// The number of refusals so far.
    pub(crate) fn refused(&self) -> usize {
        self.output.borrow().refused
    }

    /// The number of accepted emails so far.
    pub(crate) fn count(&self) -> usize {
        self.output.borrow().mails.len()
    }

    /// Every accepted email, in order.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.output.borrow().mails.clone()
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process().take() {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// Reads the output of one process of it. A partial line was cut by a kill: it had not answered yet.
fn read_output(stdout: ChildStdout, number: u32, output: &watch::Sender<PeerOutput>) {
    let mut stdout = BufReader::new(stdout);
    let mut text = String::new();
    while stdout.read_line(&mut text).is_ok_and(|_| text.ends_with('\n')) {
        let line: Line = serde_json::from_str(&text).unwrap();
        output.send_modify(|output| match line {
            Line::Ready => output.ready = number,
            Line::Obeyed => output.obeyed += 1,
            Line::Refused => output.refused += 1,
            Line::Mail {
                by,
                sender,
                to,
                answered,
                content,
            } => {
                output.mails.push(Mail {
                    session: (by, number),
                    answered,
                    sender,
                    to,
                    content: STANDARD.decode(content).unwrap(),
                });
            }
        });
        text.clear();
    }
}
