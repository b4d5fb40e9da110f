//! Bytes of a call's request: they count against the caller's allowance, and may not stall in the
//! middle of a message.
//!
//! A call with one answer counts until that is sent. A stream may live for days: what counts of it
//! is the message that is arriving and those that have no answer yet. The meter reads both ways'
//! framing (five bytes before each message: a flag and a length,
//! [gRPC over HTTP2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)); each message
//! that leaves answers the oldest that came.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::status;
use crate::access::clients::{Exceeded, Place};

/// Silence after which an unfinished request is given up.
const STALLED: Duration = Duration::from_secs(60);

/// The bytes before each message.
const PREFIX: usize = 5;

pub(super) type Framed<B> =
    Poll<Option<Result<Frame<<B as HttpBody>::Data>, <B as HttpBody>::Error>>>;

/// Where one message ends and the next begins.
#[derive(Debug, Default)]
struct Framing {
    prefix: [u8; PREFIX],
    /// Bytes of the prefix so far; 0 between two messages.
    read: usize,
    /// Bytes of the message still to come, after the prefix.
    left: u64,
}

impl Framing {
    /// Continues with these bytes, and returns the size of each message that ends in them, with its
    /// prefix.
    fn feed(&mut self, mut bytes: &[u8], mut ends: impl FnMut(u64)) {
        while !bytes.is_empty() {
            if self.read < PREFIX {
                let taken = bytes.len().min(PREFIX - self.read);
                self.prefix[self.read..self.read + taken].copy_from_slice(&bytes[..taken]);
                self.read += taken;
                bytes = &bytes[taken..];
                if self.read < PREFIX {
                    return;
                }
                self.left = self.length();
            }
            let taken =
                usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.left -= taken as u64;
            bytes = &bytes[taken..];
            if self.left == 0 {
                self.read = 0;
                ends(self.length() + PREFIX as u64);
            }
        }
    }

    fn length(&self) -> u64 {
        let [_, length @ ..] = self.prefix;
        u64::from(u32::from_be_bytes(length))
    }

    /// A message has begun and has not ended.
    const fn is_inside(&self) -> bool {
        self.read > 0
    }
}

/// One call's bytes.
#[derive(Debug)]
struct Meter {
    place: Place,
    streams: bool,
    arriving: Framing,
    leaving: Framing,
    /// The size of each message of a stream that has come and has no answer yet, the oldest first.
    /// A service takes few ahead, and what one frame of HTTP/2 may hold besides is 16 KiB.
    unanswered: VecDeque<u64>,
}

/// One call's bytes, for both of its ways. The place is given back with the last of them.
#[derive(Debug, Clone)]
pub(super) struct SharedMeter(Arc<Mutex<Meter>>);

impl Meter {
    /// Nothing may be waited for any longer: the one request, or the rest of a stream's message.
    const fn is_waited_for(&self) -> bool {
        !self.streams || self.arriving.is_inside()
    }
}

impl SharedMeter {
    /// For a call at this place.
    pub(super) fn new(place: Place, streams: bool) -> Self {
        let (arriving, leaving) = (Framing::default(), Framing::default());
        let meter = Meter { place, streams, arriving, leaving, unanswered: VecDeque::new() };
        Self(Arc::new(Mutex::new(meter)))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Meter) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn comes(&self, bytes: &[u8]) -> Result<(), Exceeded> {
        self.with(|meter| {
            meter.place.add(bytes.len() as u64)?;
            if meter.streams {
                let Meter { arriving, unanswered, .. } = meter;
                arriving.feed(bytes, |size| unanswered.push_back(size));
            }
            Ok(())
        })
    }

    /// These bytes of a stream's answers leave.
    pub(super) fn answers(&self, bytes: &[u8]) {
        self.with(|Meter { place, leaving, unanswered, .. }| {
            leaving.feed(bytes, |_| place.release(unanswered.pop_front().unwrap_or(0)));
        });
    }
}

/// A request that is still arriving: its bytes count, and it may not stand still.
pub(super) struct Counted {
    body: Body,
    meter: SharedMeter,
    /// Since when nothing came that is waited for; none while something does.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Counted {
    pub(super) const fn new(body: Body, meter: SharedMeter) -> Self {
        Self { body, meter, stalled: None }
    }
}

impl HttpBody for Counted {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Framed<Self> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            if !self.meter.with(|meter| meter.is_waited_for()) {
                return Poll::Pending;
            }
            let deadline =
                self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Some(Err(status::stalled(STALLED))));
        };
        self.stalled = None;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(exceeded) = self.meter.comes(data)
        {
            return Poll::Ready(Some(Err(status::exceeded(&exceeded))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::clients::{Allowance, Clients, Kind};

    /// A body that sends this much and then stalls.
    struct Begun(Vec<Vec<u8>>);

    impl HttpBody for Begun {
        type Data = <Body as HttpBody>::Data;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Framed<Self> {
            if self.0.is_empty() {
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(Frame::data(self.0.remove(0).into()))))
        }
    }

    fn clients() -> Clients {
        Clients::new(Allowance { requests: 1, streams: 1, bytes: 100 })
    }

    fn counted(clients: &Clients, kind: Kind, parts: &[&[u8]]) -> (SharedMeter, Counted) {
        let meter = SharedMeter::new(clients.begin("a", kind).unwrap(), kind == Kind::Stream);
        let body = Body::new(Begun(parts.iter().map(|part| part.to_vec()).collect()));
        (meter.clone(), Counted::new(body, meter))
    }

    async fn next(counted: &mut Counted) -> Result<(), Status> {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *counted).poll_frame(context));
        frame.await.unwrap().map(drop)
    }

    async fn assert_given_up(counted: &mut Counted) {
        let began = tokio::time::Instant::now();
        let status = next(counted).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(began.elapsed() >= STALLED);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_stands_still_is_given_up() {
        let clients = clients();
        let (meter, mut request) = counted(&clients, Kind::Request, &[]);
        assert_given_up(&mut request).await;
        drop((meter, request));
        assert_eq!(clients.count(), 0, "its place is free");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_may_stand_still_between_its_messages_and_not_within_one() {
        let clients = clients();
        let parts: [&[u8]; 4] =
            [&[0, 0, 0, 0, 2, 7, 7], &[0, 0], &[0, 0, 1, 7, 0, 0, 0, 0], &[3, 7]];
        for cut in 1..=parts.len() {
            let (_meter, mut stream) = counted(&clients, Kind::Stream, &parts[..cut]);
            for _ in 0..cut {
                next(&mut stream).await.unwrap();
            }
            if cut == 1 {
                let day = Duration::from_secs(86_400);
                assert!(tokio::time::timeout(day, next(&mut stream)).await.is_err());
            } else {
                assert_given_up(&mut stream).await;
            }
        }
    }

    #[tokio::test]
    async fn a_stream_s_messages_count_until_they_are_answered() {
        let clients = clients();
        let message = [&[0, 0, 0, 0, 35][..], &[7; 35]].concat();
        let parts = vec![message.as_slice(); 4];
        let (meter, mut stream) = counted(&clients, Kind::Stream, &parts);
        next(&mut stream).await.unwrap();
        next(&mut stream).await.unwrap();
        // An answer counts when all of it is gone, in whatever pieces.
        meter.answers(&[0, 0, 0]);
        meter.answers(&[0, 1]);
        assert_eq!(meter.with(|meter| meter.unanswered.len()), 2);
        meter.answers(&[7]);
        next(&mut stream).await.unwrap();
        let status = next(&mut stream).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    }

    #[test]
    fn messages_are_told_apart_however_they_are_cut() {
        let bytes = [0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 9, 9, 9, 0, 0, 0, 0, 1, 9];
        for size in 1..=bytes.len() {
            let (mut framing, mut sizes) = (Framing::default(), Vec::new());
            for part in bytes.chunks(size) {
                framing.feed(part, |size| sizes.push(size));
            }
            assert_eq!((sizes, framing.is_inside()), (vec![5, 8, 6], false), "cut at {size}");
        }
    }
}
