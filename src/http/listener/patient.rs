//! A connection that is not waited for without end: for the head of a request, for another request, for a client that
//! does not read. While a request is answered its handler has the word. What is pushed to a client who does not read
//! waits in the log, and hardly in the kernel.
//! Never counts bytes: who is slow but steady gets his answer.

use super::Place;
use crate::{http::sse::EVENT_STREAM, limits::PUSHED_BYTES_MAX};
use axum::{
    body::Body,
    http::{Response, header},
};
use futures_util::task::AtomicWaker;
use hyper::body::{Bytes, Frame, SizeHint};
use socket2::SockRef;
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};
use tokio_rustls::server::TlsStream;

/// How long is waited for what.
pub(super) struct Patience {
    pub(super) head: Duration,
    pub(super) keep_alive: Duration,
    pub(super) write: Duration,
}

/// What a connection is doing, as its requests tell it.
#[derive(Default)]
pub(super) struct Phase {
    /// How many requests are being answered.
    busy: AtomicU32,
    /// How many requests were answered.
    answered: AtomicU32,
    /// Whoever reads the connection meanwhile: once the answer is done, his patience begins.
    reader: AtomicWaker,
    /// Whether things are pushed over it.
    pushes: AtomicBool,
}

/// A connection of which the kernel keeps little that the client does not read, from when it is asked to.
pub(super) trait Frugal {
    /// Asks it.
    ///
    /// # Errors
    /// The system's.
    fn keep_little(&self) -> io::Result<()>;
}

impl Frugal for TcpStream {
    fn keep_little(&self) -> io::Result<()> {
        SockRef::from(self).set_send_buffer_size(PUSHED_BYTES_MAX)
    }
}

impl Frugal for TlsStream<TcpStream> {
    fn keep_little(&self) -> io::Result<()> {
        self.get_ref().0.keep_little()
    }
}

/// A request that is being answered, until it is dropped.
pub(super) struct Busy {
    phase: Arc<Phase>,
}

impl Phase {
    /// A request has begun.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy { phase: Arc::clone(self) }
    }
}

impl Busy {
    /// The response, which keeps the connection busy until its body was handed on.
    pub(super) fn until_sent(self, response: Response<Body>) -> Response<Body> {
        let is_stream = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == EVENT_STREAM);
        self.phase.pushes.store(is_stream, Ordering::Release);
        response.map(|body| Body::new(Sending { body, _busy: self }))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.phase.answered.fetch_add(1, Ordering::AcqRel);
        self.phase.busy.fetch_sub(1, Ordering::AcqRel);
        self.phase.reader.wake();
    }
}

struct Sending {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose other side is waited for only so long.
pub(super) struct Patient<S> {
    stream: S,
    patience: Patience,
    phase: Arc<Phase>,
    /// How many requests were answered when the present wait for a request began.
    answered: u32,
    /// Whether anything of the request that is waited for has come; a new connection is to say something soon.
    begun: bool,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    /// Whether the kernel was asked to keep little.
    is_frugal: bool,
    place: Place,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Patience, phase: Arc<Phase>, place: Place) -> Self {
        Self {
            stream,
            patience,
            phase,
            answered: 0,
            begun: true,
            reading: None,
            writing: None,
            is_frugal: false,
            place,
        }
    }

    /// The connection, and its place: from now on somebody else waits for it.
    pub(super) fn into_parts(self) -> (S, Place) {
        (self.stream, self.place)
    }

    /// Waits on for a request, unless it has been waited for long enough.
    fn wait_for_request(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.phase.reader.register(context.waker());
        if self.phase.busy.load(Ordering::Acquire) > 0 {
            self.reading = None;
            return Poll::Pending;
        }
        let answered = self.phase.answered.load(Ordering::Acquire);
        if answered != self.answered {
            (self.answered, self.begun, self.reading) = (answered, false, None);
        }
        let patience = if self.begun { self.patience.head } else { self.patience.keep_alive };
        let waiting = self.reading.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Something came: of a request that is waited for, the rest is to come soon.
    fn heard(&mut self) {
        if self.phase.busy.load(Ordering::Acquire) > 0 {
            return;
        }
        let answered = self.phase.answered.load(Ordering::Acquire);
        if answered != self.answered || !self.begun {
            (self.answered, self.begun) = (answered, true);
            let end = Instant::now() + self.patience.head;
            match &mut self.reading {
                Some(reading) => reading.as_mut().reset(end),
                None => self.reading = Some(Box::pin(tokio::time::sleep_until(end))),
            }
        }
    }

    /// Passes on what writing came to, unless nothing could be written for too long.
    fn written<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let patience = self.patience.write;
        let waiting = self.writing.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Frugal> Patient<S> {
    fn keep_little(&mut self) -> io::Result<()> {
        if !self.is_frugal && self.phase.pushes.load(Ordering::Acquire) {
            self.is_frugal = true;
            self.stream.keep_little()?;
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.heard();
                Poll::Ready(read)
            }
            Poll::Pending => self.wait_for_request(context),
        }
    }
}

impl<S: AsyncWrite + Frugal + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.keep_little()?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.keep_little()?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.written(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, ended)
    }
}
