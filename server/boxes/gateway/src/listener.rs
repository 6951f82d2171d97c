//! The listening socket: HTTP or HTTPS on one address, until it is told to stop.
//!
//! Which connections are taken, and when one is closed that makes no progress, is the business of
//! [`connections`](super::connections). Stopping takes no new connections, lets requests finish, and gives up
//! on those that do not in time. Sockets of `/live` are not its business: they close themselves when the
//! gateway stops.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use axum_server::{
    Handle, Server,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use rustls::ServerConfig;
use tokio::task::JoinHandle;

use super::connections::Admission;
use super::settings::Limits;

/// The most of an answer that waits in the process for its client to take it, in bytes; also the largest head
/// of a request over HTTP/1.
const BUFFER: usize = 65_536;

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
                keep_answers_back(&mut server);
                tokio::spawn(server.serve(service))
            }
            Some(config) => {
                let config = RustlsConfig::from_config(Arc::new(config));
                let handshake = RustlsAcceptor::new(config).handshake_timeout(limits.first_request_timeout());
                let mut server = server.acceptor(handshake.acceptor(admission));
                keep_answers_back(&mut server);
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

/// An answer leaves its body as its client takes it, so that this is progress, and little of it waits here.
///
/// The timeout for heads is not hyper's: for a later head it begins when the answer before it ends, and not
/// with the head's first byte, so it would close each connection that is kept for its next request.
fn keep_answers_back<A>(server: &mut Server<SocketAddr, A>) {
    let builder = server.http_builder();
    builder
        .http1()
        .header_read_timeout(None::<Duration>)
        .max_buf_size(BUFFER);
    builder.http2().max_send_buf_size(BUFFER);
}
