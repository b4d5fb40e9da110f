//! The model room's promises: bundle → weights → engine → golden self-test → judgement, and the
//! reload.

use std::sync::Arc;
use std::time::Instant;

use leukd::cell::preprocess::{InputTensor, Layout};
use leukd::cell::standardise::{Standardise, Targets};
use leukd::cell::synthetic::{self, Kind};
use leukd::model::bundle::{self, Bundle, BundleError, BundleSource};
use leukd::model::engine::{Engine, EngineError, EngineKind, Observer};
use leukd::model::file::{EMBEDDED, FileError, MAX_BYTES};
use leukd::model::manifest::{MANIFEST_KEY, MANIFEST_VERSION, Manifest, Output, Precision};
use leukd::model::onnx::tensor_proto::DataType;
use leukd::model::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use leukd::model::registry::{Admission, Registry, ReloadError};
use leukd::model::serving::{Model, ModelError};
use leukd::model::trust::Trust;
use leukd::model::{testing, weights};
use leukd::result::{Decision, Digest, Label};
use prost::Message;

fn loaded(bytes: &[u8]) -> Model {
    Model::load(Bundle::from_bytes(bytes, "test").unwrap()).unwrap()
}

fn all_of(model: &Model, seed: u64, kind: Kind) -> f64 {
    let input = model.manifest().preprocessing.tensor(&synthetic::cell(seed, kind)).unwrap();
    let probabilities = model.run(&input).unwrap();
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    probabilities[0]
}

/// A tiny bundle whose manifest is not checked on writing.
fn with_manifest_text(text: &str) -> Vec<u8> {
    let mut network = ModelProto::decode(&*testing::tiny_bundle("t", 1)).unwrap();
    network.metadata_props[0].value = text.to_owned();
    network.encode_to_vec()
}

fn with_manifest(change: impl FnOnce(&mut serde_json::Value)) -> BundleError {
    let network = ModelProto::decode(&*testing::tiny_bundle("t", 1)).unwrap();
    let mut manifest = serde_json::from_str(&network.metadata_props[0].value).unwrap();
    change(&mut manifest);
    Bundle::from_bytes(&with_manifest_text(&manifest.to_string()), "b.onnx").unwrap_err()
}

#[test]
fn a_bundle_keeps_manifest_digest_and_origin() {
    let bytes = testing::tiny_bundle("tiny-1", 1);
    let bundle = Bundle::from_bytes(&bytes, "somewhere").unwrap();
    assert_eq!(bundle.manifest().id, "tiny-1");
    assert_eq!(bundle.digest(), Digest::of(&bytes));
    assert_eq!(bundle.origin(), "somewhere");
    let model = Model::load(bundle).unwrap();
    assert_eq!(model.reference().digest, Digest::of(&bytes).to_string());
}

#[test]
fn writing_replaces_the_manifest_that_was_there() {
    let network = ModelProto::decode(&*testing::tiny_bundle("old", 1)).unwrap();
    let mut manifest =
        Bundle::from_bytes(&network.encode_to_vec(), "x").unwrap().manifest().clone();
    manifest.id = "new".to_owned();
    let bytes = bundle::write(network, &manifest).unwrap();
    assert_eq!(Bundle::from_bytes(&bytes, "x").unwrap().manifest(), &manifest);
}

#[test]
fn the_bundle_in_the_binary_serves() {
    let bundle = Bundle::embedded().unwrap();
    assert_eq!(bundle.origin(), EMBEDDED);
    Model::load(bundle).unwrap();
}

#[test]
fn what_is_no_bundle_is_refused_by_name() {
    let not_onnx = |bytes: &[u8]| {
        let error = Bundle::from_bytes(bytes, "b.onnx").unwrap_err();
        assert!(matches!(error, BundleError::NotOnnx { .. }), "{error}");
        assert!(error.to_string().starts_with("b.onnx: "), "{error}");
    };
    not_onnx(b"");
    not_onnx(b"this is a text, no protobuf");
    let whole = testing::tiny_bundle("t", 1);
    not_onnx(&whole[..whole.len() / 2]);
    let bare = testing::tiny_network(1, Precision::F32).encode_to_vec();
    let error = Bundle::from_bytes(&bare, "b.onnx").unwrap_err();
    assert!(matches!(error, BundleError::NoManifest { .. }));
    assert!(error.to_string().contains("leukd train"), "{error}");
}

#[test]
fn a_missing_file_and_a_folder_are_unreadable_by_path() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none.onnx")] {
        let error = Bundle::read(&path).unwrap_err();
        assert!(matches!(error, BundleError::File(FileError::Unreadable { .. })));
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_file_beyond_512_mib_is_refused_unread() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(MAX_BYTES + 1).unwrap();
    assert!(matches!(
        Bundle::read(file.path()).unwrap_err(),
        BundleError::File(FileError::TooLarge { .. })
    ));
}

#[test]
fn a_bundle_that_standardises_serves_two_stains_of_one_cell_alike() {
    let mut manifest = testing::tiny_manifest("t", Precision::F32);
    let standardise = Standardise::Channels(Targets::levels(0));
    manifest.preprocessing.standardise = Some(standardise);
    let network = testing::tiny_network(1, Precision::F32);
    let model = loaded(&testing::bundle_of(network, manifest));
    assert_eq!(model.manifest().preprocessing.standardise, Some(standardise));
    let plain = loaded(&testing::tiny_bundle("t", 1));
    // The most that P(all) differs between a cell and the same in another stain.
    let most = |model: &Model| {
        let of = |picture: &image::RgbImage| {
            model.run(&model.manifest().preprocessing.tensor(picture).unwrap()).unwrap()[0]
        };
        let apart = [Kind::Blast, Kind::Normal].map(|kind| {
            let cell = synthetic::cell(3, kind);
            (of(&cell) - of(&restained(cell))).abs()
        });
        apart[0].max(apart[1])
    };
    let (standardised, plain) = (most(&model), most(&plain));
    // What is left is rounding: the fainter stain has two thirds of the levels.
    assert!(standardised < 0.03 && standardised < plain / 2.0, "{standardised} {plain}");
}

/// Fainter and redder: but for rounding, a gain and an offset of each channel.
#[expect(clippy::cast_sign_loss, reason = "levels above 0")]
fn restained(mut cell: image::RgbImage) -> image::RgbImage {
    let level = |level: u8, gain: f32, offset: f32| (f32::from(level) * gain + offset) as u8;
    for pixel in cell.pixels_mut().filter(|pixel| pixel.0 != [0; 3]) {
        let [red, green, blue] = pixel.0;
        pixel.0 = [level(red, 0.8, 10.5), level(green, 0.6, 20.5), level(blue, 0.7, 5.5)];
    }
    cell
}

#[test]
fn another_version_of_the_manifest_is_refused_as_such() {
    for version in [0, 1, MANIFEST_VERSION - 1, MANIFEST_VERSION + 1] {
        let error = with_manifest(|manifest| {
            manifest["version"] = version.into();
            manifest["something new"] = true.into();
        });
        assert!(
            matches!(error, BundleError::OtherVersion { found, .. } if found == u64::from(version)),
            "{error}"
        );
    }
}

#[test]
fn a_manifest_holds_a_standardisation_only_where_there_is_one() {
    let network = ModelProto::decode(&*testing::tiny_bundle("t", 1)).unwrap();
    let text = &network.metadata_props[0].value;
    let manifest: serde_json::Value = serde_json::from_str(text).unwrap();
    assert!(manifest["preprocessing"].get("standardise").is_none());
    let model = loaded(&network.encode_to_vec());
    assert_eq!(model.manifest().preprocessing.standardise, None);
}

#[test]
fn a_wrong_manifest_names_its_field() {
    let says = |what: &str, change: fn(&mut serde_json::Value)| {
        let error = with_manifest(change);
        assert!(matches!(error, BundleError::Manifest { .. }), "{what}: {error}");
        assert!(error.to_string().contains(what), "{what}: {error}");
    };
    says("colour", |manifest| manifest["colour"] = "red".into());
    says("calibration.temperature", |manifest| manifest["calibration"]["temperature"] = 0.into());
    says("calibration.temperature", |manifest| manifest["calibration"]["temperature"] = "x".into());
    says("calibration.threshold", |manifest| manifest["calibration"]["threshold"] = 1.5.into());
    says("calibration.review", |manifest| {
        manifest["calibration"]["review"] = serde_json::json!([0.6, 0.4]);
    });
    says("labels", |manifest| manifest["labels"] = serde_json::json!(["all", "all"]));
    says("labels", |manifest| manifest["labels"] = serde_json::json!(["hem", "all", "other"]));
    says("golden", |manifest| manifest["golden"] = serde_json::json!([]));
    says("`golden`: 65 golden inputs", |manifest| {
        manifest["golden"] = vec![manifest["golden"][0].clone(); 65].into();
    });
    says("`metrics`: 1025 figures", |manifest| {
        let figure = serde_json::json!({
            "name": "auroc", "value": 0.9, "interval": null, "split": "image", "cells": 1, "subjects": 1
        });
        manifest["metrics"] = vec![figure; 1025].into();
    });
    says("`card`: 65537 bytes", |manifest| manifest["card"] = "x".repeat(65_537).into());
    says("golden[0].probabilities", |manifest| {
        manifest["golden"][0]["probabilities"] = serde_json::json!([0.9, 0.9]);
    });
    says("preprocessing.size", |manifest| manifest["preprocessing"]["size"] = 0.into());
    says("preprocessing.window", |manifest| manifest["preprocessing"]["window"] = 0.into());
    says("preprocessing.cell_share", |manifest| {
        manifest["preprocessing"]["cell_share"] = 0.2.into();
    });
    let colours = |manifest: &mut serde_json::Value, change: serde_json::Value| {
        manifest["preprocessing"]["standardise"] = change;
    };
    for (field, value) in [("mean", 256.0), ("deviation", 0.0), ("floor", -1.0)] {
        for method in ["channels", "density"] {
            let mut how = serde_json::json!({
                "method": method, "mean": 1.0, "deviation": 0.3, "floor": 0.03
            });
            how[field] = value.into();
            let error = with_manifest(|manifest| colours(manifest, how));
            let named = format!("preprocessing.standardise.{field}");
            assert!(error.to_string().contains(&named), "{error}");
        }
    }
    let unknown = serde_json::json!({ "method": "channels", "mean": 1, "deviation": 1, "floor": 1, "hue": 1 });
    let error = with_manifest(|manifest| colours(manifest, unknown));
    assert!(error.to_string().contains("preprocessing.standardise"), "{error}");
    assert!(error.to_string().contains("hue"), "{error}");
    let quantization = serde_json::json!({
        "from_digest": "0".repeat(64), "variant": "int8", "accuracy_change": 0.0, "sensitivity_change": 0.0,
        "flips": 3, "cells": 2
    });
    let error = with_manifest(|manifest| manifest["quantization"] = quantization);
    assert!(error.to_string().contains("quantization.flips"), "{error}");
    let metric = serde_json::json!({
        "name": "auroc", "value": 0.9, "interval": null, "split": "subject", "cells": 2, "subjects": 2, "siblings": 0
    });
    let error = with_manifest(|manifest| manifest["metrics"] = serde_json::json!([metric]));
    assert!(error.to_string().contains("metrics[0].siblings"), "{error}");
    says("id", |manifest| manifest["id"] = "../x y".into());
    says("version", |manifest| *manifest = serde_json::json!({}));
}

#[test]
fn a_bundle_that_would_not_be_read_is_not_written() {
    let manifest = testing::tiny_manifest("t", Precision::F32);
    let error = bundle::write(testing::tiny_network(1, Precision::F32), &manifest).unwrap_err();
    assert!(error.to_string().contains("golden"), "{error}");
}

#[test]
fn blasts_and_normal_cells_get_different_probabilities() {
    let model = loaded(&testing::tiny_bundle("t", 1));
    for seed in 0..8 {
        let blast = all_of(&model, seed, Kind::Blast);
        let normal = all_of(&model, seed, Kind::Normal);
        assert!(blast > 0.6 && normal < 0.4, "seed {seed}: {blast} and {normal}");
    }
    assert_ne!(testing::tiny_bundle("t", 1), testing::tiny_bundle("t", 2));
}

#[test]
fn every_storage_form_serves_and_agrees_with_f32() {
    let plain = loaded(&testing::tiny_bundle("t", 1));
    for precision in [Precision::F16, Precision::Int8] {
        let stored = loaded(&testing::tiny_bundle_stored("t", 1, precision));
        for kind in [Kind::Blast, Kind::Normal] {
            let apart = (all_of(&plain, 4, kind) - all_of(&stored, 4, kind)).abs();
            assert!(apart < 0.02, "{precision:?} {kind:?}: {apart}");
        }
    }
}

#[test]
fn stored_weights_are_plain_before_the_engine_sees_them() {
    for precision in [Precision::F16, Precision::Int8] {
        let bytes = testing::tiny_bundle_stored("t", 1, precision);
        let bundle = Bundle::from_bytes(&bytes, "x").unwrap();
        let graph = bundle.network().graph.as_ref().unwrap();
        assert!(
            graph.node.iter().all(|node| !["Cast", "DequantizeLinear"].contains(&&*node.op_type))
        );
        assert!(graph.initializer.iter().all(|tensor| tensor.data_type == DataType::Float as i32));
        assert_eq!(graph.initializer.len(), 4, "what nothing needs is dropped");
    }
}

#[test]
fn a_model_whose_golden_outputs_differ_does_not_serve() {
    let bundle = Bundle::from_bytes(&testing::golden_failing_bundle("t", 1), "x").unwrap();
    let ModelError::Golden { name, expected, got } = Model::load(bundle).unwrap_err() else {
        panic!("another error");
    };
    assert!(name.contains("seed 7"));
    assert!((expected[0] - got[1]).abs() < 1e-6);
}

#[test]
fn a_golden_picture_that_is_none_is_named() {
    let bytes = testing::tiny_bundle("t", 1);
    let mut manifest = Bundle::from_bytes(&bytes, "x").unwrap().manifest().clone();
    for png in ["%%%", "AAAA"] {
        png.clone_into(&mut manifest.golden[1].png);
        let bytes = bundle::write(testing::tiny_network(1, Precision::F32), &manifest).unwrap();
        let error = Model::load(Bundle::from_bytes(&bytes, "x").unwrap()).unwrap_err();
        assert!(error.to_string().contains("seed 8"), "{error}");
    }
}

fn changed(change: impl FnOnce(&mut Manifest)) -> Model {
    let mut manifest = testing::tiny_manifest("t", Precision::F32);
    change(&mut manifest);
    loaded(&testing::bundle_of(testing::tiny_network(1, Precision::F32), manifest))
}

#[test]
fn temperature_divides_the_logits() {
    let (cold, warm) =
        (changed(|_| {}), changed(|manifest| manifest.calibration.temperature = 2.0));
    let log_odds = |share: f64| (share / (1.0 - share)).ln();
    let [cold, warm] = [&cold, &warm].map(|model| log_odds(all_of(model, 3, Kind::Normal)));
    assert!((cold / warm - 2.0).abs() < 1e-6, "{cold} and {warm}");
}

#[test]
fn a_network_that_ends_in_a_softmax_serves_the_same_probabilities() {
    let mut network = testing::tiny_network(1, Precision::F32);
    let graph = network.graph.as_mut().unwrap();
    graph.node.push(NodeProto {
        op_type: "Softmax".to_owned(),
        input: vec!["logits".to_owned()],
        output: vec!["probabilities".to_owned()],
        ..NodeProto::default()
    });
    graph.output[0].name = "probabilities".to_owned();
    let mut manifest =
        Bundle::from_bytes(&testing::tiny_bundle("t", 1), "x").unwrap().manifest().clone();
    manifest.output = Output::Probabilities;
    let softened = loaded(&bundle::write(network, &manifest).unwrap());
    let plain = loaded(&testing::tiny_bundle("t", 1));
    for kind in [Kind::Blast, Kind::Normal] {
        assert!((all_of(&softened, 5, kind) - all_of(&plain, 5, kind)).abs() < 1e-5);
    }
}

#[test]
fn the_decision_goes_by_threshold_and_band_and_the_label_by_likelihood() {
    let model = changed(|manifest| {
        manifest.labels.reverse();
        manifest.calibration.threshold = 0.3;
        manifest.calibration.review = (0.35, 0.45);
        // The network's own order is all, hem: only the judgement is looked at here.
    });
    let judged = |all: f64| {
        let judgement = model.judge(&[1.0 - all, all]);
        assert_eq!(judgement.reasons.is_empty(), judgement.decision != Decision::Review);
        (judgement.label, judgement.decision)
    };
    assert_eq!(judged(0.299), (Label::Hem, Decision::Hem));
    assert_eq!(judged(0.3), (Label::Hem, Decision::All));
    assert_eq!(judged(0.35), (Label::Hem, Decision::Review));
    assert_eq!(judged(0.45), (Label::Hem, Decision::All));
    assert_eq!(judged(0.5), (Label::All, Decision::All));
    let reasons = model.judge(&[0.6, 0.4]).reasons;
    assert_eq!(reasons[0].code, "low-confidence");
    assert!(reasons[0].message.contains("0.400"));
}

#[test]
fn equal_ends_are_no_review_band() {
    let model = changed(|manifest| manifest.calibration.review = (0.5, 0.5));
    assert_eq!(model.judge(&[0.5, 0.5]).decision, Decision::All);
    assert_eq!(model.judge(&[0.499, 0.501]).decision, Decision::Hem);
}

#[test]
fn a_network_of_another_shape_does_not_compile() {
    let network = testing::tiny_network(1, Precision::F32);
    let shape = [1, 3, 64, 64];
    let error = Engine::compile(&network, shape, 3, EngineKind::Fused).unwrap_err();
    assert!(matches!(&error, EngineError::Shape(what) if what.contains("[1, 3]")), "{error}");
    assert!(Engine::compile(&network, [1, 64, 64, 3], 2, EngineKind::Fused).is_err());
    let engine = Engine::compile(&network, shape, 2, EngineKind::Fused).unwrap();
    let input = InputTensor { shape: [1, 3, 32, 32], data: vec![0.0; 3 * 32 * 32] };
    assert!(matches!(engine.run(&input), Err(EngineError::Shape(_))));
    let short = InputTensor { shape, data: vec![0.0; 5] };
    assert!(engine.run(&short).is_err());
}

#[test]
fn channels_last_and_another_size_serve_too() {
    let mut network = testing::tiny_network(1, Precision::F32);
    let graph = network.graph.as_mut().unwrap();
    let perm = AttributeProto {
        name: "perm".to_owned(),
        r#type: 7,
        ints: vec![0, 3, 1, 2],
        ..AttributeProto::default()
    };
    graph.node.insert(
        0,
        NodeProto {
            op_type: "Transpose".to_owned(),
            input: vec!["pixels".to_owned()],
            output: vec!["image".to_owned()],
            attribute: vec![perm],
            ..NodeProto::default()
        },
    );
    graph.input[0].name = "pixels".to_owned();
    let mut manifest = testing::tiny_manifest("t", Precision::F32);
    manifest.preprocessing.layout = Layout::Nhwc;
    manifest.preprocessing.size = 96;
    let model = loaded(&testing::bundle_of(network, manifest));
    assert!(all_of(&model, 1, Kind::Blast) > 0.6);
}

#[test]
fn a_broken_graph_is_an_error_and_not_a_panic() {
    let mut network = testing::tiny_network(1, Precision::F32);
    network.graph.as_mut().unwrap().output[0].name = "nowhere".to_owned();
    let error = Engine::compile(&network, [1, 3, 64, 64], 2, EngineKind::Fused).unwrap_err();
    assert!(matches!(error, EngineError::Compile(_)), "{error}");
    let mut network = testing::tiny_network(1, Precision::F32);
    network.graph.as_mut().unwrap().node[1].op_type = "NoSuchOperator".to_owned();
    assert!(Engine::compile(&network, [1, 3, 64, 64], 2, EngineKind::Fused).is_err());
}

#[test]
fn outputs_that_are_not_finite_are_an_error() {
    let mut network = testing::tiny_network(1, Precision::F32);
    let bias = network
        .graph
        .as_mut()
        .unwrap()
        .initializer
        .iter_mut()
        .find(|tensor| tensor.name == "dense.bias");
    bias.unwrap().raw_data = [f32::NAN, 0.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let engine = Engine::compile(&network, [1, 3, 64, 64], 2, EngineKind::Fused).unwrap();
    let input = InputTensor { shape: [1, 3, 64, 64], data: vec![0.0; 3 * 64 * 64] };
    assert!(matches!(engine.run(&input), Err(EngineError::NotFinite(_))));
}

fn dequantize(tensor: TensorProto, scale: TensorProto, axis: i64) -> Result<Vec<f32>, String> {
    let axis = AttributeProto { name: "axis".to_owned(), i: axis, ..AttributeProto::default() };
    let node = NodeProto {
        op_type: "DequantizeLinear".to_owned(),
        input: vec![tensor.name.clone(), scale.name.clone()],
        output: vec!["plain".to_owned()],
        attribute: vec![axis],
        ..NodeProto::default()
    };
    let user = NodeProto { input: vec!["plain".to_owned()], ..NodeProto::default() };
    let graph = GraphProto {
        node: vec![node, user],
        initializer: vec![tensor, scale],
        ..GraphProto::default()
    };
    let mut network = ModelProto { graph: Some(graph), ..ModelProto::default() };
    weights::expand(&mut network).map_err(|error| error.to_string())?;
    let graph = network.graph.unwrap();
    assert_eq!((graph.node.len(), graph.initializer.len()), (1, 1));
    assert_eq!(graph.initializer[0].name, "plain");
    let raw = &graph.initializer[0].raw_data;
    Ok(raw.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect())
}

fn bytes(dims: &[i64], values: &[i8]) -> TensorProto {
    TensorProto {
        name: "bytes".to_owned(),
        dims: dims.to_vec(),
        data_type: DataType::Int8 as i32,
        raw_data: values.iter().map(|value| value.to_le_bytes()[0]).collect(),
        ..TensorProto::default()
    }
}

fn scales(values: &[f32]) -> TensorProto {
    TensorProto {
        name: "scales".to_owned(),
        dims: vec![values.len() as i64],
        data_type: DataType::Float as i32,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

#[test]
fn each_place_along_the_axis_has_its_own_scale() {
    let values = [1, 2, 3, 4, 5, -6];
    let along = |axis, own: &[f32]| dequantize(bytes(&[2, 3], &values), scales(own), axis).unwrap();
    assert_eq!(along(0, &[1.0, 10.0]), [1., 2., 3., 40., 50., -60.]);
    assert_eq!(along(1, &[1.0, 10.0, 100.0]), [1., 20., 300., 4., 50., -600.]);
    assert_eq!(along(-1, &[1.0, 10.0, 100.0]), [1., 20., 300., 4., 50., -600.]);
    assert_eq!(along(9, &[2.0]), [2., 4., 6., 8., 10., -12.], "one scale needs no axis");
}

#[test]
fn weights_that_do_not_fit_their_shape_are_an_error_that_names_them() {
    let wrong = |tensor, own: &[f32], axis| {
        let error = dequantize(tensor, scales(own), axis).unwrap_err();
        assert!(error.contains("\"bytes\""), "{error}");
    };
    wrong(bytes(&[2, 3], &[0; 5]), &[1.0], 0);
    wrong(bytes(&[-2, 3], &[0; 6]), &[1.0], 0);
    wrong(bytes(&[i64::MAX, i64::MAX], &[0; 6]), &[1.0], 0);
    wrong(bytes(&[2, 3], &[0; 6]), &[1.0, 1.0], 2);
    wrong(bytes(&[2, 3], &[0; 6]), &[1.0, 1.0], -3);
    wrong(bytes(&[2, 3], &[0; 6]), &[1.0, 1.0], i64::MIN);
    wrong(bytes(&[2, 3], &[0; 6]), &[1.0, 1.0], 1);
    let mut elsewhere = bytes(&[2, 3], &[0; 6]);
    elsewhere.data_location = Some(1);
    wrong(elsewhere, &[1.0], 0);
}

#[test]
fn eleven_million_weights_expand_in_well_under_a_second() {
    let values = vec![7_i8; 11_000_000];
    let tensor = bytes(&[1100, 10_000], &values);
    let own = vec![0.5; 1100];
    let start = Instant::now();
    let plain = dequantize(tensor, scales(&own), 0).unwrap();
    let took = start.elapsed();
    assert!(plain.iter().all(|value| (value - 3.5).abs() < f32::EPSILON));
    // tract's own folding takes 1.4 s; this whole test ran in 0.23 s on two busy cores.
    assert!(took.as_millis() < 700, "{took:?}");
}

/// Lets in what lies under this name, unsigned.
fn allowing(name: &str) -> Admission {
    Admission { trust: Trust::new(&[], &[name.to_owned()]).unwrap(), ..Admission::default() }
}

#[test]
fn a_reload_swaps_the_model_and_gives_back_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.onnx");
    std::fs::write(&path, testing::tiny_bundle("new", 2)).unwrap();
    let registry = Registry::new().admitting(allowing("new.onnx"));
    assert!(registry.current().is_none());
    assert!(registry.swap(Arc::new(loaded(&testing::tiny_bundle("old", 1)))).is_none());
    let reloaded = registry.reload(&BundleSource::File(path.clone())).unwrap();
    assert_eq!(reloaded.previous.unwrap().manifest().id, "old");
    assert_eq!(registry.current().unwrap().manifest().id, "new");
    assert_eq!(reloaded.model.origin(), path.to_str().unwrap());
    assert_eq!(registry.reload(&BundleSource::Embedded).unwrap().model.origin(), EMBEDDED);
}

#[test]
fn the_old_model_stays_when_a_reload_fails() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new().admitting(allowing("failing.onnx"));
    registry.swap(Arc::new(loaded(&testing::tiny_bundle("old", 1))));
    let failing = folder.path().join("failing.onnx");
    std::fs::write(&failing, testing::golden_failing_bundle("bad", 1)).unwrap();
    let error = registry.reload(&BundleSource::File(failing)).unwrap_err();
    assert!(
        matches!(error, ReloadError::Model { .. }) && error.to_string().contains("failing.onnx")
    );
    let none = registry.reload(&BundleSource::File(folder.path().join("none.onnx")));
    assert!(matches!(
        none,
        Err(ReloadError::Bundle(BundleError::File(FileError::Unreadable { .. })))
    ));
    assert_eq!(registry.current().unwrap().manifest().id, "old");
}

#[test]
fn a_named_pipe_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    assert!(matches!(
        Bundle::read(&pipe).unwrap_err(),
        BundleError::File(FileError::Unreadable { .. })
    ));
}

#[test]
fn the_manifest_key_is_what_the_format_says() {
    assert_eq!(MANIFEST_KEY, "leukd.manifest");
}

#[test]
fn inner_tensors_can_be_looked_at_by_name() {
    let network = testing::tiny_network(1, Precision::F32);
    let preprocessing = testing::tiny_manifest("t", Precision::F32).preprocessing;
    let input = preprocessing.tensor(&synthetic::cell(3, Kind::Blast)).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let compile = |of| Observer::compile(&network, preprocessing.shape(), names(of));
    let observer = compile(&["mean", "logits", "positive"]).unwrap();
    let seen = observer.run(&input).unwrap();
    let shapes: Vec<&[usize]> = seen.iter().map(|tensor| tensor.shape.as_slice()).collect();
    assert_eq!(shapes, [&[1, 4, 1, 1][..], &[1, 2], &[1, 4, 16, 16]]);
    for (mean, channel) in seen[0].values.iter().zip(seen[2].values.chunks(16 * 16)) {
        assert!((mean - channel.iter().sum::<f32>() / 256.0).abs() < 1e-4);
    }
    let engine = Engine::compile(&network, preprocessing.shape(), 2, EngineKind::Fused).unwrap();
    for (seen, served) in seen[1].values.iter().zip(engine.run(&input).unwrap().outputs) {
        assert!((seen - served).abs() < 1e-4);
    }
    let error = compile(&["nothing"]).unwrap_err();
    assert!(error.to_string().contains("no node gives \"nothing\""), "{error}");
    let mut other = input;
    other.shape = [1, 3, 8, 8];
    assert!(matches!(observer.run(&other).unwrap_err(), EngineError::Shape(_)));
}
