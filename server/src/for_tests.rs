//! The stores of a server for tests (`--for-tests`): a data folder and databases that were created for tests.
//! Such a server hashes passwords cheaply and has no rate limits, so it must never use real data, and a real
//! server must never serve accounts with such passwords.
//!
//! A file in the data folder marks it as made for tests, and names the external stores that were empty when a
//! server for tests first opened them: event stores, read models and warehouses. It protects against a
//! mistake in a command line, not against a person who edits it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use consumer::{Consumer, EffectError};
use event_store::{EventStore, StoreError};
use lifecycle::foreign_stores::{ForeignStoresError, SeparateStores};
use warehouse::location::WarehouseLocation;

use crate::settings::{Settings, StorageSettings, StoreUrl};

/// The marker file in the data folder.
const MARK: &str = "made-for-tests";
const EXPLANATION: &str = "\
This folder was made by `foldline serve --for-tests`: its passwords are cheap to guess. \
Start it with --for-tests only.
";

/// Why a server does not start on these stores.
#[derive(Debug, thiserror::Error)]
pub enum ForTestsError {
    /// The folder holds real data.
    #[error(
        "--for-tests starts on a folder that it has made itself; {0} is not empty and was not made so, \
         give another --data-dir"
    )]
    NotMadeForTests(PathBuf),
    /// The store holds real data.
    #[error(
        "--for-tests starts on the {} that it has found empty; {name} holds workspaces already, \
         give another {}",
        .kind.name(), .kind.setting()
    )]
    HoldsWorkspaces {
        /// The kind of store.
        kind: StoreKind,
        /// Which.
        name: String,
    },
    /// The folder belongs to a server for tests.
    #[error(
        "{0} was made by --for-tests, and its passwords are cheap to guess; start with --for-tests, or give \
         another --data-dir"
    )]
    MadeForTests(PathBuf),
    /// The file cannot be read or written.
    #[error("{file} cannot be used: {source}")]
    Mark {
        /// Which.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The event store could not be checked for being empty.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another store could not be checked for being empty.
    #[error(transparent)]
    SeparateStores(#[from] ForeignStoresError),
    /// The warehouse could not be checked for being empty.
    #[error("the warehouse cannot be listed: {0}")]
    Warehouse(#[from] EffectError),
}

/// A kind of store that a setting can place outside of the data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// Events; in PostgreSQL also the process store and personal data.
    Events,
    /// Views.
    Views,
    /// Parquet files.
    Warehouse,
}

impl StoreKind {
    const ALL: [Self; 3] = [Self::Events, Self::Views, Self::Warehouse];

    /// The prefix of a line that names such a store, before a colon.
    fn name(self) -> &'static str {
        match self {
            Self::Events => "event store",
            Self::Views => "read model",
            Self::Warehouse => "warehouse",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Events => "--event-store",
            Self::Views => "--read-model",
            Self::Warehouse => "--warehouse",
        }
    }

    fn line(self, name: &str) -> String {
        format!("{}: {name}", self.name())
    }
}

/// The data folder of a server for tests, and the external stores that it has created.
#[derive(Debug)]
pub(crate) struct ForTestsMark {
    mark: PathBuf,
    /// Lines of the file; other lines are for human readers.
    made: BTreeSet<String>,
}

impl ForTestsMark {
    /// Marks a new data folder, or reads its marker; `None` for a server that is not for tests. A new folder
    /// must be empty.
    pub(crate) fn open(settings: &Settings) -> Result<Option<Self>, ForTestsError> {
        let folder = &settings.storage.data_dir;
        let mark = folder.join(MARK);
        let failed = |source| ForTestsError::Mark {
            file: mark.clone(),
            source,
        };
        let text = match fs::read_to_string(&mark) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        match (settings.for_tests, text) {
            (false, None) => Ok(None),
            (false, Some(_)) => Err(ForTestsError::MadeForTests(folder.clone())),
            (true, Some(text)) => {
                let names_a_store =
                    |line: &&str| StoreKind::ALL.iter().any(|kind| line.starts_with(&kind.line("")));
                let made = text.lines().filter(names_a_store).map(str::to_owned).collect();
                Ok(Some(Self { mark, made }))
            }
            (true, None) if is_empty(folder).map_err(failed)? => {
                let made = BTreeSet::new();
                let stores = Self { mark, made };
                fs::create_dir_all(folder).map_err(|source| stores.failed(source))?;
                stores.write()?;
                Ok(Some(stores))
            }
            (true, None) => Err(ForTestsError::NotMadeForTests(folder.clone())),
        }
    }

    /// Refuses an event store and a read model that existed before the server for tests. Stores inside the
    /// data folder are covered by its marker.
    pub(crate) async fn admit(
        &mut self,
        storage: &StorageSettings,
        events: &dyn EventStore,
        separate: &SeparateStores<'_>,
    ) -> Result<(), ForTestsError> {
        let named = name_without_credentials(&storage.event_store());
        if !self.has_made(StoreKind::Events, &named) {
            let is_empty =
                events.workspaces(None, 1).await?.is_empty() && separate.are_empty_beside_events().await?;
            self.admit_store(StoreKind::Events, named, is_empty)?;
        }
        if let Some(url) = storage
            .read_model
            .as_ref()
            .filter(|url| !is_inside(url, &storage.data_dir))
        {
            let named = name_without_credentials(url);
            if !self.has_made(StoreKind::Views, &named) {
                let views = separate
                    .read_model
                    .workspaces()
                    .await
                    .map_err(ForeignStoresError::from)?;
                self.admit_store(StoreKind::Views, named, views.is_empty())?;
            }
        }
        Ok(())
    }

    /// Refuses a warehouse that existed before the server for tests.
    pub(crate) async fn admit_warehouse(
        &mut self,
        at: &WarehouseLocation,
        consumer: &dyn Consumer,
    ) -> Result<(), ForTestsError> {
        let named = name_of_warehouse(at);
        if self.has_made(StoreKind::Warehouse, &named) {
            return Ok(());
        }
        let is_empty = consumer.workspaces().await?.is_empty();
        self.admit_store(StoreKind::Warehouse, named, is_empty)
    }

    fn has_made(&self, kind: StoreKind, name: &str) -> bool {
        self.made.contains(&kind.line(name))
    }

    fn admit_store(&mut self, kind: StoreKind, name: String, is_empty: bool) -> Result<(), ForTestsError> {
        if !is_empty {
            return Err(ForTestsError::HoldsWorkspaces { kind, name });
        }
        self.made.insert(kind.line(&name));
        self.write()
    }

    fn write(&self) -> Result<(), ForTestsError> {
        let named = self.made.iter().map(|line| format!("{line}\n"));
        let text: String = std::iter::once(EXPLANATION.to_owned()).chain(named).collect();
        fs::write(&self.mark, text).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> ForTestsError {
        ForTestsError::Mark {
            file: self.mark.clone(),
            source,
        }
    }
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether a store is a file inside a folder.
fn is_inside(url: &StoreUrl, folder: &Path) -> bool {
    match url {
        StoreUrl::Sqlite(url) => canonical(url.file()).starts_with(canonical(folder)),
        StoreUrl::Postgres(_) => false,
    }
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A name that identifies a warehouse.
fn name_of_warehouse(at: &WarehouseLocation) -> String {
    match at {
        WarehouseLocation::Folder(folder) => canonical(folder).display().to_string(),
        WarehouseLocation::Bucket(bucket) => format!("s3://{}/{}", bucket.name, bucket.prefix),
    }
}

/// A name that identifies a database, without user and password.
fn name_without_credentials(url: &StoreUrl) -> String {
    match url {
        StoreUrl::Sqlite(url) => canonical(url.file()).display().to_string(),
        // `checked` has refused malformed URLs.
        StoreUrl::Postgres(url) => url::Url::parse(url.expose()).map_or_else(
            |_| "postgres:".to_owned(),
            |url| {
                let host = url.host_str().unwrap_or_default();
                let elsewhere = url
                    .query_pairs()
                    .find(|(name, _)| name == "host")
                    .map(|(_, socket)| format!("?host={socket}"));
                let port = url.port().unwrap_or(5432);
                format!(
                    "postgres://{host}:{port}{}{}",
                    url.path(),
                    elsewhere.unwrap_or_default()
                )
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_without_its_password() {
        for (url, expected) in [
            (
                "postgres://shop:wonderland@db.test/foldline?password=wonderland",
                "postgres://db.test:5432/foldline",
            ),
            (
                "postgres://shop@localhost/foldline?host=/run/postgres&sslmode=disable",
                "postgres://localhost:5432/foldline?host=/run/postgres",
            ),
        ] {
            assert_eq!(name_without_credentials(&url.parse().unwrap()), expected);
        }
    }
}
