//! One connection, and who is at its other end.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::authority::Frames;
use super::count::Ticket;
use crate::access::gate::Peer;

/// Limit on a client's HTTP/2 preface; after that, pings show whether it is alive.
const PREFACE: Duration = Duration::from_secs(10);
/// Bytes of the connection preface (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;

/// The underlying stream.
#[derive(Debug)]
pub(super) enum Carrier {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(Socket),
}

/// A Unix socket's stream, with a name for its authority.
#[derive(Debug)]
pub(super) struct Socket {
    stream: UnixStream,
    frames: Frames,
    /// What the server is still to read.
    told: VecDeque<u8>,
}

impl Socket {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, frames: Frames::new(), told: VecDeque::new() }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut room = [MaybeUninit::uninit(); 4096];
        while self.told.is_empty() {
            let mut read = ReadBuf::uninit(&mut room);
            std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let mut told = Vec::new();
            self.frames.take(read.filled(), &mut told);
            self.told.extend(told);
        }
        let (first, _) = self.told.as_slices();
        let length = first.len().min(buffer.remaining());
        buffer.put_slice(&first[..length]);
        self.told.drain(..length);
        Poll::Ready(Ok(()))
    }
}

/// The most calls at once on one connection.
pub(in crate::grpc) const MAX_CALLS: u32 = 128;

/// The most long streams among them: a client's library lets further calls wait without a word, so
/// short ones keep room.
pub(in crate::grpc) const MAX_LONG_STREAMS: usize = 112;

/// One connection, as its calls see it.
#[derive(Debug, Clone)]
pub struct Line {
    /// The client's end.
    pub(in crate::grpc) peer: Peer,
    /// One permit a long stream.
    pub(in crate::grpc) long_streams: Arc<Semaphore>,
}

/// A connection that may carry calls.
#[derive(Debug)]
pub struct Connection {
    carrier: Carrier,
    line: Line,
    /// Until the preface is here: how many bytes of it are, and when there is no more waiting.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    _ticket: Ticket,
}

impl Connection {
    pub(super) fn new(carrier: Carrier, peer: Peer, ticket: Ticket) -> Self {
        let preface = Some((0, Box::pin(sleep(PREFACE))));
        let long_streams = Arc::new(Semaphore::new(MAX_LONG_STREAMS));
        Self { carrier, line: Line { peer, long_streams }, preface, _ticket: ticket }
    }
}

impl Connected for Connection {
    type ConnectInfo = Line;

    fn connect_info(&self) -> Line {
        self.line.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.carrier {
            Carrier::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Carrier::Tls(tls) => Pin::new(tls.as_mut()).poll_read(context, buffer),
            Carrier::Unix(unix) => Pin::new(unix).poll_read(context, buffer),
        };
        if let Some((bytes, deadline)) = &mut self.preface {
            *bytes += buffer.filled().len() - before;
            if *bytes >= PREFACE_BYTES {
                self.preface = None;
            } else if read.is_pending() && deadline.as_mut().poll(context).is_ready() {
                let error = io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client did not begin to speak HTTP/2",
                );
                return Poll::Ready(Err(error));
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Carrier::Tls(tls) => Pin::new(tls.as_mut()).poll_write(context, bytes),
            Carrier::Unix(unix) => Pin::new(&mut unix.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Carrier::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(context, slices),
            Carrier::Unix(unix) => Pin::new(&mut unix.stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.carrier {
            Carrier::Tcp(tcp) => tcp.is_write_vectored(),
            Carrier::Tls(tls) => tls.is_write_vectored(),
            Carrier::Unix(unix) => unix.stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(tcp) => Pin::new(tcp).poll_flush(context),
            Carrier::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(context),
            Carrier::Unix(unix) => Pin::new(&mut unix.stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Carrier::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(context),
            Carrier::Unix(unix) => Pin::new(&mut unix.stream).poll_shutdown(context),
        }
    }
}
