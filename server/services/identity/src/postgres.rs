//! The people store in the PostgreSQL database of the events, in a separate schema.
//!
//! Servers notify each other of session changes with `notify` and `listen`.

use std::time::Duration;

use domain::id::WorkspaceId;
use sqlx::{PgPool, Postgres, postgres::PgListener};
use tokio::{sync::mpsc, time::timeout};

use super::{
    session_status::SessionChange,
    sql::{Database, SqlPeopleStore},
    store::{PeopleError, PersonId},
};
use database::{
    connections::ConnectionLimit,
    postgres::{self, CONNECT_TIMEOUT},
};

/// The schema of the tables.
const SCHEMA: &str = "foldline_people";

/// The channel of session changes; it belongs to one database, like the tables.
const CHANNEL: &str = "foldline_people";

/// How long no notification may arrive before the connection is tested: a machine that has crashed does not
/// close it.
const PING_AFTER: Duration = Duration::from_secs(10);

const NOTIFY: &str = "select pg_notify($1, $2)";

/// The people store in a PostgreSQL database.
pub type PostgresPeople = SqlPeopleStore<Postgres>;

impl PostgresPeople {
    /// Opens the database that a URL names, and runs the migrations.
    pub async fn open(url: &str, connections: ConnectionLimit) -> Result<Self, PeopleError> {
        let database = postgres::Database::new(url, SCHEMA)?;
        database
            .migrate(sqlx::migrate!("../../../migrations/postgres/people"))
            .await?;
        Ok(Self {
            pool: database.writers(connections.people()).await?,
            listener: Some(SessionListener(database)),
        })
    }
}

impl Database for Postgres {
    const SHARED: bool = true;

    /// Vacuuming removes old versions of rows, and they leave the log when it is reused: see
    /// docs/operations.md.
    async fn remove_copies(_: &PgPool) -> Result<(), PeopleError> {
        Ok(())
    }

    async fn notify_servers(pool: &PgPool, of: PersonId) -> Result<(), PeopleError> {
        sqlx::query(NOTIFY)
            .bind(CHANNEL)
            .bind(format!("{}/{}", of.workspace.0.simple(), of.person.simple()))
            .execute(pool)
            .await?;
        Ok(())
    }
}

/// Receives the session changes of other servers on the same database.
pub(super) struct SessionListener(postgres::Database);

impl SessionListener {
    /// Passes on the changes until the connection is lost.
    pub(super) async fn listen(&self, changes: &mpsc::Sender<SessionChange>) -> Result<(), PeopleError> {
        let unanswered = || PeopleError::Unavailable("the connection does not answer".to_owned());
        // A separate pool, so that a connection that hangs blocks no other.
        let pool = self.0.listener();
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
    Some(PersonId {
        workspace: WorkspaceId(workspace.parse().ok()?),
        person: person.parse().ok()?,
    })
}
