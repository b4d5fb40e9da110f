//! The bundle: one ONNX file whose `metadata_props` hold the manifest.

use std::io::Read;
use std::path::{Path, PathBuf};

use prost::Message;

use super::embedded;
use super::engine::onnx;
use super::manifest::{MANIFEST_KEY, MANIFEST_VERSION, Manifest, ManifestError};
use super::weights::{self, WeightsError};
use crate::result::Digest;

/// The largest bundle, in bytes: 512 MiB.
pub const MOST_BYTES: u64 = 512 << 20;

/// What [`Bundle::origin`] says of the bundle inside the binary.
pub const EMBEDDED: &str = "embedded";

/// A network with its manifest, read and checked, not compiled yet.
#[derive(Debug, Clone)]
pub struct Bundle {
    network: onnx::ModelProto,
    manifest: Manifest,
    digest: Digest,
    origin: String,
}

/// Why some bytes are no bundle. Each message begins with the origin.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be read.
    #[error("{origin}: the model bundle cannot be read: {source}")]
    Unreadable {
        /// The path.
        origin: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// More than [`MOST_BYTES`].
    #[error("{origin}: the model bundle has {bytes} bytes; at most {MOST_BYTES} are allowed")]
    TooLarge {
        /// Path or `embedded`.
        origin: String,
        /// Its size, or as much of it as was looked at.
        bytes: u64,
    },
    /// Not an ONNX file, or a damaged one.
    #[error("{origin}: not an ONNX model: {detail}")]
    NotOnnx {
        /// Path or `embedded`.
        origin: String,
        /// What is wrong.
        detail: String,
    },
    /// An ONNX file that was not made for leukd.
    #[error(
        "{origin}: an ONNX model without a leukd manifest ({MANIFEST_KEY:?} in its metadata_props): \
         make bundles with `leukd train`"
    )]
    NoManifest {
        /// Path or `embedded`.
        origin: String,
    },
    /// The manifest was written for a newer leukd.
    #[error(
        "{origin}: the manifest has version {found}; this leukd reads up to {MANIFEST_VERSION}: update leukd"
    )]
    Newer {
        /// Path or `embedded`.
        origin: String,
        /// The manifest's version.
        found: u64,
    },
    /// The manifest is no manifest, or says something impossible.
    #[error("{origin}: the manifest is wrong: {source}")]
    Manifest {
        /// Path or `embedded`.
        origin: String,
        /// Which field, and what to do.
        source: ManifestError,
    },
    /// The weights cannot be what their shapes say.
    #[error("{origin}: {source}")]
    Weights {
        /// Path or `embedded`.
        origin: String,
        /// Which tensor.
        source: WeightsError,
    },
}

impl Bundle {
    /// Reads a bundle from memory. `origin` is where the bytes came from, for messages and `GetModel`.
    /// Weights in a storage form (half precision, one byte) are expanded.
    ///
    /// # Errors
    ///
    /// See [`BundleError`].
    pub fn from_bytes(bytes: &[u8], origin: impl Into<String>) -> Result<Self, BundleError> {
        let origin = origin.into();
        if bytes.len() as u64 > MOST_BYTES {
            return Err(BundleError::TooLarge { origin, bytes: bytes.len() as u64 });
        }
        let mut network = match onnx::ModelProto::decode(bytes) {
            Ok(network) => network,
            Err(error) => return Err(BundleError::NotOnnx { origin, detail: error.to_string() }),
        };
        if network.graph.as_ref().is_none_or(|graph| graph.node.is_empty()) {
            let detail = "it has no graph".to_owned();
            return Err(BundleError::NotOnnx { origin, detail });
        }
        let manifest = manifest_of(&network, &origin)?;
        if let Err(source) = weights::expand(&mut network) {
            return Err(BundleError::Weights { origin, source });
        }
        Ok(Self { network, manifest, digest: Digest::of(bytes), origin })
    }

    /// Reads a bundle from a file; its origin is the path.
    ///
    /// # Errors
    ///
    /// See [`BundleError`].
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let origin = path.display().to_string();
        let unreadable = |source| BundleError::Unreadable { origin: origin.clone(), source };
        // Looked at before it is opened: opening a named pipe would wait for its writer.
        let kind = std::fs::metadata(path).map_err(unreadable)?;
        if !kind.is_file() {
            let source = std::io::Error::other("it is not a regular file");
            return Err(BundleError::Unreadable { origin, source });
        }
        if kind.len() > MOST_BYTES {
            return Err(BundleError::TooLarge { origin, bytes: kind.len() });
        }
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // The file may grow meanwhile; one byte beyond the limit is enough to see it.
        let mut bytes = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or_default());
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_bytes(&bytes, origin)
    }

    /// The bundle inside the binary; its origin is [`EMBEDDED`].
    ///
    /// # Errors
    ///
    /// See [`BundleError`]; none for a binary that was built well.
    pub fn embedded() -> Result<Self, BundleError> {
        Self::from_bytes(embedded::BYTES, EMBEDDED)
    }

    /// What the bundle says about itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the file's bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Where it came from: a path, or `embedded`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The network, its weights expanded to f32.
    #[must_use]
    pub const fn network(&self) -> &onnx::ModelProto {
        &self.network
    }

    /// Network, manifest, digest and origin, for the engine.
    pub(super) fn into_parts(self) -> (onnx::ModelProto, Manifest, Digest, String) {
        (self.network, self.manifest, self.digest, self.origin)
    }
}

/// The file of a bundle: `network` with `manifest` in its metadata (in place of any manifest that was there).
///
/// # Errors
///
/// [`BundleError::Manifest`] for a manifest that would not be read again, [`BundleError::NotOnnx`] for
/// a network without a graph, [`BundleError::Weights`] and [`BundleError::TooLarge`].
pub fn write(mut network: onnx::ModelProto, manifest: &Manifest) -> Result<Vec<u8>, BundleError> {
    let origin = || format!("bundle {:?}", manifest.id);
    manifest.check().map_err(|source| BundleError::Manifest { origin: origin(), source })?;
    let Some(graph) = &network.graph else {
        return Err(BundleError::NotOnnx {
            origin: origin(),
            detail: "it has no graph".to_owned(),
        });
    };
    weights::check(graph).map_err(|source| BundleError::Weights { origin: origin(), source })?;
    let text = serde_json::to_string(manifest).map_err(|error| BundleError::Manifest {
        origin: origin(),
        source: ManifestError::new("", error.to_string()),
    })?;
    network.metadata_props.retain(|entry| entry.key != MANIFEST_KEY);
    let entry = onnx::StringStringEntryProto { key: MANIFEST_KEY.to_owned(), value: text };
    network.metadata_props.push(entry);
    let bytes = network.encode_to_vec();
    if bytes.len() as u64 > MOST_BYTES {
        return Err(BundleError::TooLarge { origin: origin(), bytes: bytes.len() as u64 });
    }
    Ok(bytes)
}

fn manifest_of(network: &onnx::ModelProto, origin: &str) -> Result<Manifest, BundleError> {
    let origin = || origin.to_owned();
    let wrong = |source| BundleError::Manifest { origin: origin(), source };
    let mut entries = network.metadata_props.iter().filter(|entry| entry.key == MANIFEST_KEY);
    let Some(entry) = entries.next() else {
        return Err(BundleError::NoManifest { origin: origin() });
    };
    if entries.next().is_some() {
        return Err(wrong(ManifestError::new("", "the file holds more than one")));
    }
    // The version comes first: a newer manifest has fields that this one does not know.
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u64,
    }
    let found = serde_json::from_str::<Versioned>(&entry.value)
        .map_err(|error| wrong(ManifestError::new("version", error.to_string())))?
        .version;
    if found > u64::from(MANIFEST_VERSION) {
        return Err(BundleError::Newer { origin: origin(), found });
    }
    let reader = &mut serde_json::Deserializer::from_str(&entry.value);
    let manifest: Manifest = serde_path_to_error::deserialize(reader).map_err(|error| {
        wrong(ManifestError::new(error.path().to_string(), error.inner().to_string()))
    })?;
    manifest.check().map_err(wrong)?;
    Ok(manifest)
}

/// Where a bundle is to be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleSource {
    /// Inside the binary.
    Embedded,
    /// A file.
    File(PathBuf),
}

impl BundleSource {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// See [`BundleError`].
    pub fn read(&self) -> Result<Bundle, BundleError> {
        match self {
            Self::Embedded => Bundle::embedded(),
            Self::File(path) => Bundle::read(path),
        }
    }
}
