//! Bundles that the gate lets in, through the engine: compiled and run on their golden inputs.
//! tract's panics are caught where the daemon catches them; an abort, a hang or a panic beyond that
//! door is a finding.

use leukd::model::bundle::Bundle;
use leukd::model::serving::Model;

/// As of `bundle`.
pub fn seeds() -> Vec<Vec<u8>> {
    super::bundle::seeds()
}

/// A model that loads gives probabilities that add up to 1.
pub fn run(bytes: &[u8]) -> String {
    let Ok(bundle) = Bundle::from_bytes(bytes, "b.onnx") else { return "no bundle".to_owned() };
    let needs = bundle.needs();
    // Small ones: what a large one does, it does more slowly.
    if needs.memory > 64 << 20 || needs.products > 50_000_000 {
        return "large".to_owned();
    }
    let shape = bundle.manifest().preprocessing.shape();
    match Model::load(bundle) {
        Err(error) => super::kind(&error.to_string()),
        Ok(model) => {
            let data = vec![7.0; shape.iter().product()];
            let input = leukd::cell::preprocess::InputTensor { shape, data };
            match model.run(&input) {
                Ok(probabilities) => {
                    let sum: f64 = probabilities.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-6, "{probabilities:?}");
                    "serves".to_owned()
                }
                Err(error) => super::kind(&error.to_string()),
            }
        }
    }
}
