//! The gate: what a bundle may hold. A bundle is data, and whoever wrote it may mean harm: sizes,
//! counts, operators and memory are held against limits before the engine sees anything.
//!
//! Two looks. [`scan`] walks the bytes and allocates nothing: what a few bytes could unfold into,
//! counts of messages and numbers, is bounded before they are decoded, and subgraphs, functions and
//! sparse tensors end there. [`admit`] takes the decoded graph: only operators of a list, each name
//! given once and before it is taken, and every shape computed from the manifest's input, with the
//! memory and the arithmetic that follow from it.

mod attributes;
mod operators;
mod rules;
mod shapes;
mod value;
mod wire;

use crate::engine::onnx::ModelProto;
use crate::manifest::{MANIFEST_KEY, Manifest};

pub use operators::ALLOWED as ALLOWED_OPERATORS;
pub use wire::scan;

/// The most nodes: three times an EfficientNet-B7's, each activation written as two operators and
/// each kernel behind one that expands it. The engine's time to compile grows with their square. A
/// Sum, Mean, Min or Max of more than two tensors counts as the chain of nodes that the engine
/// makes of it.
pub const MOST_NODES: usize = 4_096;

/// The most stored tensors: as many as nodes.
pub const MOST_TENSORS: usize = MOST_NODES;

/// The most messages and texts in the file, whatever they belong to: each takes up to some hundred
/// bytes once decoded, 100 MB together. A B3 has some 10,000.
pub const MOST_MESSAGES: u64 = 1 << 18;

/// The most integers in lists (shapes, pads, axes, indices): a byte of the file each may become
/// eight. No list of a classifier is longer than its classes or channels.
pub const MOST_INTEGERS: u64 = 1 << 20;

/// The most weights that are listed one by one as integers instead of lying in `raw_data`: a byte
/// of the file may become four, 256 MB together.
pub const MOST_LISTED: u64 = 64 << 20;

/// The most bytes of metadata (manifest, golden pictures): the most golden inputs, each a 450 × 450
/// picture that no compression makes smaller, take half of it.
pub const MOST_METADATA: usize = 128 << 20;

/// The most sides of a tensor: channel shuffles, as the most demanding of the classifiers meant
/// here, need five.
pub const MOST_RANK: usize = 8;

/// The most multiplications for one picture: an EfficientNet-B7 at its own 600 pixels needs 3.7e10.
/// More would hold a start or a reload, which runs up to 64 golden inputs, up for many minutes.
pub const MOST_PRODUCTS: u64 = 50_000_000_000;

/// What an administrator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of the file.
    pub max_bytes: u64,
    /// The most bytes of memory that the network may need: three copies of its weights as f32 (as
    /// read, as the engine keeps them, as the kernels pack them), as many of what the engine lays
    /// out for each window, and what is alive at once of one picture's activations. What a head
    /// needs besides for heat maps is bounded where it is read.
    pub max_memory: u64,
}

impl Default for Limits {
    /// 512 MiB and 2 GiB: an EfficientNet-B7 at 600 pixels fits three times.
    fn default() -> Self {
        Self { max_bytes: crate::file::MAX_BYTES, max_memory: 2 << 30 }
    }
}

/// What a network needs, as far as its shapes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Needs {
    /// Operators.
    pub nodes: usize,
    /// Bytes of memory, as [`Limits::max_memory`] counts them.
    pub memory: u64,
    /// Multiplications for one picture.
    pub products: u64,
}

/// Why the gate stays shut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The bytes are no protobuf.
    #[error("it is damaged: this is not the protobuf of an ONNX model")]
    Damaged,
    /// There is something that no bundle may hold, or too much of it.
    #[error("{place}: {problem}")]
    Refused {
        /// Which part of the file: a node, a tensor, the graph.
        place: String,
        /// What is wrong, with the limit where there is one.
        problem: String,
    },
}

impl GateError {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Refused { place: place.into(), problem: problem.into() }
    }
}

/// A name out of the file, for a message: quoted, and not longer than a line.
fn shown(name: &str) -> String {
    const MOST: usize = 60;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}

/// Holds the metadata against its limit, before the manifest is read.
///
/// # Errors
///
/// The first entry that is too much.
pub fn metadata(network: &ModelProto) -> Result<(), GateError> {
    let mut bytes = 0_usize;
    for entry in &network.metadata_props {
        bytes = bytes.saturating_add(entry.key.len()).saturating_add(entry.value.len());
        if bytes > MOST_METADATA {
            let what = if entry.key == MANIFEST_KEY { "the manifest" } else { "the metadata" };
            let problem = format!("more than {MOST_METADATA} bytes");
            return Err(GateError::new(what, problem));
        }
    }
    Ok(())
}

/// Holds the decoded network, its weights not expanded yet, against the limits. One picture of the
/// shape that `manifest` says must lead to one tensor of one number for each label.
///
/// # Errors
///
/// The first thing that may not be, by its name.
pub fn admit(
    network: &ModelProto,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<Needs, GateError> {
    let Some(graph) = &network.graph else {
        return Err(GateError::new("the file", "it has no graph"));
    };
    for import in &network.opset_import {
        if !matches!(import.domain.as_str(), "" | "ai.onnx") {
            let problem = "operators of this domain are not allowed, only ONNX's own";
            return Err(GateError::new(shown(&import.domain), problem));
        }
    }
    let count = |what: &str, found: usize, most: usize| {
        if found <= most {
            return Ok(());
        }
        Err(GateError::new("the graph", format!("{found} {what}; at most {most} are allowed")))
    };
    count("nodes", operators::unfolded(&graph.node), MOST_NODES)?;
    count("stored tensors", graph.initializer.len(), MOST_TENSORS)?;
    operators::check(&graph.node)?;
    shapes::walk(graph, manifest, limits)
}
