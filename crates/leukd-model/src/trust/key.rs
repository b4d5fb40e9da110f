//! Public keys, as minisign writes them.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minisign_verify::PublicKey;

use crate::file::regular;

/// A key's number, which its signatures name too: 16 hexadecimal digits, as minisign shows it. It
/// says which key to try and proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(u64);

impl KeyId {
    /// From the bytes that follow the two of the algorithm.
    pub(super) fn of(blob: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(*blob.get(2..)?.first_chunk()?)))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// A public key whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    pub(super) key: PublicKey,
    id: KeyId,
}

/// Why something is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

impl TrustedKey {
    /// A key file is two lines; more than this is none.
    const LARGEST_FILE: u64 = 4096;

    /// From the base64 text of a key.
    ///
    /// # Errors
    ///
    /// The text is no key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let no_key = || {
            let start: String = text.chars().take(60).collect();
            KeyError(format!(
                "{start:?} is no minisign public key: write the second line of the .pub file (56 letters that begin \
                 with \"RW\"), or the absolute path of that file"
            ))
        };
        let text = text.trim();
        let blob = BASE64.decode(text).map_err(|_| no_key())?;
        let key = PublicKey::from_base64(text).map_err(|_| no_key())?;
        Ok(Self { key, id: KeyId::of(&blob).ok_or_else(no_key)? })
    }

    /// From a `.pub` file: a comment and the key, or the key alone.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let shown = path.display();
        let failed = |why: &dyn fmt::Display| KeyError(format!("the public key {shown}: {why}"));
        let bytes = regular(path, Self::LARGEST_FILE).map_err(|error| failed(&error))?;
        let bytes = bytes.map_err(|bytes| failed(&format!("{bytes} bytes are no key")))?;
        let text = String::from_utf8(bytes).map_err(|_| failed(&"it is no text"))?;
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let line = if first.starts_with("untrusted comment:") {
            lines.next().unwrap_or_default()
        } else {
            first
        };
        Self::parse(line).map_err(|error| failed(&error))
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }
}
