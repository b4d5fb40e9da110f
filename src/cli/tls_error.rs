//! What a TLS failure means, and what to do about it.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::error::CliError;

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
                format!("the certificate of {url} is for another name: {words}; call it by that one")
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
