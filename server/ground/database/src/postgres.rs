//! How a URL becomes connections to a PostgreSQL: what both stores ask of one.

use std::{fmt::Display, str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    error::DatabaseError,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::schema::SchemaError;

/// How long a connection may take to come. A caller who is told "not now" in time can come again; one who waits cannot be
/// helped.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Every statement of the stores is a walk along an index, or a few. The planner is told so, and does not change its mind
/// with its statistics: a plan that reads a whole table is right for a small one, and is kept when it has grown.
const PLANNER: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// What a connection that writes asks for besides.
const WRITER: [(&str, &str); 3] = [
    // what is acknowledged is on disk, whatever the server's default is
    ("synchronous_commit", "on"),
    // the locks of a process whose machine has gone are let go
    ("idle_in_transaction_session_timeout", "10s"),
    ("statement_timeout", "10s"),
];

/// How the connection that listens is named, for whoever looks at the database's connections.
const LISTENER: &str = "foldline listener";

/// Whether a database refuses a value of a statement, and will refuse it whenever it is sent: data exceptions (class 22),
/// among them U+0000 in a text, violated constraints (class 23), and keys that are too long for an index (54000); on SQLite,
/// constraints and what is too large or of another type.
pub fn refuses_for_good(error: &sqlx::Error) -> bool {
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

/// Why there is no connection to begin with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL. Not repeated: any part of it may be the password.
    #[error("its URL is not one that PostgreSQL knows")]
    Url,
    /// The server, the database or the user.
    #[error("{place} cannot be used: {error}")]
    Connection {
        /// The database.
        place: String,
        /// Why not.
        error: String,
    },
    /// The tables.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// A database, before anybody connects.
#[derive(Debug, Clone)]
pub struct Database {
    options: PgConnectOptions,
    /// Its name for people: without a user and without a password.
    place: String,
    schema: &'static str,
}

impl Database {
    /// The database of a URL. Its tables lie in a schema of their own, so that one database can hold both stores.
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

    /// Makes or changes the tables; refuses those of a newer version of the program.
    pub async fn migrate(&self, mut migrations: Migrator) -> Result<(), OpenError> {
        let mut connection = tokio::time::timeout(PATIENCE, self.options.connect())
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

    /// How one connection that writes is made.
    pub fn writer(&self) -> Connector {
        Connector(self.options.clone().options(PLANNER).options(WRITER))
    }

    /// Connections that write.
    pub async fn writers(&self, connections: u32) -> Result<PgPool, OpenError> {
        self.pool(connections, self.writer().0).await
    }

    /// Connections that read.
    pub async fn readers(&self, connections: u32) -> Result<PgPool, OpenError> {
        let options = self
            .options
            .clone()
            .options(PLANNER)
            .options([("default_transaction_read_only", "on")]);
        self.pool(connections, options).await
    }

    /// One connection that listens, opened when it is asked for.
    pub fn listener(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.options.clone().application_name(LISTENER))
    }

    async fn pool(&self, connections: u32, options: PgConnectOptions) -> Result<PgPool, OpenError> {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .map_err(|error| self.unusable(error))
    }
}

/// How a connection that writes is made, and a new one when it has broken.
#[derive(Debug, Clone)]
pub struct Connector(PgConnectOptions);

impl Connector {
    /// Opens a connection.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        tokio::time::timeout(PATIENCE, self.0.connect())
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
