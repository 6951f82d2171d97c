//! The mail server of the test, `peer.py`: a process that is started, told what to do, and killed. It says which mails it has
//! taken before it answers for them, so of a life that was cut short everything that it answered for is known.

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

use crate::{python, running::PATIENCE};

const USER: &str = "foldline";
/// What every password begins with. What comes behind says which life of the server has signed in.
const SECRET: &str = "correct horse battery ";

/// A mail that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// In which lives, ours and the mail server's.
    pub(crate) session: (String, u32),
    /// Whether the mail server has answered for it, as far as it could.
    pub(crate) answered: bool,
    /// Who sends it, to whom: the envelope.
    pub(crate) sender: String,
    pub(crate) to: Vec<String>,
    pub(crate) content: Vec<u8>,
}

/// What it has said so far, in all its lives.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) mails: Vec<Mail>,
    pub(crate) refused: usize,
    ready: u32,
    obeyed: usize,
}

/// A line of its.
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
    listening: JoinHandle<()>,
}

pub(crate) struct Peer {
    /// Keeps the port ours while nobody listens at it; so whoever connects then is refused.
    port: TcpSocket,
    folder: TempDir,
    process: Mutex<Option<Process>>,
    heard: Arc<watch::Sender<Heard>>,
}

impl Peer {
    /// With a certificate of its own; not started yet.
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
            heard: Arc::default(),
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

    /// The password with which a server signs in that is started after this.
    pub(crate) fn expect(&self, life: u32) {
        std::fs::write(self.file("password"), format!("{SECRET}{life}\n")).unwrap();
    }

    /// Starts it, and returns when it listens.
    pub(crate) async fn start(&self) {
        let number = self.heard.borrow().ready + 1;
        let mut child = python::program("mails/peer.py")
            .arg(self.port.local_addr().unwrap().port().to_string())
            .args([self.file("certificate.pem"), self.file("key.pem")])
            .args([USER, SECRET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let said = child.stdout.take().unwrap();
        let heard = Arc::clone(&self.heard);
        let listening = std::thread::spawn(move || listen(said, number, &heard));
        *self.process() = Some(Process {
            child,
            orders,
            listening,
        });
        self.until("it listens", |heard| heard.ready == number).await;
    }

    /// `kill -9`. When this returns, everything that it has said is known.
    pub(crate) fn kill(&self) {
        let mut process = self.process().take().expect("it was started");
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        process.listening.join().unwrap();
    }

    /// Tells it what to do. When this returns, it does, and everything that it has said before is known.
    pub(crate) async fn order(&self, word: &str) {
        let obeyed = self.heard.borrow().obeyed + 1;
        writeln!(self.process().as_mut().expect("it was started").orders, "{word}").unwrap();
        self.until(word, |heard| heard.obeyed == obeyed).await;
    }

    /// Waits until it has said something.
    pub(crate) async fn until(&self, what: &str, has_said: impl FnMut(&Heard) -> bool) {
        let mut heard = self.heard.subscribe();
        let waited = tokio::time::timeout(PATIENCE, heard.wait_for(has_said)).await;
        waited
            .unwrap_or_else(|_| panic!("the mail server: not in time: {what}"))
            .expect("it is not dropped while it is used");
    }

    /// How often it has refused a mail so far.
    pub(crate) fn refused(&self) -> usize {
        self.heard.borrow().refused
    }

    /// How many mails it has taken so far.
    pub(crate) fn count(&self) -> usize {
        self.heard.borrow().mails.len()
    }

    /// Every mail that it has taken, in the order in which it has.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.heard.borrow().mails.clone()
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

/// Hears all that a life of it says. Half a line is what it was killed over: it had not answered yet.
fn listen(said: ChildStdout, number: u32, heard: &watch::Sender<Heard>) {
    let mut said = BufReader::new(said);
    let mut text = String::new();
    while said.read_line(&mut text).is_ok_and(|_| text.ends_with('\n')) {
        let line: Line = serde_json::from_str(&text).unwrap();
        heard.send_modify(|heard| match line {
            Line::Ready => heard.ready = number,
            Line::Obeyed => heard.obeyed += 1,
            Line::Refused => heard.refused += 1,
            Line::Mail {
                by,
                sender,
                to,
                answered,
                content,
            } => {
                heard.mails.push(Mail {
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
