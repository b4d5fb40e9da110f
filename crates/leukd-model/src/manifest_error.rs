//! A manifest that cannot be used: which field, and why.

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if field.is_empty() { String::new() } else { format!("`{field}`: ") })]
pub struct ManifestError {
    /// The field's path, for example `calibration.temperature`; empty for the whole.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ManifestError {
    /// An error of one field.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}
