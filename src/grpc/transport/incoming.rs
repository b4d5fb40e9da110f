//! Accepts connections, greets those who come over TLS, and turns away what is too much.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::Error as TlsError;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;

use super::connection::{Carrier, Connection, Socket};
use super::count::{Count, Ticket};
use super::listen::{Listeners, UnixSocket};
use super::tls::{self, ServerKeys};
use crate::access::gate::Peer;
use crate::access::kept::Kept;
use crate::access::place::Place;
use crate::access::refusals::Refusals;

/// Limit on a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Limits on handshakes in progress, in all and of one address.
const HANDSHAKES: usize = 256;
const HANDSHAKES_OF_ONE: usize = 32;
/// Accepted connections that wait for the server.
const READY: usize = 64;
/// The pause after the system gave no connection, for want of file descriptors say.
const PAUSE: Duration = Duration::from_millis(200);
/// Interval of that log line.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// The connections that may carry calls, as they come. Listening ends when this is dropped.
#[derive(Debug)]
pub struct Incoming(mpsc::Receiver<io::Result<Connection>>);

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl Incoming {
    /// Accepts on `listeners`, with TLS where there are keys. At most `most` connections are open
    /// at once.
    #[must_use]
    pub fn start(
        listeners: Listeners,
        keys: Option<Arc<Kept<ServerKeys>>>,
        most: u32,
        refusals: &Refusals,
    ) -> Self {
        let (ready, connections) = mpsc::channel(READY);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let door = Door {
            ready,
            open: Count::new(most, most.div_ceil(4).saturating_mul(3)),
            greeting: Count::new(HANDSHAKES, HANDSHAKES_OF_ONE),
            refusals: refusals.clone(),
        };
        if let Some(tcp) = listeners.tcp {
            tokio::spawn(door.clone().accept_tcp(tcp, keys));
        }
        if let Some(unix) = listeners.unix {
            tokio::spawn(door.accept_unix(unix));
        }
        Self(connections)
    }
}

#[derive(Debug, Clone)]
struct Door {
    ready: mpsc::Sender<io::Result<Connection>>,
    open: Count,
    greeting: Count,
    refusals: Refusals,
}

impl Door {
    async fn accept_tcp(self, listener: TcpListener, keys: Option<Arc<Kept<ServerKeys>>>) {
        let mut told = None;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.ready.closed() => return,
            };
            let (tcp, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.none(&error, &mut told).await;
                    continue;
                }
            };
            let place = Place::of(address.ip());
            let Some(open) = self.open.take(place) else {
                self.too_many(&Peer::Tcp { address, certificate: None });
                continue;
            };
            // Without it a client's delayed acknowledgement holds an answer, or leave to send on,
            // back for 40 ms.
            if let Err(error) = tcp.set_nodelay(true) {
                tracing::debug!("{address}: {error}");
            }
            let Some(keys) = &keys else {
                let peer = Peer::Tcp { address, certificate: None };
                self.enter(Connection::new(Carrier::Tcp(tcp), peer, open)).await;
                continue;
            };
            let Some(greeting) = self.greeting.take(place) else {
                let peer = Peer::Tcp { address, certificate: None };
                let message = format!(
                    "{HANDSHAKES_OF_ONE} TLS handshakes of one address, or {HANDSHAKES} of all, are under way"
                );
                self.refusals.note(&peer.place(), "", "TOO_MANY_HANDSHAKES", &message);
                continue;
            };
            let acceptor = TlsAcceptor::from(Arc::clone(&keys.current().config));
            tokio::spawn(self.clone().greet(acceptor, tcp, address, open, greeting));
        }
    }

    async fn accept_unix(self, socket: UnixSocket) {
        let mut told = None;
        loop {
            let accepted = tokio::select! {
                accepted = socket.listener.accept() => accepted,
                () = self.ready.closed() => return,
            };
            match accepted.and_then(|(unix, _)| Ok((unix.peer_cred()?.uid(), unix))) {
                Ok((uid, unix)) => {
                    let peer = Peer::Unix { uid };
                    match self.open.take(Place::User(uid)) {
                        Some(open) => {
                            self.enter(Connection::new(
                                Carrier::Unix(Socket::new(unix)),
                                peer,
                                open,
                            ))
                            .await;
                        }
                        None => self.too_many(&peer),
                    }
                }
                Err(error) => self.none(&error, &mut told).await,
            }
        }
    }

    /// One TLS handshake in its own task: one that never ends delays no other.
    async fn greet(
        self,
        acceptor: TlsAcceptor,
        tcp: TcpStream,
        address: SocketAddr,
        open: Ticket,
        greeting: Ticket,
    ) {
        let greeted = tokio::select! {
            greeted = tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)) => greeted,
            () = self.ready.closed() => return,
        };
        let place = Peer::Tcp { address, certificate: None }.place();
        let greeted = match greeted {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(error)) => {
                let (reason, message) = why(&error);
                self.refusals.note(&place, "", reason, &message);
                return;
            }
            Err(_) => {
                let message =
                    format!("a TLS handshake did not end within {} s", HANDSHAKE.as_secs());
                self.refusals.note(&place, "", "TLS_HANDSHAKE", &message);
                return;
            }
        };
        let certificate = match identity(&greeted) {
            Ok(certificate) => certificate,
            Err(message) => {
                self.refusals.note(&place, "", "TLS_CLIENT_CERTIFICATE", message);
                return;
            }
        };
        let peer = Peer::Tcp { address, certificate };
        self.enter(Connection::new(Carrier::Tls(Box::new(greeted)), peer, open)).await;
        drop(greeting);
    }

    async fn enter(&self, connection: Connection) {
        // Fails only when the server has stopped taking any.
        let _ = self.ready.send(Ok(connection)).await;
    }

    fn too_many(&self, peer: &Peer) {
        let message = "as many connections are open as rpc.max_connections allows, or one address holds three quarters of them";
        self.refusals.note(&peer.place(), "", "TOO_MANY_CONNECTIONS", message);
    }

    async fn none(&self, error: &io::Error, told: &mut Option<Instant>) {
        // A client that leaves before the handshake is no shortage.
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            *told = Some(Instant::now());
            tracing::error!(
                "the system gives no connection: {error}; clients wait until it does (LimitNOFILE= of the unit)"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = self.ready.closed() => {}
        }
    }
}

/// The client's name; none without a certificate.
fn identity(
    stream: &TlsStream<TcpStream>,
) -> Result<Option<crate::access::gate::ClientCertificate>, &'static str> {
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    match shown {
        None => Ok(None),
        Some(certificate) => tls::client(certificate).map(Some).ok_or(
            "the client's certificate has no DNS name, URI, e-mail address or common name that can be used",
        ),
    }
}

/// rustls has no variant for it.
fn what_is_old(what: &rustls::CertificateError) -> bool {
    format!("{what:?}").contains("UnsupportedCertVersion")
}

/// A failed handshake in words, with its stable word.
fn why(error: &io::Error) -> (&'static str, String) {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    match tls {
        Some(TlsError::NoCertificatesPresented) => (
            "TLS_CLIENT_CERTIFICATE",
            "the client showed no certificate, and tls.client requires one".to_owned(),
        ),
        Some(TlsError::InvalidCertificate(what)) if what_is_old(what) => (
            "TLS_CLIENT_CERTIFICATE",
            "the client's certificate is of X.509 version 1: sign its request again with extensions (openssl x509 -req \
             … -extfile client.ext, where client.ext holds extendedKeyUsage=clientAuth)"
                .to_owned(),
        ),
        Some(TlsError::InvalidCertificate(what)) => {
            ("TLS_CLIENT_CERTIFICATE", format!("the client's certificate is refused: {what}"))
        }
        Some(TlsError::AlertReceived(alert)) => (
            "TLS_HANDSHAKE",
            format!(
                "the client refused the handshake ({alert:?}): it may not know the CA of tls.certificate"
            ),
        ),
        Some(other) => ("TLS_HANDSHAKE", format!("no TLS handshake: {other}")),
        None => ("TLS_HANDSHAKE", format!("no TLS handshake: {error}")),
    }
}
