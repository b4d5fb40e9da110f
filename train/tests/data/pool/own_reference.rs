//! What a shipped model knows of its training cells is its own network's, whatever its siblings
//! know.

use std::collections::BTreeMap;
use std::path::Path;

use leukd_cell::Measures;
use leukd_model::bundle::Bundle;
use leukd_model::manifest::Precision;
use leukd_model::reference::{FeatureSpace, Reference};
use leukd_model::testing;
use leukd_train::dataset::Split;
use leukd_train::evaluate::{ByTruth, Doubted, Evaluation, Served};

use crate::pool::story::{cells, recipe};
use crate::pool::{paths, pool, three_folds, train};
use crate::support::said;

/// The run in `folder` as if its bundle had doubted so many of its test cells.
fn doubts(folder: &Path, doubted: u64) {
    let path = folder.join("evaluation.json");
    let mut sides: Vec<Evaluation> =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for one in &mut sides {
        let own = Doubted {
            kind: "test cells".to_owned(),
            split: one.protocol.to_string(),
            pictures: one.counts.cells,
            doubted,
            share: None,
            interval: None,
            reasons: BTreeMap::from([("blurred".to_owned(), doubted)]),
            reviewed: doubted,
            unreadable: 0,
        };
        one.served = Some(Served {
            decisions: one.decisions,
            error_decided: None,
            by_band: ByTruth::default(),
            by_doubt: ByTruth::default(),
            by_both: ByTruth::default(),
            reasons: BTreeMap::new(),
            doubted: Some(own),
            others: Vec::new(),
        });
    }
    std::fs::write(&path, serde_json::to_vec(&sides).unwrap()).unwrap();
}

#[test]
fn a_shipped_bundle_keeps_the_reference_of_its_own_network_and_says_where_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (_, folders) = three_folds(dir.path());
    // A fold that tells nothing: then nothing is told of all of them.
    doubts(&folders[0], 1);
    let (_, pooled, told) = pool(dir.path(), "partly", &paths(&folders));
    assert!(pooled.doubted().is_none() && !told.contains("Doubted for being unlike"), "{told}");
    doubts(&folders[1], 2);
    doubts(&folders[2], 3);
    let (figures, pooled, told) = pool(dir.path(), "subject", &paths(&folders));
    let all = pooled.doubted().unwrap();
    assert_eq!((all.pictures, all.doubted, all.reasons["blurred"]), (72, 6, 6));
    assert!(told.contains("6 of 72 tested cells, 0.083 (0.039 to 0.170)"), "{told}");
    let own = Reference {
        data: "training cells of this very model".to_owned(),
        cells: 68,
        bounds: BTreeMap::from([(Measures::NAMES[0].to_owned(), (1.0, 2.0))]),
        features: Some(FeatureSpace::pack(&[0.5; 4], &[], Vec::new(), 1.0, 1.5)),
        asked_false_alarms: 0.05,
        false_alarms: 0.04,
        validation_cells: 25,
    };
    for reference in [Some(own), None] {
        let mut manifest = testing::tiny_manifest("everything", Precision::F32);
        "everything".clone_into(&mut manifest.training.protocol);
        let (validation, training) =
            cells().into_iter().partition(|cell| cell.name.ends_with("_0_1_all.bmp"));
        manifest.training.recipe = recipe(&Split::of(training, validation, Vec::new()), "7");
        manifest.reference.clone_from(&reference);
        let told = "Unlike its training cells: its own.";
        manifest.card = format!("Use.\n\n{told}\n\nFigures: none.");
        let bytes = testing::bundle_of(testing::tiny_network(1, Precision::F32), manifest);
        let (bundle, out) = (dir.path().join("everything.onnx"), dir.path().join("model.onnx"));
        std::fs::write(&bundle, bytes).unwrap();
        let output = train(
            &["ship", "--out", out.to_str().unwrap(), "--figures", figures.to_str().unwrap()],
            &[&bundle],
        );
        assert!(output.status.success(), "{}", said(&output));
        let shipped = Bundle::read(&out).unwrap().manifest().clone();
        assert_eq!(shipped.reference, reference);
        assert!(shipped.card.contains("6 of 72 of these cells are left to a person, 0.083"));
        let doubts_nothing = said(&output).contains("The bundle knows nothing of its training");
        assert_eq!(doubts_nothing, reference.is_none(), "{}", said(&output));
        assert_eq!(said(&output).contains(told), reference.is_some(), "{}", said(&output));
    }
}
