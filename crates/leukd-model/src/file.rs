//! A bundle's file as it was read, once: what is judged is what is loaded.

use std::borrow::Cow;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::embedded;
use leukd_cell::Digest;

/// Largest bundle in bytes, unless the settings say otherwise: 512 MiB.
pub const MAX_BYTES: u64 = 512 << 20;

/// Origin of the bundle inside the binary.
pub const EMBEDDED: &str = "embedded";

/// Why a bundle's file was not read. Each message begins with the origin.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("{origin}: the model bundle cannot be read: {source}")]
    Unreadable {
        /// The path.
        origin: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// More bytes than are allowed.
    #[error(
        "{origin}: the model bundle has {bytes} bytes; at most {most} are allowed (model.max_file)"
    )]
    TooLarge {
        /// Path or [`EMBEDDED`].
        origin: String,
        /// The file's size, or as much of it as was read.
        bytes: u64,
        /// The limit.
        most: u64,
    },
}

/// The bytes of a bundle with its signature, nothing decoded yet.
#[derive(Debug, Clone)]
pub struct BundleFile {
    bytes: Cow<'static, [u8]>,
    digest: Digest,
    /// None: inside the binary.
    path: Option<PathBuf>,
    /// The text beside it; why it cannot be read.
    signature: Result<Option<String>, String>,
}

impl BundleFile {
    /// A signature is four lines; its trusted comment has 8 KiB at the most.
    const LARGEST_SIGNATURE: u64 = 16 << 10;

    /// The bundle inside the binary.
    #[must_use]
    pub fn embedded() -> Self {
        let bytes = Cow::Borrowed(embedded::BYTES);
        Self { digest: Digest::of(&bytes), bytes, path: None, signature: Ok(None) }
    }

    /// Reads a bundle of at most `max_bytes` and the signature beside it.
    ///
    /// # Errors
    ///
    /// [`FileError::Unreadable`], for anything but a regular file too, and [`FileError::TooLarge`].
    pub fn read(path: &Path, max_bytes: u64) -> Result<Self, FileError> {
        let origin = path.display().to_string();
        let bytes = match regular(path, max_bytes) {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(bytes)) => return Err(FileError::TooLarge { origin, bytes, most: max_bytes }),
            Err(source) => return Err(FileError::Unreadable { origin, source }),
        };
        let beside = signature_path(path);
        let shown = beside.display();
        let signature = match regular(&beside, Self::LARGEST_SIGNATURE) {
            Ok(Ok(bytes)) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| format!("its signature file {shown} is no text")),
            Ok(Err(_)) => Err(format!("its signature file {shown} is too large to be one")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("its signature file {shown} cannot be read: {error}")),
        };
        let digest = Digest::of(&bytes);
        Ok(Self { bytes: Cow::Owned(bytes), digest, path: Some(path.to_owned()), signature })
    }

    /// Whether it is the bundle inside the binary.
    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        self.path.is_none()
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of its bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Where it came from: a path, or `embedded`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.path.as_ref().map_or_else(|| EMBEDDED.to_owned(), |path| path.display().to_string())
    }

    /// Its file name; empty where it has none that is text.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path
            .as_deref()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    /// The signature's text; none where there is no such file.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn signature(&self) -> Result<Option<&str>, &str> {
        self.signature.as_ref().map(Option::as_deref).map_err(String::as_str)
    }

    /// The file name of its signature.
    #[must_use]
    pub fn signature_name(&self) -> String {
        format!("{}.minisig", self.name())
    }
}

/// Where the signature of a bundle lies.
#[must_use]
pub fn signature_path(bundle: &Path) -> PathBuf {
    let mut name = bundle.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// The bytes of a regular file; its size where that is more than `most`.
pub(super) fn regular(path: &Path, most: u64) -> std::io::Result<Result<Vec<u8>, u64>> {
    // Opening a named pipe would wait for its writer.
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(at_once).open(path)?;
    let kind = file.metadata()?;
    if !kind.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    if kind.len() > most {
        return Ok(Err(kind.len()));
    }
    // The file may grow meanwhile; one byte beyond the limit is enough to see it.
    let mut bytes = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or_default());
    file.take(most + 1).read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    Ok(if length > most { Err(length) } else { Ok(bytes) })
}
