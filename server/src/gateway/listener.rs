//! The listening socket: HTTP or HTTPS on one address, until it is told to stop.
//!
//! Stopping takes no new connections, lets requests finish, and gives up on those that do not in time. Sockets of
//! `/live` are not its business: they close themselves when the gateway stops.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use axum_server::{Handle, Server, tls_rustls::RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use tokio::task::JoinHandle;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// A socket that is being served.
#[derive(Debug)]
pub struct Listener {
    /// Where it really listens.
    pub address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Listener {
    /// Begins to serve `router`.
    pub fn open(listen: SocketAddr, tls: Option<ServerConfig>, router: Router) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let handle = Handle::new();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = match tls {
            None => {
                let mut server = axum_server::from_tcp(socket)?.handle(handle.clone());
                patient(&mut server);
                tokio::spawn(server.serve(service))
            }
            Some(config) => {
                let config = RustlsConfig::from_config(std::sync::Arc::new(config));
                let mut server = axum_server::from_tcp_rustls(socket, config)?.handle(handle.clone());
                patient(&mut server);
                tokio::spawn(server.serve(service))
            }
        };
        Ok(Self {
            address,
            handle,
            task,
        })
    }

    /// Takes no more connections and waits for requests, `most` at most.
    pub async fn close(self, most: Duration) {
        self.handle.graceful_shutdown(Some(most));
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the listening socket closed with an error"),
            Err(error) => tracing::error!(%error, "the listening socket's task failed"),
        }
    }
}

fn patient<A>(server: &mut Server<SocketAddr, A>) {
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
}
