//! The bundle that the trainer writes is served by the daemon's engine as burn computed it.

use burn::module::Module;
use burn::tensor::Device;
use leukd_cell::synthetic::{self, Kind};
use leukd_model::bundle::{self, Bundle};
use leukd_model::manifest::{Calibration, Precision};
use leukd_model::serving::Model;
use leukd_train::dataset::Split;
use leukd_train::evaluate::Prediction;
use leukd_train::export::{Facts, Naming, golden, graph, manifest, probabilities, rounded};
use leukd_train::fit::State;
use leukd_train::network::{Architecture, Network, Regularisation};
use leukd_train::recipe::{Kept, Recipe, Setting};
use toml::Value;

fn recipe(architecture: Architecture, size: u32, standardise: &str) -> Recipe {
    let Architecture { width, depth, hidden, .. } = architecture;
    let settings = [
        ("network.width", Value::from(width)),
        ("network.depth", Value::from(depth)),
        ("network.hidden", Value::from(hidden as i64)),
        ("input.size", Value::from(i64::from(size))),
        ("input.standardise", Value::from(standardise)),
        ("augmentation.residual", Value::from(0.0)),
        ("augmentation.flat", Value::from(0.0)),
    ];
    let settings = settings.map(|(key, value)| Setting::flag("test", key, value));
    Recipe::read("modern", &settings).unwrap()
}

/// A network whose running statistics are not the initial ones: some batches of random pixels went
/// through it in training.
fn warmed(recipe: &Recipe) -> Network {
    let device = Device::flex().autodiff();
    device.seed(11);
    let regularisation = Regularisation { norm_momentum: 0.5, ..Regularisation::default() };
    let network = Network::new(&recipe.architecture(), &regularisation, &device);
    for seed in 0..3 {
        let cells: Vec<_> = (0..4)
            .map(|cell| {
                let kind = if cell % 2 == 0 { Kind::Blast } else { Kind::Normal };
                let picture = synthetic::cell(seed * 4 + cell, kind);
                recipe.preprocessing().square(&picture).unwrap().into_raw()
            })
            .collect();
        let views: Vec<&[u8]> = cells.iter().map(Vec::as_slice).collect();
        let _ = network.forward(leukd_train::fit::pixels(&views, &recipe.preprocessing(), &device));
    }
    network.valid()
}

/// The most that the engine differs from burn over some cells, after the bundle passed its own
/// golden inputs.
fn difference(recipe: &Recipe, network: &Network, precision: Precision) -> f64 {
    let network = rounded(network.clone(), precision);
    let split = Split::of(vec![], vec![], vec![]);
    let state = State::new(recipe.clone(), &split);
    let predictions: Vec<_> = (0..4)
        .map(|index| Prediction {
            name: index.to_string(),
            area: 0,
            logits: [f64::from(index) - 1.5, 0.0],
            label: usize::from(index % 2 == 1),
            subject: index.to_string(),
        })
        .collect();
    let facts = Facts {
        naming: Naming { id: "test", data: "synthetic cells" },
        state: &state,
        kept: Kept::Last,
        trained_at: "2026-01-01T00:00:00Z".to_owned(),
        precision,
        calibration: Calibration { temperature: 1.0, threshold: 0.5, review: (0.4, 0.6) },
        predictions: &predictions,
    };
    let picture = synthetic::cell(7, Kind::Blast);
    let golden = golden(&network, &recipe.preprocessing(), "seed 7".to_owned(), &picture).unwrap();
    let side = recipe.input.size as usize;
    let graph = graph(&network, side, precision);
    let bytes = bundle::write(graph, &manifest(&facts, vec![golden])).unwrap();
    let model = Model::load(Bundle::from_bytes(&bytes, "test").unwrap()).unwrap();
    let mut most = 0.0_f64;
    for seed in 20..24 {
        let kind = if seed % 2 == 0 { Kind::Blast } else { Kind::Normal };
        let square = recipe.preprocessing().square(&synthetic::cell(seed, kind)).unwrap();
        let ours = probabilities(&network, &recipe.preprocessing(), square.as_raw());
        let served = model.run(&recipe.preprocessing().numbers(&square)).unwrap();
        for (ours, served) in ours.iter().zip(&served) {
            most = most.max((ours - served).abs());
        }
    }
    most
}

#[test]
fn the_engine_serves_a_narrow_network_as_burn_computed_it_in_every_precision() {
    let narrow = Architecture { width: 0.35, depth: 0.35, hidden: 16, classes: 2 };
    // An odd size walks through every kind of padding.
    for (size, standardise) in [(64, "none"), (75, "channels"), (64, "density"), (64, "luminance")]
    {
        let recipe = recipe(narrow, size, standardise);
        let network = warmed(&recipe);
        for precision in [Precision::F32, Precision::F16, Precision::Int8] {
            let most = difference(&recipe, &network, precision);
            assert!(most <= 1e-4, "{precision:?} at {size}, {standardise}: {most}");
        }
    }
}

#[test]
fn the_engine_serves_b3_as_burn_computed_it() {
    let recipe = recipe(Architecture::B3, 112, "channels");
    let network = warmed(&recipe);
    let most = difference(&recipe, &network, Precision::Int8);
    assert!(most <= 1e-4, "{most}");
}

#[test]
fn coarser_weights_make_smaller_files_and_other_numbers() {
    let narrow = Architecture { width: 0.35, depth: 0.35, hidden: 16, classes: 2 };
    let recipe = recipe(narrow, 64, "none");
    let network = warmed(&recipe);
    let square = recipe.preprocessing().square(&synthetic::cell(1, Kind::Blast)).unwrap();
    let of = |precision| {
        let network = rounded(network.clone(), precision);
        let bytes = prost::Message::encode_to_vec(&graph(&network, 64, precision)).len();
        (bytes, probabilities(&network, &recipe.preprocessing(), square.as_raw()))
    };
    let (full, half, byte) = (of(Precision::F32), of(Precision::F16), of(Precision::Int8));
    assert!(byte.0 < half.0 && half.0 < full.0);
    assert!(full.1 != half.1 && half.1 != byte.1);
}
