//! The mailbox folder, for servers without a mail server: one file per mail, readable in the app.
//!
//! `<workspace>/<event>.<person>.eml`. A file gets its name once it is written and flushed, and the same mail
//! has the same name, so writing it again changes nothing. The files hold names and addresses; they are
//! deleted when their user is erased.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use domain::{id::WorkspaceId, timestamp::Timestamp, wire::MailboxMessage};
use mailparse::MailHeaderMap as _;
use uuid::Uuid;

/// Stores mails as files in a folder.
#[derive(Debug, Clone)]
pub struct Mailbox {
    folder: PathBuf,
}

/// A request for a page of mails.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Only mails to this user.
    pub user: Option<Uuid>,
    /// Only mails before this event's.
    pub before: Option<Uuid>,
    /// The most.
    pub limit: usize,
}

impl Mailbox {
    /// A mailbox in a folder, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn of(&self, workspace: WorkspaceId) -> PathBuf {
        self.folder.join(workspace.to_string())
    }

    /// Stores a mail; an existing one stays as it is.
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
            let mut partial_file = File::create(&partial)?;
            partial_file.write_all(&mail)?;
            partial_file.sync_all()?;
            fs::rename(&partial, &file)?;
            // Flush the folder too, so that the name is as durable as the content.
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
                    // Its user was erased a moment ago.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((messages, more))
        })
        .await
    }

    /// Deletes the mails of an erased user.
    pub(super) async fn erase(&self, workspace: WorkspaceId, person: Uuid) -> io::Result<()> {
        let folder = self.of(workspace);
        blocking(move || {
            let person = person.to_string();
            // Unfinished files as well.
            for name in names(&folder)? {
                if name.split('.').nth(1) == Some(person.as_str()) {
                    ignore_missing(fs::remove_file(folder.join(name)))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Deletes the mails of a purged workspace.
    pub(super) async fn forget(&self, workspace: WorkspaceId) -> io::Result<()> {
        let folder = self.of(workspace);
        blocking(move || ignore_missing(fs::remove_dir_all(folder))).await
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

/// Treats a missing file as deleted.
fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
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

/// The event, the user and the file of every mail. An unfinished file has another name; the next attempt
/// overwrites it.
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
        // Emails of earlier versions have no such header, and are in English.
        language: header("Content-Language").parse().unwrap_or_default(),
        at: Timestamp::from_micros(seconds.saturating_mul(1_000_000)),
        text: part("text/plain")?,
        html: part("text/html")?,
    })
}
