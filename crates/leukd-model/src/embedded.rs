//! The bundle inside the binary, so that a fresh installation serves without a download.

/// `models/default.onnx` as it was when leukd was built.
pub(super) const BYTES: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/default.onnx"));
