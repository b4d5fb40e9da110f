//! HL7's Minimal Lower Layer Protocol: one message, one acknowledgement, over TCP or TLS.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::hl7::Acknowledgement;
use super::message::{Destination, Message, Verdict};
use super::tls::{ClientKeys, TlsError};

const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// The longest acknowledgement that is read, in bytes.
const MAX_ACK: usize = 64 * 1024;

/// A frame around a message.
#[must_use]
pub fn frame(body: &[u8]) -> Vec<u8> {
    [&[START], body, &END].concat()
}

/// Frames out of a stream of bytes. Bytes between frames are skipped.
#[derive(Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
}

impl Frames {
    /// Takes what was read.
    ///
    /// # Errors
    /// A frame is longer than any acknowledgement.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        // What stands before a frame says nothing.
        let start = self.held.iter().position(|byte| *byte == START).unwrap_or(self.held.len());
        self.held.drain(..start);
        if self.held.len() > MAX_ACK && self.end().is_none() {
            return Err(io::Error::other(format!("an answer of more than {MAX_ACK} bytes came")));
        }
        Ok(())
    }

    /// The next whole frame's content.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let start = self.held.iter().position(|byte| *byte == START)?;
        self.held.drain(..start);
        let end = self.end()?;
        let frame = self.held[1..end].to_vec();
        self.held.drain(..end + END.len());
        Some(frame)
    }

    fn end(&self) -> Option<usize> {
        self.held.windows(END.len()).position(|two| two == END)
    }
}

/// Both kinds of connection.
enum Stream {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream: &mut dyn Write = match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream,
        };
        stream.write_all(bytes)?;
        stream.flush()
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}

/// An open connection.
struct Link {
    stream: Stream,
    frames: Frames,
}

/// The end of one attempt on one connection.
enum Failure {
    /// The connection broke before an answer came.
    Broken(io::Error),
    /// It stands, and no answer came in time.
    Silent(String),
}

/// A receiver of HL7 messages.
pub struct Mllp {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    connect_within: Duration,
    answer_within: Duration,
    link: Option<Link>,
}

impl std::fmt::Debug for Mllp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mllp({}:{})", self.host, self.port)
    }
}

impl Mllp {
    /// A receiver, with TLS where there are keys. It is connected to with the first message.
    ///
    /// # Errors
    /// The files of TLS do not work.
    pub fn new(
        host: String,
        port: u16,
        keys: Option<&ClientKeys>,
        connect_within: Duration,
        answer_within: Duration,
    ) -> Result<Self, TlsError> {
        let tls = match keys {
            Some(keys) => {
                let name = ServerName::try_from(host.clone()).map_err(|error| {
                    rustls::Error::General(format!("{host:?} is no name of a server: {error}"))
                })?;
                Some((keys.config()?, name))
            }
            None => None,
        };
        Ok(Self { host, port, tls, connect_within, answer_within, link: None })
    }

    fn connect(&self) -> io::Result<Link> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.connect_within) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    socket.set_write_timeout(Some(self.answer_within))?;
                    socket.set_read_timeout(Some(self.answer_within))?;
                    let stream = self.secured(socket)?;
                    return Ok(Link { stream, frames: Frames::default() });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn secured(&self, mut socket: TcpStream) -> io::Result<Stream> {
        let Some((config, name)) = &self.tls else { return Ok(Stream::Clear(socket)) };
        let refused = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut connection =
            ClientConnection::new(Arc::clone(config), name.clone()).map_err(refused)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// Sends the message and waits for its acknowledgement. Those of other messages are passed
    /// over: a receiver may answer twice, or late.
    fn exchange(&self, link: &mut Link, message: &Message) -> Result<Verdict, Failure> {
        link.stream.write(&frame(message.body.as_bytes())).map_err(Failure::Broken)?;
        let deadline = Instant::now() + self.answer_within;
        let mut others = 0_u32;
        let mut bytes = [0; 4096];
        loop {
            while let Some(answer) = link.frames.take() {
                match Acknowledgement::parse(&answer) {
                    Ok(ack) if ack.id != message.id => others += 1,
                    Ok(ack) => return Ok(verdict(&ack)),
                    Err(error) => {
                        return Ok(Verdict::Refused(format!("no acknowledgement came: {error}")));
                    }
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let waited = self.answer_within;
                let and = match others {
                    0 => String::new(),
                    others => format!("; {others} came for other control ids"),
                };
                return Err(Failure::Silent(format!("no acknowledgement within {waited:?}{and}")));
            }
            link.stream.socket().set_read_timeout(Some(left)).map_err(Failure::Broken)?;
            match link.stream.read(&mut bytes) {
                Ok(0) => return Err(Failure::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => link.frames.push(&bytes[..read]).map_err(Failure::Broken)?,
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(Failure::Broken(error)),
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

fn verdict(ack: &Acknowledgement) -> Verdict {
    let Acknowledgement { code, text, .. } = ack;
    match code.as_str() {
        "AA" => Verdict::Accepted,
        "AE" | "AR" => Verdict::Refused(format!("{code}: {text}")),
        other => Verdict::Refused(format!(
            "the acknowledgement's code is {other:?}, neither AA, AE nor AR: {text}"
        )),
    }
}

impl Destination for Mllp {
    fn send(&mut self, message: &Message) -> Verdict {
        // A receiver may have closed a connection that was idle: that is found here alone, and
        // says nothing of the receiver.
        let fresh = match self.link.take() {
            Some(mut link) => match self.exchange(&mut link, message) {
                Ok(verdict) => {
                    self.link = Some(link);
                    return verdict;
                }
                Err(Failure::Silent(why)) => return Verdict::Away(why),
                Err(Failure::Broken(_)) => self.connect(),
            },
            None => self.connect(),
        };
        let away = |doing: &str, error: &io::Error| {
            Verdict::Away(format!("{doing} {}:{}: {error}", self.host, self.port))
        };
        let mut link = match fresh {
            Ok(link) => link,
            Err(error) => return away("cannot connect to", &error),
        };
        match self.exchange(&mut link, message) {
            Ok(verdict) => {
                self.link = Some(link);
                verdict
            }
            Err(Failure::Silent(why)) => Verdict::Away(why),
            Err(Failure::Broken(error)) => away("the connection broke to", &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_whatever_the_reads() {
        let bytes =
            [b"noise".to_vec(), frame(b"MSH|1"), b"\r\n".to_vec(), frame(b"MSH|2")].concat();
        for step in 1..bytes.len() {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for part in bytes.chunks(step) {
                frames.push(part).unwrap();
                while let Some(frame) = frames.take() {
                    found.push(frame);
                }
            }
            assert_eq!(found, [b"MSH|1".to_vec(), b"MSH|2".to_vec()], "by {step}");
        }
    }

    #[test]
    fn an_endless_answer_is_refused() {
        let mut frames = Frames::default();
        frames.push(&[START]).unwrap();
        let endless = (0..40).try_for_each(|_| frames.push(&[b'x'; 4096]));
        assert!(endless.is_err());
    }
}
