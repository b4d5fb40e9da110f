//! The access file: who may do what.
//!
//! ```toml
//! [[token]]                                  # written by `leukd token new`
//! name = "lims"
//! scopes = ["classify", "read"]
//! sha256 = "…64 hexadecimal digits…"
//! created = 2026-11-26T15:00:00Z
//! expires = 2027-11-26T15:00:00Z             # optional
//!
//! [[certificate]]                            # of a client, signed by tls.client_ca
//! name = "lims.hospital.example"             # first DNS name, else first URI or e-mail, else common name
//! scopes = ["read"]
//!
//! [[user]]                                   # of this machine, over rpc.socket
//! uid = 1000
//! scopes = ["classify", "read"]
//! ```

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::value::Datetime;

use super::token::TokenHash;
use super::{Scope, Scopes};
use crate::result::Timestamp;

/// The largest access file that is read, in bytes.
pub const LARGEST: u64 = 1 << 20;

/// The longest name of a token or a certificate, in bytes.
pub const LONGEST_NAME: usize = 256;

/// The kernel's overflow user: what users of another user namespace look like, all of them.
const NOBODY: u32 = 65_534;

/// The content of the access file.
#[derive(Debug, Default)]
pub struct Rules {
    tokens: Vec<TokenRule>,
    certificates: Vec<(String, Scopes)>,
    users: Vec<(u32, Scopes)>,
}

/// One token's entry.
#[derive(Debug, Clone)]
pub struct TokenRule {
    /// Its name: the caller is `token:NAME`.
    pub name: String,
    /// Its scopes.
    pub scopes: Scopes,
    /// The stored hash.
    pub hash: TokenHash,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
}

impl TokenRule {
    /// True after its end.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Spanned<TokenEntry>>,
    #[serde(default)]
    certificate: Vec<Spanned<CertificateEntry>>,
    #[serde(default)]
    user: Vec<Spanned<UserEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    name: String,
    scopes: Vec<Scope>,
    sha256: String,
    created: Datetime,
    expires: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateEntry {
    name: String,
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    uid: u32,
    scopes: Vec<Scope>,
}

impl Rules {
    /// Reads the file's bytes.
    ///
    /// # Errors
    /// What is wrong, after its line: no TOML, an unknown name, a hash or a time that is none,
    /// something twice.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
        let at = |offset: usize, what: String| format!("line {}: {what}", line_of(text, offset));
        let file: File = toml::from_str(text).map_err(|error| {
            at(error.span().map_or(0, |span| span.start), error.message().trim_end().to_owned())
        })?;
        let mut rules = Self::default();
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        for entry in file.token {
            let start = entry.span().start;
            let rule = token(entry.into_inner()).map_err(|what| at(start, what))?;
            if !names.insert(rule.name.clone()) {
                return Err(at(start, format!("there are two tokens named {:?}", rule.name)));
            }
            if !hashes.insert(rule.hash.to_hex()) {
                let what = format!("the token {:?} has the sha256 of another", rule.name);
                return Err(at(start, what));
            }
            rules.tokens.push(rule);
        }
        for entry in file.certificate {
            let (start, entry) = (entry.span().start, entry.into_inner());
            if !is_plain(&entry.name) {
                let what = format!("{:?} is no certificate's name", entry.name);
                return Err(at(start, what));
            }
            if rules.certificate(&entry.name).is_some() {
                return Err(at(start, format!("the certificate {:?} stands twice", entry.name)));
            }
            rules.certificates.push((entry.name, entry.scopes.into_iter().collect()));
        }
        for entry in file.user {
            let (start, entry) = (entry.span().start, entry.into_inner());
            if entry.uid == NOBODY {
                let what = "the user 65534 is everybody whom the kernel cannot tell apart: in the shipped unit that takes \
                            PrivateUsers=no (systemd/examples/unix-socket.conf)";
                return Err(at(start, what.to_owned()));
            }
            if rules.user(entry.uid).is_some() {
                return Err(at(start, format!("the user {} stands twice", entry.uid)));
            }
            rules.users.push((entry.uid, entry.scopes.into_iter().collect()));
        }
        Ok(rules)
    }

    /// The token of this hash. All are compared, whichever it is.
    #[must_use]
    pub fn token(&self, hash: &TokenHash) -> Option<&TokenRule> {
        let mut found = None;
        for rule in &self.tokens {
            if rule.hash.is(hash) {
                found = Some(rule);
            }
        }
        found
    }

    /// Scopes of the certificate of this name.
    #[must_use]
    pub fn certificate(&self, name: &str) -> Option<Scopes> {
        self.certificates.iter().find(|(known, _)| known == name).map(|(_, scopes)| *scopes)
    }

    /// Scopes of the user with this number.
    #[must_use]
    pub fn user(&self, uid: u32) -> Option<Scopes> {
        self.users.iter().find(|(known, _)| *known == uid).map(|(_, scopes)| *scopes)
    }

    /// Every entry for the audit chain: who, with his scopes; of a token the beginning of its
    /// digest, by which two of one name are told apart, and when it ends.
    #[must_use]
    pub fn told(&self) -> Map<String, Value> {
        let scopes = |scopes: Scopes| scopes.iter().map(Scope::as_str).collect::<Vec<_>>();
        let tokens = self.tokens.iter().map(|rule| {
            let mut told =
                json!({"scopes": scopes(rule.scopes), "sha256": &rule.hash.to_hex()[..16]});
            if let Some(expires) = rule.expires {
                told["expires"] = expires.to_rfc3339().into();
            }
            (format!("token:{}", rule.name), told)
        });
        let certificates =
            self.certificates.iter().map(|(name, own)| (format!("cert:{name}"), own));
        let users = self.users.iter().map(|(uid, own)| (format!("uid:{uid}"), own));
        let others = certificates.chain(users);
        tokens.chain(others.map(|(who, own)| (who, json!({"scopes": scopes(*own)})))).collect()
    }

    /// Every token.
    #[must_use]
    pub fn tokens(&self) -> &[TokenRule] {
        &self.tokens
    }
}

fn token(entry: TokenEntry) -> Result<TokenRule, String> {
    let name = entry.name;
    check_name(&name)?;
    let hash = TokenHash::from_hex(&entry.sha256)
        .ok_or_else(|| format!("the token {name:?}: sha256 is not 64 hexadecimal digits"))?;
    let time = |key: &str, at: Datetime| {
        let read = at.to_string().parse::<jiff::Timestamp>();
        read.map(|at| Timestamp(at.as_millisecond())).map_err(|_| {
            format!("the token {name:?}: {key} = {at} has no time of day with a zone: write for example 2027-01-31T12:00:00Z")
        })
    };
    Ok(TokenRule {
        scopes: entry.scopes.into_iter().collect(),
        hash,
        created: time("created", entry.created)?,
        expires: entry.expires.map(|at| time("expires", at)).transpose()?,
        name,
    })
}

/// Checks a token's name.
///
/// # Errors
/// Hint for the message of an error.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name for a token: write 1 to 64 letters, digits, dots, dashes, underscores or @"
    ))
}

/// A name that can stand in a log: not empty, not endless, no control characters.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "ab";

    fn entry(name: &str, hash: &str, more: &str) -> String {
        format!(
            "[[token]]\nname = \"{name}\"\nscopes = [\"read\"]\nsha256 = \"{}\"\n\
             created = 2026-01-01T00:00:00Z\n{more}\n",
            hash.repeat(32)
        )
    }

    #[test]
    fn every_kind_of_entry_is_read() {
        let text = entry("lims", HASH, "expires = 2027-01-01T00:00:00+01:00")
            + "[[certificate]]\nname = \"a.example\"\nscopes = [\"admin\", \"read\"]\n"
            + "[[user]]\nuid = 7\nscopes = []\n";
        let rules = Rules::parse(text.as_bytes()).unwrap();
        let rule = rules.token(&TokenHash::from_hex(&HASH.repeat(32)).unwrap()).unwrap();
        assert_eq!(rule.name, "lims");
        assert_eq!(rule.expires.unwrap().to_rfc3339(), "2026-12-31T23:00:00Z");
        assert!(!rule.is_expired(Timestamp(rule.expires.unwrap().0 - 1)));
        assert!(rule.is_expired(rule.expires.unwrap()));
        assert_eq!(
            rules.certificate("a.example"),
            Some([Scope::Admin, Scope::Read].into_iter().collect())
        );
        assert_eq!((rules.user(7), rules.user(8)), (Some(Scopes::NONE), None));
        assert!(Rules::parse(b"").unwrap().tokens().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, says) in [
            ("[[token]\n".to_owned(), "line 1: "),
            (format!("\n{}", entry("a b", HASH, "")), "line 2: \"a b\" is no name for a token"),
            (entry("a", "x", ""), "sha256 is not 64"),
            (
                entry("a", HASH, "") + &entry("a", "cd", ""),
                "line 7: there are two tokens named \"a\"",
            ),
            (entry("a", HASH, "") + &entry("b", HASH, ""), "has the sha256 of another"),
            (entry("a", HASH, "expires = 2027-01-01"), "expires = 2027-01-01 has no time of day"),
            (entry("a", HASH, "secret = 1"), "unknown field `secret`"),
            ("[[user]]\nuid = 7\nscopes = [\"root\"]".to_owned(), "line 3: unknown variant `root`"),
            ("[[user]]\nuid = 7\nscopes = []\n".repeat(2), "the user 7 stands twice"),
            ("[[user]]\nuid = 65534\nscopes = []".to_owned(), "cannot tell apart"),
            ("[[certificate]]\nname = \"\"\nscopes = []".to_owned(), "is no certificate's name"),
        ] {
            let error = Rules::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{text}\ngave     {error}\nexpected {says}");
        }
        assert!(Rules::parse(&[0xff]).is_err());
    }
}
