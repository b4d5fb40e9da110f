//! The way to a running daemon.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::error::CliError;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// Which daemon.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ServerArgs {
    /// The daemon's address
    #[arg(
        long,
        value_name = "URL",
        env = "LEUKD_SERVER",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(super) server: String,
}

impl ServerArgs {
    /// Connects.
    ///
    /// # Errors
    /// The address is none ([`CliError::Usage`]), or nothing answers there ([`CliError::Unavailable`]).
    pub(super) async fn connect(&self) -> Result<Channel, CliError> {
        let url = if self.server.contains("://") {
            self.server.clone()
        } else {
            format!("http://{}", self.server)
        };
        if !url.starts_with("http://") {
            return Err(CliError::Usage(format!(
                "{url}: write http://HOST:PORT; this leukd speaks no TLS"
            )));
        }
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|_| CliError::Usage(format!("{url:?} is no address: write http://HOST:PORT")))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            // Behind a tunnel a dead peer is found by pings alone.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        endpoint.connect().await.map_err(|error| {
            CliError::Unavailable(format!(
                "no leukd answers at {url} ({}): start it with `systemctl start leukd` or `leukd serve`, or \
                 name another with --server or LEUKD_SERVER",
                innermost(&error)
            ))
        })
    }

    /// What a call's refusal means for the command, as one error for people.
    #[must_use]
    pub(super) fn refused(&self, code: Code, message: &str) -> CliError {
        let text = format!("leukd at {}: {}", self.server, super::output::clean(message));
        match code {
            Code::InvalidArgument => CliError::Usage(text),
            Code::NotFound => CliError::NoInput(text),
            Code::OutOfRange | Code::FailedPrecondition => CliError::Data(text),
            Code::Unavailable
            | Code::ResourceExhausted
            | Code::Aborted
            // What tonic calls it when a call's own time limit has passed.
            | Code::Cancelled
            | Code::DeadlineExceeded => CliError::Unavailable(format!("{text}; try again")),
            Code::Unimplemented => CliError::Unavailable(format!(
                "{text}; the daemon is of another version than this program"
            )),
            other => CliError::Software(format!("{text} ({other:?}); the daemon's log says more")),
        }
    }
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
/// The operating system gives none.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Io(format!("cannot start the async runtime: {error}")))
}

/// A request that fails when its answer takes longer than `limit`.
pub(super) fn request<T>(message: T, limit: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(limit);
    request
}
