//! The listening socket: HTTP or HTTPS on one address, until it is told to stop.
//!
//! [`connections`](super::connections) decides which connections are accepted, and closes one that makes no
//! progress. A stopping listener accepts no new connections, lets requests finish, and abandons those that do
//! not in time. Live sockets close themselves when the gateway stops.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{ServiceExt, extract::Request};
use axum_server::{
    Handle, Server,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use rustls::ServerConfig;
use tokio::task::JoinHandle;

use super::{connections::ConnectionAcceptor, hot::Interface, settings::Limits};

/// The most of an answer that is buffered for its client, in bytes; also the largest head of a request over
/// HTTP/1.
const BUFFER: usize = 65_536;

/// A listening socket and the task that serves it.
#[derive(Debug)]
pub struct Listener {
    /// The address that it is bound to; its port is never 0.
    pub address: SocketAddr,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Listener {
    /// Binds `listen` and serves the interface on it.
    pub fn open(
        listen: SocketAddr,
        tls: Option<ServerConfig>,
        interface: Interface,
        limits: &Limits,
    ) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(listen)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let handle = Handle::new();
        let service = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(interface);
        let admission = ConnectionAcceptor::new(limits);
        let server = axum_server::from_tcp(socket)?.handle(handle.clone());
        let task = match tls {
            None => {
                let mut server = server.acceptor(admission);
                limit_buffers(&mut server);
                tokio::spawn(server.serve(service))
            }
            Some(config) => {
                let config = RustlsConfig::from_config(Arc::new(config));
                let handshake = RustlsAcceptor::new(config).handshake_timeout(limits.first_request_timeout());
                let mut server = server.acceptor(handshake.acceptor(admission));
                limit_buffers(&mut server);
                tokio::spawn(server.serve(service))
            }
        };
        Ok(Self {
            address,
            handle,
            task,
        })
    }

    /// Accepts no more connections, and waits for requests for `most` at most.
    pub async fn close(self, most: Duration) {
        self.handle.graceful_shutdown(Some(most));
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the listening socket closed with an error"),
            Err(error) => tracing::error!(%error, "the listening socket's task failed"),
        }
    }
}

/// Limits hyper's buffers: an answer leaves its body as its client takes it, which counts as progress.
///
/// hyper's own timeout for heads is off: for a later head it begins when the answer before it ends, not with
/// the head's first byte, so it would close each idle connection.
fn limit_buffers<A>(server: &mut Server<SocketAddr, A>) {
    let builder = server.http_builder();
    builder
        .http1()
        .header_read_timeout(None::<Duration>)
        .max_buf_size(BUFFER);
    builder.http2().max_send_buf_size(BUFFER);
}
