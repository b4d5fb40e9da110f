//! Bytes → gate, manifest and weights: everything before the engine.

use leukd::model::bundle::Bundle;
use leukd::model::gate::{Limits, MOST_NODES};
use leukd::model::manifest::Precision;
use leukd::model::testing;

/// Tiny bundles in each stored form.
pub fn seeds() -> Vec<Vec<u8>> {
    let stored = |precision| testing::tiny_bundle_stored("t", 1, precision);
    [Precision::F32, Precision::F16, Precision::Int8].map(stored).to_vec()
}

/// What is let in keeps the limits and is written again as a bundle; all else is an error that begins with its origin.
pub fn run(bytes: &[u8]) -> String {
    let bundle = match Bundle::from_bytes(bytes, "b.onnx") {
        Ok(bundle) => bundle,
        Err(error) => {
            let message = error.to_string();
            let words = message.strip_prefix("b.onnx: ").expect("a message begins with the origin");
            return super::kind(words);
        }
    };
    let needs = bundle.needs();
    assert!(needs.nodes <= MOST_NODES && needs.memory <= Limits::default().max_memory);
    let again = leukd::model::bundle::write(bundle.network().clone(), bundle.manifest()).unwrap();
    let again = Bundle::from_bytes(&again, "again").unwrap();
    assert_eq!(again.manifest(), bundle.manifest());
    format!("{} nodes", needs.nodes)
}
