//! TLS towards the other side: rustls with ring.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// The largest file that is read, in bytes: far above any certificate chain.
const MAX_FILE: u64 = 1 << 20;

/// The files of TLS.
#[derive(Debug, Clone, Default)]
pub struct ClientKeys {
    /// The CA of the other side's certificate (PEM). None: those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key (PEM).
    pub own: Option<(PathBuf, PathBuf)>,
}

/// Files that do not work.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// A file holds something else.
    #[error("{0} holds no PEM section of a {1}")]
    Content(PathBuf, &'static str),
    /// This machine trusts nobody.
    #[error("this machine has no CA certificates: name the other side's with --to-ca")]
    NoRoots,
    /// The parts do not fit.
    #[error("certificate and key do not work: {0}")]
    Parts(#[from] rustls::Error),
}

/// The content of the files.
pub(crate) struct Loaded {
    pub(crate) roots: Vec<CertificateDer<'static>>,
    pub(crate) own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl ClientKeys {
    /// Whether a file is named.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.ca.is_some() || self.own.is_some()
    }

    pub(crate) fn load(&self) -> Result<Loaded, TlsError> {
        let roots = match &self.ca {
            Some(ca) => chain(ca)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let own = match &self.own {
            Some((cert, key)) => {
                let content = read(key)?;
                let key = PrivateKeyDer::from_pem_slice(&content)
                    .map_err(|_| TlsError::Content(key.clone(), "private key"))?;
                Some((chain(cert)?, key))
            }
            None => None,
        };
        Ok(Loaded { roots, own })
    }

    /// The configuration of a connection.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let Loaded { roots, own } = self.load()?;
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store);
        Ok(Arc::new(match own {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        }))
    }
}

/// The content of a small file.
pub(crate) fn read(file: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::new();
    fs_err::File::open(file)?.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(content)
}

fn chain(file: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = read(file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| TlsError::Content(file.to_owned(), "certificate"))
}
