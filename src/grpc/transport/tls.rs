//! The server's certificate, its key, and the CAs that sign clients' certificates.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::pem::{self, Wanted};
use crate::access::gate::ClientCertificate;
use crate::access::rules::is_plain;
use crate::result::{Digest, Timestamp};

/// Where keys lie.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The clients' CAs; none when no certificate is asked for.
    pub client_ca: Option<PathBuf>,
    /// Requirement of a client's certificate.
    pub client_required: bool,
}

/// Settings of a handshake.
#[derive(Debug)]
pub struct ServerKeys {
    pub(super) config: Arc<ServerConfig>,
    /// From when on the server's certificate is valid.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// SHA-256 of the server's certificate, as DER.
    pub fingerprint: Digest,
    /// The same of each CA that signs clients' certificates.
    pub client_cas: Vec<Digest>,
}

impl ServerKeys {
    /// True when clients accept the certificate at that time.
    #[must_use]
    pub fn is_valid(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }

    /// Whether they may take the place of `before` at the time `now`: a certificate that no client
    /// takes does not displace one that they do.
    ///
    /// # Errors
    /// Why not, in the words of a message.
    pub fn may_replace(&self, before: &Self, now: Timestamp) -> Result<(), String> {
        if self.is_valid(now) || !before.is_valid(now) {
            return Ok(());
        }
        Err(if now < self.not_before {
            format!("is valid only from {} on", self.not_before.to_rfc3339())
        } else {
            format!("ended at {}", self.not_after.to_rfc3339())
        })
    }
}

impl TlsFiles {
    /// Every file, in the order in which [`TlsFiles::load`] takes their contents.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    /// Makes ready what a handshake needs. TLS 1.2 and 1.3 with rustls' defaults.
    ///
    /// # Errors
    /// One sentence that names the file: no PEM, a key of another certificate, an unusable CA.
    pub fn load(&self, contents: &[Vec<u8>]) -> Result<ServerKeys, String> {
        let [certificate, key, client_ca @ ..] = contents else {
            return Err("a certificate and a key are needed".to_owned());
        };
        let shown = self.certificate.display();
        let texts =
            [(&self.certificate, certificate, Wanted::Certificate), (&self.key, key, Wanted::Key)];
        let texts = texts.into_iter().chain(
            self.client_ca.iter().zip(client_ca).map(|(path, ca)| (path, ca, Wanted::Certificate)),
        );
        for (path, content, wanted) in texts {
            if let Some(what) = pem::fault(path, content, wanted) {
                return Err(what);
            }
        }
        let chain = certificates(certificate)
            .map_err(|what| format!("{shown} holds no certificate that can be used: {what}"))?;
        let (not_before, not_after, fingerprint) = chain
            .first()
            .and_then(|first| Some((first, pem::read(first)?)))
            .ok_or_else(|| format!("{shown}: its first certificate cannot be read"))
            .and_then(|(der, first)| match pem::is_old(&first) {
                true => Err(format!("{shown} {}", pem::NEW_VERSION)),
                false => Ok((begin(&first), end(&first), Digest::of(der))),
            })?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            format!(
                "{} holds no private key that can be used: {}",
                self.key.display(),
                words(&error)
            )
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let mut client_cas = Vec::new();
        let builder = match (&self.client_ca, client_ca.first()) {
            (Some(path), Some(content)) => {
                let bad = |what: &dyn std::fmt::Display| {
                    format!("{} holds no CA that can be used: {what}", path.display())
                };
                let mut roots = rustls::RootCertStore::empty();
                for ca in certificates(content).map_err(|what| bad(&what))? {
                    client_cas.push(Digest::of(&ca));
                    roots.add(ca).map_err(|error| bad(&error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier =
                    if self.client_required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| bad(&error))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let place = key_place(&chain, &key, builder.crypto_provider());
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                pem::mismatch(&self.certificate, &self.key, place)
            }
            other => format!("{shown} with {}: {other}", self.key.display()),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Every connection is checked anew: they live long, and a resumed one would be checked
        // less.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let config = Arc::new(config);
        Ok(ServerKeys { config, not_before, not_after, fingerprint, client_cas })
    }
}

/// The place in the chain of the certificate that the key belongs to.
fn key_place(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    provider: &rustls::crypto::CryptoProvider,
) -> Option<usize> {
    let key = provider.key_provider.load_private_key(key.clone_key()).ok()?;
    chain.iter().position(|certificate| {
        CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key)).keys_match().is_ok()
    })
}

fn certificates(content: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err("there is no PEM section CERTIFICATE in it".to_owned())
        }
        Ok(found) => Ok(found),
        Err(error) => Err(words(&error)),
    }
}

fn words(error: &PemError) -> String {
    match error {
        PemError::NoItemsFound => "there is no such PEM section in it".to_owned(),
        other => other.to_string(),
    }
}

fn begin(certificate: &X509Certificate<'_>) -> Timestamp {
    Timestamp(certificate.validity().not_before.timestamp().saturating_mul(1000))
}

fn end(certificate: &X509Certificate<'_>) -> Timestamp {
    Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000))
}

/// Who a client is, by a certificate that TLS has checked: the first DNS name, else the first URI
/// or e-mail address, else the common name. None when it has no name that can stand in a log.
pub(super) fn client(certificate: &CertificateDer<'_>) -> Option<ClientCertificate> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.map(|names| names.value.general_names.as_slice());
    let first = |wanted: fn(&GeneralName<'_>) -> Option<String>| {
        alternatives.unwrap_or_default().iter().find_map(wanted)
    };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    let other = |name: &GeneralName<'_>| match name {
        GeneralName::URI(name) | GeneralName::RFC822Name(name) => Some((*name).to_owned()),
        _ => None,
    };
    let common = || {
        let name = certificate.subject().iter_common_name().next()?;
        name.as_str().ok().map(str::to_owned)
    };
    let name = first(dns).or_else(|| first(other)).or_else(common)?;
    is_plain(&name).then(|| ClientCertificate { name, not_after: end(&certificate) })
}
