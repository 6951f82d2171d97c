//! The limits of connections: their number, and how long one may make no progress.
//!
//! A connection whose first whole request does not arrive in time is closed, whether the client sends
//! nothing, one byte, half a head, an HTTP/2 preface, or half a TLS handshake. Later it is closed when it
//! makes no progress for too long, during a request or between two. Progress is a part of an exchange: a
//! request's head, data of its body, the answer's head, a chunk of the answer that the connection takes, the
//! answer's end. Bytes alone do not count, or a client could hold a connection indefinitely with PINGs, or
//! with answers that it never reads. While the server works on an answer, the connection is not closed:
//! handlers have timeouts of their own. After its upgrade a live socket relies on its own pings, and is read
//! at a pace ([`pace`]).
//!
//! The number of open connections is limited, in all and from one address; one more is closed at once, before
//! a byte of it is read.

mod pace;
mod progress;
mod quota;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum_server::accept::Accept;
use tokio::net::TcpStream;

use self::{
    pace::Pace,
    progress::{Progress, ProgressService, ProgressStream},
    quota::{Permit, Quota, descriptor_limit},
};
use super::settings::Limits;

/// Accepts connections within the quota, and gives each its deadlines.
#[derive(Debug, Clone)]
pub(super) struct ConnectionAcceptor {
    quota: Arc<Quota>,
    first_request: Duration,
    idle: Duration,
    pace: Option<Pace>,
}

impl ConnectionAcceptor {
    /// An acceptor with the limits of the settings, and at most as many connections as the process has
    /// descriptors.
    pub(super) fn new(limits: &Limits) -> Self {
        let possible = descriptor_limit();
        let most = match usize::try_from(limits.max_connections) {
            Ok(wanted @ 1..) => wanted.min(possible),
            _ => possible,
        };
        let quota =
            Quota::new(most, limits.max_connections_per_address).with_proxies(limits.trusted_proxies.clone());
        tracing::debug!(
            connections.most = most,
            connections.most_of_address = quota.most_of_address,
            "connections are limited"
        );
        Self {
            quota: Arc::new(quota),
            first_request: limits.first_request_timeout(),
            idle: limits.idle_timeout(),
            pace: Pace::new(limits),
        }
    }
}

impl<S> Accept<TcpStream, S> for ConnectionAcceptor {
    type Stream = ProgressStream<TcpStream>;
    type Service = ProgressService<S>;
    type Future = std::future::Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(self.accept_within_quota(stream, service))
    }
}

impl ConnectionAcceptor {
    fn accept_within_quota<S>(
        &self,
        stream: TcpStream,
        service: S,
    ) -> io::Result<(ProgressStream<TcpStream>, ProgressService<S>)> {
        let peer = stream.peer_addr()?;
        let permit = Permit::take(&self.quota, SocketAddr::ip(&peer)).map_err(|limit| {
            metrics::counter!("foldline_connections_refused_total", "limit" => limit).increment(1);
            io::Error::new(io::ErrorKind::QuotaExceeded, "there are too many connections")
        })?;
        // A frame of the live socket is sent without delay.
        stream.set_nodelay(true)?;
        let progress = Arc::new(Progress::new());
        let deadlines = (self.first_request, self.idle);
        let stream = ProgressStream::new(stream, &progress, deadlines, self.pace, permit);
        Ok((stream, ProgressService::new(service, progress)))
    }
}
