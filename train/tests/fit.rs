//! The training loop: what it keeps, how it goes on, how it ends.
//!
//! A program of its own: weights begin as the one random generator of the process has them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;

use burn::tensor::Device;
use leukd_model::bundle::Bundle;
use leukd_model::manifest::Precision;
use leukd_model::serving::Model;
use leukd_train::dataset::Split;
use leukd_train::export::{Naming, export};
use leukd_train::fit::{
    Batch, Checkpoint, CheckpointError, Ending, EpochLine, Observer, Plan, Start, State, Step,
    Stop, fit,
};
use leukd_train::recipe::{Kept, Recipe};
use support::{narrow, split};

/// Asks to stop after so many steps.
struct After {
    left: usize,
    stop: Stop,
}

impl Observer for After {
    fn step(&mut self, _step: &Step) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.stop.ask();
        }
    }
    fn validating(&mut self, _epoch: u32) {}
    fn epoch(&mut self, _line: &EpochLine) {}
}

/// Runs at most `steps` steps.
fn run(
    recipe: &Recipe,
    split: &Split,
    folder: &Checkpoint,
    start: Start,
    steps: usize,
) -> Result<(State, Ending), CheckpointError> {
    let stop = Stop::default();
    let plan = Plan {
        recipe,
        split,
        folder,
        start,
        device: Device::flex(),
        device_name: "cpu".to_owned(),
        loaders: 2,
        stop: stop.clone(),
    };
    fit(&plan, &mut After { left: steps, stop })
}

/// Everything that can be varied, on standardised colours.
const VARIED: [&str; 11] = [
    "average.every=2",
    "steps.epochs=3",
    "input.standardise=channels",
    "augmentation.scale=0.2",
    "augmentation.contrast=0.2",
    "augmentation.gamma=0.2",
    "augmentation.residual=0.1",
    "augmentation.grey=0.3",
    "augmentation.blur=1",
    "augmentation.noise=4",
    "augmentation.erase=0.3",
];

/// All that a run learned: its outcome without what the clock says, and its tensors.
fn learned(folder: &Path, state: &State) -> (Vec<EpochLine>, Vec<Vec<f32>>) {
    let epochs = state
        .epochs
        .iter()
        .map(|line| EpochLine { seconds: 0.0, cells_per_second: 0.0, ..line.clone() })
        .collect();
    // Names and ids of tensors differ between runs; the numbers must not.
    let tensors = ["weights.bpk", "model.bpk"].map(|name| {
        let network = leukd_train::export::network(&state.recipe, &Device::flex());
        let path = folder.join("checkpoint").join(name);
        let network = burn::module::Module::try_load_file(network, &path).unwrap();
        numbers(&network)
    });
    (epochs, tensors.to_vec())
}

fn numbers(network: &leukd_train::network::Network) -> Vec<f32> {
    struct All(Vec<f32>);
    impl burn::module::ModuleVisitor for All {
        fn visit_float<const D: usize>(
            &mut self,
            param: &burn::module::Param<burn::tensor::Tensor<D>>,
        ) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut all = All(Vec::new());
    burn::module::Module::visit(network, &mut all);
    all.0
}

#[test]
fn where_nothing_is_varied_a_batch_is_what_the_daemon_sees() {
    for standardise in ["none", "channels", "density", "luminance"] {
        let standardise = format!("input.standardise={standardise}");
        let recipe = narrow("seed", &["augmentation.flip_horizontal=false", &standardise]);
        let split = split(&recipe);
        let cells = [5, 0, 9];
        let (inputs, _) = Batch::new(&recipe, &split, &cells, 1, 0).tensors(&Device::flex());
        let seen: Vec<f32> = inputs.into_data().iter::<f32>().collect();
        let served: Vec<f32> = cells
            .iter()
            .flat_map(|cell| {
                let square = split.training[*cell].square(recipe.input.size).unwrap();
                recipe.preprocessing().numbers(&square).data
            })
            .collect();
        assert!(seen == served, "{standardise}");
    }
}

/// One test, because the seed of burn's generator is one for the whole process.
#[test]
fn a_stopped_run_goes_on_bit_for_bit_and_its_bundle_serves() {
    let dir = tempfile::tempdir().unwrap();
    let recipes = [
        ("seed", narrow("seed", &["steps.epochs=3", "optimizer.frozen_epochs=1"])),
        ("modern", narrow("modern", &["steps.epochs=3", "average.refresh_norms=2"])),
        ("varied", narrow("modern", &VARIED)),
    ];
    for (name, recipe) in &recipes {
        let split = split(recipe);
        let [straight, parted] = ["straight", "parted"].map(|part| {
            let folder = dir.path().join(format!("{name}-{part}"));
            (Checkpoint::open(&folder), folder)
        });
        let (whole, ending) = run(recipe, &split, &straight.0, Start::Fresh, 1000).unwrap();
        assert_eq!((whole.epochs_done(), ending), (3, Ending::Done));
        // Every step counts: `modern` averages every four steps, and an epoch has two.
        assert_eq!(whole.averaged, if recipe.average.decay > 0.0 { 6 } else { 0 });

        // An epoch has two steps: the run stops in the midst of the first, then of the second.
        let (_, ending) = run(recipe, &split, &parted.0, Start::Fresh, 1).unwrap();
        assert_eq!(ending, Ending::Stopped);
        let (part, ending) = run(recipe, &split, &parted.0, Start::Resume, 2).unwrap();
        assert_eq!((part.epochs_done(), part.partial.steps, ending), (1, 1, Ending::Stopped));
        let (resumed, ending) = run(recipe, &split, &parted.0, Start::Resume, 1000).unwrap();
        assert_eq!((resumed.epochs_done(), ending), (3, Ending::Done));
        let metrics = std::fs::read_to_string(parted.1.join("metrics.jsonl")).unwrap();
        assert_eq!(metrics.lines().count(), 3);
        let (straight, parted) = (learned(&straight.1, &whole), learned(&parted.1, &resumed));
        assert_eq!(straight.0, parted.0, "{name}");
        // Not printed: they are thousands of numbers.
        assert!(straight.1 == parted.1, "{name}: a resumed run learned other weights");
    }
    assert!(recipes[0].1.optimizer.frozen_epochs == 1);

    let (name, recipe) = &recipes[1];
    let split = split(recipe);
    let folder = Checkpoint::open(&dir.path().join(format!("{name}-straight")));
    let other = narrow("modern", &["average.refresh_norms=2", "optimizer.learning_rate=0.5"]);
    let error = run(&other, &split, &folder, Start::Resume, 1).unwrap_err();
    assert!(error.to_string().contains("optimizer.learning_rate"), "{error}");
    let mut fewer = split.clone();
    fewer.training.truncate(14);
    let error = run(recipe, &fewer, &folder, Start::Resume, 1).unwrap_err();
    assert!(matches!(error, CheckpointError::OtherData), "{error}");

    // The same words, and another program that makes something else of them.
    let path = folder.folder().join("checkpoint/run.toml");
    let told = std::fs::read_to_string(&path).unwrap();
    let (head, own) = told.split_once("[preprocessing]").unwrap();
    let other = own.replacen("\"bilinear\"", "\"nearest\"", 1);
    std::fs::write(&path, format!("{head}[preprocessing]{other}")).unwrap();
    let error = folder.state().unwrap_err();
    assert!(matches!(error, CheckpointError::OtherPreprocessing { .. }), "{error}");
    assert!(error.to_string().contains("nearest") && error.to_string().contains("bilinear"));
    std::fs::write(&path, told).unwrap();

    let naming = Naming { id: "test", data: "synthetic cells" };
    let exported = export(&folder, &split, naming, Precision::F32, Kept::Last).unwrap();
    let model = Model::load(Bundle::from_bytes(&exported.bytes, "test").unwrap()).unwrap();
    let manifest = model.manifest();
    assert_eq!((manifest.training.epochs, manifest.training.best_epoch), (3, 3));
    assert_eq!(manifest.training.cells, 16);
    assert_eq!(manifest.training.data_digest, split.training_digest().to_string());
    assert_eq!(manifest.training.recipe["optimizer.kind"], "adamw");
    assert!(manifest.metrics.iter().any(|metric| metric.name == "auroc" && metric.cells == 8));
    assert!(manifest.card.contains("For Research Use Only"));
    assert!(exported.difference <= 1e-4);
}

#[test]
fn a_folder_without_a_run_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = Checkpoint::open(dir.path()).state().unwrap_err();
    assert!(error.to_string().contains("holds no training run"), "{error}");
}
