//! The decision: the caller's identity and rights.
//!
//! | what is configured | who may what |
//! |---|---|
//! | neither `access.file` nor `tls.client_ca` | everybody who can connect, everything: loopback and the socket alone are served then |
//! | `tls.client_ca` alone | a client with a certificate: classify and read |
//! | `access.file` | what the file says of the token, else of the certificate, else of the user; root and leukd's own user: everything |
//!
//! A token in the call counts alone: a wrong one does not fall back to the certificate.
//! Without `access.file` the socket's permissions decide who may connect, with every scope.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::clients::Clients;
use super::kept::Kept;
use super::place::Place;
use super::refusals::Refusals;
use super::rules::Rules;
use super::token::{self, TokenHash};
use super::{Scope, Scopes};
use crate::clock::Clock;
use crate::result::Timestamp;

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A caller over TCP.
    Tcp {
        /// His address.
        address: SocketAddr,
        /// His certificate, where TLS has checked one.
        certificate: Option<ClientCertificate>,
    },
    /// A user of this machine, over the socket; the kernel says which.
    Unix {
        /// His number.
        uid: u32,
    },
}

impl Peer {
    /// The address with its port, or `unix`.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Tcp { address, .. } => address.to_string(),
            Self::Unix { .. } => "unix".to_owned(),
        }
    }

    /// The place he calls from, whatever the port: what nobodies are told apart by.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Tcp { address, .. } => Place::of(address.ip()),
            Self::Unix { uid } => Place::User(*uid),
        }
        .to_string()
    }
}

/// A client's certificate that TLS has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The first DNS name, else the first URI or e-mail address, else the common name.
    pub name: String,
    /// From when on it is refused, on connections that are open already too.
    pub not_after: Timestamp,
}

/// Proof of a caller's identity.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing.
    Nobody,
    /// A token.
    Token(TokenHash),
    /// A certificate.
    Certificate(ClientCertificate),
    /// The kernel's word.
    User(u32),
}

/// An admitted caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// `token:NAME`, `cert:NAME`, `uid:NUMBER`, or empty for an unknown caller.
    pub identity: String,
    /// Time of the next check of its rights.
    pub until: Option<Timestamp>,
}

/// Reasons for a refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// He shows nothing.
    #[error(
        "who are you? show a token (metadata `authorization: Bearer TOKEN`) or a client certificate"
    )]
    NoCredential,
    /// The authorization metadata is no bearer token.
    #[error(
        "the metadata `authorization` must read `Bearer TOKEN`, once, with a token that `leukd token new` made"
    )]
    Malformed,
    /// No token of the access file is this one.
    #[error("the token is unknown: it was revoked, or never was one of this leukd")]
    UnknownToken,
    /// The token's time is over.
    #[error("the token {0:?} has expired: ask the administrator for a new one")]
    ExpiredToken(String),
    /// The certificate's time is over.
    #[error("the certificate of {0:?} has expired: renew it and connect again")]
    ExpiredCertificate(String),
    /// He is known, and may not do this.
    #[error("{identity} lacks the scope {scope}: the administrator can give it in the access file")]
    MissingScope {
        /// Who.
        identity: String,
        /// The scope that it needs.
        scope: Scope,
    },
}

impl Denied {
    /// A stable word for it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoCredential => "NO_CREDENTIAL",
            Self::Malformed => "BAD_AUTHORIZATION",
            Self::UnknownToken => "UNKNOWN_TOKEN",
            Self::ExpiredToken(_) => "EXPIRED_TOKEN",
            Self::ExpiredCertificate(_) => "EXPIRED_CERTIFICATE",
            Self::MissingScope { .. } => "MISSING_SCOPE",
        }
    }
}

impl Denied {
    /// The caller, if known; else empty.
    #[must_use]
    pub fn client(&self) -> String {
        match self {
            Self::NoCredential | Self::Malformed | Self::UnknownToken => String::new(),
            Self::ExpiredToken(name) => format!("token:{name}"),
            Self::ExpiredCertificate(name) => format!("cert:{name}"),
            Self::MissingScope { identity, .. } => identity.clone(),
        }
    }
}

/// Judges who may do what.
#[derive(Debug)]
pub struct Gate {
    rules: Option<Arc<Kept<Rules>>>,
    certificates: bool,
    own_uid: u32,
    clock: Clock,
    /// Open calls of each client.
    pub clients: Clients,
    /// The refusals.
    pub refusals: Refusals,
}

impl Gate {
    /// A gate by the access file's rules, where there is one; `certificates` says whether clients'
    /// certificates are asked for.
    #[must_use]
    pub fn new(
        rules: Option<Arc<Kept<Rules>>>,
        certificates: bool,
        clock: Clock,
        clients: Clients,
        refusals: Refusals,
    ) -> Self {
        let own_uid = rustix::process::geteuid().as_raw();
        Self { rules, certificates, own_uid, clock, clients, refusals }
    }

    /// The caller's proof: the token, if there is one, else that of the connection.
    /// `authorization` holds every metadata value of that name.
    ///
    /// # Errors
    /// [`Denied::Malformed`].
    pub fn credential<'a>(
        &self,
        peer: &Peer,
        mut authorization: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Credential, Denied> {
        // Without an access file no token has a meaning.
        if !self.is_open()
            && let Some(value) = authorization.next()
        {
            let token = value.and_then(|value| {
                let (scheme, token) = value.split_once(' ')?;
                let fits = token.starts_with(token::PREFIX) && token.len() <= token::LONGEST;
                (scheme.eq_ignore_ascii_case("bearer") && fits).then_some(token)
            });
            return match (token, authorization.next()) {
                (Some(token), None) => Ok(Credential::Token(TokenHash::of(token))),
                _ => Err(Denied::Malformed),
            };
        }
        Ok(match peer {
            Peer::Unix { uid } => Credential::User(*uid),
            Peer::Tcp { certificate: Some(certificate), .. } => {
                Credential::Certificate(certificate.clone())
            }
            Peer::Tcp { certificate: None, .. } => Credential::Nobody,
        })
    }

    /// True without authentication.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.rules.is_none() && !self.certificates
    }

    /// Checks that the caller has the scope `need`; none is open to every caller.
    ///
    /// # Errors
    /// See [`Denied`].
    pub fn judge(&self, credential: &Credential, need: Option<Scope>) -> Result<Granted, Denied> {
        let now = self.clock.wall();
        let rules = self.rules.as_ref().map(|rules| rules.current());
        let (granted, scopes) = match credential {
            Credential::Nobody if self.is_open() || need.is_none() => {
                (Granted { identity: String::new(), until: None }, Scopes::ALL)
            }
            Credential::Nobody => return Err(Denied::NoCredential),
            Credential::Token(hash) => {
                let rule = rules.as_ref().and_then(|rules| rules.token(hash));
                let rule = rule.ok_or(Denied::UnknownToken)?;
                if rule.is_expired(now) {
                    return Err(Denied::ExpiredToken(rule.name.clone()));
                }
                let identity = format!("token:{}", rule.name);
                (Granted { identity, until: rule.expires }, rule.scopes)
            }
            Credential::Certificate(ClientCertificate { name, not_after }) => {
                if now > *not_after {
                    return Err(Denied::ExpiredCertificate(name.clone()));
                }
                let scopes = match &rules {
                    Some(rules) => rules.certificate(name).unwrap_or(Scopes::NONE),
                    None => [Scope::Classify, Scope::Read].into_iter().collect(),
                };
                (Granted { identity: format!("cert:{name}"), until: Some(*not_after) }, scopes)
            }
            Credential::User(uid) => {
                let scopes = match &rules {
                    Some(rules) if *uid != 0 && *uid != self.own_uid => {
                        rules.user(*uid).unwrap_or(Scopes::NONE)
                    }
                    // Who may read and write the access file anyhow, or nobody is asked.
                    _ => Scopes::ALL,
                };
                (Granted { identity: format!("uid:{uid}"), until: None }, scopes)
            }
        };
        match need {
            Some(scope) if !scopes.has(scope) => {
                Err(Denied::MissingScope { identity: granted.identity, scope })
            }
            _ => Ok(granted),
        }
    }

    /// Tells of each change of the rules; none where there are none.
    #[must_use]
    pub fn changes(&self) -> Option<watch::Receiver<u64>> {
        self.rules.as_ref().map(|rules| rules.changes())
    }

    /// The clock that times of expiry are held against.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::clients::Allowance;
    use crate::access::refusals::{Record, Refusal};
    use crate::condition::{Component, Conditions};

    #[derive(Debug)]
    struct Nowhere;

    impl Record for Nowhere {
        fn refused(&self, _: &Refusal) {}
    }

    const TOKEN: &str = "leukd_token";

    fn rules_text() -> String {
        format!(
            "[[token]]\nname = \"t\"\nscopes = [\"admin\"]\nsha256 = \"{}\"\n\
             created = 1970-01-01T00:00:00Z\nexpires = 1970-01-01T00:00:10Z\n\
             [[certificate]]\nname = \"c\"\nscopes = [\"read\"]\n\
             [[user]]\nuid = 4000000\nscopes = [\"classify\"]\n",
            TokenHash::of(TOKEN).to_hex()
        )
    }

    fn gate(with_rules: bool, certificates: bool) -> (Gate, Clock) {
        let clock = Clock::manual(Timestamp(0));
        let conditions = Conditions::new(clock.clone());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), rules_text()).unwrap();
        let rules =
            Kept::read(vec![file.path().to_owned()], Component::Access, conditions, |c, _| {
                Rules::parse(&c[0])
            });
        let clients = Clients::new(Allowance { requests: 1, streams: 1, bytes: 1 });
        let refusals = Refusals::new(clock.clone(), Arc::new(Nowhere));
        let rules = with_rules.then(|| Arc::new(rules.unwrap()));
        (Gate::new(rules, certificates, clock.clone(), clients, refusals), clock)
    }

    fn cert(name: &str) -> Peer {
        let certificate = ClientCertificate { name: name.to_owned(), not_after: Timestamp(5_000) };
        Peer::Tcp { address: "10.0.0.1:9".parse().unwrap(), certificate: Some(certificate) }
    }

    fn nobody() -> Peer {
        Peer::Tcp { address: "10.0.0.1:9".parse().unwrap(), certificate: None }
    }

    /// The caller's scopes in one word, or the reason for an unknown caller.
    fn may(gate: &Gate, peer: &Peer, authorization: Option<&str>) -> String {
        let credential = match gate.credential(peer, authorization.iter().map(|a| Some(*a))) {
            Ok(credential) => credential,
            Err(denied) => return denied.reason().to_owned(),
        };
        let judged = Scope::EVERY.map(|scope| gate.judge(&credential, Some(scope)));
        if let Some(Err(denied)) =
            judged.iter().find(|j| !matches!(j, Ok(_) | Err(Denied::MissingScope { .. })))
        {
            return denied.reason().to_owned();
        }
        let letters = judged.iter().zip(["c", "r", "a"]);
        letters.filter(|(judged, _)| judged.is_ok()).map(|(_, letter)| letter).collect()
    }

    #[test]
    fn who_may_what_is_as_the_table_says() {
        let own = Peer::Unix { uid: rustix::process::geteuid().as_raw() };
        let user = |uid| Peer::Unix { uid };
        let good = format!("Bearer {TOKEN}");
        for (rules, certificates, peer, shown, expected) in [
            (false, false, nobody(), None, "cra"),
            (false, false, nobody(), Some("anything"), "cra"),
            (false, false, user(4_000_001), None, "cra"),
            (false, true, nobody(), None, "NO_CREDENTIAL"),
            (false, true, nobody(), Some(good.as_str()), "UNKNOWN_TOKEN"),
            (false, true, cert("x"), None, "cr"),
            (false, true, user(4_000_001), None, "cra"),
            (true, false, nobody(), None, "NO_CREDENTIAL"),
            (true, false, nobody(), Some(good.as_str()), "a"),
            (true, false, nobody(), Some("bearer leukd_token"), "a"),
            (true, false, nobody(), Some("Bearer leukd_other"), "UNKNOWN_TOKEN"),
            (true, false, nobody(), Some("Bearer other"), "BAD_AUTHORIZATION"),
            (true, false, nobody(), Some("Basic bGV1a2Q6"), "BAD_AUTHORIZATION"),
            (true, false, nobody(), Some(""), "BAD_AUTHORIZATION"),
            (true, true, cert("c"), None, "r"),
            (true, true, cert("x"), None, ""),
            (true, true, cert("c"), Some(good.as_str()), "a"),
            (true, true, cert("c"), Some("Bearer leukd_other"), "UNKNOWN_TOKEN"),
            (true, false, user(4_000_000), None, "c"),
            (true, false, user(4_000_001), None, ""),
            (true, false, user(0), None, "cra"),
            (true, false, own, None, "cra"),
        ] {
            let (gate, _) = gate(rules, certificates);
            assert_eq!(
                may(&gate, &peer, shown),
                expected,
                "{rules} {certificates} {peer:?} {shown:?}"
            );
        }
    }

    #[test]
    fn two_authorizations_are_none() {
        let (gate, _) = gate(true, false);
        let shown = format!("Bearer {TOKEN}");
        let twice = [Some(shown.as_str()), Some(shown.as_str())].into_iter();
        assert_eq!(gate.credential(&nobody(), twice).unwrap_err(), Denied::Malformed);
        assert!(gate.credential(&nobody(), [None].into_iter()).is_err(), "no text at all");
    }

    #[test]
    fn tokens_and_certificates_expire_on_open_connections_too() {
        let (gate, clock) = gate(true, true);
        let good = format!("Bearer {TOKEN}");
        clock.advance(std::time::Duration::from_millis(5_000));
        assert_eq!(may(&gate, &cert("c"), None), "r");
        clock.advance(std::time::Duration::from_millis(1));
        assert_eq!(may(&gate, &cert("c"), None), "EXPIRED_CERTIFICATE");
        assert_eq!(may(&gate, &nobody(), Some(&good)), "a");
        clock.advance(std::time::Duration::from_millis(4_999));
        assert_eq!(may(&gate, &nobody(), Some(&good)), "EXPIRED_TOKEN");
    }

    #[test]
    fn what_takes_no_scope_is_everybodys() {
        let (gate, _) = gate(true, true);
        assert_eq!(gate.judge(&Credential::Nobody, None).unwrap().identity, "");
        assert_eq!(gate.judge(&Credential::User(4_000_001), None).unwrap().identity, "uid:4000001");
    }
}
