//! The settings themselves: one checked struct, each field with its default.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use crate::ingest::watch::{Watch, WatchMode};
pub use crate::journal::images::KeepImages;
use serde::{Deserialize, Serialize};

use super::files::{FileMode, KeyFile};
use super::units::{Bytes, Span};

/// Everything that an administrator can set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `[watch]`
    pub watch: Watch,
    /// `[image]`
    pub image: Image,
    /// `[model]`
    pub model: Model,
    /// `[decision]`
    pub decision: Decision,
    /// `[specimen]`
    pub specimen: Specimen,
    /// `[workers]`
    pub workers: Workers,
    /// `[journal]`
    pub journal: Journal,
    /// `[forward]`
    pub forward: Forward,
    /// `[rpc]`
    pub rpc: Rpc,
    /// `[tls]`
    pub tls: Tls,
    /// `[access]`
    pub access: Access,
    /// `[page]`
    pub page: Page,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[log]`
    pub log: Log,
}

/// Limits on what is decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// The largest file.
    pub max_file: Bytes,
    /// The most pixels along either side.
    pub max_side: u32,
    /// The most memory that decoding one picture may take.
    pub max_memory: Bytes,
}

impl Default for Image {
    fn default() -> Self {
        Self { max_file: Bytes::mib(64), max_side: 8192, max_memory: Bytes::mib(256) }
    }
}

/// The model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// The bundle. Absent: the one inside the binary.
    pub bundle: Option<PathBuf>,
    /// The folder from which `ReloadModel` may load by file name. Absent: the bundle's own folder.
    pub folder: Option<PathBuf>,
    /// `fused` (leukd's own operators where they fit the network) or `stock` (tract's alone).
    pub engine: Engine,
    /// Whose bundles may serve: minisign public keys, as text or as the absolute paths of their
    /// files.
    pub trusted_keys: Vec<String>,
    /// Bundles that may serve though no trusted key signed them: file names, or `sha256:` and the
    /// digest.
    pub allow_unsigned: Vec<String>,
    /// The largest bundle.
    pub max_file: Bytes,
    /// The most memory that a network may need.
    pub max_memory: Bytes,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            bundle: None,
            folder: None,
            engine: Engine::default(),
            trusted_keys: Vec::new(),
            allow_unsigned: Vec::new(),
            max_file: Bytes::mib(512),
            max_memory: Bytes::mib(2048),
        }
    }
}

/// Which operators run the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// leukd's own fused operators where they fit the network, tract's for the rest
    #[default]
    Fused,
    /// tract's operators alone
    Stock,
}

/// Settings of the decision.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decision {
    /// A band `[lower, upper)` of P(all) whose cells a person looks at, besides the model's own:
    /// the hull of both is in force. It contains the model's threshold. Absent: the model's band
    /// alone.
    pub review: Option<(f64, f64)>,
}

/// Settings of specimens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Specimen {
    /// Blast fractions, each above 0 and below 1, ascending, at most 8: `GetSpecimen` says for each
    /// whether the specimen's interval lies above it, below it or around it.
    pub flags: Vec<f64>,
    /// Subscribers get an event with its counts once nothing more has come of it for this long.
    /// Zero: not for that reason.
    pub quiet_after: Span,
    /// Or as soon as a file appears in an export folder whose name matches this glob; letter case
    /// does not matter. The specimen's name is what `watch.name_pattern` finds in the file's name,
    /// or else that name without its extension. Absent: none does.
    pub done_marker: Option<String>,
    /// The number of people who must sign a specimen: 1 or 2.
    pub sign_off_readers: u32,
}

impl Default for Specimen {
    fn default() -> Self {
        Self {
            flags: vec![0.2, 0.25],
            quiet_after: Span::from_secs(600),
            done_marker: None,
            sign_off_readers: 1,
        }
    }
}

/// The threads that run the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    /// Number of workers. 0: one for each physical core.
    pub threads: u32,
    /// Requests that may wait before more are refused.
    pub interactive_queue: u32,
    /// Folder captures that may wait in memory; the others wait on disk.
    pub backlog_queue: u32,
}

impl Default for Workers {
    fn default() -> Self {
        Self { threads: 0, interactive_queue: 64, backlog_queue: 64 }
    }
}

/// Settings of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// The state folder: leukd's own, writable. systemd's `STATE_DIRECTORY` where it is set.
    pub directory: PathBuf,
    /// Results and all other events older than this are removed. Absent: kept for ever.
    pub keep_for: Option<Span>,
    /// No more than this many results and other events are kept. Absent: all.
    pub keep_count: Option<u64>,
    /// Below this much free disk, captures wait instead of being stored.
    pub disk_floor: Bytes,
    /// Which images are kept in the state folder, for a later training and for heat maps.
    pub keep_images: KeepImages,
    /// The most that they may take. Nothing more is kept then.
    pub max_images: Bytes,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/leukd"),
            keep_for: None,
            keep_count: None,
            disk_floor: Bytes::mib(256),
            keep_images: KeepImages::default(),
            max_images: Bytes::mib(10 * 1024),
        }
    }
}

/// The laboratory's store that the journal is copied into.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// The name of this workstation in the store. Absent: nothing is forwarded.
    pub site: Option<String>,
    /// Where the store is: `postgres://USER@HOST/DATABASE`. A host that is not this machine requires
    /// TLS.
    pub url: Option<String>,
    /// The file with the user's password.
    pub password_file: Option<KeyFile>,
    /// The CA, or CAs, that the store's certificate must come from: PEM. Absent: the system's.
    pub ca: Option<KeyFile>,
    /// This workstation's certificate, where the store asks for one: PEM.
    pub certificate: Option<KeyFile>,
    /// Its private key: PEM.
    pub key: Option<KeyFile>,
}

/// The gRPC face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rpc {
    /// Address and port; port 0 takes any free one. A non-loopback address requires `[tls]` and
    /// authentication.
    pub listen: SocketAddr,
    /// Serve on `listen`. Off: the socket alone.
    pub tcp: bool,
    /// The Unix socket to serve on too: an absolute path. Absent: none.
    pub socket: Option<PathBuf>,
    /// The socket's permissions.
    pub socket_mode: FileMode,
    /// Limit on open connections. One address may have three quarters of them.
    pub max_connections: u32,
    /// The largest image that a request may carry.
    pub max_image_bytes: Bytes,
    /// Silence after which a subscription gets a heartbeat.
    pub heartbeat: Span,
    /// Events that may wait for one subscriber.
    pub subscriber_buffer: u32,
    /// A subscriber that takes nothing for this long is dropped.
    pub slow_after: Span,
    /// Limit on open subscriptions.
    pub max_subscribers: u32,
    /// Longest wait of a stop for open requests and streams.
    pub drain: Span,
}

impl Default for Rpc {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50051),
            tcp: true,
            socket: None,
            socket_mode: FileMode(0o660),
            max_connections: 2048,
            max_image_bytes: Bytes::mib(16),
            heartbeat: Span::from_secs(15),
            subscriber_buffer: 256,
            slow_after: Span::from_secs(30),
            max_subscribers: 1024,
            drain: Span::from_secs(10),
        }
    }
}

/// Encryption, and proof of who is at either end. Without a certificate there is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The server's certificate and those between it and its CA: PEM.
    pub certificate: Option<KeyFile>,
    /// Its private key: PEM.
    pub key: Option<KeyFile>,
    /// The CA, or CAs, that sign clients' certificates: PEM. Absent: none is asked for.
    pub client_ca: Option<KeyFile>,
    /// Requirement of a client's certificate, with `client_ca`.
    pub client: ClientAuth,
}

/// Requirement of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// Without one there is no connection.
    #[default]
    Required,
    /// A client may show a token instead.
    Optional,
}

/// Settings of access: the file and the limits of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Tokens, certificates and users with their scopes. Absent: no caller needs a token.
    pub file: Option<KeyFile>,
    /// Limit on a client's open requests.
    pub max_requests: u32,
    /// Limit on a client's open streams.
    pub max_streams: u32,
    /// Limit on the bytes of a client's unanswered requests.
    pub max_bytes: Bytes,
}

impl Default for Access {
    fn default() -> Self {
        Self { file: None, max_requests: 128, max_streams: 256, max_bytes: Bytes::mib(256) }
    }
}

/// The web page for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    /// Serve the page.
    pub enabled: bool,
    /// Address and port, loopback only; port 0 takes any free one.
    pub listen: SocketAddr,
    /// A session without a click or a key for this long ends.
    pub lock_after: Span,
    /// Hide leukd's suggestion in the review queue until the reader has answered.
    pub blind_first: bool,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            lock_after: Span::from_secs(1800),
            blind_first: false,
        }
    }
}

/// The endpoint for Prometheus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Serve `GET /metrics`.
    pub enabled: bool,
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Allow an address that other machines can reach: there is neither TLS nor a password on it.
    pub allow_remote: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464),
            allow_remote: false,
        }
    }
}

/// The log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `tracing`'s filter syntax: `info`, `leukd=debug,info`, …
    pub level: String,
    /// `auto` (text; without times under systemd, whose journal has its own), `text` or `json`.
    pub format: LogFormat,
    /// An OpenTelemetry collector on this machine that spans are sent to over gRPC,
    /// `http://127.0.0.1:4317`. Absent: none. Only in builds with the feature `otlp`.
    pub otlp: Option<String>,
}

/// Formats of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text; without times under systemd.
    Auto,
    /// Text with times.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto, otlp: None }
    }
}
