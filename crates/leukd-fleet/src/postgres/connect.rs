//! Connections to PostgreSQL: where, as whom, and with which bounds.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};

use super::fault;
use super::tls::TlsFiles;
use crate::sink::SinkError;

/// Longest wait for a connection with its handshakes.
const CONNECT: Duration = Duration::from_secs(10);

/// Silence after which the kernel asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Where the store is, and how to get in.
#[derive(Debug, Clone)]
pub struct Address {
    config: Config,
    password_file: Option<PathBuf>,
    tls: TlsFiles,
    is_encrypted: bool,
}

impl Address {
    /// The address in `url`: `postgres://USER@HOST:PORT/DATABASE`. A host that is not this machine's
    /// requires TLS, whatever the URL says.
    ///
    /// # Errors
    /// One sentence that says what is wrong with it.
    pub fn new(url: &str, password_file: Option<PathBuf>, tls: TlsFiles) -> Result<Self, String> {
        let mut config: Config =
            url.parse().map_err(|error| format!("{error}; write postgres://USER@HOST/DATABASE"))?;
        if config.get_password().is_some() {
            return Err("a password does not belong into the URL: name a file with it".to_owned());
        }
        if config.get_user().is_none() {
            return Err("it names no user: write postgres://USER@HOST/DATABASE".to_owned());
        }
        let [host] = config.get_hosts() else {
            return Err("it must name one host: write postgres://USER@HOST/DATABASE".to_owned());
        };
        let is_local = match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        };
        let is_encrypted = !is_local || tls != TlsFiles::default();
        config.ssl_mode(if is_encrypted { SslMode::Require } else { SslMode::Disable });
        config
            .connect_timeout(CONNECT)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(30))
            .application_name("leukd")
            // What the server answered is on its disk, and nothing of a lost client stays behind.
            .options(
                "-c synchronous_commit=on -c statement_timeout=30s -c lock_timeout=20s \
                 -c idle_in_transaction_session_timeout=30s -c client_min_messages=warning",
            );
        Ok(Self { config, password_file, tls, is_encrypted })
    }

    /// The place in messages: without the user.
    #[must_use]
    pub fn place(&self) -> String {
        let host = match self.config.get_hosts() {
            [Host::Tcp(name)] => name.clone(),
            [Host::Unix(path)] => path.display().to_string(),
            _ => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!("{host}:{port}/{}", self.config.get_dbname().unwrap_or_default())
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// Reads the password and the certificates, as each connection does.
    ///
    /// # Errors
    /// One sentence that names the file.
    pub fn check_files(&self) -> Result<(), String> {
        self.password()?;
        if self.is_encrypted { self.tls.load().map(drop) } else { Ok(()) }
    }

    fn password(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let text = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(format!("{} is empty: it must hold the password", path.display()));
        }
        Ok(Some(password.to_owned()))
    }

    /// Opens a connection.
    pub(super) async fn connect(&self) -> Result<Open, SinkError> {
        let mut config = self.config.clone();
        if let Some(password) = self.password().map_err(SinkError::Refused)? {
            config.password(password);
        }
        let opening = async {
            if self.is_encrypted {
                let tls = self.tls.load().map_err(SinkError::Refused)?;
                let (client, connection) =
                    config.connect(tls).await.map_err(|error| self.failed(&error))?;
                Ok(Open::new(client, tokio::spawn(connection)))
            } else {
                let (client, connection) = config
                    .connect(tokio_postgres::NoTls)
                    .await
                    .map_err(|error| self.failed(&error))?;
                Ok(Open::new(client, tokio::spawn(connection)))
            }
        };
        let timed = tokio::time::timeout(CONNECT, opening).await;
        timed.unwrap_or_else(|_| {
            let seconds = CONNECT.as_secs();
            Err(SinkError::Away(format!("{} did not answer within {seconds} s", self.place())))
        })
    }

    fn failed(&self, error: &tokio_postgres::Error) -> SinkError {
        fault::of(&self.place(), error)
    }
}

/// An open connection. Its task ends with it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) client: Client,
    task: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Open {
    const fn new(client: Client, task: JoinHandle<Result<(), tokio_postgres::Error>>) -> Self {
        Self { client, task }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}
