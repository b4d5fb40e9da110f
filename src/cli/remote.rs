//! The way to a running daemon.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::error::CliError;
use super::output::clean;
use super::tls_error::{self, Keys};
use crate::access::kept;

/// Limit on the wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The daemon's address and the client's credentials.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct ServerArgs {
    /// The daemon: http://HOST:PORT, https://HOST:PORT or unix:/run/leukd/leukd.sock
    #[arg(
        long,
        value_name = "URL",
        env = "LEUKD_SERVER",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(super) server: String,
    /// The CA of the daemon's certificate (PEM) [default: those that this machine trusts]
    #[arg(long, value_name = "FILE", env = "LEUKD_CA")]
    ca: Option<PathBuf>,
    /// The client's certificate (PEM)
    #[arg(long, value_name = "FILE", env = "LEUKD_CERT", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of --cert (PEM)
    #[arg(long, value_name = "FILE", env = "LEUKD_KEY", requires = "cert")]
    key: Option<PathBuf>,
    /// A file with the client's token; the variable LEUKD_TOKEN may hold the token itself
    #[arg(long, value_name = "FILE", env = "LEUKD_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// A connection whose calls carry the client's token, if it has one.
pub(super) type Connection = InterceptedService<Channel, Bearer>;

/// Shows the token.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

/// Connection settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Clear,
    Tls,
    Socket,
}

impl ServerArgs {
    /// Connects.
    ///
    /// # Errors
    /// [`CliError::Usage`], [`CliError::NoInput`] or [`CliError::Data`] for a bad address or file;
    /// [`CliError::Unavailable`] when nothing answers, or not the daemon of the certificate;
    /// [`CliError::NoPermission`] when it requires another client certificate.
    pub(super) async fn connect(&self) -> Result<Connection, CliError> {
        let (url, way) = self.url()?;
        let bearer = self.bearer()?;
        let no_address = || {
            CliError::Usage(format!(
                "{url:?} is no address: write http://HOST:PORT, https://HOST:PORT or unix:/PATH"
            ))
        };
        let mut endpoint = Endpoint::from_shared(url.clone()).map_err(|_| no_address())?;
        if way == Way::Clear && bearer.0.is_some() && !is_loopback(&endpoint) {
            return Err(CliError::Usage(format!(
                "the token would cross the network to {url} in the clear: write https://…"
            )));
        }
        if way == Way::Tls {
            endpoint = endpoint.tls_config(self.tls()?).map_err(|error| {
                CliError::Data(format!("TLS cannot be set up: {}", innermost(&error)))
            })?;
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            // Behind a tunnel a dead peer is found by pings alone.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        let channel = endpoint.connect().await.map_err(|error| {
            tls_error::explain(&url, &error).unwrap_or_else(|| {
                CliError::Unavailable(format!(
                    "no leukd answers at {url} ({}): start it with `systemctl start leukd` or `leukd serve`, or \
                     name another with --server or LEUKD_SERVER",
                    innermost(&error)
                ))
            })
        })?;
        if way == Way::Tls {
            // With TLS 1.3 a server refuses our certificate after the connection stands; the call
            // that is under way then hears of a broken connection alone. Health takes no scope.
            let mut health = HealthClient::new(channel.clone());
            let asked = health.check(HealthCheckRequest::default());
            let asked = tokio::time::timeout(CONNECT, asked).await;
            if matches!(&asked, Ok(Err(status)) if std::error::Error::source(status).is_some())
                && let Ok(Some(error)) =
                    tokio::time::timeout(CONNECT, tls_error::ask_why(endpoint.uri(), self.keys()?))
                        .await
            {
                return Err(error);
            }
        }
        Ok(InterceptedService::new(channel, bearer))
    }

    /// Checks the address and the files, without a connection.
    ///
    /// # Errors
    /// [`CliError::Usage`], [`CliError::NoInput`] or [`CliError::Data`] for a bad one.
    pub(super) fn check(&self) -> Result<(), CliError> {
        self.url()?;
        self.bearer()?;
        self.keys().map(drop)
    }

    fn url(&self) -> Result<(String, Way), CliError> {
        let server = &self.server;
        let given = self.ca.is_some() || self.cert.is_some();
        let (url, way) = if server.starts_with("unix:") {
            (server.clone(), Way::Socket)
        } else if server.starts_with("https://") {
            (server.clone(), Way::Tls)
        } else if server.starts_with("http://") {
            (server.clone(), Way::Clear)
        } else if server.contains("://") {
            let wanted = "write http://HOST:PORT, https://HOST:PORT or unix:/PATH";
            return Err(CliError::Usage(format!("{server:?} is no address of a leukd: {wanted}")));
        } else {
            // A CA implies TLS.
            let way = if given { Way::Tls } else { Way::Clear };
            (format!("{}://{server}", if given { "https" } else { "http" }), way)
        };
        if given && way == Way::Clear {
            let wanted = "--ca and --cert are for TLS: write https://HOST:PORT";
            return Err(CliError::Usage(format!("{server}: {wanted}")));
        }
        Ok((url, way))
    }

    /// The files of TLS.
    fn keys(&self) -> Result<Keys, CliError> {
        let ca = self.ca.as_deref().map(|file| pem(file, "CERTIFICATE")).transpose()?;
        let own = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((pem(cert, "CERTIFICATE")?, pem(key, "PRIVATE KEY")?)),
            _ => None,
        };
        Ok(Keys { ca, own })
    }

    fn tls(&self) -> Result<ClientTlsConfig, CliError> {
        let Keys { ca, own } = self.keys()?;
        let tls = match ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        Ok(match own {
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
            None => tls,
        })
    }

    /// The client's token: from the file, or else from the variable.
    fn bearer(&self) -> Result<Bearer, CliError> {
        let (token, from) = match &self.token_file {
            Some(file) => {
                let content = read(file)?;
                (String::from_utf8_lossy(&content).into_owned(), file.display().to_string())
            }
            None => match std::env::var("LEUKD_TOKEN") {
                Ok(token) if !token.trim().is_empty() => (token, "LEUKD_TOKEN".to_owned()),
                _ => return Ok(Bearer(None)),
            },
        };
        let token = token.trim();
        let value = MetadataValue::try_from(format!("Bearer {token}")).ok();
        match value {
            Some(mut value) if !token.is_empty() && !token.contains(char::is_whitespace) => {
                value.set_sensitive(true);
                Ok(Bearer(Some(value)))
            }
            _ => Err(CliError::Data(format!(
                "{from} holds no token: put in the one line that `leukd token new` printed"
            ))),
        }
    }

    /// The command's error for a refused call.
    #[must_use]
    pub(super) fn refused(&self, code: Code, message: &str) -> CliError {
        let text = format!("leukd at {}: {}", self.server, clean(message));
        match code {
            Code::InvalidArgument => CliError::Usage(text),
            Code::NotFound => CliError::NoInput(text),
            Code::OutOfRange | Code::FailedPrecondition | Code::AlreadyExists => {
                CliError::Data(text)
            }
            Code::Unauthenticated => CliError::NoPermission(format!(
                "{text}; name a file with a token with --token-file, or put it into LEUKD_TOKEN"
            )),
            Code::PermissionDenied => CliError::NoPermission(text),
            Code::Unavailable
            | Code::ResourceExhausted
            | Code::Aborted
            // tonic's code for a call whose own deadline passed.
            | Code::Cancelled
            | Code::DeadlineExceeded => CliError::Unavailable(format!("{text}; try again")),
            Code::Unimplemented => CliError::Unavailable(format!(
                "{text}; the daemon is of another version than this program"
            )),
            // tonic's own words where what came back was no gRPC at all, or nothing more.
            Code::Internal | Code::Unknown
                if message.starts_with("h2 protocol error") || message == "transport error" =>
            {
                CliError::Unavailable(format!(
                    "{text}: the connection broke, or what listens there is no leukd that is spoken to like this; a port with \
                     TLS wants https://, and the metrics have a port of their own"
                ))
            }
            other => CliError::Software(format!("{text} ({other:?}); the daemon's log says more")),
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    kept::content(file).map_err(CliError::NoInput)
}

/// A PEM file, which holds at least one such section.
fn pem(file: &Path, section: &str) -> Result<Vec<u8>, CliError> {
    let content = read(file)?;
    let text = String::from_utf8_lossy(&content);
    let marks = |line: &str| line.starts_with("-----BEGIN ") && line.contains(section);
    if text.lines().any(marks) {
        Ok(content)
    } else {
        let shown = file.display();
        Err(CliError::Data(format!("{shown} holds no PEM section {section}")))
    }
}

fn is_loopback(endpoint: &Endpoint) -> bool {
    let host = endpoint.uri().host().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// The cause at the bottom: "Connection refused" says more than "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// A runtime for one client: everything on this thread.
///
/// # Errors
/// The operating system refuses one.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Io(format!("cannot start the async runtime: {error}")))
}

/// A request that fails after `limit` without an answer.
pub(super) fn request<T>(message: T, limit: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(limit);
    request
}
