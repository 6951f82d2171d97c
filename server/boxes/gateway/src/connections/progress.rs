//! The progress of a connection, and the deadline that closes a connection without any.

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

use super::{
    pace::{Pace, PacedReads},
    quota::Permit,
};

/// The most of an answer that a connection takes at once, in bytes: a client that reads slowly makes progress
/// with each chunk, also where the answer is one large file.
const CHUNK_BYTES: usize = 16_384;

/// The state that a connection's stream, its service and its bodies share.
#[derive(Debug)]
pub(super) struct Progress {
    accepted: Instant,
    /// Milliseconds from `accepted` to the last progress, plus one: zero is a connection without a request.
    last: AtomicU64,
    /// Answers that the server is working on.
    pending_answers: AtomicUsize,
    /// Request bodies of which the server awaits more data.
    awaited_bodies: AtomicUsize,
    /// An answer has switched the protocol.
    is_switched: AtomicBool,
}

impl Progress {
    /// The state of a new connection.
    pub(super) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            last: AtomicU64::new(0),
            pending_answers: AtomicUsize::new(0),
            awaited_bodies: AtomicUsize::new(0),
            is_switched: AtomicBool::new(false),
        }
    }

    /// Records progress.
    fn record(&self) {
        let millis = u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis.saturating_add(1), Ordering::Relaxed);
    }

    /// The time of the last progress; `None` before the first request.
    fn last(&self) -> Option<Instant> {
        let millis = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.accepted + Duration::from_millis(millis))
    }

    /// Whether the server works on an answer for which it needs no more data of the client.
    fn is_servers_turn(&self) -> bool {
        self.pending_answers.load(Ordering::Relaxed) > self.awaited_bodies.load(Ordering::Relaxed)
    }

    fn pending_answers(&self) -> &AtomicUsize {
        &self.pending_answers
    }

    fn awaited_bodies(&self) -> &AtomicUsize {
        &self.awaited_bodies
    }
}

/// A guard that raises one of the counts until it is dropped.
#[derive(Debug)]
struct CountGuard {
    progress: Arc<Progress>,
    count: fn(&Progress) -> &AtomicUsize,
}

impl CountGuard {
    fn new(progress: &Arc<Progress>, count: fn(&Progress) -> &AtomicUsize) -> Self {
        count(progress).fetch_add(1, Ordering::Relaxed);
        Self {
            progress: Arc::clone(progress),
            count,
        }
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        (self.count)(&self.progress).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that ends when its connection makes no progress for too long.
#[derive(Debug)]
pub(crate) struct ProgressStream<T> {
    stream: T,
    progress: Arc<Progress>,
    /// Absent after the upgrade of a live socket.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The deadline is still that of the first request.
    awaits_first_request: bool,
    idle: Duration,
    /// The pace of a live socket; `None`: there is no limit.
    pace: Option<Pace>,
    /// Present after the upgrade of a live socket that has a pace.
    reads: Option<PacedReads>,
    _permit: Permit,
}

impl<T> ProgressStream<T> {
    /// A connection with its permit. `first_request`: how long its first request may take to arrive; `idle`:
    /// how long it may make no progress afterwards; `pace`: how fast it is read as a live socket.
    pub(super) fn new(
        stream: T,
        progress: &Arc<Progress>,
        (first_request, idle): (Duration, Duration),
        pace: Option<Pace>,
        permit: Permit,
    ) -> Self {
        Self {
            stream,
            progress: Arc::clone(progress),
            deadline: Some(Box::pin(tokio::time::sleep(first_request))),
            awaits_first_request: true,
            idle,
            pace,
            reads: None,
            _permit: permit,
        }
    }

    /// Ready with the reason when the connection must be closed. Until then the task is woken at the
    /// deadline.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        while let Some(deadline) = &mut self.deadline {
            if self.awaits_first_request
                && let Some(last) = self.progress.last()
            {
                self.awaits_first_request = false;
                deadline.as_mut().reset(last + self.idle);
            }
            ready!(deadline.as_mut().poll(context));
            if let Err(error) = self.extend(Instant::now()) {
                return Poll::Ready(error);
            }
        }
        Poll::Pending
    }

    /// Extends the deadline, or fails where there was no progress.
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
        if let Some(deadline) = &mut self.deadline {
            deadline.as_mut().reset(until);
        }
        Ok(())
    }

    /// Ends a connection that receives so much data that it never waits, and still makes no progress. It has
    /// the same time again: the data may be a request that a busy server has not read yet.
    fn check_flood(&mut self) -> io::Result<()> {
        let Some(deadline) = &self.deadline else {
            return Ok(());
        };
        let now = Instant::now();
        if now < deadline.deadline() + self.idle {
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
        if let Some(reads) = &mut self.reads {
            ready!(reads.poll_ready(context));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.poll_deadline(context).map(Err),
            Poll::Ready(read) => {
                if let Some(reads) = &mut self.reads {
                    reads.note(buffer.filled().len().saturating_sub(before));
                }
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
        // A flush follows the buffered data: the answer that switches the protocol is sent now. Until then
        // the deadline holds, because there is no live socket yet whose pings would notice a client that does
        // not read.
        if self.deadline.is_some() && self.progress.is_switched.load(Ordering::Relaxed) {
            self.deadline = None;
            self.reads = self.pace.map(|pace| PacedReads::new(pace, Instant::now()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A service that records requests and answers as progress of their connection.
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
        self.progress.record();
        let progress = Arc::clone(&self.progress);
        let request = request.map(|body| RequestBody::new(body, &progress));
        let answer = self.service.call(request);
        Box::pin(async move {
            // Counted from the first poll on: hyper polls when the earlier answers are sent.
            let pending = CountGuard::new(&progress, Progress::pending_answers);
            let answer = answer.await;
            drop(pending);
            progress.record();
            answer.map(|answer| {
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    progress.is_switched.store(true, Ordering::Relaxed);
                }
                answer.map(|body| AnswerBody::new(body, &progress))
            })
        })
    }
}

/// A request's body that records each frame with data as progress.
#[derive(Debug)]
pub(crate) struct RequestBody<B> {
    body: B,
    progress: Arc<Progress>,
    /// Set while the server awaits more data.
    awaited: Option<CountGuard>,
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
                    this.awaited = Some(CountGuard::new(&this.progress, Progress::awaited_bodies));
                }
            }
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map(Buf::remaining);
                // The server still awaits data after an empty frame.
                if length != Some(0) {
                    this.awaited = None;
                }
                if length.is_some_and(|length| length > 0) {
                    this.progress.record();
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

/// An answer's body that records each chunk that the connection takes, and its end, as progress.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    body: Body,
    /// The rest of a frame that is sent in chunks.
    rest: Bytes,
    progress: Arc<Progress>,
    /// Set while the server has not made the next frame.
    pending: Option<CountGuard>,
}

impl AnswerBody {
    fn new(body: Body, progress: &Arc<Progress>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            progress: Arc::clone(progress),
            pending: None,
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
                if this.pending.is_none() {
                    this.pending = Some(CountGuard::new(&this.progress, Progress::pending_answers));
                }
                return Poll::Pending;
            };
            this.pending = None;
            this.progress.record();
            match next {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end @ (Some(Err(_)) | None) => return Poll::Ready(end),
            }
        } else {
            this.progress.record();
        }
        let chunk = this.rest.split_to(this.rest.len().min(CHUNK_BYTES));
        Poll::Ready(Some(Ok(Frame::data(chunk))))
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
    async fn an_answer_is_sent_in_chunks_and_stays_whole() {
        let bytes = vec![7_u8; 2 * CHUNK_BYTES + 1];
        let progress = Arc::new(Progress::new());
        let answer = AnswerBody::new(Body::from(bytes.clone()), &progress);
        assert_eq!(answer.size_hint().exact(), Some(bytes.len() as u64));
        let chunks: Vec<Bytes> = Body::new(answer).into_data_stream().try_collect().await.unwrap();
        let lengths: Vec<usize> = chunks.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [CHUNK_BYTES, CHUNK_BYTES, 1]);
        assert!(chunks.iter().flatten().eq(&bytes));
        assert!(progress.last().is_some());
    }

    #[test]
    fn it_is_the_servers_turn_unless_it_waits_for_a_body() {
        let progress = Arc::new(Progress::new());
        assert!(!progress.is_servers_turn());
        let _pending = CountGuard::new(&progress, Progress::pending_answers);
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
