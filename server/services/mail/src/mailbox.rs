//! The mailbox folder: a file a mail, for whoever has no mail server, readable in the app.
//!
//! `<workspace>/<event>.<person>.eml`. A file gets its name when it is written and flushed, and the same mail has the same
//! name, so writing it again changes nothing. The files hold names and addresses; they go with their person.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use domain::{id::WorkspaceId, timestamp::Timestamp, wire::MailboxMessage};
use mailparse::MailHeaderMap as _;
use uuid::Uuid;

/// See the module.
#[derive(Debug, Clone)]
pub struct Mailbox {
    folder: PathBuf,
}

/// Which mails are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Of this person only.
    pub user: Option<Uuid>,
    /// Those before this event's.
    pub before: Option<Uuid>,
    /// The most.
    pub limit: usize,
}

impl Mailbox {
    /// In a folder, which need not be there.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn of(&self, workspace: WorkspaceId) -> PathBuf {
        self.folder.join(workspace.to_string())
    }

    /// Puts a mail in; one that is there already stays as it is.
    pub(super) async fn put(
        &self,
        workspace: WorkspaceId,
        event: Uuid,
        user: Uuid,
        mail: Vec<u8>,
    ) -> io::Result<()> {
        let folder = self.of(workspace);
        blocking(move || {
            private_folder(&folder)?;
            let name = format!("{event}.{user}.eml");
            let file = folder.join(&name);
            if file.exists() {
                return Ok(());
            }
            let partial = folder.join(format!("{name}.partial"));
            let mut writing = File::create(&partial)?;
            writing.write_all(&mail)?;
            writing.sync_all()?;
            fs::rename(&partial, &file)?;
            // The name is as durable as what it names.
            File::open(&folder)?.sync_all()
        })
        .await
    }

    /// A page of mails, the newest first, and whether there are more.
    pub async fn list(&self, workspace: WorkspaceId, page: Page) -> io::Result<(Vec<MailboxMessage>, bool)> {
        let folder = self.of(workspace);
        blocking(move || {
            let mut files = files(&folder)?;
            files.retain(|(event, user, _)| {
                page.user.is_none_or(|wanted| wanted == *user)
                    && page.before.is_none_or(|before| *event < before)
            });
            // Ids of events begin with their time.
            files.sort_by_key(|file| std::cmp::Reverse(file.0));
            let more = files.len() > page.limit;
            files.truncate(page.limit);
            let mut messages = Vec::with_capacity(files.len());
            for (event, user, file) in files {
                match fs::read(&file) {
                    Ok(bytes) => messages.push(read(event, user, &bytes)?),
                    // Its person was erased a moment ago.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((messages, more))
        })
        .await
    }

    /// A person was erased.
    pub(super) async fn erase(&self, workspace: WorkspaceId, person: Uuid) -> io::Result<()> {
        let folder = self.of(workspace);
        blocking(move || {
            let person = person.to_string();
            // Also what was never finished.
            for name in names(&folder)? {
                if name.split('.').nth(1) == Some(person.as_str()) {
                    gone(fs::remove_file(folder.join(name)))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// A workspace is there no more.
    pub(super) async fn forget(&self, workspace: WorkspaceId) -> io::Result<()> {
        let folder = self.of(workspace);
        blocking(move || gone(fs::remove_dir_all(folder))).await
    }

    /// The workspaces that have mails.
    pub(super) async fn workspaces(&self) -> io::Result<Vec<WorkspaceId>> {
        let folder = self.folder.clone();
        blocking(move || {
            let names = names(&folder)?;
            Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// What is not there is gone already.
fn gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        if error.kind() == ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// A folder that only the server's user may enter: it holds addresses.
#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// Event, person and file of every mail. One that was never finished has another name; the next attempt writes over it.
fn files(folder: &Path) -> io::Result<Vec<(Uuid, Uuid, PathBuf)>> {
    let names = names(folder)?;
    let parse = |name: String| {
        let mut parts = name.split('.');
        let event = parts.next()?.parse().ok()?;
        let user = parts.next()?.parse().ok()?;
        (parts.next() == Some("eml") && parts.next().is_none()).then(|| (event, user, folder.join(&name)))
    };
    Ok(names.into_iter().filter_map(parse).collect())
}

fn read(id: Uuid, user: Uuid, bytes: &[u8]) -> io::Result<MailboxMessage> {
    let mail = mailparse::parse_mail(bytes).map_err(io::Error::other)?;
    let header = |name| mail.headers.get_first_value(name).unwrap_or_default();
    let part = |kind: &str| {
        let part = mail.subparts.iter().find(|part| part.ctype.mimetype == kind);
        part.map(mailparse::ParsedMail::get_body)
            .transpose()
            .map(Option::unwrap_or_default)
            .map_err(io::Error::other)
    };
    let seconds = mailparse::dateparse(&header("Date")).unwrap_or(0);
    Ok(MailboxMessage {
        id,
        user,
        to: header("To"),
        subject: header("Subject"),
        at: Timestamp::from_micros(seconds.saturating_mul(1_000_000)),
        text: part("text/plain")?,
        html: part("text/html")?,
    })
}
