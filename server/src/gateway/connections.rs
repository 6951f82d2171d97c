//! Who may hold a connection, and for how long it may be silent.
//!
//! A connection that has not brought its first whole request in time is closed: one on which nothing is sent, one byte, half a
//! head, an HTTP/2 preface, or half a handshake of TLS. One that has is closed when it lies idle: no request is being answered,
//! and nothing is read or written. A live socket is never idle, because it is pinged. So many connections are held at a
//! time, in all and from one address; one more is closed at once, before a byte of it is read.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::Request;
use axum_server::accept::Accept;
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tower::Service;

use super::limits::Client;
use crate::settings::Limits;

/// Connections of one address beyond this machine, where the settings do not say: a class of 200 behind one address, each
/// browser with six connections and a live socket, has 1,400.
const PER_ADDRESS: usize = 2_048;
/// Descriptors that are kept for databases, files and peers.
const RESERVED_DESCRIPTORS: u64 = 128;
/// Connections that there are whatever the machine allows.
const FEWEST: usize = 16;
/// Where a machine does not say how many descriptors a process may have.
const WITHOUT_DESCRIPTORS: usize = 8_192;

/// Admits connections, and watches them.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    held: Arc<Held>,
    first_request: Duration,
    idle: Duration,
}

/// The connections there are.
#[derive(Debug)]
struct Held {
    most: usize,
    most_of_address: Option<usize>,
    now: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_address: HashMap<Client, usize>,
}

impl Admission {
    /// As the settings say, and as many as the process may have descriptors for.
    pub(super) fn new(limits: &Limits) -> Self {
        let possible = possible();
        let most = match usize::try_from(limits.max_connections) {
            Ok(wanted @ 1..) => wanted.min(possible),
            _ => possible,
        };
        tracing::debug!(connections.most = most, "connections are limited");
        Self {
            held: Arc::new(Held {
                most,
                most_of_address: limits
                    .max_connections_per_address
                    .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
                now: Mutex::default(),
            }),
            first_request: limits.first_request_timeout(),
            idle: limits.idle_timeout(),
        }
    }
}

impl Held {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        // A count is changed in one step: whoever panicked has left it whole.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections an address may hold. A proxy on this machine brings everybody's, so without a setting it may hold all.
    fn most_of(&self, address: IpAddr) -> usize {
        match self.most_of_address {
            Some(0) => usize::MAX,
            Some(most) => most,
            None if address.to_canonical().is_loopback() => usize::MAX,
            None => PER_ADDRESS,
        }
    }
}

/// A place among the connections, given back when it is dropped.
#[derive(Debug)]
struct Permit {
    held: Arc<Held>,
    client: Client,
}

impl Permit {
    fn take(held: &Arc<Held>, address: IpAddr) -> Result<Self, &'static str> {
        let client = Client::of_address(Some(address));
        let mut counts = held.counts();
        if counts.all >= held.most {
            return Err("all");
        }
        let of_address = counts.of_address.entry(client).or_default();
        if *of_address >= held.most_of(address) {
            return Err("address");
        }
        *of_address += 1;
        counts.all += 1;
        metrics::gauge!("foldline_connections").increment(1);
        drop(counts);
        Ok(Self {
            held: Arc::clone(held),
            client,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.held.counts();
        counts.all -= 1;
        if let Some(of_address) = counts.of_address.get_mut(&self.client) {
            *of_address -= 1;
            if *of_address == 0 {
                counts.of_address.remove(&self.client);
            }
        }
        metrics::gauge!("foldline_connections").decrement(1);
    }
}

impl<S> Accept<TcpStream, S> for Admission {
    type Stream = Watched<TcpStream>;
    type Service = Observed<S>;
    type Future = std::future::Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(self.admit(stream, service))
    }
}

impl Admission {
    fn admit<S>(&self, stream: TcpStream, service: S) -> io::Result<(Watched<TcpStream>, Observed<S>)> {
        let peer = stream.peer_addr()?;
        let permit = Permit::take(&self.held, SocketAddr::ip(&peer)).map_err(|limit| {
            metrics::counter!("foldline_connections_refused_total", "limit" => limit).increment(1);
            io::Error::new(io::ErrorKind::QuotaExceeded, "there are too many connections")
        })?;
        // A frame of the live socket waits for nothing.
        stream.set_nodelay(true)?;
        let requests = Arc::new(Requests::default());
        let watched = Watched {
            stream,
            requests: Arc::clone(&requests),
            deadline: Box::pin(tokio::time::sleep(self.first_request)),
            last_active: Instant::now(),
            idle: self.idle,
            _permit: permit,
        };
        Ok((watched, Observed { service, requests }))
    }
}

/// The requests of a connection.
#[derive(Debug, Default)]
struct Requests {
    had_one: AtomicBool,
    under_way: AtomicUsize,
}

/// A stream that ends when it is silent for too long.
#[derive(Debug)]
pub(super) struct Watched<T> {
    stream: T,
    requests: Arc<Requests>,
    deadline: Pin<Box<Sleep>>,
    last_active: Instant,
    idle: Duration,
    _permit: Permit,
}

impl<T> Watched<T> {
    /// What a stream comes to that has nothing to give or take at the moment.
    fn silent<R>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        loop {
            ready!(self.deadline.as_mut().poll(context));
            if !self.requests.had_one.load(Ordering::Relaxed) {
                return Poll::Ready(Err(silence("no request came in time")));
            }
            let is_answering = self.requests.under_way.load(Ordering::Relaxed) > 0;
            let since = if is_answering {
                Instant::now()
            } else {
                self.last_active
            };
            let until = since + self.idle;
            if until <= Instant::now() {
                return Poll::Ready(Err(silence("the connection is idle")));
            }
            self.deadline.as_mut().reset(until);
        }
    }

    fn is_active(&mut self) {
        self.last_active = Instant::now();
    }
}

fn silence(reason: &'static str) -> io::Error {
    metrics::counter!("foldline_connections_closed_total", "reason" => reason).increment(1);
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.silent(context),
            Poll::Ready(read) => {
                self.is_active();
                Poll::Ready(read)
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.silent(context),
            Poll::Ready(written) => {
                self.is_active();
                Poll::Ready(written)
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, slices) {
            Poll::Pending => self.silent(context),
            Poll::Ready(written) => {
                self.is_active();
                Poll::Ready(written)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A service that tells its connection of its requests.
#[derive(Debug, Clone)]
pub(super) struct Observed<S> {
    service: S,
    requests: Arc<Requests>,
}

/// A request that is being answered.
struct UnderWay(Arc<Requests>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S, B> Service<Request<B>> for Observed<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.requests.had_one.store(true, Ordering::Relaxed);
        self.requests.under_way.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay(Arc::clone(&self.requests));
        let answer = self.service.call(request);
        Box::pin(async move {
            let _under_way = under_way;
            answer.await
        })
    }
}

/// As many connections as the process has descriptors for, after it has asked for as many as it may have.
#[cfg(unix)]
fn possible() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let descriptors = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "the process keeps its limit of descriptors");
            current
        }
    };
    connections_with(descriptors)
}

#[cfg(not(unix))]
fn possible() -> usize {
    WITHOUT_DESCRIPTORS
}

/// Connections that so many descriptors allow; `None` is no limit of descriptors.
fn connections_with(descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else {
        return WITHOUT_DESCRIPTORS;
    };
    let free = descriptors.saturating_sub(RESERVED_DESCRIPTORS);
    usize::try_from(free).unwrap_or(usize::MAX).max(FEWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(most: usize, most_of_address: Option<usize>) -> Arc<Held> {
        Arc::new(Held {
            most,
            most_of_address,
            now: Mutex::default(),
        })
    }

    #[test]
    fn an_address_holds_so_many_connections_and_another_has_its_own_count() {
        let held = held(10, Some(2));
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let permits: Vec<_> = (0..2).map(|_| Permit::take(&held, one).unwrap()).collect();
        assert_eq!(Permit::take(&held, one).unwrap_err(), "address");
        Permit::take(&held, two).unwrap();
        drop(permits);
        Permit::take(&held, one).unwrap();
        assert!(
            held.counts().of_address.is_empty(),
            "nothing is kept of who is gone"
        );
    }

    #[test]
    fn there_are_so_many_connections_in_all() {
        let held = held(2, Some(0));
        let [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| text.parse().unwrap());
        let _first = Permit::take(&held, one).unwrap();
        let second = Permit::take(&held, two).unwrap();
        assert_eq!(Permit::take(&held, three).unwrap_err(), "all");
        drop(second);
        Permit::take(&held, three).unwrap();
    }

    #[test]
    fn a_class_behind_one_address_is_not_refused_and_neither_is_a_proxy_on_this_machine() {
        let held = held(usize::MAX, None);
        let [class, proxy] = ["192.0.2.1", "::ffff:127.0.0.1"].map(|text| text.parse().unwrap());
        assert!(held.most_of(class) >= 200 * 7);
        assert_eq!(held.most_of(proxy), usize::MAX);
    }

    #[test]
    fn descriptors_are_kept_for_the_databases() {
        for (descriptors, connections) in [
            (Some(256), 128),
            (Some(1_024), 896),
            (Some(64), FEWEST),
            (None, WITHOUT_DESCRIPTORS),
        ] {
            assert_eq!(connections_with(descriptors), connections, "{descriptors:?}");
        }
    }
}
