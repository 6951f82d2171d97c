//! How many connections there may be, and how long one may make no progress.
//!
//! A connection that has not brought its first whole request in time is closed: one on which nothing is sent,
//! one byte, half a head, an HTTP/2 preface, or half a handshake of TLS. One that has is closed when it makes
//! no progress for too long, with a request under way or not. Progress is what an exchange consists of: a
//! request's head, data of its body, the answer's head, a piece of the answer that the connection takes, the
//! answer's end. Bytes alone are none, or a client could hold a connection for ever with PINGs, or with
//! answers that it never reads. While the server is at work on an answer, the connection waits for it:
//! handlers have limits of their own. From its upgrade on a live socket is left to its own pings.
//!
//! So many connections are held at a time, in all and from one address; one more is closed at once, before a
//! byte of it is read.

mod progress;
mod quota;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum_server::accept::Accept;
use tokio::net::TcpStream;

use self::{
    progress::{Progress, ProgressService, ProgressStream},
    quota::{Permit, Quota, possible},
};
use super::settings::Limits;

/// Admits connections, and gives each its deadlines.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    quota: Arc<Quota>,
    first_request: Duration,
    idle: Duration,
}

impl Admission {
    /// As the settings say, and as many as the process may have descriptors for.
    pub(super) fn new(limits: &Limits) -> Self {
        let possible = possible();
        let most = match usize::try_from(limits.max_connections) {
            Ok(wanted @ 1..) => wanted.min(possible),
            _ => possible,
        };
        let quota = Quota::new(most, limits.max_connections_per_address);
        tracing::debug!(
            connections.most = most,
            connections.most_of_address = quota.most_of_address,
            "connections are limited"
        );
        Self {
            quota: Arc::new(quota),
            first_request: limits.first_request_timeout(),
            idle: limits.idle_timeout(),
        }
    }
}

impl<S> Accept<TcpStream, S> for Admission {
    type Stream = ProgressStream<TcpStream>;
    type Service = ProgressService<S>;
    type Future = std::future::Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(self.admit(stream, service))
    }
}

impl Admission {
    fn admit<S>(
        &self,
        stream: TcpStream,
        service: S,
    ) -> io::Result<(ProgressStream<TcpStream>, ProgressService<S>)> {
        let peer = stream.peer_addr()?;
        let permit = Permit::take(&self.quota, SocketAddr::ip(&peer)).map_err(|limit| {
            metrics::counter!("foldline_connections_refused_total", "limit" => limit).increment(1);
            io::Error::new(io::ErrorKind::QuotaExceeded, "there are too many connections")
        })?;
        // A frame of the live socket waits for nothing.
        stream.set_nodelay(true)?;
        let progress = Arc::new(Progress::new());
        let stream = ProgressStream::new(stream, &progress, self.first_request, self.idle, permit);
        Ok((stream, ProgressService::new(service, progress)))
    }
}
