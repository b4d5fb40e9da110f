//! Meanings of TLS failures, and what to do about them.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError, RootCertStore};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tonic::codegen::http::Uri;

use super::error::CliError;

/// The client's TLS files, each PEM.
#[derive(Debug)]
pub(super) struct Keys {
    /// The CA that signed the server's certificate; none for those that this machine trusts.
    pub(super) ca: Option<Vec<u8>>,
    /// Our own certificate and its key.
    pub(super) own: Option<(Vec<u8>, Vec<u8>)>,
}

/// Connects once more, to hear why the server ended a connection that seemed to stand.
pub(super) async fn ask_why(uri: &Uri, keys: Keys) -> Option<CliError> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await.ok()?;
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config(keys)?));
    let url = format!("https://{}", uri.authority()?);
    match connector.connect(name, tcp).await {
        // What a server that takes our certificate sends first is none of ours.
        Ok(mut stream) => stream.read_u8().await.err().and_then(|error| explain(&url, &error)),
        Err(error) => explain(&url, &error),
    }
}

fn config(keys: Keys) -> Option<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match keys.ca {
        Some(ca) => {
            let found: Vec<_> =
                CertificateDer::pem_slice_iter(&ca).filter_map(Result::ok).collect();
            roots.add_parsable_certificates(found);
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().ok()?.with_root_certificates(roots);
    let mut config = match keys.own {
        Some((certificate, key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
            let key = PrivateKeyDer::from_pem_slice(&key).ok()?;
            builder.with_client_auth_cert(chain.ok()?, key).ok()?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Some(config)
}

/// The command's error, where the cause was TLS.
pub(super) fn explain(url: &str, error: &(dyn Error + 'static)) -> Option<CliError> {
    let (tls, words) = find(error)?;
    Some(match tls {
        TlsError::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                CliError::NoPermission(format!(
                    "{url} asks for a certificate of ours: name it with --cert and --key"
                ))
            }
            AlertDescription::CertificateExpired => CliError::NoPermission(format!(
                "{url} refuses our certificate (--cert): it has expired; ask for a new one"
            )),
            AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied => CliError::NoPermission(format!(
                "{url} refuses our certificate ({alert:?}): --cert must be signed by the CA of its tls.client_ca, and be \
                 meant for clients"
            )),
            other => CliError::Unavailable(format!("{url} ended the TLS handshake: {other:?}")),
        },
        TlsError::InvalidCertificate(what) => CliError::Unavailable(match what {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "nobody we trust has signed the certificate of {url}: name the file of its CA with --ca; if that is the \
                 one that you name, this is not the leukd that you mean"
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "the certificate of {url} has expired: its administrator must renew it ({words})"
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate of {url} is not valid yet: is this machine's clock right? ({words})"
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!(
                    "the certificate of {url} is for another name: {words}; call it by that one"
                )
            }
            _ => format!("the certificate of {url} cannot be trusted: {words}"),
        }),
        TlsError::InvalidMessage(_) => CliError::Unavailable(format!(
            "{url} does not speak TLS: write http://… if it is on this machine"
        )),
        _ => CliError::Unavailable(format!("no TLS with {url}: {words}")),
    })
}

/// TLS's own error in a chain of causes.
fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<(&'a TlsError, String)> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // std::io::Error shows what it wraps by `get_ref` alone.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = error
            .downcast_ref::<TlsError>()
            .or_else(|| wrapped.and_then(|wrapped| wrapped.downcast_ref::<TlsError>()));
        if let Some(tls) = tls {
            return Some((tls, tls.to_string()));
        }
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
