//! The servers under test, as their clients reach them: each behind a proxy, so that its address is the same
//! after a restart and its connections can be cut. Several share one PostgreSQL, each through a proxy of its
//! own.

use std::{path::PathBuf, sync::Arc, time::Duration};

use url::Url;

use super::proxy::{Proxy, Upstream};
use crate::running::Server;

/// How long a client waits for an answer of the only server before it asks again. A request that is sent
/// while the server is killed may never get to a connection.
const PATIENCE_WITH_ONE: Duration = Duration::from_secs(20);

/// One server.
pub(crate) struct Node {
    pub(crate) server: Arc<Server>,
    /// Between clients and the server.
    pub(crate) clients: Proxy,
    /// Between the server and PostgreSQL.
    pub(crate) database: Option<Proxy>,
}

impl Node {
    fn new(mut arguments: Vec<String>, database: Option<&str>) -> Self {
        let database = database.map(|url| {
            let upstream = upstream(url);
            let proxy = Proxy::start(move || Some(upstream.clone()));
            let through = through(url, proxy.port);
            arguments.extend(["--event-store", &through, "--read-model", &through].map(str::to_owned));
            proxy
        });
        let server = Arc::new(Server::new(arguments));
        let listening = Arc::clone(&server);
        let clients = Proxy::start(move || {
            let url = listening.address()?;
            Some(Upstream::Tcp(url.strip_prefix("http://")?.to_owned()))
        });
        Self {
            server,
            clients,
            database,
        }
    }
}

/// All servers of a run.
pub(crate) struct Servers {
    nodes: Vec<Node>,
    /// How long a client waits for an answer at first, before it asks another server.
    pub(crate) patience: Duration,
}

impl Servers {
    /// One server, not started. Its clients wait as long as the test.
    pub(crate) fn one(arguments: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            nodes: vec![Node::new(arguments, None)],
            patience: PATIENCE_WITH_ONE,
        })
    }

    /// A server for each list of arguments, not started, all on one database if it is PostgreSQL.
    pub(crate) fn new(arguments: Vec<Vec<String>>, database: Option<&str>, patience: Duration) -> Arc<Self> {
        let nodes = arguments
            .into_iter()
            .map(|arguments| Node::new(arguments, database));
        Arc::new(Self {
            nodes: nodes.collect(),
            patience,
        })
    }

    /// Starts all. The first start makes the keys, which the others get before theirs.
    pub(crate) async fn start(&self) {
        let (first, others) = self.nodes.split_first().expect("there is a server");
        first.server.start();
        first.server.url(0).await;
        for node in others {
            node.server.take_keys_of(&first.server);
            node.server.start();
            node.server.url(0).await;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, number: usize) -> &Node {
        &self.nodes[number]
    }

    /// The address of a server for its clients.
    pub(crate) fn url(&self, number: usize) -> String {
        format!("http://127.0.0.1:{}", self.nodes[number].clients.port)
    }

    /// Stops all, as an operator does.
    pub(crate) async fn stop(&self) {
        for node in &self.nodes {
            node.server.stop().await;
        }
    }
}

/// The socket to which the URL of a database leads.
fn upstream(database: &str) -> Upstream {
    let url = Url::parse(database).unwrap();
    let port = url.port().unwrap_or(5432);
    let folder = url
        .query_pairs()
        .find(|(name, value)| name == "host" && value.starts_with('/'));
    match folder {
        Some((_, folder)) => Upstream::Unix(PathBuf::from(&*folder).join(format!(".s.PGSQL.{port}"))),
        None => Upstream::Tcp(format!(
            "{}:{port}",
            url.host_str().expect("a database has a host")
        )),
    }
}

/// The same URL, through a proxy on this machine.
fn through(database: &str, port: u16) -> String {
    let mut url = Url::parse(database).unwrap();
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "host" && name != "port")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    for (name, value) in &kept {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(port)).unwrap();
    url.into()
}

#[test]
fn a_database_is_reached_through_a_proxy_by_its_socket_or_its_host() {
    for (database, peer, expected) in [
        (
            "postgres://foldline@localhost/test?host=/tmp/pg",
            Upstream::Unix(PathBuf::from("/tmp/pg/.s.PGSQL.5432")),
            "postgres://foldline@127.0.0.1:9/test",
        ),
        (
            "postgres://a:b@db.example:6000/test?sslmode=disable",
            Upstream::Tcp("db.example:6000".to_owned()),
            "postgres://a:b@127.0.0.1:9/test?sslmode=disable",
        ),
    ] {
        assert_eq!(upstream(database), peer, "{database}");
        assert_eq!(through(database, 9), expected);
    }
}
