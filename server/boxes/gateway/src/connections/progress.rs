//! What a connection makes of its time: whether there is progress, and its end where there is none.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
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
use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tower::Service;

use super::quota::Permit;

/// The most of an answer that a connection takes at once, in bytes: a client that reads slowly makes progress
/// with each piece, also where the answer is one large file.
const PIECE: usize = 16_384;

/// What a connection's stream, its service and its bodies tell each other.
#[derive(Debug)]
pub(super) struct Progress {
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
    /// Of a connection that was accepted just now.
    pub(super) fn new() -> Self {
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
pub(crate) struct ProgressStream<T> {
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
    /// A connection with its permit: how long its first request may take to come, and how long it may then make no progress.
    pub(super) fn new(
        stream: T,
        progress: &Arc<Progress>,
        first_request: Duration,
        idle: Duration,
        permit: Permit,
    ) -> Self {
        Self {
            stream,
            progress: Arc::clone(progress),
            deadline: Box::pin(tokio::time::sleep(first_request)),
            awaits_first_request: true,
            idle,
            is_upgraded: false,
            _permit: permit,
        }
    }

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
pub(crate) struct ProgressService<S> {
    service: S,
    progress: Arc<Progress>,
}

impl<S> ProgressService<S> {
    /// The service of one connection.
    pub(super) fn new(service: S, progress: Arc<Progress>) -> Self {
        Self { service, progress }
    }
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
pub(crate) struct RequestBody<B> {
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
pub(crate) struct AnswerBody {
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

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

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
}
