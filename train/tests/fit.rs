//! The training loop: what it keeps, and how it goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use leukd::cell::Format;
use leukd::cell::preprocess::Preprocessing;
use leukd::cell::quality::assess;
use leukd::cell::synthetic::{self, Kind};
use leukd::model::bundle::Bundle;
use leukd::model::manifest::Precision;
use leukd::model::serving::Model;
use leukd::result::Digest;
use leukd_train::dataset::{Cell, Split};
use leukd_train::export::export;
use leukd_train::fit::{Checkpoint, CheckpointError, Kept, Recipe, Start, fit};
use leukd_train::network::Architecture;

fn recipe(epochs: u32) -> Recipe {
    let preprocessing = Preprocessing { size: 32, window: Some(320), ..Preprocessing::b3() };
    Recipe {
        architecture: Architecture { width: 0.25, depth: 0.3, hidden: 8, classes: 2 },
        epochs,
        batch: 8,
        norm_momentum: 0.2,
        ..Recipe::b3(preprocessing)
    }
}

fn split(recipe: &Recipe) -> Split {
    let cells = |seeds: std::ops::Range<u64>, subjects: [&str; 2]| -> Vec<Cell> {
        seeds
            .map(|seed| {
                let label = (seed % 2) as usize;
                let kind = [Kind::Blast, Kind::Normal][label];
                let picture = synthetic::cell(seed, kind);
                let square = recipe.preprocessing.square(&picture).unwrap();
                Cell {
                    path: format!("{seed}.bmp").into(),
                    area: assess(&picture).foreground_px,
                    name: format!("{seed}.bmp"),
                    label,
                    subject: subjects[label].to_owned(),
                    fold: None,
                    side: None,
                    digest: Digest::of(&seed.to_le_bytes()),
                    format: Format::Bmp,
                    width: picture.width(),
                    height: picture.height(),
                    pixels: square.into_raw(),
                }
            })
            .collect()
    };
    Split::of(cells(0..16, ["a", "h"]), cells(16..24, ["b", "i"]), vec![])
}

/// One test, because the seed of burn's generator is one for the whole process.
#[test]
fn a_resumed_run_goes_on_as_it_would_have_and_its_bundle_serves() {
    let recipe = recipe(3);
    let split = split(&recipe);
    let dir = tempfile::tempdir().unwrap();
    let [straight, parted] =
        ["straight", "parted"].map(|name| Checkpoint::open(&dir.path().join(name)));

    let whole = fit(&recipe, &split, &straight, &Start::Fresh, |_| {}).unwrap();
    assert_eq!(whole.epochs_done(), 3);

    // The schedule belongs to three epochs; the run ends in between.
    let mut lines = 0;
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        fit(&recipe, &split, &parted, &Start::Fresh, |_| {
            lines += 1;
            assert!(lines < 2, "interrupted");
        })
    }));
    assert!(interrupted.is_err());
    assert_eq!(parted.state().unwrap().epochs_done(), 2);
    let resumed = fit(&recipe, &split, &parted, &Start::Resume, |_| {}).unwrap();
    assert_eq!(resumed.epochs_done(), 3);
    for (one, other) in whole.epochs.iter().zip(&resumed.epochs) {
        assert!((one.loss - other.loss).abs() < 1e-5, "{one} {other}");
        assert_eq!(one.validation, other.validation);
    }

    let other = Recipe { learning_rate: 0.5, ..recipe.clone() };
    let error = fit(&other, &split, &parted, &Start::Resume, |_| {}).unwrap_err();
    assert!(matches!(error, CheckpointError::OtherRecipe), "{error}");
    let mut fewer = split.clone();
    fewer.training.truncate(14);
    let error = fit(&recipe, &fewer, &parted, &Start::Resume, |_| {}).unwrap_err();
    assert!(matches!(error, CheckpointError::OtherData), "{error}");

    let exported = export(&straight, &split, "test", Precision::F16, Kept::Last).unwrap();
    let model = Model::load(Bundle::from_bytes(&exported.bytes, "test").unwrap()).unwrap();
    let manifest = model.manifest();
    assert_eq!((manifest.training.epochs, manifest.training.best_epoch), (3, 3));
    assert_eq!(manifest.training.cells, 16);
    assert_eq!(manifest.training.data_digest, split.training_digest().to_string());
    assert!(manifest.metrics.iter().any(|metric| metric.name == "auroc" && metric.cells == 8));
    assert!(manifest.card.contains("For Research Use Only"));
    assert!(exported.difference <= 1e-4);
}
