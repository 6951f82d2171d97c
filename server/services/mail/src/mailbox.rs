//! The mailbox folder, for servers without a mail server: one file per mail, readable in the app.
//!
//! `<workspace>/<event>.<person>.eml`. A file gets its name once it is written and flushed, and the same mail
//! has the same name, so writing it again changes nothing. The files hold names and addresses; they are
//! deleted when their user is erased.

use std::{
    fmt,
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp, wire::MailboxMessage};
use mailparse::MailHeaderMap as _;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::MailFolder;

/// How many files are written at the same time: a file system flushes several together.
const WRITERS: usize = 4;

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

/// A mail for the folder.
pub struct Mail {
    /// The event that it is about; or the id after it, for the second mail of an event.
    pub event: Uuid,
    /// Its recipient.
    pub user: Uuid,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Mail {
    /// Never its content, which is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("event", &self.event)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Mail {
    /// The name of its file.
    fn file_name(&self) -> String {
        format!("{}.{}.eml", self.event, self.user)
    }

    /// Writes the file and flushes it, unless it exists; its name is flushed with the folder.
    fn write(&self, folder: &Path) -> io::Result<()> {
        let name = self.file_name();
        let file = folder.join(&name);
        if file.exists() {
            return Ok(());
        }
        let partial = folder.join(format!("{name}.partial"));
        let mut partial_file = File::create(&partial)?;
        partial_file.write_all(&self.bytes)?;
        partial_file.sync_all()?;
        fs::rename(&partial, &file)
    }
}

impl Mailbox {
    /// A mailbox in a folder, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn of(&self, workspace: WorkspaceId) -> PathBuf {
        self.folder.join(workspace.to_string())
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

    /// Deletes the mails of an erased user. When this returns, they stay deleted, also after a crash.
    pub(super) async fn erase(&self, workspace: WorkspaceId, person: Uuid) -> io::Result<()> {
        let folder = self.of(workspace);
        blocking(move || {
            let person = person.to_string();
            let mut is_changed = false;
            // Unfinished files as well.
            for name in names(&folder)? {
                if name.split('.').nth(1) == Some(person.as_str()) {
                    ignore_missing(fs::remove_file(folder.join(name)))?;
                    is_changed = true;
                }
            }
            if is_changed {
                File::open(&folder)?.sync_all()?;
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

#[async_trait]
impl MailFolder for Mailbox {
    async fn has(&self, workspace: WorkspaceId, mail: &Mail) -> io::Result<bool> {
        let file = self.of(workspace).join(mail.file_name());
        blocking(move || file.try_exists()).await
    }

    async fn put(&self, workspace: WorkspaceId, mails: Vec<Mail>) -> io::Result<()> {
        if mails.is_empty() {
            return Ok(());
        }
        let folder = self.of(workspace);
        let share = mails.len().div_ceil(WRITERS);
        let mut mails = mails.into_iter().peekable();
        let mut writers: JoinSet<io::Result<()>> = JoinSet::new();
        while mails.peek().is_some() {
            let part: Vec<Mail> = mails.by_ref().take(share).collect();
            let folder = folder.clone();
            writers.spawn_blocking(move || {
                private_folder(&folder)?;
                part.iter().try_for_each(|mail| mail.write(&folder))
            });
        }
        let mut written = Ok(());
        // All of them end before the mails can be tried again.
        while let Some(ended) = writers.join_next().await {
            written = written.and(ended.map_err(io::Error::other).flatten());
        }
        written?;
        // Flush the folder too, so that the names are as durable as the contents.
        blocking(move || File::open(&folder)?.sync_all()).await
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

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

    fn mail(n: u128, bytes: &str) -> Mail {
        Mail {
            event: Uuid::from_u128(n),
            user: Uuid::from_u128(7),
            bytes: bytes.as_bytes().to_vec(),
        }
    }

    #[tokio::test]
    async fn mails_are_stored_together_and_a_stored_one_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new(folder.path().to_owned());
        mailbox.put(SHOP, vec![mail(3, "first")]).await.unwrap();
        let mails = (0..10).map(|n| mail(n, "second")).collect();
        mailbox.put(SHOP, mails).await.unwrap();
        let mut stored = files(&mailbox.of(SHOP)).unwrap();
        stored.sort();
        let content = |n: usize| fs::read_to_string(&stored[n].2).unwrap();
        assert_eq!(
            (stored.len(), content(3), content(4)),
            (10, "first".into(), "second".into())
        );
        assert_eq!(
            names(&mailbox.of(SHOP)).unwrap().len(),
            10,
            "nothing unfinished is left"
        );
        mailbox.erase(SHOP, Uuid::from_u128(7)).await.unwrap();
        assert!(files(&mailbox.of(SHOP)).unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_mail_that_cannot_be_stored_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new(folder.path().to_owned());
        fs::write(mailbox.of(SHOP), "a file where the folder should be").unwrap();
        assert!(mailbox.put(SHOP, vec![mail(1, "first")]).await.is_err());
    }
}
