//! A fixture on disk: the stores of a version, and the known facts about them.
//!
//! Search index, warehouse and their checkpoints are left out: they are derived from the events.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use domain::id::WorkspaceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use server::settings::StoreUrl;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use test_postgres::{Database, programs};
use uuid::Uuid;

use crate::running::clean;

/// The facts about a fixture; `facts.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The password of every account.
    pub(super) password: String,
    pub(super) workspaces: Vec<WorkspaceFacts>,
}

/// The facts about a workspace.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WorkspaceFacts {
    pub(super) id: WorkspaceId,
    pub(super) shards: u32,
    pub(super) educator: Account,
    /// Orders, and gets emails.
    pub(super) customer: Account,
    /// Has stopped emails.
    pub(super) without_mails: Account,
    /// Had an account with this email and was erased.
    pub(super) erased: Account,
    /// Ordered without an account.
    pub(super) guest: Uuid,
    /// The customer's order whose payment has a deadline that has not come yet.
    pub(super) waiting_order: String,
    /// An email that the mail server refused.
    pub(super) dead_letter: Option<DeadLetter>,
    /// The view that was rebuilt.
    pub(super) rebuilt: Rebuilt,
    /// A command of the educator that was answered, with its idempotency key.
    pub(super) answered: Answered,
    /// The number of charges in the payment provider's books.
    pub(super) charges: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) user: Uuid,
    pub(super) email: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeadLetter {
    pub(super) id: Uuid,
    /// The recipient of the email.
    pub(super) user: Uuid,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rebuilt {
    pub(super) view: String,
    pub(super) generation: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) key: String,
    pub(super) command: Value,
    /// The ids of its events.
    pub(super) events: Vec<Uuid>,
}

/// Emails, by the names of their files in the mailbox.
pub(super) type Mails = BTreeMap<PathBuf, Vec<u8>>;

const DATA: &str = "data";
const DUMP: &str = "database.sql";
const EXPORT: &str = "export.ndjson";
const FACTS: &str = "facts.json";
/// Folders that are derived from the events.
const DERIVED: [&str; 5] = [
    "search",
    "warehouse",
    "checkpoints",
    "signed-checkpoints",
    "reserve",
];

/// The stores of a server: files, or a PostgreSQL database besides.
pub(super) struct Stores(Option<Database>);

impl Stores {
    pub(super) fn files() -> Self {
        Self(None)
    }

    pub(super) async fn postgresql() -> Self {
        Self(Some(Database::new().await))
    }

    /// Empty stores of the same kind.
    pub(super) async fn empty_ones(&self) -> Self {
        match &self.0 {
            Some(_) => Self::postgresql().await,
            None => Self::files(),
        }
    }

    /// The name of their fixture in its version's folder.
    pub(super) fn name(&self) -> &'static str {
        match &self.0 {
            Some(_) => "postgresql",
            None => "sqlite",
        }
    }

    /// Their arguments on the command line, besides the data folder.
    pub(super) fn arguments(&self) -> Vec<String> {
        self.0.as_ref().map_or_else(Vec::new, |database| {
            let url = &database.url;
            ["--event-store", url, "--read-model", url]
                .map(str::to_owned)
                .to_vec()
        })
    }

    pub(super) fn events(&self, folder: &Path) -> StoreUrl {
        self.url(folder, "events.db")
    }

    pub(super) fn process_store(&self, folder: &Path) -> StoreUrl {
        self.url(folder, "consumers.db")
    }

    fn url(&self, folder: &Path, file: &str) -> StoreUrl {
        match &self.0 {
            Some(database) => database.url.parse().unwrap(),
            None => folder.join(file).into(),
        }
    }

    /// Saves the stores of a stopped server into a new folder.
    pub(super) fn save(&self, data: &Path, export: &str, facts: &Facts, fixture: &Path) {
        copy(data, &fixture.join(DATA), &DERIVED).unwrap();
        if let Some(database) = &self.0 {
            fs::write(fixture.join(DUMP), dump(database)).unwrap();
        }
        fs::write(fixture.join(EXPORT), export).unwrap();
        let facts = serde_json::to_string_pretty(facts).unwrap();
        fs::write(fixture.join(FACTS), facts + "\n").unwrap();
    }

    /// Restores a fixture into a data folder.
    pub(super) async fn restore(&self, fixture: &Path, data: &Path) {
        copy(&fixture.join(DATA), data, &[]).unwrap();
        restrict_permissions(&data.join("keys")).unwrap();
        if let Some(database) = &self.0 {
            let dump = fs::read_to_string(fixture.join(DUMP)).unwrap();
            let mut connection = PgConnection::connect(&database.url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(dump))
                .execute(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
        }
    }
}

pub(super) fn facts(fixture: &Path) -> Facts {
    let facts = fs::read_to_string(fixture.join(FACTS)).unwrap();
    serde_json::from_str(&facts).unwrap()
}

pub(super) fn export(fixture: &Path) -> PathBuf {
    fixture.join(EXPORT)
}

/// Every email in a data folder.
pub(super) fn mails(data: &Path) -> Mails {
    let mailbox = data.join("mailbox");
    let mut mails = Mails::new();
    for workspace in fs::read_dir(&mailbox).unwrap() {
        for mail in fs::read_dir(workspace.unwrap().path()).unwrap() {
            let file = mail.unwrap().path();
            let name = file.strip_prefix(&mailbox).unwrap().to_owned();
            mails.insert(name, fs::read(file).unwrap());
        }
    }
    mails
}

/// Statements only, so that a restore needs no program of PostgreSQL's.
fn dump(database: &Database) -> String {
    let output = clean(programs().join("pg_dump").to_str().expect("the path is text"))
        .args([
            "--no-owner",
            "--no-privileges",
            "--inserts",
            "--rows-per-insert=100",
        ])
        .arg(format!("--dbname={}", database.url))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let dump = String::from_utf8(output.stdout).unwrap();
    let is_for_psql = |line: &str| line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
    let lines = dump.lines().filter(|line| !is_for_psql(line));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn copy(from: &Path, to: &Path, left_out: &[&str]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if left_out.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let to = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to, &[])?;
        } else {
            fs::write(to, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Restricts the permissions of keys: a server refuses keys that others may read, and a repository does not
/// keep modes.
fn restrict_permissions(keys: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for key in fs::read_dir(keys)? {
        set(&key?.path(), 0o600)?;
    }
    set(keys, 0o700)
}
