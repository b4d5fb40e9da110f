//! The bundle: one ONNX file whose `metadata_props` hold the manifest.

use std::path::{Path, PathBuf};

use prost::Message;

use crate::engine::onnx;
use crate::file::{BundleFile, FileError, MAX_BYTES};
use crate::gate::{self, GateError, Limits, Needs};
use crate::manifest::{MANIFEST_KEY, MANIFEST_VERSION, Manifest, ManifestError};
use crate::trust::{Provenance, TrustError};
use crate::weights::{self, WeightsError};
use leukd_cell::Digest;

/// A network with its manifest, read and checked, not compiled yet.
#[derive(Debug, Clone)]
pub struct Bundle {
    network: onnx::ModelProto,
    manifest: Manifest,
    digest: Digest,
    origin: String,
    provenance: Provenance,
    needs: Needs,
}

/// Why some bytes are no bundle. Each message begins with the origin.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be read, or is too large.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nobody who is trusted signed it, and the configuration does not allow it.
    #[error("{origin}: refused: {source}")]
    Untrusted {
        /// The path.
        origin: String,
        /// Why, and what to do.
        source: Box<TrustError>,
    },
    /// It holds what no bundle may hold, or too much of something.
    #[error("{origin}: refused: {source}")]
    Gate {
        /// Path or `embedded`.
        origin: String,
        /// What and where.
        source: GateError,
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
    /// The manifest was written for another leukd.
    #[error(
        "{origin}: the manifest has version {found}; this leukd reads version {MANIFEST_VERSION}: use the leukd that the \
         bundle was made for, or make the bundle anew"
    )]
    OtherVersion {
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
    /// Reads a bundle from memory. `origin` is where the bytes came from, for messages and
    /// `GetModel`. Weights in a storage form (half precision, one byte) are expanded.
    ///
    /// # Errors
    ///
    /// See [`BundleError`].
    pub fn from_bytes(bytes: &[u8], origin: impl Into<String>) -> Result<Self, BundleError> {
        let provenance = Provenance::Unasked;
        Self::decode(bytes, Digest::of(bytes), origin.into(), provenance, &Limits::default())
    }

    /// Decodes a file that was read and, where that matters, admitted.
    ///
    /// # Errors
    ///
    /// See [`BundleError`].
    pub fn of(
        file: &BundleFile,
        provenance: Provenance,
        limits: &Limits,
    ) -> Result<Self, BundleError> {
        Self::decode(file.bytes(), file.digest(), file.origin(), provenance, limits)
    }

    fn decode(
        bytes: &[u8],
        digest: Digest,
        origin: String,
        provenance: Provenance,
        limits: &Limits,
    ) -> Result<Self, BundleError> {
        let most = limits.max_bytes;
        if bytes.len() as u64 > most {
            return Err(FileError::TooLarge { origin, bytes: bytes.len() as u64, most }.into());
        }
        match gate::scan(bytes) {
            Ok(()) => {}
            Err(damaged @ GateError::Damaged) => {
                return Err(BundleError::NotOnnx { origin, detail: damaged.to_string() });
            }
            Err(source) => return Err(BundleError::Gate { origin, source }),
        }
        let mut network = match onnx::ModelProto::decode(bytes) {
            Ok(network) => network,
            Err(error) => return Err(BundleError::NotOnnx { origin, detail: error.to_string() }),
        };
        if network.graph.as_ref().is_none_or(|graph| graph.node.is_empty()) {
            let detail = "it has no graph".to_owned();
            return Err(BundleError::NotOnnx { origin, detail });
        }
        let shut = |source| BundleError::Gate { origin: origin.clone(), source };
        gate::metadata(&network).map_err(shut)?;
        let manifest = manifest_of(&network, &origin)?;
        let needs = gate::admit(&network, &manifest, limits).map_err(shut)?;
        if let Err(source) = weights::expand(&mut network) {
            return Err(BundleError::Weights { origin, source });
        }
        Ok(Self { network, manifest, digest, origin, provenance, needs })
    }

    /// Reads a bundle from a file; its origin is the path. Nobody asks who signed it.
    ///
    /// # Errors
    ///
    /// See [`BundleError`].
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let limits = Limits::default();
        Self::of(&BundleFile::read(path, limits.max_bytes)?, Provenance::Unasked, &limits)
    }

    /// The bundle inside the binary; its origin is [`EMBEDDED`](crate::file::EMBEDDED).
    ///
    /// # Errors
    ///
    /// See [`BundleError`]; none for a binary that was built well.
    pub fn embedded() -> Result<Self, BundleError> {
        Self::of(&BundleFile::embedded(), Provenance::Embedded, &Limits::default())
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

    /// How it came to be served.
    #[must_use]
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// What its network needs.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// Network, manifest, digest, origin and provenance, for the engine.
    pub(super) fn into_parts(self) -> (onnx::ModelProto, Manifest, Digest, String, Provenance) {
        (self.network, self.manifest, self.digest, self.origin, self.provenance)
    }
}

/// The file of a bundle: `network` with `manifest` in its metadata (in place of any manifest that
/// was there).
///
/// # Errors
///
/// [`BundleError::Manifest`] for a manifest that would not be read again, [`BundleError::NotOnnx`]
/// for a network without a graph, [`BundleError::Weights`] and [`FileError::TooLarge`].
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
    if bytes.len() as u64 > MAX_BYTES {
        let (bytes, most) = (bytes.len() as u64, MAX_BYTES);
        return Err(FileError::TooLarge { origin: origin(), bytes, most }.into());
    }
    Ok(bytes)
}

/// The bundle `bytes` with its manifest changed; the network is stored as it was.
///
/// # Errors
///
/// See [`Bundle::from_bytes`] and [`write()`].
pub fn rewritten(bytes: &[u8], change: impl FnOnce(&mut Manifest)) -> Result<Vec<u8>, BundleError> {
    let origin = "the bundle";
    let mut manifest = Bundle::from_bytes(bytes, origin)?.manifest().clone();
    change(&mut manifest);
    // Read once more: a bundle's own network has its weights expanded.
    let stored = onnx::ModelProto::decode(bytes).map_err(|error| BundleError::NotOnnx {
        origin: origin.to_owned(),
        detail: error.to_string(),
    })?;
    write(stored, &manifest)
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
    // The version comes first: another version has fields that this one does not know.
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u64,
    }
    let found = serde_json::from_str::<Versioned>(&entry.value)
        .map_err(|error| wrong(ManifestError::new("version", error.to_string())))?
        .version;
    if found != u64::from(MANIFEST_VERSION) {
        return Err(BundleError::OtherVersion { origin: origin(), found });
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
    /// Reads it; nobody asks who signed it.
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

    /// Reads its bytes, at most so many, and its signature; decodes nothing.
    ///
    /// # Errors
    ///
    /// See [`FileError`].
    pub fn file(&self, max_bytes: u64) -> Result<BundleFile, FileError> {
        match self {
            Self::Embedded => Ok(BundleFile::embedded()),
            Self::File(path) => BundleFile::read(path, max_bytes),
        }
    }
}
