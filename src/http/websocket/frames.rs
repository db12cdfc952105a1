//! WebSocket messages over a connection. What it takes to read and write them is there only while something passes:
//! most sockets are silent most of the time.
//! Never looks into a message, never forgets a byte that has come, and never keeps more of what has not come whole than
//! there is room for.

use crate::{
    http::{
        listener::Taken,
        overload::{Room, Turns},
    },
    limits::{REQUEST_BYTES_MAX, SOCKET_READ_BYTES},
};
use std::{
    future::poll_fn,
    io::{self, Read, Write},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tungstenite::{
    Error, Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

/// A connection over which messages pass.
pub(super) struct Frames {
    taken: Taken,
    turns: Arc<Turns>,
    busy: Option<Box<Busy>>,
    /// Whether a message was refused before it was there: what comes of it is not kept.
    has_refused: bool,
}

/// What it takes to read and write messages, and whether anything of one is in it.
struct Busy {
    context: WebSocketContext,
    /// How many bytes have come since it is there.
    arrived: u64,
    /// How many of them, at least, were those of the messages that were handed on.
    understood: u64,
    /// How many bytes are kept of what is not a whole message yet, but for what is read at once.
    kept: u64,
    /// Since when there are.
    since: Option<Instant>,
    room: Room,
}

/// The connection as it blocks: whoever would wait is woken by the task that asks.
struct Blocking<'f, 'c, 'w> {
    taken: &'f mut Taken,
    arrived: &'f mut u64,
    kept: &'f mut u64,
    room: &'f mut Room,
    context: &'c mut Context<'w>,
}

fn blocking<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Blocking<'_, '_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(bytes);
        blocking(Pin::new(&mut self.taken.stream).poll_read(self.context, &mut buffer))?;
        let read = buffer.filled().len();
        *self.arrived = self.arrived.saturating_add(read as u64);
        *self.kept = self.kept.saturating_add(read as u64);
        self.room.take(read).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(read)
    }
}

impl Write for Blocking<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocking(Pin::new(&mut self.taken.stream).poll_write(self.context, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        blocking(Pin::new(&mut self.taken.stream).poll_flush(self.context))
    }
}

/// What was done, unless the connection has to be waited for.
fn waiting<T>(done: Result<T, Error>) -> Poll<Result<T, Error>> {
    match done {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

/// How many bytes a client needs at least for a message: a frame of two bytes, its length where that is larger, its
/// mask, and what it says. In several frames it takes as much or more.
fn bytes_of(message: &Message) -> u64 {
    let said = message.len() as u64;
    let length = match said {
        0..=125 => 0,
        126..=65_535 => 2,
        _ => 8,
    };
    2 + length + 4 + said
}

/// Whether a message is refused before it is there, for its size or because there is no room for it.
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Capacity(_)) || is_out_of_room(error)
}

/// Whether there is no room for a message.
pub(super) fn is_out_of_room(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::OutOfMemory)
}

impl Busy {
    fn of(arrived: &[u8], turns: &Turns) -> Box<Self> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(REQUEST_BYTES_MAX))
            .max_frame_size(Some(REQUEST_BYTES_MAX))
            // What is read grows with a message that is larger; what is written is written at once.
            .read_buffer_size(SOCKET_READ_BYTES)
            .write_buffer_size(0);
        let context = WebSocketContext::from_partially_read(arrived.to_vec(), Role::Server, Some(config));
        let (arrived, room) = (arrived.len() as u64, turns.room());
        Box::new(Self { context, arrived, understood: 0, kept: arrived, since: None, room })
    }

    /// Notes what was handed on.
    fn understood(&mut self, message: &Message, turns: &Turns) {
        let bytes = bytes_of(message);
        self.understood = self.understood.saturating_add(bytes);
        if message.is_text() || message.is_binary() {
            // What came behind it is less than what is read at once.
            (self.kept, self.since, self.room) = (0, None, turns.room());
        } else {
            self.kept = self.kept.saturating_sub(bytes);
        }
    }

    /// Notes when more is kept than what is read at once.
    fn waits(&mut self) {
        if self.kept > SOCKET_READ_BYTES as u64 {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Parts it from the connection.
    fn on<'f, 'c, 'w>(
        &'f mut self,
        taken: &'f mut Taken,
        context: &'c mut Context<'w>,
    ) -> (&'f mut WebSocketContext, Blocking<'f, 'c, 'w>) {
        let Self { context: socket, arrived, kept, room, .. } = self;
        (socket, Blocking { taken, arrived, kept, room, context })
    }

    /// Waits until the connection has all that was to be said, answers to pings among it.
    fn poll_flush(&mut self, taken: &mut Taken, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let (socket, mut connection) = self.on(taken, context);
        waiting(socket.flush(&mut connection))
    }

    /// Whether no byte of another message is in it, once it is flushed, and more may be said.
    fn is_empty(&self) -> bool {
        self.arrived == self.understood && self.context.can_write()
    }
}

impl Frames {
    /// The messages of a connection that has just become one of WebSockets.
    pub(super) fn new(taken: Taken, early: &[u8], turns: Arc<Turns>) -> Self {
        let busy = if early.is_empty() { None } else { Some(Busy::of(early, &turns)) };
        Self { taken, turns, busy, has_refused: false }
    }

    /// Since when the rest of a message is waited for.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.busy.as_ref().and_then(|busy| busy.since)
    }

    /// Waits for a message. Cancelled, it has read nothing that the next one does not answer.
    ///
    /// # Errors
    /// Where the connection has ended, or breaks the rules of the protocol.
    pub(super) async fn next(&mut self) -> Result<Message, Error> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        let Self { taken, turns, busy, has_refused } = self;
        if let Some(some) = busy {
            // Whoever does not read what he is told is not read either, or it would be kept for him without end.
            ready!(some.poll_flush(taken, context))?;
            if some.is_empty() {
                *busy = None;
            }
        }
        while *has_refused || busy.is_none() {
            let mut bytes = [MaybeUninit::uninit(); SOCKET_READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut taken.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(Error::ConnectionClosed));
            }
            if !*has_refused {
                *busy = Some(Busy::of(buffer.filled(), turns));
            }
        }
        let Some(some) = busy else { return Poll::Ready(Err(Error::AlreadyClosed)) };
        let (socket, mut connection) = some.on(taken, context);
        let Poll::Ready(read) = waiting(socket.read(&mut connection)) else {
            some.waits();
            return Poll::Pending;
        };
        match &read {
            Ok(message) => some.understood(message, turns),
            Err(error) if is_refused(error) => (*has_refused, *busy) = (true, None),
            Err(_) => {}
        }
        if let (Ok(Message::Close(_)), Some(some)) = (&read, busy) {
            // The answer to that is all that is left to say; whoever cannot take it is gone.
            let _ = some.poll_flush(taken, context);
        }
        Poll::Ready(read)
    }

    /// Sends a message, and waits until the connection has it. Cancelled, what is left of it goes before the next one.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), Error> {
        let mut message = Some(message);
        poll_fn(|context| {
            let busy = self.busy.get_or_insert_with(|| Busy::of(&[], &self.turns));
            if let Some(message) = message.take() {
                let (socket, mut connection) = busy.on(&mut self.taken, context);
                // What the connection does not take at once is kept, and flushed.
                match waiting(socket.write(&mut connection, message)) {
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
            busy.poll_flush(&mut self.taken, context)
        })
        .await
    }
}
