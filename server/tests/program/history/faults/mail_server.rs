//! A mail server with a port for each server under test, which takes its time, goes away, or refuses mails.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
    time::sleep,
};

use super::schedule::MailMode;
use crate::history::record::History;

/// How long a slow mail server takes for a mail.
const SLOW: Duration = Duration::from_millis(300);

/// The longest line, and the longest mail.
const MAX_LINE: u64 = 4_096;
const MAX_MAIL: usize = 1_000_000;

/// An accepted mail.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    /// The server that sent it.
    pub(super) server: usize,
    /// When it was accepted.
    pub(super) tick: u64,
    pub(super) to: Vec<String>,
    pub(super) content: Vec<u8>,
}

pub(super) struct MailServer {
    ports: Vec<u16>,
    mode: watch::Sender<MailMode>,
    mails: Arc<Mutex<Vec<Mail>>>,
    listeners: Vec<AbortHandle>,
}

impl MailServer {
    /// Starts it for this number of servers.
    pub(super) async fn start(servers: usize, history: &Arc<History>) -> Self {
        let mut started = Self {
            ports: Vec::new(),
            mode: watch::Sender::default(),
            mails: Arc::default(),
            listeners: Vec::new(),
        };
        for server in 0..servers {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            started.ports.push(listener.local_addr().unwrap().port());
            let session = Session {
                server,
                mode: started.mode.subscribe(),
                mails: Arc::clone(&started.mails),
                history: Arc::clone(history),
            };
            started
                .listeners
                .push(tokio::spawn(session.listen(listener)).abort_handle());
        }
        started
    }

    /// Its URL for one of the servers.
    pub(super) fn url(&self, server: usize) -> String {
        format!("smtp://127.0.0.1:{}", self.ports[server])
    }

    pub(super) fn behave(&self, mode: MailMode) {
        self.mode.send_replace(mode);
    }

    /// Every accepted mail, in order.
    pub(super) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
    }
}

/// The conversations of one of the servers.
#[derive(Clone)]
struct Session {
    server: usize,
    mode: watch::Receiver<MailMode>,
    mails: Arc<Mutex<Vec<Mail>>>,
    history: Arc<History>,
}

impl Session {
    async fn listen(self, listener: TcpListener) {
        while let Ok((connection, _)) = listener.accept().await {
            let (session, mode) = (self.clone(), self.mode.clone());
            tokio::spawn(async move {
                tokio::select! {
                    // A connection that is lost is a fault under test.
                    _ = session.converse(connection) => {}
                    () = away(mode) => {}
                }
            });
        }
    }

    /// SMTP without extensions that the test does not need (RFC 5321).
    async fn converse(self, connection: TcpStream) -> io::Result<()> {
        let mut connection = BufReader::new(connection);
        connection.write_all(b"220 post.test\r\n").await?;
        let mut to = Vec::new();
        loop {
            let Some(line) = line(&mut connection).await? else {
                return Ok(());
            };
            let text = String::from_utf8_lossy(&line).into_owned();
            let command = text.get(..4).unwrap_or_default().to_ascii_uppercase();
            let is_refusing = *self.mode.borrow() == MailMode::Refusing;
            let answer = match command.as_str() {
                "EHLO" => "250-post.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                "HELO" | "NOOP" => "250 OK\r\n",
                "MAIL" | "RSET" => {
                    to.clear();
                    "250 OK\r\n"
                }
                "RCPT" if is_refusing => "550 no such mailbox\r\n",
                "RCPT" => {
                    let address = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                    to.extend(address.map(|(address, _)| address.to_owned()));
                    "250 OK\r\n"
                }
                "DATA" => {
                    connection.write_all(b"354 go ahead\r\n").await?;
                    let content = content(&mut connection).await?;
                    self.accept(std::mem::take(&mut to), content).await;
                    "250 OK\r\n"
                }
                "QUIT" => {
                    return connection.write_all(b"221 bye\r\n").await;
                }
                _ => "502 not here\r\n",
            };
            connection.write_all(answer.as_bytes()).await?;
        }
    }

    async fn accept(&self, to: Vec<String>, content: Vec<u8>) {
        let is_slow = *self.mode.borrow() == MailMode::Slow;
        if is_slow {
            sleep(SLOW).await;
        }
        self.mails
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Mail {
                server: self.server,
                tick: self.history.tick(),
                to,
                content,
            });
    }
}

/// Waits until the mail server goes away.
async fn away(mut mode: watch::Receiver<MailMode>) {
    let _ = mode.wait_for(|mode| *mode == MailMode::Away).await;
}

/// A line with its end; `None`: the connection was closed.
async fn line(connection: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = connection.take(MAX_LINE).read_until(b'\n', &mut line).await?;
    Ok((read > 0 && line.ends_with(b"\n")).then_some(line))
}

/// A mail, up to the line with a dot alone.
async fn content(connection: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    while content.len() < MAX_MAIL {
        let Some(line) = line(connection).await? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if line == b".\r\n" {
            return Ok(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
    Err(io::Error::other("a mail is too long"))
}
