//! Certificates, tokens and clients that use them. Every test makes its own.

use std::path::{Path, PathBuf};

use leukd::access::Scope;
use leukd::access::edit::{self, Entry};
use leukd::access::token::Token;
use leukd::clock::Clock;
use leukd::config::settings::Settings;
use leukd::result::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::PATIENCE;

/// A certificate with its key, both PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    /// Writes both into a folder, as NAME.pem and NAME.key.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) =
            (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        (certificate, key)
    }

    pub fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

/// A CA.
pub struct Ca {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// The certificate of a server called localhost and 127.0.0.1.
    pub fn server(&self) -> Pair {
        self.sign(params(&["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// The same, ended.
    pub fn ended_server(&self) -> Pair {
        let names = ["localhost", "127.0.0.1"];
        self.sign(ended(params(&names, ExtendedKeyUsagePurpose::ServerAuth)))
    }

    /// The same, which begins in a far future.
    pub fn future_server(&self) -> Pair {
        let mut params = params(&["localhost", "127.0.0.1"], ExtendedKeyUsagePurpose::ServerAuth);
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
        self.sign(params)
    }

    /// The certificate of a client with this DNS name.
    pub fn client(&self, name: &str) -> Pair {
        self.sign(params(&[name], ExtendedKeyUsagePurpose::ClientAuth))
    }

    pub fn ended_client(&self, name: &str) -> Pair {
        self.sign(ended(params(&[name], ExtendedKeyUsagePurpose::ClientAuth)))
    }

    /// Of a client that has no alternative names but these, and this common name.
    pub fn client_named(&self, common: &str, names: Vec<SanType>) -> Pair {
        let mut params = params(&[], ExtendedKeyUsagePurpose::ClientAuth);
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = names;
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

fn params(names: &[&str], purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.extended_key_usages = vec![purpose];
    params
}

fn ended(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

/// Lets a daemon speak TLS with a certificate of `ca`, whose files are then server.pem and
/// server.key.
pub fn speak_tls(settings: &mut Settings, folder: &Path, ca: &Ca) {
    let (certificate, key) = ca.server().write(folder, "server");
    settings.tls.certificate = Some(certificate.into());
    settings.tls.key = Some(key.into());
}

/// Lets it ask for certificates of clients that `ca` has signed.
pub fn ask_for_certificates(settings: &mut Settings, folder: &Path, ca: &Ca) {
    let file = folder.join("client-ca.pem");
    std::fs::write(&file, &ca.pem).unwrap();
    settings.tls.client_ca = Some(file.into());
}

/// Adds a token to an access file, and gives its text.
pub fn token(file: &Path, name: &str, scopes: &[Scope]) -> String {
    token_until(file, name, scopes, None)
}

/// The same, of a token that ends.
pub fn token_until(
    file: &Path,
    name: &str,
    scopes: &[Scope],
    expires: Option<Timestamp>,
) -> String {
    let token = Token::new().unwrap();
    let created = Clock::system().wall();
    let entry = Entry { name, scopes, hash: token.hash(), created, expires };
    edit::add(file, &entry, None).unwrap();
    token.reveal().to_owned()
}

/// A request that shows a token.
pub fn showing<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if !token.is_empty() {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// A connection over TLS, trusting `ca`, with our own certificate or without.
pub async fn connect(
    address: std::net::SocketAddr,
    ca: &Ca,
    identity: Option<&Pair>,
) -> Result<Channel, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&ca.pem));
    if let Some(identity) = identity {
        tls = tls.identity(identity.identity());
    }
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    let endpoint = endpoint.tls_config(tls).unwrap().connect_timeout(PATIENCE);
    endpoint.connect().await
}
