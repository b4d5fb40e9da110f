//! A FHIR server over HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use ureq::http::{StatusCode, header};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use super::super::message::{Destination, Message, Verdict};
use super::super::tls::{self, ClientKeys, Loaded, TlsError};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// The longest reason that is kept of an answer, in characters.
const MAX_REASON: usize = 1000;

/// How the server knows us.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Files of TLS; used with `https://` alone.
    pub keys: ClientKeys,
    /// A file with a bearer token. It is read anew for each message: tokens expire.
    pub token_file: Option<PathBuf>,
}

/// Credentials that do not work.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The token.
    #[error("{0}")]
    Token(String),
}

/// A FHIR server.
pub struct Server {
    url: String,
    agent: ureq::Agent,
    token_file: Option<PathBuf>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.url)
    }
}

impl Server {
    /// A server by its base address. It is connected to with the first message.
    ///
    /// # Errors
    /// The credentials do not work.
    pub fn new(
        url: String,
        with_tls: bool,
        credentials: Credentials,
        connect_within: Duration,
        answer_within: Duration,
    ) -> Result<Self, CredentialsError> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The address is the laboratory's own: no variable leads patients' data elsewhere.
            .proxy(None)
            .timeout_connect(Some(connect_within))
            .timeout_global(Some(answer_within))
            .user_agent("leukd");
        if with_tls {
            config = config.tls_config(tls_config(&credentials.keys)?);
        }
        if let Some(file) = &credentials.token_file {
            token(file)?;
        }
        let agent = config.build().new_agent();
        Ok(Self { url, agent, token_file: credentials.token_file })
    }
}

fn tls_config(keys: &ClientKeys) -> Result<TlsConfig, TlsError> {
    // Certificate and key are tried together here: ureq reports them with the first message.
    keys.config()?;
    let Loaded { roots, own } = keys.load()?;
    let certificate = |der: &[u8]| Certificate::from_der(der).to_owned();
    let roots: Vec<_> = roots.iter().map(|root| certificate(root)).collect();
    // ureq takes a key as PEM alone.
    let own = match (own, &keys.own) {
        (Some((chain, _)), Some((_, key))) => {
            let chain: Vec<_> = chain.iter().map(|link| certificate(link)).collect();
            let pem = PrivateKey::from_pem(&tls::read(key)?);
            let pem = pem.map_err(|_| TlsError::Content(key.clone(), "private key"))?;
            Some(ClientCert::new_with_certs(&chain, pem))
        }
        _ => None,
    };
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .client_cert(own)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

/// The header that shows the file's token.
fn token(file: &Path) -> Result<String, CredentialsError> {
    let content = tls::read(file).map_err(|error| CredentialsError::Token(error.to_string()))?;
    let token = String::from_utf8_lossy(&content).trim().to_owned();
    if token.is_empty() || token.contains(|c: char| !c.is_ascii_graphic()) {
        let shown = file.display();
        return Err(CredentialsError::Token(format!(
            "{shown} holds no token: one line, no blanks"
        )));
    }
    Ok(format!("Bearer {token}"))
}

impl Destination for Server {
    fn send(&mut self, message: &Message) -> Verdict {
        let mut request = self
            .agent
            .post(&self.url)
            .header(header::CONTENT_TYPE, "application/fhir+json; charset=utf-8")
            .header(header::ACCEPT, "application/fhir+json")
            .header("Prefer", "return=minimal");
        if let Some(file) = &self.token_file {
            match token(file) {
                Ok(bearer) => request = request.header(header::AUTHORIZATION, bearer),
                Err(error) => return Verdict::Away(error.to_string()),
            }
        }
        match request.send(message.body.as_bytes()) {
            Ok(mut answer) => {
                let status = answer.status();
                let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
                verdict(status, &body.unwrap_or_default())
            }
            Err(error) => Verdict::Away(format!("{}: {error}", self.url)),
        }
    }
}

/// What an answer means. Only the server's judgement of this message refuses it; rights, the address
/// and the server's own state are mended by somebody, and cost no message.
fn verdict(status: StatusCode, body: &[u8]) -> Verdict {
    let says = format!("HTTP {}: {}", status.as_u16(), reason(body));
    match status.as_u16() {
        200..=299 => Verdict::Accepted,
        401 | 403 | 404 | 405 | 407 | 408 | 410 | 421 | 423 | 425 | 429 => Verdict::Away(says),
        400..=500 => Verdict::Refused(says),
        _ => Verdict::Away(says),
    }
}

/// The words of an OperationOutcome, or else the beginning of the answer.
fn reason(body: &[u8]) -> String {
    let outcome: Option<Json> = serde_json::from_slice(body).ok();
    let issues = outcome.as_ref().and_then(|outcome| outcome["issue"].as_array());
    let words = issues.map(|issues| {
        let text = |issue: &Json| {
            let places = [&issue["diagnostics"], &issue["details"]["text"], &issue["code"]];
            places.iter().find_map(|place| place.as_str()).unwrap_or_default().to_owned()
        };
        issues.iter().map(text).collect::<Vec<_>>().join("; ")
    });
    let text = words.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_judgement_of_the_message_refuses_it() {
        let outcome =
            br#"{"resourceType":"OperationOutcome","issue":[{"diagnostics":"bad code"}]}"#;
        let of = |status: u16| verdict(StatusCode::from_u16(status).unwrap(), outcome);
        assert_eq!(of(200), Verdict::Accepted);
        assert_eq!(of(201), Verdict::Accepted);
        for refused in [400, 409, 412, 422, 500] {
            assert_eq!(of(refused), Verdict::Refused(format!("HTTP {refused}: bad code")));
        }
        for away in [301, 401, 403, 404, 429, 502, 503] {
            assert_eq!(of(away), Verdict::Away(format!("HTTP {away}: bad code")));
        }
    }
}
