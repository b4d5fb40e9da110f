//! What quantization promises: every form serves, each is measured against f32, and none that loses
//! too much is chosen.

use crate::support;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::synthetic::{self, Kind};
use leukd_journal::result::Digest;
use leukd_model::bundle::Bundle;
use leukd_model::engine::Observer;
use leukd_model::manifest::Precision;
use leukd_model::onnx::{ModelProto, TensorProto};
use leukd_model::serving::Model;
use leukd_model::testing;
use leukd_train::dataset::Cell;
use leukd_train::export::graph;
use leukd_train::fit::pixels;
use leukd_train::network::{Architecture, Network, Regularisation};
use leukd_train::quantize::{Gate, Outcome, QuantizeInput, Row, Settings, Verdict, run};
use prost::Message;

const FORMS: [&str; 5] = ["f16", "int8", "int8-mse", "int8-corrected", "int8-full"];
const NARROW: Architecture = Architecture { width: 0.35, depth: 0.35, hidden: 16, classes: 2 };

/// A gate that no timing on a busy machine can fail.
const ANY_SPEED: Gate =
    Gate { max_accuracy_loss: 0.5, max_sensitivity_loss: 1.0, max_slowdown: 1000.0 };

fn preprocessing() -> Preprocessing {
    Preprocessing { size: 64, window: Some(320), ..Preprocessing::b3() }
}

/// As many blasts as normal cells.
fn cells(preprocessing: &Preprocessing, seeds: std::ops::Range<u64>) -> Vec<Cell> {
    seeds
        .map(|seed| {
            support::cell(preprocessing, seed, usize::from(seed % 2 == 1), &seed.to_string())
        })
        .collect()
}

/// A narrow EfficientNet that tells synthetic blasts from normal cells, as an f32 bundle.
fn trained() -> &'static [u8] {
    static BUNDLE: OnceLock<Vec<u8>> = OnceLock::new();
    BUNDLE.get_or_init(|| {
        let device = Device::flex().autodiff();
        device.seed(4);
        let regularisation = Regularisation {
            norm_momentum: 0.1,
            dropout: 0.0,
            drop_connect: 0.0,
            ..Regularisation::default()
        };
        let mut network = Network::new(&NARROW, &regularisation, &device);
        let cells = cells(&preprocessing(), 0..40);
        let mut optimizer = AdamWConfig::new().init();
        let steps = 40_u32;
        for step in 0..steps {
            let first = step as usize % 5 * 8;
            let batch = &cells[first..first + 8];
            let views: Vec<&[u8]> = batch.iter().map(|cell| cell.pixels.as_slice()).collect();
            let targets: Vec<f32> = batch
                .iter()
                .flat_map(|cell| if cell.label == 0 { [1.0, 0.0] } else { [0.0, 1.0] })
                .collect();
            let targets = Tensor::<2>::from_data(TensorData::new(targets, [8, 2]), &device);
            let logits = network.forward(pixels(&views, &preprocessing(), &device));
            let loss = (log_softmax(logits, 1) * targets).sum().neg().div_scalar(8.0);
            let grads = GradientsParams::from_grads(loss.backward(), &network);
            // Run down at the end, so that the running statistics fit the last weights.
            let rate = 3e-3 * (1.0 - f64::from(step) / f64::from(steps));
            network = optimizer.step(rate, network, grads);
        }
        let network = graph(&network.valid(), 64, Precision::F32);
        let mut manifest = testing::tiny_manifest("narrow", Precision::F32);
        manifest.preprocessing = preprocessing();
        let bytes = testing::bundle_of(network.clone(), manifest.clone());
        manifest.calibration.threshold = threshold(&bytes);
        testing::bundle_of(network, manifest)
    })
}

/// In the widest gap between the validation cells' P(all) where the most of them are decided
/// rightly: no cell lies so near that another processor's rounding decides it.
fn threshold(bytes: &[u8]) -> f64 {
    let model = Model::load(Bundle::from_bytes(bytes, "narrow").unwrap()).unwrap();
    let mut scored: Vec<(f64, usize)> = cells(&preprocessing(), 100..140)
        .iter()
        .map(|cell| {
            let input = preprocessing().numbers(&cell.square(64).unwrap());
            (model.run(&input).unwrap()[0], cell.label)
        })
        .collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let right = |at: f64| scored.iter().filter(|(p, label)| (*p < at) == (*label == 1)).count();
    let gaps =
        scored.windows(2).map(|pair| (f64::midpoint(pair[0].0, pair[1].0), pair[1].0 - pair[0].0));
    gaps.max_by(|a, b| right(a.0).cmp(&right(b.0)).then(a.1.total_cmp(&b.1))).unwrap().0
}

fn input<'a>(
    calibration: &'a [Cell],
    validation: &'a [Cell],
    settings: Settings,
) -> QuantizeInput<'a> {
    QuantizeInput { origin: "f32.onnx", calibration, validation, settings }
}

/// The forms of the trained network.
fn outcome() -> &'static Outcome {
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        let preprocessing = preprocessing();
        let (calibration, validation) =
            (cells(&preprocessing, 0..12), cells(&preprocessing, 100..140));
        let settings = Settings { gate: ANY_SPEED, ..Settings::default() };
        run(trained(), &input(&calibration, &validation, settings)).unwrap()
    })
}

fn row<'a>(outcome: &'a Outcome, name: &str) -> &'a Row {
    outcome.rows.iter().find(|row| row.name == name).unwrap()
}

fn bundle(outcome: &Outcome, name: &str) -> Bundle {
    let index = outcome.rows.iter().position(|row| row.name == name).unwrap();
    Bundle::from_bytes(&outcome.bundles[index], name).unwrap()
}

/// The tiny network whose dense layer has weights of `huge` on a channel that is always 0.
fn dormant(huge: f32) -> Vec<u8> {
    let mut network = testing::tiny_network(1, Precision::F32);
    let tensors = &mut network.graph.as_mut().unwrap().initializer;
    let mut set = |name: &str, from: usize, values: &[f32]| {
        let tensor: &mut TensorProto = tensors.iter_mut().find(|own| own.name == name).unwrap();
        for (place, value) in tensor.raw_data[from * 4..].chunks_mut(4).zip(values) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    };
    let per_channel = 3 * 4 * 4;
    set("conv.weight", 2 * per_channel, &vec![0.0; per_channel]);
    set("dense.weight", 4, &[huge, -huge]);
    testing::bundle_of(network, testing::tiny_manifest("dormant", Precision::F32))
}

fn tiny() -> Preprocessing {
    testing::tiny_manifest("t", Precision::F32).preprocessing
}

#[test]
fn every_form_of_a_trained_network_serves_with_what_it_cost_in_its_manifest() {
    let outcome = outcome();
    assert_eq!(outcome.rows.iter().map(|row| row.name).collect::<Vec<_>>(), FORMS);
    assert!(outcome.reference.accuracy > 0.95, "{:?}", outcome.reference);
    for row in &outcome.rows {
        let measured = row.measured.unwrap();
        for figure in [
            measured.accuracy_change,
            measured.balanced_accuracy_change,
            measured.sensitivity_change,
            measured.mean_difference,
            measured.largest_difference,
            measured.milliseconds,
            measured.slowdown,
            measured.load_milliseconds,
        ] {
            assert!(figure.is_finite(), "{row:?}");
        }
        assert!(measured.milliseconds > 0.0 && measured.load_milliseconds > 0.0, "{row:?}");
        // No form may be f32 itself under another name.
        assert!(measured.largest_difference > 0.0, "{row:?}");
        // It passes its own golden inputs, or this fails.
        let model = Model::load(bundle(outcome, row.name)).unwrap();
        let manifest = model.manifest();
        let cost = manifest.quantization.as_ref().unwrap();
        assert_eq!(cost.variant, row.name);
        assert_eq!(cost.from_digest, Digest::of(trained()).to_string());
        assert_eq!(cost.cells, 40);
        assert_eq!(cost.flips, (measured.flips_to_all + measured.flips_to_hem) as u64);
        let precision = if row.name == "f16" { Precision::F16 } else { Precision::Int8 };
        assert_eq!(manifest.precision, precision);
        assert!(manifest.card.contains("the quantized network's own"), "{}", manifest.card);
    }
}

#[test]
fn weights_in_one_byte_keep_to_the_gate_and_the_smallest_form_wins() {
    let outcome = outcome();
    for name in ["f16", "int8", "int8-mse", "int8-corrected"] {
        assert_eq!(row(outcome, name).verdict, Verdict::Kept, "{:?}", row(outcome, name));
    }
    let size = |name: &str| row(outcome, name).bytes;
    assert!(size("int8") < size("f16") && size("f16") < outcome.reference.bytes);
    let winner = &outcome.rows[outcome.winner.unwrap()];
    let kept = || outcome.rows.iter().filter(|row| row.verdict == Verdict::Kept);
    let least = kept().map(|row| row.bytes).min().unwrap();
    assert!(winner.bytes <= least + least / 100, "{winner:?}");
    // Of files that are as small, the closest to f32.
    let distance = |row: &Row| row.measured.unwrap().mean_difference;
    for other in kept().filter(|row| row.bytes <= least + least / 100) {
        assert!(distance(winner) <= distance(other), "{winner:?} {other:?}");
    }
    let winning = outcome.winning_bundle().unwrap();
    assert_eq!(winning.len(), winner.bytes);
    Model::load(Bundle::from_bytes(winning, "winner").unwrap()).unwrap();
}

#[test]
fn rows_are_json_with_their_figures_and_verdict_side_by_side() {
    let json = serde_json::to_value(outcome()).unwrap();
    let row = &json["rows"][1];
    assert_eq!(row["name"], "int8");
    assert_eq!(row["verdict"], "kept");
    for key in ["bytes", "accuracy_change", "flips_to_all", "slowdown", "load_milliseconds"] {
        assert!(row[key].is_number(), "{key}: {row}");
    }
    assert_eq!(json["reference"]["cells"], 40);
}

#[test]
fn the_full_form_rounds_what_flows_but_in_no_squeeze_and_in_no_layer_that_was_left() {
    let outcome = outcome();
    let row = row(outcome, "int8-full");
    assert_eq!(row.kept_float.len(), 4);
    let bundle = bundle(outcome, "int8-full");
    let graph = bundle.network().graph.as_ref().unwrap();
    let layers: Vec<_> = graph
        .node
        .iter()
        .filter(|node| ["Conv", "Gemm"].contains(&node.op_type.as_str()))
        .map(|node| (node.output[0].as_str(), node.input[0].ends_with(".rounded")))
        .collect();
    assert!(layers.iter().filter(|(_, rounded)| *rounded).count() > 10, "{layers:?}");
    for (name, rounded) in layers {
        let left = name.contains(".squeeze.") || row.kept_float.iter().any(|kept| kept == name);
        assert_eq!(rounded, !left, "{name}");
    }
}

#[test]
fn the_correction_gives_the_first_layer_its_mean_back() {
    let outcome = outcome();
    let calibration = cells(&preprocessing(), 0..12);
    let means = |bundle: &Bundle| -> Vec<f64> {
        let shape = preprocessing().shape();
        let names = vec!["stem.norm".to_owned()];
        let observer = Observer::compile(bundle.network(), shape, names).unwrap();
        let mut sums = Vec::new();
        for cell in &calibration {
            let input = preprocessing().numbers(&cell.square(64).unwrap());
            let seen = observer.run(&input).unwrap().remove(0);
            let area = seen.shape[2] * seen.shape[3];
            sums.resize(seen.shape[1], 0.0);
            for (sum, channel) in sums.iter_mut().zip(seen.values.chunks(area)) {
                let values = channel.iter().map(|value| f64::from(*value));
                *sum += values.sum::<f64>() / (area * calibration.len()) as f64;
            }
        }
        sums
    };
    let float = means(&Bundle::from_bytes(trained(), "f32").unwrap());
    let off = |name: &str| {
        let own = means(&bundle(outcome, name));
        float.iter().zip(own).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let (plain, corrected) = (off("int8-mse"), off("int8-corrected"));
    assert!(plain > 1e-3, "{plain}");
    assert!(corrected < plain / 20.0, "{corrected} {plain}");
}

#[test]
fn a_form_that_loses_the_cells_is_refused_with_the_reason_and_another_wins() {
    // In one byte a row with 30,000 in it has nothing left for 60.
    let preprocessing = tiny();
    let (calibration, validation) = (cells(&preprocessing, 0..8), cells(&preprocessing, 20..40));
    let settings = Settings { gate: ANY_SPEED, keep_float: 0, ..Settings::default() };
    let outcome = run(&dormant(30_000.0), &input(&calibration, &validation, settings)).unwrap();
    assert!((outcome.reference.accuracy - 1.0).abs() < 1e-9, "{:?}", outcome.reference);
    for name in ["int8", "int8-mse", "int8-corrected", "int8-full"] {
        let Verdict::Refused(reason) = &row(&outcome, name).verdict else {
            panic!("{:?}", row(&outcome, name));
        };
        assert!(reason.starts_with("accuracy falls by 50.00 points; 0.5 are allowed"), "{reason}");
        let measured = row(&outcome, name).measured.unwrap();
        assert_eq!(measured.flips_to_all + measured.flips_to_hem, 10);
    }
    assert_eq!(outcome.rows[outcome.winner.unwrap()].name, "f16");
}

#[test]
fn a_form_that_the_engine_cannot_run_is_refused_and_stops_no_other() {
    // Beyond the largest number of half precision.
    let preprocessing = tiny();
    let (calibration, validation) = (cells(&preprocessing, 0..4), cells(&preprocessing, 20..24));
    let settings = Settings {
        gate: Gate { max_accuracy_loss: 100.0, max_sensitivity_loss: 100.0, ..ANY_SPEED },
        ..Settings::default()
    };
    let outcome = run(&dormant(100_000.0), &input(&calibration, &validation, settings)).unwrap();
    let half = row(&outcome, "f16");
    assert_eq!((half.measured, half.bytes), (None, 0));
    let Verdict::Refused(reason) = &half.verdict else { panic!("{half:?}") };
    assert!(reason.contains("not finite"), "{reason}");
    assert_eq!(row(&outcome, "int8").verdict, Verdict::Kept);
    assert!(outcome.winner.is_some());
}

#[test]
fn a_gate_that_nothing_passes_leaves_f32() {
    let preprocessing = tiny();
    let (calibration, validation) = (cells(&preprocessing, 0..4), cells(&preprocessing, 20..24));
    let gate = Gate { max_slowdown: 0.0, ..Gate::default() };
    let settings = Settings { gate, ..Settings::default() };
    let bytes = testing::tiny_bundle("t", 1);
    let outcome = run(&bytes, &input(&calibration, &validation, settings)).unwrap();
    assert_eq!((outcome.winner, outcome.winning_bundle()), (None, None));
    for row in &outcome.rows {
        let Verdict::Refused(reason) = &row.verdict else { panic!("{row:?}") };
        assert!(reason.contains("times f32's time; 0 times is allowed"), "{reason}");
    }
}

#[test]
fn what_cannot_be_quantized_is_refused_with_what_to_do() {
    let preprocessing = tiny();
    let (calibration, validation) = (cells(&preprocessing, 0..4), cells(&preprocessing, 20..24));
    let settings = Settings::default();
    let whole = input(&calibration, &validation, settings);
    let says = |bytes: &[u8], input: &QuantizeInput<'_>, part: &str| {
        let error = run(bytes, input).unwrap_err().to_string();
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    };
    let good = testing::tiny_bundle("t", 1);
    says(b"no bundle", &whole, "f32.onnx: not an ONNX model");
    let stored = testing::tiny_bundle_stored("t", 1, Precision::Int8);
    says(&stored, &whole, "f32.onnx: its weights are stored as int8");
    says(&stored, &whole, "--weights f32");
    let mut bare = ModelProto::decode(&*good).unwrap();
    bare.graph.as_mut().unwrap().initializer.clear();
    says(&bare.encode_to_vec(), &whole, "it takes \"conv.weight\", which nothing before it gives");
    let blasts: Vec<Cell> = validation.iter().filter(|cell| cell.label == 0).cloned().collect();
    says(&good, &input(&calibration, &blasts, settings), "the validation side has no hem cells");
    says(&good, &input(&[], &validation, settings), "the training side is empty");
    let small = cells(&Preprocessing { size: 32, ..preprocessing }, 0..4);
    says(&good, &input(&small, &validation, settings), "cell 0.bmp is not 64 × 64 pixels");
    let percentile = Settings { percentile: 20.0, ..settings };
    says(&good, &input(&calibration, &validation, percentile), "the percentile is 20");
}

/// Six subjects in C-NMC's layout; 1 and H4 are to be held out.
fn fold(folder: &Path) {
    for (label, subject, seed) in
        [("all", "1", 0), ("all", "2", 2), ("all", "3", 4), ("hem", "H4", 1), ("hem", "H5", 3)]
    {
        let below = folder.join("fold_0").join(label);
        std::fs::create_dir_all(&below).unwrap();
        let kind = if label == "all" { Kind::Blast } else { Kind::Normal };
        for cell in 1..4_u64 {
            let bytes = synthetic::bmp(&synthetic::cell(seed * 10 + cell, kind));
            let name = format!("UID_{subject}_1_{cell}_{label}.bmp");
            std::fs::write(below.join(name), bytes).unwrap();
        }
    }
}

#[test]
fn the_command_writes_every_form_the_chosen_one_and_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fold(&at("data"));
    std::fs::write(at("f32.onnx"), testing::tiny_bundle("t", 1)).unwrap();
    let quantize = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_leukd-train"))
            .current_dir(folder.path())
            .args(["quantize", "f32.onnx", "--data", "data", "--hold-out", "1,H4", "--out", "out"])
            .args(more)
            .output()
            .unwrap()
    };
    let output = quantize(&["--max-slowdown", "1000"]);
    let (said, wrong) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{wrong}");
    for part in [
        "f32 on 2 validation cells: accuracy ",
        "Calibrated on 7 training cells",
        "\nint8-corrected ",
        "Chosen: ",
        "does not say that it was trained on this split",
        "For Research Use Only.",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at("out/quantize.json")).unwrap()).unwrap();
    let chosen = json["chosen"].as_str().unwrap();
    let read = |name: &str| std::fs::read(at("out").join(name)).unwrap();
    assert_eq!(read("model.onnx"), read(&format!("{chosen}.onnx")));
    for form in FORMS {
        Model::load(Bundle::read(&at("out").join(format!("{form}.onnx"))).unwrap()).unwrap();
    }
    assert_eq!(json["trained_on_this_split"], false);

    let output = quantize(&["--max-slowdown", "0", "--json"]);
    assert!(output.status.success());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["chosen"], "f32");
    assert_eq!(read("model.onnx"), std::fs::read(at("f32.onnx")).unwrap());

    std::fs::write(at("f32.onnx"), testing::tiny_bundle_stored("t", 1, Precision::F16)).unwrap();
    let output = quantize(&[]);
    let wrong = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(wrong.contains("f32.onnx: its weights are stored as f16"), "{wrong}");
}
