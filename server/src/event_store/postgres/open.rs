//! The database of the store: its connections, their settings and its migrations.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{event_store::StoreError, schema::SchemaError};

/// The tables lie in a schema of their own, so that one database can hold the read model too.
const SCHEMA: &str = "foldline_events";

/// Reading connections.
const READERS: u32 = 8;

/// How long a reader waits for a connection, and the writer for a new one. A caller who is told "not now" in time can
/// come again; one who waits cannot be helped.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Every statement of the store is a walk along an index, or a few. The planner is told so, and does not change its mind
/// with its statistics: a plan that reads a whole table is right for a small one, and is kept when it has grown.
const PLANNER: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// What the writer's connection asks for besides.
const WRITER: [(&str, &str); 3] = [
    // what is acknowledged is on disk, whatever the server's default is
    ("synchronous_commit", "on"),
    // the locks of a process whose machine has gone are let go
    ("idle_in_transaction_session_timeout", "10s"),
    ("statement_timeout", "10s"),
];

/// How the writer gets a connection, and a new one when it has broken.
#[derive(Debug, Clone)]
pub(super) struct Connector(PgConnectOptions);

impl Connector {
    /// Opens a connection that writes.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let connection = tokio::time::timeout(PATIENCE, self.0.connect())
            .await
            .map_err(|_| StoreError::Unavailable("it does not answer".to_owned()))?;
        Ok(connection?)
    }
}

/// An open database.
pub(super) struct Opened {
    pub(super) writer: Connector,
    pub(super) readers: PgPool,
}

/// The database's name for people: without a user and without a password.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    options.get_socket().map_or_else(
        || {
            format!(
                "the database {database} at {}:{}",
                options.get_host(),
                options.get_port()
            )
        },
        |socket| format!("the database {database} at {}", socket.display()),
    )
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    // the reason may quote a part of the URL, and any part may be the password
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Unavailable("its URL is not one of PostgreSQL's".to_owned()))?;
    Ok(options
        .application_name("foldline")
        .options([("search_path", SCHEMA)])
        .disable_statement_logging())
}

/// Opens a database for good.
pub(super) async fn open(url: &str) -> Result<Opened, StoreError> {
    let options = options(url)?;
    let place = place(&options);
    let unreachable =
        |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{place} cannot be used: {error}"));
    let mut connection = tokio::time::timeout(PATIENCE, options.connect())
        .await
        .map_err(|error| unreachable(&error))?
        .map_err(|error| unreachable(&error))?;
    let mut migrations: Migrator = sqlx::migrate!("../migrations/postgres/events");
    migrations.create_schema(SCHEMA);
    migrations
        .run(&mut connection)
        .await
        .map_err(|error| SchemaError::new(&place, &migrations, error))?;
    connection.close().await?;
    let writer = Connector(options.clone().options(PLANNER).options(WRITER));
    Ok(Opened {
        writer,
        readers: readers(options).await?,
    })
}

/// Connections that read a database of this program's own schema.
pub(super) async fn open_to_read(url: &str) -> Result<PgPool, StoreError> {
    let options = options(url)?;
    let place = place(&options);
    readers(options.options([("default_transaction_read_only", "on")]))
        .await
        .map_err(|error| StoreError::Unavailable(format!("{place} cannot be used: {error}")))
}

async fn readers(options: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(PATIENCE)
        .connect_with(options.options(PLANNER))
        .await
}
