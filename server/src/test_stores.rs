//! The stores of a server for tests (`--for-tests`): a data folder, and databases, that were made so. Such a server hashes passwords
//! at no cost and refuses no request for its rate, so it must never meet the data of real people, and a real server must never
//! serve accounts whose passwords it has made cheap to guess.
//!
//! A file in the data folder says that it was made for tests, and names the event stores that were empty when a server for tests
//! first opened them. It protects against a mistake in a command line, not against a person who edits it.

use event_store::{EventStore, StoreError};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::settings::{Settings, StoreUrl};

/// The file that says so, in the data folder.
const MARK: &str = "made-for-tests";
/// What a line that names an event store begins with; others are for people.
const NAMES: &str = "event store: ";
const EXPLANATION: &str = "\
This folder was made by `foldline serve --for-tests`: its passwords are cheap to guess. Start it with --for-tests only.
";

/// Why a server does not start on these stores.
#[derive(Debug, thiserror::Error)]
pub enum TestStoresError {
    /// A folder of real data.
    #[error(
        "--for-tests starts on a folder that it has made itself; {0} is not empty and was not made so, give another \
         --data-dir"
    )]
    NotMadeForTests(PathBuf),
    /// A database of real data.
    #[error(
        "--for-tests starts on an event store that it has found empty; {0} holds workspaces already, give another \
         --event-store"
    )]
    HoldsWorkspaces(String),
    /// A folder of tests.
    #[error(
        "{0} was made by --for-tests, and its passwords are cheap to guess; start with --for-tests, or give another \
         --data-dir"
    )]
    MadeForTests(PathBuf),
    /// The file cannot be read or written.
    #[error("{file} cannot be used: {source}")]
    Mark {
        /// Which.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Whether the event store is empty cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The data folder of a server for tests, and the event stores that it has made.
#[derive(Debug)]
pub(crate) struct TestStores {
    mark: PathBuf,
    made: BTreeSet<String>,
}

impl TestStores {
    /// Marks a new data folder, or finds its mark; `None` for a server that is not for tests. Nothing else may have been put into
    /// the folder before.
    pub(crate) fn open(settings: &Settings) -> Result<Option<Self>, TestStoresError> {
        let folder = &settings.storage.data_dir;
        let mark = folder.join(MARK);
        let failed = |source| TestStoresError::Mark {
            file: mark.clone(),
            source,
        };
        let said = match fs::read_to_string(&mark) {
            Ok(said) => Some(said),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        match (settings.for_tests, said) {
            (false, None) => Ok(None),
            (false, Some(_)) => Err(TestStoresError::MadeForTests(folder.clone())),
            (true, Some(said)) => {
                let made = said.lines().filter_map(|line| line.strip_prefix(NAMES));
                let made = made.map(str::to_owned).collect();
                Ok(Some(Self { mark, made }))
            }
            (true, None) if is_empty(folder).map_err(failed)? => {
                let made = BTreeSet::new();
                let stores = Self { mark, made };
                fs::create_dir_all(folder).map_err(|source| stores.failed(source))?;
                stores.write()?;
                Ok(Some(stores))
            }
            (true, None) => Err(TestStoresError::NotMadeForTests(folder.clone())),
        }
    }

    /// Refuses an event store that was there before the server for tests.
    pub(crate) async fn admit(
        &mut self,
        url: &StoreUrl,
        events: &dyn EventStore,
    ) -> Result<(), TestStoresError> {
        let name = name(url);
        if self.made.contains(&name) {
            return Ok(());
        }
        if !events.workspaces(None, 1).await?.is_empty() {
            return Err(TestStoresError::HoldsWorkspaces(name));
        }
        self.made.insert(name);
        self.write()
    }

    fn write(&self) -> Result<(), TestStoresError> {
        let named = self.made.iter().map(|name| format!("{NAMES}{name}\n"));
        let said: String = std::iter::once(EXPLANATION.to_owned()).chain(named).collect();
        fs::write(&self.mark, said).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> TestStoresError {
        TestStoresError::Mark {
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

/// What tells an event store from others, without what opens it.
fn name(url: &StoreUrl) -> String {
    match url {
        StoreUrl::Sqlite(url) => {
            let file = url.file();
            fs::canonicalize(file)
                .as_deref()
                .unwrap_or(file)
                .display()
                .to_string()
        }
        // `checked` has refused what is no URL
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
            assert_eq!(name(&url.parse().unwrap()), expected);
        }
    }
}
