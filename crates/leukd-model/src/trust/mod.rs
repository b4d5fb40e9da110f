//! Which bundles may serve: signed by a trusted key, or allowed by name.
//!
//! A signature is minisign's: a detached file beside the bundle (`b3.onnx.minisig`), Ed25519 over
//! the BLAKE2b hash of the bundle's bytes. It is held against the very bytes that are then decoded.

mod key;
mod seal;

use std::fmt;
use std::path::PathBuf;

use crate::file::BundleFile;

pub use key::{KeyError, KeyId, TrustedKey};
pub use seal::Seal;

/// How a bundle came to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// It is the one inside the binary.
    Embedded,
    /// A trusted key signed it.
    Signed {
        /// Which one.
        key: KeyId,
        /// What the signer wrote, and signed with it.
        comment: String,
    },
    /// Unsigned, or signed by nobody who is trusted; the configuration allows it.
    Allowed {
        /// The entry of `model.allow_unsigned`.
        by: String,
    },
    /// Nobody asked: a person or the trainer looks at it.
    Unasked,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Signed { key, comment } => write!(f, "signed by key {key}: {comment:?}"),
            Self::Allowed { by } => write!(f, "not signed by a trusted key, allowed by {by:?}"),
            Self::Unasked => f.write_str("not asked"),
        }
    }
}

/// Where a trusted key is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KeySource {
    Here(TrustedKey),
    /// Read at each load, so that a key is replaced without a restart.
    File(PathBuf),
}

/// What an administrator trusts. The default trusts nothing but the bundle inside the binary.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    keys: Vec<KeySource>,
    allowed: Vec<String>,
}

/// Why a bundle may not serve, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}. Sign it (`leukd model sign {file} --key …`) and name the public key in model.trusted_keys, or allow \
     this very file: add \"sha256:{digest}\" (or its name, {file:?}, for any file of that name) to \
     model.allow_unsigned"
)]
pub struct TrustError {
    /// What is wrong with its signature.
    pub problem: String,
    /// The bundle's file name.
    pub file: String,
    /// SHA-256 of its bytes.
    pub digest: String,
}

impl Trust {
    /// Trusts these keys and allows these bundles.
    ///
    /// A key is minisign's base64 text (`RWQ…`) or, where it begins with `/`, the path of a public
    /// key file. A bundle is allowed by its file name or by `sha256:` and its digest.
    ///
    /// # Errors
    ///
    /// The first text that is no key.
    pub fn new(keys: &[String], allowed: &[String]) -> Result<Self, KeyError> {
        let source = |text: &String| {
            if text.starts_with('/') {
                Ok(KeySource::File(PathBuf::from(text)))
            } else {
                TrustedKey::parse(text).map(KeySource::Here)
            }
        };
        let keys = keys.iter().map(source).collect::<Result<_, _>>()?;
        Ok(Self { keys, allowed: allowed.to_vec() })
    }

    /// Trusts these keys and nothing else.
    #[must_use]
    pub fn of(keys: Vec<TrustedKey>) -> Self {
        Self { keys: keys.into_iter().map(KeySource::Here).collect(), allowed: Vec::new() }
    }

    /// The keys, those in files read now; and why some cannot be read.
    #[must_use]
    pub fn keys(&self) -> (Vec<TrustedKey>, Vec<KeyError>) {
        let (mut keys, mut errors) = (Vec::new(), Vec::new());
        for source in &self.keys {
            match source {
                KeySource::Here(key) => keys.push(key.clone()),
                KeySource::File(path) => match TrustedKey::read(path) {
                    Ok(key) => keys.push(key),
                    Err(error) => errors.push(error),
                },
            }
        }
        (keys, errors)
    }

    /// Whether this bundle may serve, and why.
    ///
    /// # Errors
    ///
    /// What is wrong with its signature, and what to do.
    pub fn admit(&self, file: &BundleFile) -> Result<Provenance, TrustError> {
        if file.is_embedded() {
            return Ok(Provenance::Embedded);
        }
        let (keys, unreadable) = self.keys();
        let seal = Seal::of(file, &keys);
        if let Seal::Good { key, comment } = seal {
            return Ok(Provenance::Signed { key, comment });
        }
        if let Some(by) = self.allowed.iter().find(|entry| is_named(file, entry)) {
            return Ok(Provenance::Allowed { by: by.clone() });
        }
        let mut problem = seal.to_string();
        for error in unreadable {
            problem.push_str(&format!("; {error}"));
        }
        let (file, digest) = (file.name().to_owned(), file.digest().to_string());
        Err(TrustError { problem, file, digest })
    }
}

/// Whether an entry of `model.allow_unsigned` means this file.
fn is_named(file: &BundleFile, entry: &str) -> bool {
    match entry.strip_prefix("sha256:") {
        Some(digest) => file.digest().to_string().eq_ignore_ascii_case(digest),
        None => file.name() == entry,
    }
}
