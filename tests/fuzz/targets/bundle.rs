//! Bytes → gate, manifest and weights: everything before the engine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leukd::cell::synthetic;
use leukd::model::bundle::{self, Bundle};
use leukd::model::gate::{Limits, MOST_NODES};
use leukd::model::manifest::{Golden, Precision};
use leukd::model::{serving, testing, weights};

/// Tiny bundles in each stored form, with one small golden input: they serve.
pub fn seeds() -> Vec<Vec<u8>> {
    [Precision::F32, Precision::F16, Precision::Int8].map(stored).to_vec()
}

fn stored(precision: Precision) -> Vec<u8> {
    let network = testing::tiny_network(1, precision);
    let mut plain = network.clone();
    weights::expand(&mut plain).unwrap();
    let mut manifest = testing::tiny_manifest("t", precision);
    let cell = synthetic::cell(1, synthetic::Kind::Blast);
    let png = synthetic::png(&image::imageops::thumbnail(&cell, 8, 8));
    let (name, png) = ("drawn".to_owned(), STANDARD.encode(png));
    manifest.golden = vec![Golden { name, png, probabilities: vec![0.5, 0.5] }];
    manifest.golden = serving::golden_outputs(&plain, &manifest).unwrap();
    bundle::write(network, &manifest).unwrap()
}

/// What is let in keeps the limits and is written again as a bundle; all else is an error that
/// begins with its origin.
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
    let again = bundle::write(bundle.network().clone(), bundle.manifest()).unwrap();
    let again = Bundle::from_bytes(&again, "again").unwrap();
    // Not all of it: a number's last bit may change on its way through JSON.
    let (one, other) = (bundle.manifest(), again.manifest());
    assert_eq!((&one.id, &one.labels, one.precision), (&other.id, &other.labels, other.precision));
    assert_eq!((one.golden.len(), one.metrics.len()), (other.golden.len(), other.metrics.len()));
    format!("{} nodes", needs.nodes)
}
