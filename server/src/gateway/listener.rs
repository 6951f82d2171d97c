//! The listening socket: HTTP or HTTPS on one address, until it is told to stop.
//!
//! Which connections are taken, and when a silent one is closed, is [`connections`](super::connections)' business. Stopping takes no new connections, lets requests finish, and gives up on those that do not in time. Sockets of
//! `/live` are not its business: they close themselves when the gateway stops.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{
    Handle, Server,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use tokio::task::JoinHandle;

use super::connections::Admission;
use crate::settings::Limits;

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
    pub fn open(
        listen: SocketAddr,
        tls: Option<ServerConfig>,
        router: Router,
        limits: &Limits,
    ) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let handle = Handle::new();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let admission = Admission::new(limits);
        let server = axum_server::from_tcp(socket)?.handle(handle.clone());
        let task = match tls {
            None => {
                let mut server = server.acceptor(admission);
                wait_for_heads(&mut server, limits);
                tokio::spawn(server.serve(service))
            }
            Some(config) => {
                let config = RustlsConfig::from_config(Arc::new(config));
                let handshake = RustlsAcceptor::new(config).handshake_timeout(limits.first_request_timeout());
                let mut server = server.acceptor(handshake.acceptor(admission));
                wait_for_heads(&mut server, limits);
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

/// A head of HTTP/1 comes in time, also a later one.
fn wait_for_heads<A>(server: &mut Server<SocketAddr, A>, limits: &Limits) {
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.first_request_timeout());
}
