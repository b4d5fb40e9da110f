//! What a bundle's signature says.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minisign_verify::Signature;

use super::key::{KeyId, TrustedKey};
use crate::file::BundleFile;

/// What the signature beside a bundle says of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// There is none.
    Absent {
        /// Where it would be.
        at: String,
    },
    /// One of the keys signed these bytes.
    Good {
        /// Which one.
        key: KeyId,
        /// What the signer wrote, and signed with it.
        comment: String,
    },
    /// Another key signed something.
    UnknownKey {
        /// Which one.
        key: KeyId,
    },
    /// It is no signature of these bytes.
    Bad {
        /// Why.
        why: String,
    },
}

impl Seal {
    /// Holds the signature of `file` against its bytes.
    #[must_use]
    pub fn of(file: &BundleFile, keys: &[TrustedKey]) -> Self {
        let bad = |why: &str| Self::Bad { why: why.to_owned() };
        let text = match file.signature() {
            Ok(Some(text)) => text,
            Ok(None) => return Self::Absent { at: file.signature_name() },
            Err(why) => return bad(why),
        };
        // The four lines of minisign and no fifth: what is not read is not signed.
        let lines: Vec<&str> = text.lines().collect();
        let [first, second, _, _] = lines.as_slice() else {
            return bad("its signature file has not the four lines of a minisign signature");
        };
        if !first.starts_with("untrusted comment: ") {
            return bad("its signature file does not begin with \"untrusted comment: \"");
        }
        let Ok(signature) = Signature::decode(text) else {
            return bad("its signature file holds no minisign signature");
        };
        let Some(key) = BASE64.decode(second).ok().as_deref().and_then(KeyId::of) else {
            return bad("its signature file holds no minisign signature");
        };
        let mut candidates = keys.iter().filter(|own| own.id() == key).peekable();
        if candidates.peek().is_none() {
            return Self::UnknownKey { key };
        }
        let mut why =
            "its signature is not of these bytes: file or signature were changed, or belong apart";
        for candidate in candidates {
            // Without the prehashed form nothing but the whole file could be hashed, and minisign
            // no longer makes it.
            match candidate.key.verify(file.bytes(), &signature, false) {
                Ok(()) => {
                    let comment = signature.trusted_comment().to_owned();
                    return Self::Good { key, comment };
                }
                Err(minisign_verify::Error::UnexpectedAlgorithm) => {
                    why = "its signature is of minisign's old kind: sign it again, with `minisign -S -H`";
                }
                Err(_) => {}
            }
        }
        bad(why)
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { at } => write!(f, "it is not signed (there is no {at} beside it)"),
            Self::Good { key, comment } => write!(f, "it is signed by key {key}: {comment:?}"),
            Self::UnknownKey { key } => {
                write!(f, "it is signed by key {key}, which is not among the trusted ones")
            }
            Self::Bad { why } => f.write_str(why),
        }
    }
}
