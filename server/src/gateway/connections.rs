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

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, StatusCode},
    response::Response,
};
use axum_server::accept::Accept;
use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tower::Service;

use super::limits::Client;
use crate::settings::Limits;

/// The most connections of one address beyond this machine, where the settings do not say: a class of 200
/// behind one address, each browser with six connections and a live socket, has 1,400.
const PER_ADDRESS: usize = 2_048;
/// The most of an answer that a connection takes at once, in bytes: a client that reads slowly makes progress
/// with each piece, also where the answer is one large file.
const PIECE: usize = 16_384;
/// Descriptors that are kept for databases, files and peers.
const RESERVED_DESCRIPTORS: u64 = 128;
/// Connections that there may be also where the machine allows fewer.
const FEWEST: usize = 16;
/// Where a machine does not say how many descriptors a process may have.
const WITHOUT_DESCRIPTORS: usize = 8_192;

/// Admits connections, and gives each its deadlines.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    quota: Arc<Quota>,
    first_request: Duration,
    idle: Duration,
}

/// How many connections there may be, and how many there are.
#[derive(Debug)]
struct Quota {
    most: usize,
    most_of_address: usize,
    most_of_this_machine: usize,
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

impl Quota {
    /// `most` in all. `of_address` is the setting of what one address may hold, zero for no limit. Without it
    /// an address leaves half of them to the others; a proxy on this machine brings the connections of all
    /// clients, and may hold all.
    fn new(most: usize, of_address: Option<u32>) -> Self {
        let (most_of_address, most_of_this_machine) = match of_address.map(usize::try_from) {
            Some(Ok(0) | Err(_)) => (usize::MAX, usize::MAX),
            Some(Ok(wanted)) => (wanted, wanted),
            None => (PER_ADDRESS.min(most / 2).max(1), usize::MAX),
        };
        Self {
            most,
            most_of_address,
            most_of_this_machine,
            now: Mutex::default(),
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        // A count is changed in one step: a panic leaves it whole.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections an address may hold.
    fn most_of(&self, address: IpAddr) -> usize {
        if address.to_canonical().is_loopback() {
            self.most_of_this_machine
        } else {
            self.most_of_address
        }
    }
}

/// One of the connections that there may be, given back when it is dropped.
#[derive(Debug)]
struct Permit {
    quota: Arc<Quota>,
    client: Client,
}

impl Permit {
    fn take(quota: &Arc<Quota>, address: IpAddr) -> Result<Self, &'static str> {
        let client = Client::of_address(Some(address));
        let mut counts = quota.counts();
        if counts.all >= quota.most {
            return Err("all");
        }
        let of_address = counts.of_address.entry(client).or_default();
        if *of_address >= quota.most_of(address) {
            return Err("address");
        }
        *of_address += 1;
        counts.all += 1;
        metrics::gauge!("foldline_connections").increment(1);
        drop(counts);
        Ok(Self {
            quota: Arc::clone(quota),
            client,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.quota.counts();
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
        let stream = ProgressStream {
            stream,
            progress: Arc::clone(&progress),
            deadline: Box::pin(tokio::time::sleep(self.first_request)),
            awaits_first_request: true,
            idle: self.idle,
            is_upgraded: false,
            _permit: permit,
        };
        Ok((stream, ProgressService { service, progress }))
    }
}

/// What a connection's stream, its service and its bodies tell each other.
#[derive(Debug)]
struct Progress {
    accepted: Instant,
    /// Milliseconds from `accepted` to the last progress, and one more: zero is a connection without a
    /// request.
    last: AtomicU64,
    /// Answers that the server is at work on.
    at_work: AtomicUsize,
    /// Request bodies of which the server waits for more.
    awaited_bodies: AtomicUsize,
    /// An answer has switched the protocol.
    is_switched: AtomicBool,
}

impl Progress {
    fn new() -> Self {
        Self {
            accepted: Instant::now(),
            last: AtomicU64::new(0),
            at_work: AtomicUsize::new(0),
            awaited_bodies: AtomicUsize::new(0),
            is_switched: AtomicBool::new(false),
        }
    }

    /// Notes that there was progress.
    fn note(&self) {
        let millis = u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis.saturating_add(1), Ordering::Relaxed);
    }

    /// When there was progress; `None` before the first request.
    fn last(&self) -> Option<Instant> {
        let millis = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.accepted + Duration::from_millis(millis))
    }

    /// Whether the server is at work on an answer for which it needs nothing more of the client.
    fn is_servers_turn(&self) -> bool {
        self.at_work.load(Ordering::Relaxed) > self.awaited_bodies.load(Ordering::Relaxed)
    }

    fn at_work(&self) -> &AtomicUsize {
        &self.at_work
    }

    fn awaited_bodies(&self) -> &AtomicUsize {
        &self.awaited_bodies
    }
}

/// One more in a count of a connection, until it is dropped.
#[derive(Debug)]
struct Counted {
    progress: Arc<Progress>,
    count: fn(&Progress) -> &AtomicUsize,
}

impl Counted {
    fn new(progress: &Arc<Progress>, count: fn(&Progress) -> &AtomicUsize) -> Self {
        count(progress).fetch_add(1, Ordering::Relaxed);
        Self {
            progress: Arc::clone(progress),
            count,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.count)(&self.progress).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that ends when its connection makes no progress for too long.
#[derive(Debug)]
pub(super) struct ProgressStream<T> {
    stream: T,
    progress: Arc<Progress>,
    deadline: Pin<Box<Sleep>>,
    /// The deadline is still that of the first request.
    awaits_first_request: bool,
    idle: Duration,
    is_upgraded: bool,
    _permit: Permit,
}

impl<T> ProgressStream<T> {
    /// Ready with the reason once the connection is to be closed. Until then the task is woken when it may
    /// be.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        while !self.is_upgraded {
            if self.awaits_first_request
                && let Some(last) = self.progress.last()
            {
                self.awaits_first_request = false;
                self.deadline.as_mut().reset(last + self.idle);
            }
            ready!(self.deadline.as_mut().poll(context));
            if let Err(error) = self.extend(Instant::now()) {
                return Poll::Ready(error);
            }
        }
        Poll::Pending
    }

    /// Sets the deadline anew, where there was progress.
    fn extend(&mut self, now: Instant) -> io::Result<()> {
        let Some(last) = self.progress.last() else {
            return Err(closed("no request came in time"));
        };
        let since = if self.progress.is_servers_turn() {
            now
        } else {
            last
        };
        let until = since + self.idle;
        if until <= now {
            return Err(closed("the connection made no progress"));
        }
        self.deadline.as_mut().reset(until);
        Ok(())
    }

    /// Ends a connection on which so much comes that it never has to wait, and still no progress. It has as
    /// long again: what came may be a request that a busy server has not yet read.
    fn check_flood(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.is_upgraded || now < self.deadline.deadline() + self.idle {
            return Ok(());
        }
        self.extend(now)
    }
}

fn closed(reason: &'static str) -> io::Error {
    metrics::counter!("foldline_connections_closed_total", "reason" => reason).increment(1);
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

impl<T: AsyncRead + Unpin> AsyncRead for ProgressStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.poll_deadline(context).map(Err),
            Poll::Ready(read) => {
                self.check_flood()?;
                Poll::Ready(read)
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ProgressStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.poll_deadline(context).map(Err),
            written @ Poll::Ready(_) => written,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, slices) {
            Poll::Pending => self.poll_deadline(context).map(Err),
            written @ Poll::Ready(_) => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        // A flush comes after what is buffered above: now the answer that switched the protocol is sent. A
        // client that leaves no room for it has no live socket yet, whose pings would find it out.
        self.is_upgraded = self.is_upgraded || self.progress.is_switched.load(Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A service whose requests and answers are progress of their connection.
#[derive(Debug, Clone)]
pub(super) struct ProgressService<S> {
    service: S,
    progress: Arc<Progress>,
}

impl<S, B> Service<Request<B>> for ProgressService<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response<AnswerBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<AnswerBody>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.progress.note();
        let progress = Arc::clone(&self.progress);
        let request = request.map(|body| RequestBody::new(body, &progress));
        let answer = self.service.call(request);
        Box::pin(async move {
            // Counted from the first poll on: hyper polls once the answers before this one have left.
            let at_work = Counted::new(&progress, Progress::at_work);
            let answer = answer.await;
            drop(at_work);
            progress.note();
            answer.map(|answer| {
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    progress.is_switched.store(true, Ordering::Relaxed);
                }
                answer.map(|body| AnswerBody::new(body, &progress))
            })
        })
    }
}

/// A request's body, of which each frame with data is progress.
#[derive(Debug)]
pub(super) struct RequestBody<B> {
    body: B,
    progress: Arc<Progress>,
    /// There while the server waits for more.
    awaited: Option<Counted>,
}

impl<B> RequestBody<B> {
    fn new(body: B, progress: &Arc<Progress>) -> Self {
        Self {
            body,
            progress: Arc::clone(progress),
            awaited: None,
        }
    }
}

impl<B: HttpBody + Unpin> HttpBody for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        match &polled {
            Poll::Pending => {
                if this.awaited.is_none() {
                    this.awaited = Some(Counted::new(&this.progress, Progress::awaited_bodies));
                }
            }
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map(Buf::remaining);
                // A frame without data is nothing that the server was waiting for.
                if length != Some(0) {
                    this.awaited = None;
                }
                if length.is_some_and(|length| length > 0) {
                    this.progress.note();
                }
            }
            Poll::Ready(Some(Err(_)) | None) => this.awaited = None,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, of which each piece that the connection takes is progress, and its end.
#[derive(Debug)]
pub(super) struct AnswerBody {
    body: Body,
    /// What is left of a frame that is taken in pieces.
    rest: Bytes,
    progress: Arc<Progress>,
    /// There while the server has not made the next frame.
    at_work: Option<Counted>,
}

impl AnswerBody {
    fn new(body: Body, progress: &Arc<Progress>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            progress: Arc::clone(progress),
            at_work: None,
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let Poll::Ready(next) = Pin::new(&mut this.body).poll_frame(context) else {
                if this.at_work.is_none() {
                    this.at_work = Some(Counted::new(&this.progress, Progress::at_work));
                }
                return Poll::Pending;
            };
            this.at_work = None;
            this.progress.note();
            match next {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end @ (Some(Err(_)) | None) => return Poll::Ready(end),
            }
        } else {
            this.progress.note();
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint() + SizeHint::with_exact(self.rest.len() as u64)
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
    use futures::TryStreamExt as _;

    use super::*;

    fn quota(most: usize, of_address: Option<u32>) -> Arc<Quota> {
        Arc::new(Quota::new(most, of_address))
    }

    #[test]
    fn an_address_holds_so_many_connections_and_another_has_its_own_count() {
        let quota = quota(10, Some(2));
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let permits: Vec<_> = (0..2).map(|_| Permit::take(&quota, one).unwrap()).collect();
        assert_eq!(Permit::take(&quota, one).unwrap_err(), "address");
        Permit::take(&quota, two).unwrap();
        drop(permits);
        Permit::take(&quota, one).unwrap();
        assert!(
            quota.counts().of_address.is_empty(),
            "nothing is kept of an address that is gone"
        );
    }

    #[test]
    fn there_are_so_many_connections_in_all() {
        let quota = quota(2, Some(0));
        let [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| text.parse().unwrap());
        let _first = Permit::take(&quota, one).unwrap();
        let second = Permit::take(&quota, two).unwrap();
        assert_eq!(Permit::take(&quota, three).unwrap_err(), "all");
        drop(second);
        Permit::take(&quota, three).unwrap();
    }

    #[test]
    fn a_class_behind_one_address_is_not_refused_and_neither_is_a_proxy_on_this_machine() {
        let quota = quota(usize::MAX, None);
        let [class, proxy] = ["192.0.2.1", "::ffff:127.0.0.1"].map(|text| text.parse().unwrap());
        assert!(quota.most_of(class) >= 200 * 7);
        assert_eq!(quota.most_of(proxy), usize::MAX);
    }

    #[test]
    fn an_address_leaves_half_of_the_connections_to_the_others_unless_it_is_set() {
        let address = "192.0.2.1".parse().unwrap();
        for (most, of_address, expected) in [
            (128, None, 64),
            (1, None, 1),
            (100_000, None, PER_ADDRESS),
            (128, Some(100), 100),
            (128, Some(0), usize::MAX),
        ] {
            let quota = quota(most, of_address);
            assert_eq!(quota.most_of(address), expected, "{most} {of_address:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_taken_in_pieces_and_stays_whole() {
        let bytes = vec![7_u8; 2 * PIECE + 1];
        let progress = Arc::new(Progress::new());
        let answer = AnswerBody::new(Body::from(bytes.clone()), &progress);
        assert_eq!(answer.size_hint().exact(), Some(bytes.len() as u64));
        let pieces: Vec<Bytes> = Body::new(answer).into_data_stream().try_collect().await.unwrap();
        let lengths: Vec<usize> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [PIECE, PIECE, 1]);
        assert!(pieces.iter().flatten().eq(&bytes));
        assert!(progress.last().is_some());
    }

    #[test]
    fn it_is_the_servers_turn_unless_it_waits_for_a_body() {
        let progress = Arc::new(Progress::new());
        assert!(!progress.is_servers_turn());
        let _at_work = Counted::new(&progress, Progress::at_work);
        assert!(progress.is_servers_turn());
        let never = Body::from_stream(futures::stream::pending::<io::Result<Bytes>>());
        let mut request = RequestBody::new(never, &progress);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut request).poll_frame(&mut context).is_pending());
        assert!(!progress.is_servers_turn());
        drop(request);
        assert!(progress.is_servers_turn());
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
