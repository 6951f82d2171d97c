//! The two adapters, SQLite and PostgreSQL, with the same statements: both support `$1`, `on conflict` and
//! row values. The adapters differ in how they open, notify and listen, and in the removal of copies after a
//! key was destroyed.

use std::{collections::BTreeSet, path::Path, time::Duration};

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgListener,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{sync::mpsc, time::timeout};
use uuid::Uuid;

use super::{
    session_status::SessionChange,
    store::{KeyBytes, PeopleError, PeopleStore, PersonId, StoredKey, StoredToken},
};
use database::{
    postgres::{CONNECT_TIMEOUT, Database},
    schema::SchemaError,
    sqlite::out_of_transaction,
};

/// The schema of the tables in a PostgreSQL database.
const SCHEMA: &str = "foldline_people";

/// The number of connections.
const CONNECTIONS: u32 = 4;

/// The channel of session changes; it belongs to one database, like the tables.
const CHANNEL: &str = "foldline_people";

/// After so long without a notification the connection is tested: a machine that has crashed does not close
/// it.
const PING_AFTER: Duration = Duration::from_secs(10);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/sqlite/people");

const KEY: &str = "select key from person_keys where workspace = $1 and person = $2";

const KEEP_KEY: &str = "
    insert into person_keys (workspace, person, key) values ($1, $2, $3)
    on conflict (workspace, person) do nothing
";

const NOTE_ERASURE: &str = "
    insert into erasures (workspace, person, wanted_at) values ($1, $2, $3)
    -- the later one decides how long it has been under way
    on conflict (workspace, person) do update set wanted_at = excluded.wanted_at
";

const FORGET_ERASURE: &str = "delete from erasures where workspace = $1 and person = $2";

const ERASURES: &str = "select workspace, person, wanted_at from erasures order by wanted_at";

const DESTROY_KEY: &str = "
    insert into person_keys (workspace, person, key, destroyed_at) values ($1, $2, null, $3)
    on conflict (workspace, person) do update set key = null, destroyed_at = excluded.destroyed_at
    -- once is enough, and the first time is the one that is kept
    where person_keys.key is not null
";

/// Deletes a person's credentials, and the note of the erasure, together with the key.
const FORGET_PERSON: [&str; 4] = [
    "delete from credentials where workspace = $1 and person = $2",
    "delete from logins where workspace = $1 and person = $2",
    "delete from refresh_tokens where workspace = $1 and person = $2",
    FORGET_ERASURE,
];

const KEEP_CREDENTIALS: &str = "
    insert into credentials (workspace, person, command_id, hash) values ($1, $2, $3, $4)
    -- the same command, sent again while it was not known whether it was stored
    on conflict (workspace, person, command_id) do update set hash = excluded.hash
";

const CREDENTIALS: &str =
    "select hash from credentials where workspace = $1 and person = $2 and command_id = $3";

const REPLACE_CREDENTIALS: &str =
    "update credentials set hash = $4 where workspace = $1 and person = $2 and command_id = $3";

/// Ends the sessions under the old password, except the one in which it was changed.
const END_OTHER_FAMILIES: &str = "
    delete from refresh_tokens where workspace = $1 and person = $2 and ($3 is null or family <> $3)
";

const FORGET_CREDENTIALS: &str =
    "delete from credentials where workspace = $1 and person = $2 and command_id = $3";

const KEEP_LOGIN: &str = "
    insert into logins (login, workspace, person) values ($1, $2, $3)
    on conflict (login, workspace, person) do nothing
";

const LOGINS: &str =
    "select workspace, person from logins where login = $1 order by workspace, person limit $2";

const KEEP_TOKEN: &str = "
    insert into refresh_tokens (hash, family, workspace, person, expires_at) values ($1, $2, $3, $4, $5)
";

/// A session that has ended in between stays ended.
const KEEP_NEXT: &str = "
    insert into refresh_tokens (hash, family, workspace, person, expires_at)
    select $1, $2, $3, $4, $5
    where exists (select 1 from refresh_tokens where family = $2)
";

/// The command may be repeated with another token, if it was not known whether it was stored. A used session
/// stays used.
const KEEP_REGISTERING: &str = "
    insert into refresh_tokens (hash, family, workspace, person, expires_at, used_at)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (hash) do update set family = excluded.family, expires_at = excluded.expires_at,
        used_at = coalesce(refresh_tokens.used_at, excluded.used_at)
";

/// Of two requests with the same registering token, one changes the row.
const USE_REGISTERING: &str = "
    update refresh_tokens set used_at = $3 where hash = $1 and family = $2 and used_at is null
";

const FORGET_TOKEN: &str = "delete from refresh_tokens where hash = $1";

const TOKEN: &str =
    "select family, workspace, person, expires_at, used_at from refresh_tokens where hash = $1";

/// Of two requests with the same token, one changes the row.
const USE_TOKEN: &str = "update refresh_tokens set used_at = $2 where hash = $1 and used_at is null";

const OPEN_UNTIL: &str = "
    select expires_at from refresh_tokens where family = $1 and expires_at > $2
    order by expires_at desc limit 1
";

const TELL: &str = "select pg_notify($1, $2)";

const END_FAMILY: &str = "delete from refresh_tokens where family = $1";

const FORGET_ENDED: &str = "delete from refresh_tokens where expires_at < $1";

const WORKSPACES: [&str; 4] = [
    "select distinct workspace from person_keys",
    "select distinct workspace from credentials",
    "select distinct workspace from logins",
    "select distinct workspace from refresh_tokens",
];

const BATCH: [&str; 5] = [
    "
    delete from person_keys where (workspace, person) in (
        select workspace, person from person_keys where workspace = $1 limit $2
    )
    ",
    "
    delete from credentials where (workspace, person, command_id) in (
        select workspace, person, command_id from credentials where workspace = $1 limit $2
    )
    ",
    "
    delete from logins where (login, workspace, person) in (
        select login, workspace, person from logins where workspace = $1 limit $2
    )
    ",
    "
    delete from refresh_tokens where hash in (
        select hash from refresh_tokens where workspace = $1 limit $2
    )
    ",
    "
    delete from erasures where (workspace, person) in (
        select workspace, person from erasures where workspace = $1 limit $2
    )
    ",
];

/// The columns of a key; null: it was destroyed.
fn stored_key((key,): (Option<Vec<u8>>,)) -> Result<StoredKey, PeopleError> {
    match key.map(KeyBytes::try_from) {
        None => Ok(StoredKey::Destroyed),
        Some(Ok(key)) => Ok(StoredKey::Key(key)),
        Some(Err(_)) => Err(PeopleError::Corrupt(
            "a person's key does not have 256 bits".to_owned(),
        )),
    }
}

/// The people store in a SQLite file, beside the one of the events.
#[derive(Debug, Clone)]
pub struct SqlitePeople {
    pool: SqlitePool,
}

/// The people store in the PostgreSQL database of the events, in a separate schema.
#[derive(Clone)]
pub struct PostgresPeople {
    pool: PgPool,
    database: Database,
}

impl std::fmt::Debug for PostgresPeople {
    /// Without the connection options, which may have a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresPeople")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

impl SqlitePeople {
    /// Opens the file, or creates it, and runs the migrations.
    pub async fn open(path: &Path) -> Result<Self, PeopleError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // with a lost key, the texts under it are lost
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            // what is deleted is overwritten: a destroyed key must not lie in a free page
            .pragma("secure_delete", "on");
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(out_of_transaction)
            .connect_with(options)
            .await?;
        MIGRATIONS
            .run(&pool)
            .await
            .map_err(|error| SchemaError::new(path.display(), &MIGRATIONS, error))?;
        Ok(Self { pool })
    }

    /// The write-ahead log may still contain the key: it is checkpointed into the file, and truncated.
    async fn remove_copies(&self) -> Result<(), PeopleError> {
        sqlx::query("pragma wal_checkpoint(truncate)")
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// There are no other servers to notify.
    #[expect(clippy::unused_async, reason = "the other adapter has something to do here")]
    async fn notify_servers(&self, _: PersonId) -> Result<(), PeopleError> {
        Ok(())
    }

    /// There are no other servers to listen to.
    async fn listen_to_servers(&self, _: &mpsc::Sender<SessionChange>) -> Result<(), PeopleError> {
        std::future::pending().await
    }
}

impl PostgresPeople {
    /// Opens the database that a URL names, and runs the migrations.
    pub async fn open(url: &str) -> Result<Self, PeopleError> {
        let database = Database::new(url, SCHEMA)?;
        database
            .migrate(sqlx::migrate!("../../../migrations/postgres/people"))
            .await?;
        Ok(Self {
            pool: database.writers(CONNECTIONS).await?,
            database,
        })
    }

    /// Vacuuming removes old versions of rows, and they leave the log when it is reused: see
    /// docs/operations.md.
    #[expect(clippy::unused_async, reason = "the other adapter has something to do here")]
    async fn remove_copies(&self) -> Result<(), PeopleError> {
        Ok(())
    }

    async fn notify_servers(&self, of: PersonId) -> Result<(), PeopleError> {
        sqlx::query(TELL)
            .bind(CHANNEL)
            .bind(format!("{}/{}", of.workspace.0.simple(), of.person.simple()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn listen_to_servers(&self, changes: &mpsc::Sender<SessionChange>) -> Result<(), PeopleError> {
        let unanswered = || PeopleError::Unavailable("the connection does not answer".to_owned());
        // A separate pool, so that a connection that hangs blocks no other.
        let pool = self.database.listener();
        let connect = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // No automatic reconnect: the caller has to handle the notifications that were missed.
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let mut listener = timeout(CONNECT_TIMEOUT, connect)
            .await
            .map_err(|_| unanswered())??;
        let mut change = SessionChange::Unknown;
        loop {
            if changes.send(change).await.is_err() {
                return Ok(());
            }
            change = loop {
                let Ok(notification) = timeout(PING_AFTER, listener.try_recv()).await else {
                    let ping = sqlx::query("select 1").execute(&mut listener);
                    timeout(CONNECT_TIMEOUT, ping).await.map_err(|_| unanswered())??;
                    continue;
                };
                let notification = notification?.ok_or_else(unanswered)?;
                // A payload in the format of a newer version may concern any person.
                break notified_person(notification.payload())
                    .map_or(SessionChange::Unknown, SessionChange::Of);
            };
        }
    }
}

/// The person in a notification's payload.
fn notified_person(text: &str) -> Option<PersonId> {
    let (workspace, person) = text.split_once('/')?;
    Some(person_id(workspace.parse().ok()?, person.parse().ok()?))
}

/// Stored instead of a token's hash for the session of a registering token. No token has such a hash.
fn hash_of_command(command: Uuid) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(command.as_bytes());
    hash
}

macro_rules! people_store {
    ($adapter:ident, shared: $shared:literal, begin: $begin:literal) => {
        #[async_trait]
        impl PeopleStore for $adapter {
            fn is_shared(&self) -> bool {
                $shared
            }

            async fn key(&self, of: PersonId) -> Result<Option<StoredKey>, PeopleError> {
                let row: Option<(Option<Vec<u8>>,)> = sqlx::query_as(KEY)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .fetch_optional(&self.pool)
                    .await?;
                row.map(stored_key).transpose()
            }

            async fn keep_key(&self, of: PersonId, key: &KeyBytes) -> Result<StoredKey, PeopleError> {
                // if another server was faster, no row is changed and its key is returned
                sqlx::query(KEEP_KEY)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(&key[..])
                    .execute(&self.pool)
                    .await?;
                let kept = self.key(of).await?;
                kept.ok_or_else(|| PeopleError::Unavailable("a key was not kept".to_owned()))
            }

            async fn note_erasure(&self, of: PersonId, at: Timestamp) -> Result<(), PeopleError> {
                let noted = sqlx::query(NOTE_ERASURE)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(at.as_micros())
                    .execute(&self.pool)
                    .await?;
                one(noted.rows_affected())
            }

            async fn forget_erasure(&self, of: PersonId) -> Result<(), PeopleError> {
                // no row if another server has finished it
                sqlx::query(FORGET_ERASURE)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn erasures(&self) -> Result<Vec<(PersonId, Timestamp)>, PeopleError> {
                let rows: Vec<(Uuid, Uuid, i64)> = sqlx::query_as(ERASURES).fetch_all(&self.pool).await?;
                Ok(rows
                    .into_iter()
                    .map(|(workspace, person, at)| (person_id(workspace, person), Timestamp::from_micros(at)))
                    .collect())
            }

            async fn erase(&self, of: PersonId, at: Timestamp) -> Result<(), PeopleError> {
                let mut transaction = self.pool.begin_with($begin).await?;
                // no row is changed if the key was destroyed before
                sqlx::query(DESTROY_KEY)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(at.as_micros())
                    .execute(&mut *transaction)
                    .await?;
                for statement in FORGET_PERSON {
                    sqlx::query(statement)
                        .bind(of.workspace.0)
                        .bind(of.person)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
                self.remove_copies().await
            }

            async fn keep_credentials(
                &self,
                of: PersonId,
                command: Uuid,
                hash: &str,
            ) -> Result<(), PeopleError> {
                let kept = sqlx::query(KEEP_CREDENTIALS)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(command)
                    .bind(hash)
                    .execute(&self.pool)
                    .await?;
                one(kept.rows_affected())
            }

            async fn credentials(&self, of: PersonId, command: Uuid) -> Result<Option<String>, PeopleError> {
                Ok(sqlx::query_scalar(CREDENTIALS)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(command)
                    .fetch_optional(&self.pool)
                    .await?)
            }

            async fn replace_credentials(
                &self,
                of: PersonId,
                command: Uuid,
                hash: &str,
                kept: Option<Uuid>,
            ) -> Result<bool, PeopleError> {
                let mut transaction = self.pool.begin_with($begin).await?;
                let replaced = sqlx::query(REPLACE_CREDENTIALS)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(command)
                    .bind(hash)
                    .execute(&mut *transaction)
                    .await?;
                if replaced.rows_affected() == 0 {
                    return Ok(false);
                }
                // any number of rows
                sqlx::query(END_OTHER_FAMILIES)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(kept)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                Ok(true)
            }

            async fn forget_credentials(&self, of: PersonId, command: Uuid) -> Result<(), PeopleError> {
                let mut transaction = self.pool.begin_with($begin).await?;
                // no row if the person was erased meanwhile
                sqlx::query(FORGET_CREDENTIALS)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(command)
                    .execute(&mut *transaction)
                    .await?;
                // no row if the command was refused before the session was stored
                sqlx::query(FORGET_TOKEN)
                    .bind(&hash_of_command(command)[..])
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                Ok(())
            }

            async fn keep_registering(
                &self,
                of: PersonId,
                command: Uuid,
                session: Uuid,
                until: Timestamp,
                given: Option<Timestamp>,
            ) -> Result<(), PeopleError> {
                let kept = sqlx::query(KEEP_REGISTERING)
                    .bind(&hash_of_command(command)[..])
                    .bind(session)
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .bind(until.as_micros())
                    .bind(given.map(Timestamp::as_micros))
                    .execute(&self.pool)
                    .await?;
                one(kept.rows_affected())
            }

            async fn keep_first(
                &self,
                command: Uuid,
                token: &StoredToken,
                at: Timestamp,
            ) -> Result<bool, PeopleError> {
                let mut transaction = self.pool.begin_with($begin).await?;
                let used = sqlx::query(USE_REGISTERING)
                    .bind(&hash_of_command(command)[..])
                    .bind(token.family)
                    .bind(at.as_micros())
                    .execute(&mut *transaction)
                    .await?;
                if used.rows_affected() == 0 {
                    return Ok(false);
                }
                let kept = sqlx::query(KEEP_TOKEN)
                    .bind(&token.hash[..])
                    .bind(token.family)
                    .bind(token.of.workspace.0)
                    .bind(token.of.person)
                    .bind(token.expires_at.as_micros())
                    .execute(&mut *transaction)
                    .await?;
                one(kept.rows_affected())?;
                transaction.commit().await?;
                Ok(true)
            }

            async fn keep_login(&self, login: &[u8; 32], of: PersonId) -> Result<(), PeopleError> {
                // no row if it is stored already
                sqlx::query(KEEP_LOGIN)
                    .bind(&login[..])
                    .bind(of.workspace.0)
                    .bind(of.person)
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn logins(&self, login: &[u8; 32], limit: u32) -> Result<Vec<PersonId>, PeopleError> {
                let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(LOGINS)
                    .bind(&login[..])
                    .bind(i64::from(limit))
                    .fetch_all(&self.pool)
                    .await?;
                Ok(rows
                    .into_iter()
                    .map(|(workspace, person)| person_id(workspace, person))
                    .collect())
            }

            async fn keep_token(&self, token: &StoredToken) -> Result<(), PeopleError> {
                let kept = sqlx::query(KEEP_TOKEN)
                    .bind(&token.hash[..])
                    .bind(token.family)
                    .bind(token.of.workspace.0)
                    .bind(token.of.person)
                    .bind(token.expires_at.as_micros())
                    .execute(&self.pool)
                    .await?;
                one(kept.rows_affected())
            }

            async fn keep_next(&self, token: &StoredToken) -> Result<bool, PeopleError> {
                let kept = sqlx::query(KEEP_NEXT)
                    .bind(&token.hash[..])
                    .bind(token.family)
                    .bind(token.of.workspace.0)
                    .bind(token.of.person)
                    .bind(token.expires_at.as_micros())
                    .execute(&self.pool)
                    .await?;
                Ok(kept.rows_affected() == 1)
            }

            async fn token(&self, hash: &[u8; 32]) -> Result<Option<StoredToken>, PeopleError> {
                let row: Option<(Uuid, Uuid, Uuid, i64, Option<i64>)> = sqlx::query_as(TOKEN)
                    .bind(&hash[..])
                    .fetch_optional(&self.pool)
                    .await?;
                Ok(row.map(
                    |(family, workspace, person, expires_at, used_at)| StoredToken {
                        hash: *hash,
                        family,
                        of: person_id(workspace, person),
                        expires_at: Timestamp::from_micros(expires_at),
                        used_at: used_at.map(Timestamp::from_micros),
                    },
                ))
            }

            async fn use_token(&self, hash: &[u8; 32], at: Timestamp) -> Result<bool, PeopleError> {
                let used = sqlx::query(USE_TOKEN)
                    .bind(&hash[..])
                    .bind(at.as_micros())
                    .execute(&self.pool)
                    .await?;
                Ok(used.rows_affected() == 1)
            }

            async fn open_until(
                &self,
                family: Uuid,
                at: Timestamp,
            ) -> Result<Option<Timestamp>, PeopleError> {
                let until: Option<i64> = sqlx::query_scalar(OPEN_UNTIL)
                    .bind(family)
                    .bind(at.as_micros())
                    .fetch_optional(&self.pool)
                    .await?;
                Ok(until.map(Timestamp::from_micros))
            }

            async fn notify(&self, of: PersonId) -> Result<(), PeopleError> {
                self.notify_servers(of).await
            }

            async fn listen(&self, changes: &mpsc::Sender<SessionChange>) -> Result<(), PeopleError> {
                self.listen_to_servers(changes).await
            }

            async fn end_family(&self, family: Uuid) -> Result<bool, PeopleError> {
                let ended = sqlx::query(END_FAMILY)
                    .bind(family)
                    .execute(&self.pool)
                    .await?;
                Ok(ended.rows_affected() > 0)
            }

            async fn forget_ended(&self, before: Timestamp) -> Result<u64, PeopleError> {
                let ended = sqlx::query(FORGET_ENDED)
                    .bind(before.as_micros())
                    .execute(&self.pool)
                    .await?;
                Ok(ended.rows_affected())
            }

            async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PeopleError> {
                let mut workspaces = BTreeSet::new();
                for statement in WORKSPACES {
                    let ids: Vec<Uuid> = sqlx::query_scalar(statement).fetch_all(&self.pool).await?;
                    workspaces.extend(ids);
                }
                Ok(workspaces.into_iter().map(WorkspaceId).collect())
            }

            async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, PeopleError> {
                let mut transaction = self.pool.begin_with($begin).await?;
                let mut removed = 0;
                for statement in BATCH {
                    removed += sqlx::query(statement)
                        .bind(workspace.0)
                        .bind(i64::from(limit))
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                }
                transaction.commit().await?;
                if removed > 0 {
                    self.remove_copies().await?;
                }
                Ok(removed > 0)
            }

            async fn ping(&self) -> Result<(), PeopleError> {
                sqlx::query("select 1").execute(&self.pool).await?;
                Ok(())
            }

            async fn close(&self) {
                self.pool.close().await;
            }
        }
    };
}

people_store!(SqlitePeople, shared: false, begin: "begin immediate");
people_store!(PostgresPeople, shared: true, begin: "begin");

fn person_id(workspace: Uuid, person: Uuid) -> PersonId {
    PersonId {
        workspace: WorkspaceId(workspace),
        person,
    }
}

/// Fails unless a write changed exactly one row.
fn one(rows: u64) -> Result<(), PeopleError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(PeopleError::Unavailable(format!(
            "a write changed {rows} rows instead of one"
        )))
    }
}
