//! Connections to a PostgreSQL database, for all stores.

use std::{fmt::Display, str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    error::DatabaseError,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::schema::SchemaError;

/// How long opening a connection may take, and waiting for one of a pool. A caller that gets an error in time
/// can retry; one that waits indefinitely cannot.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Planner settings: every statement of the stores is one index scan, or a few. Without them the planner
/// would choose a scan of the whole table while it is small, and keep that plan when it has grown.
const PLANNER: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// Additional settings of a connection that writes.
const WRITER: [(&str, &str); 3] = [
    // what is acknowledged is on disk, independently of the server's default
    ("synchronous_commit", "on"),
    // releases the locks of a process on a machine that has crashed
    ("idle_in_transaction_session_timeout", "10s"),
    ("statement_timeout", "10s"),
];

/// The application name of the connection that listens, for an administrator of the database.
const LISTENER: &str = "foldline listener";

/// Whether a database refuses a value of a statement permanently: data exceptions (class 22), such as U+0000
/// in a text, violated constraints (class 23), and keys that are too long for an index (54000); on SQLite,
/// violated constraints and values that are too large or of a wrong type.
pub fn is_permanent_refusal(error: &sqlx::Error) -> bool {
    let Some(code) = error.as_database_error().and_then(DatabaseError::code) else {
        return false;
    };
    if code.len() == 5 {
        return code.starts_with("22") || code.starts_with("23") || code == "54000";
    }
    // The low byte of SQLite's extended code: SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH.
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 18..=20))
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is invalid. It is not repeated: any part of it may be the password.
    #[error("its URL is not a valid PostgreSQL URL")]
    Url,
    /// The server, the database or the user is unavailable.
    #[error("{place} cannot be used: {error}")]
    Connection {
        /// The database.
        place: String,
        /// The reason.
        error: String,
    },
    /// The migrations failed, or the schema is newer.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// A database and its connection options, before any connection.
#[derive(Debug, Clone)]
pub struct Database {
    options: PgConnectOptions,
    /// Its name in messages: without a user and without a password.
    place: String,
    schema: &'static str,
}

impl Database {
    /// The database of a URL. Each store has its own schema, so that one database can hold several stores.
    pub fn new(url: &str, schema: &'static str) -> Result<Self, OpenError> {
        let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Url)?;
        Ok(Self {
            place: place(&options),
            options: options
                .application_name("foldline")
                .options([("search_path", schema)])
                .disable_statement_logging(),
            schema,
        })
    }

    fn unusable(&self, error: impl Display) -> OpenError {
        OpenError::Connection {
            place: self.place.clone(),
            error: error.to_string(),
        }
    }

    /// Runs the migrations; refuses the schema of a newer version of the program.
    pub async fn migrate(&self, mut migrations: Migrator) -> Result<(), OpenError> {
        let mut connection = tokio::time::timeout(CONNECT_TIMEOUT, self.options.connect())
            .await
            .map_err(|error| self.unusable(error))?
            .map_err(|error| self.unusable(error))?;
        migrations.create_schema(self.schema);
        migrations
            .run(&mut connection)
            .await
            .map_err(|error| SchemaError::new(&self.place, &migrations, error))?;
        connection.close().await.map_err(|error| self.unusable(error))
    }

    /// A connector for the connection that writes.
    pub fn writer(&self) -> Connector {
        Connector(self.options.clone().options(PLANNER).options(WRITER))
    }

    /// A pool of connections that write.
    pub async fn writers(&self, connections: u32) -> Result<PgPool, OpenError> {
        self.pool(connections, self.writer().0).await
    }

    /// A pool of connections that read.
    pub async fn readers(&self, connections: u32) -> Result<PgPool, OpenError> {
        let options = self
            .options
            .clone()
            .options(PLANNER)
            .options([("default_transaction_read_only", "on")]);
        self.pool(connections, options).await
    }

    /// A pool of one connection that listens, which is opened when it is acquired.
    pub fn listener(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.options.clone().application_name(LISTENER))
    }

    async fn pool(&self, connections: u32, options: PgConnectOptions) -> Result<PgPool, OpenError> {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(|error| self.unusable(error))
    }
}

/// Opens connections that write.
#[derive(Debug, Clone)]
pub struct Connector(PgConnectOptions);

impl Connector {
    /// Opens a connection.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.0.connect())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }
}

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
