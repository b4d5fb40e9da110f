//! Small bundles for tests, of this room and of those above it: a real ONNX network of a few
//! kilobytes that tells synthetic blasts from synthetic normal cells by their area.
#![allow(clippy::expect_used, reason = "test support: a failure is the test's")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::f16;
use half::slice::HalfFloatSliceExt;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::bundle;
use crate::engine::{Engine, EngineKind};
use crate::manifest::{
    Calibration, Golden, MANIFEST_VERSION, Manifest, Output, Precision, Training,
};
use crate::onnx::attribute_proto::AttributeType;
use crate::onnx::tensor_proto::DataType;
use crate::onnx::tensor_shape_proto::{Dimension, dimension};
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use crate::weights;
use leukd_cell::preprocess::{Filter, Layout, Preprocessing, Range};
use leukd_cell::synthetic::{self, Kind};

/// The tiny network's input size.
pub const TINY_SIZE: u32 = 64;

const CHANNELS: usize = 4;
const KERNEL: usize = 4;

/// A bundle that serves: f32 weights, `id` as its name. The seed makes weights that change the
/// outputs a little, so that two seeds are two models.
#[must_use]
pub fn tiny_bundle(id: &str, seed: u64) -> Vec<u8> {
    bundle_of(tiny_network(seed, Precision::F32), tiny_manifest(id, Precision::F32))
}

/// As [`tiny_bundle`], its convolution's weights stored in another form.
#[must_use]
pub fn tiny_bundle_stored(id: &str, seed: u64, precision: Precision) -> Vec<u8> {
    bundle_of(tiny_network(seed, precision), tiny_manifest(id, precision))
}

/// A bundle that must not serve: its golden outputs are not what its network gives.
#[must_use]
pub fn golden_failing_bundle(id: &str, seed: u64) -> Vec<u8> {
    let network = tiny_network(seed, Precision::F32);
    let mut manifest = with_golden(&network, tiny_manifest(id, Precision::F32));
    for golden in &mut manifest.golden {
        golden.probabilities.reverse();
    }
    bundle::write(network, &manifest).expect("the bundle is well formed")
}

/// A bundle of `network` with `manifest`, its golden outputs computed by the engine.
#[must_use]
pub fn bundle_of(network: ModelProto, manifest: Manifest) -> Vec<u8> {
    let manifest = with_golden(&network, manifest);
    bundle::write(network, &manifest).expect("the bundle is well formed")
}

/// The manifest of a tiny bundle, without golden inputs.
#[must_use]
pub fn tiny_manifest(id: &str, precision: Precision) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        id: id.to_owned(),
        labels: vec!["all".to_owned(), "hem".to_owned()],
        preprocessing: Preprocessing {
            window: None,
            cell_share: None,
            size: TINY_SIZE,
            filter: Filter::Bilinear,
            standardise: None,
            range: Range::Bytes,
            layout: Layout::Nchw,
        },
        scale: None,
        output: Output::Logits,
        calibration: Calibration { temperature: 1.0, threshold: 0.5, review: (0.4, 0.6) },
        precision,
        quantization: None,
        training: Training {
            trainer: format!("leukd {}", env!("CARGO_PKG_VERSION")),
            trained_at: "2026-01-01T00:00:00Z".to_owned(),
            data: "none: the weights were set by hand to measure a cell's area".to_owned(),
            data_digest: String::new(),
            protocol: "image".to_owned(),
            split: "none".to_owned(),
            cells: 0,
            epochs: 0,
            best_epoch: 0,
            recipe: std::collections::BTreeMap::new(),
        },
        metrics: Vec::new(),
        reference: None,
        curves: Vec::new(),
        learning: Vec::new(),
        persons: Vec::new(),
        discriminant: None,
        golden: Vec::new(),
        card: "A network for tests. It measures nothing but area.".to_owned(),
    }
}

fn with_golden(network: &ModelProto, mut manifest: Manifest) -> Manifest {
    let mut plain = network.clone();
    weights::expand(&mut plain).expect("the weights expand");
    let engine = Engine::compile(
        &plain,
        manifest.preprocessing.shape(),
        manifest.labels.len(),
        EngineKind::Fused,
    )
    .expect("the network compiles");
    for (seed, kind) in [(7, Kind::Blast), (8, Kind::Normal)] {
        let picture = synthetic::cell(seed, kind);
        let input = manifest.preprocessing.tensor(&picture).expect("the picture fits");
        let logits = engine.run(&input).expect("the network runs").outputs;
        let powers: Vec<f64> = logits.iter().map(|logit| f64::from(*logit).exp()).collect();
        let sum: f64 = powers.iter().sum();
        manifest.golden.push(Golden {
            name: format!("synthetic {kind:?}, seed {seed}"),
            png: BASE64.encode(synthetic::png(&picture)),
            probabilities: powers.iter().map(|power| power / sum).collect(),
        });
    }
    manifest
}

/// Conv 3→4 (4×4, stride 4), ReLU, mean over the picture, dense 4→2.
///
/// Channels 0 and 1 are `relu(g·x)` and `relu(g·x − 1)` of a patch's brightness x: their difference
/// is 1 on the cell and 0 beside it, so the means' difference is the cell's share of the picture.
/// Channels 2 and 3 are the seed's.
#[must_use]
pub fn tiny_network(seed: u64, precision: Precision) -> ModelProto {
    /// Between a normal cell's share of the patches and a blast's; patches on the edge count too.
    const MIDDLE: f32 = 0.22;
    const STEEPNESS: f32 = 60.0;
    let per_channel = 3 * KERNEL * KERNEL;
    let gain = 1.0 / (per_channel as f32 * 40.0);
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut kernel = vec![gain; 2 * per_channel];
    kernel.extend((0..2 * per_channel).map(|_| dice.random_range(-1.0..1.0) * gain));
    let tilt: [f32; 2] = [dice.random_range(0.0..0.2), dice.random_range(-0.2..0.0)];
    let dense = [
        [STEEPNESS, -STEEPNESS],
        [-STEEPNESS, STEEPNESS],
        [tilt[0], -tilt[0]],
        [tilt[1], -tilt[1]],
    ];
    let edge = KERNEL as i64;
    let mut node = Vec::new();
    let mut initializer = vec![
        float("conv.bias", &[CHANNELS as i64], &[0.0, -1.0, 0.0, 0.0]),
        float("dense.weight", &[CHANNELS as i64, 2], dense.as_flattened()),
        float("dense.bias", &[2], &[-STEEPNESS * MIDDLE, STEEPNESS * MIDDLE]),
    ];
    let dims = [CHANNELS as i64, 3, edge, edge];
    match precision {
        Precision::F32 => initializer.push(float("conv.weight", &dims, &kernel)),
        Precision::F16 => {
            let mut halves = vec![f16::ZERO; kernel.len()];
            halves.convert_from_f32_slice(&kernel);
            let raw = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            initializer.push(stored("conv.weight.f16", &dims, DataType::Float16, raw));
            let to = integers("to", AttributeType::Int, &[DataType::Float as i64]);
            node.push(operation("Cast", &["conv.weight.f16"], "conv.weight", vec![to]));
        }
        Precision::Int8 => {
            let (bytes, scales) = quantised(&kernel, per_channel);
            initializer.push(stored("conv.weight.int8", &dims, DataType::Int8, bytes));
            initializer.push(float("conv.weight.scale", &[CHANNELS as i64], &scales));
            let axis = integers("axis", AttributeType::Int, &[0]);
            let inputs = ["conv.weight.int8", "conv.weight.scale"];
            node.push(operation("DequantizeLinear", &inputs, "conv.weight", vec![axis]));
        }
    }
    let strides = integers("strides", AttributeType::Ints, &[edge, edge]);
    let kernel_shape = integers("kernel_shape", AttributeType::Ints, &[edge, edge]);
    let convolved = ["image", "conv.weight", "conv.bias"];
    node.push(operation("Conv", &convolved, "convolved", vec![kernel_shape, strides]));
    node.push(operation("Relu", &["convolved"], "positive", Vec::new()));
    node.push(operation("GlobalAveragePool", &["positive"], "mean", Vec::new()));
    node.push(operation("Flatten", &["mean"], "features", Vec::new()));
    node.push(operation("Gemm", &["features", "dense.weight", "dense.bias"], "logits", Vec::new()));
    let size = i64::from(TINY_SIZE);
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
        producer_name: "leukd tests".to_owned(),
        graph: Some(GraphProto {
            name: "tiny".to_owned(),
            node,
            initializer,
            input: vec![value("image", &[1, 3, size, size])],
            output: vec![value("logits", &[1, 2])],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

/// One byte each, symmetric, one scale a channel.
fn quantised(values: &[f32], per_channel: usize) -> (Vec<u8>, Vec<f32>) {
    let scales: Vec<f32> = values
        .chunks(per_channel)
        .map(|channel| channel.iter().fold(0.0_f32, |most, value| most.max(value.abs())) / 127.0)
        .collect();
    let bytes = values
        .chunks(per_channel)
        .zip(&scales)
        .flat_map(|(channel, scale)| channel.iter().map(move |value| (value / scale).round()))
        .map(|level| (level as i8).to_le_bytes()[0])
        .collect();
    (bytes, scales)
}

fn float(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    stored(name, dims, DataType::Float, raw)
}

fn stored(name: &str, dims: &[i64], kind: DataType, raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: kind as i32,
        raw_data,
        ..TensorProto::default()
    }
}

fn operation(
    kind: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        op_type: kind.to_owned(),
        name: output.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..NodeProto::default()
    }
}

fn integers(name: &str, kind: AttributeType, values: &[i64]) -> AttributeProto {
    let mut attribute =
        AttributeProto { name: name.to_owned(), r#type: kind as i32, ..AttributeProto::default() };
    match (kind, values) {
        (AttributeType::Int, [value]) => attribute.i = *value,
        _ => attribute.ints = values.to_vec(),
    }
    attribute
}

fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let side = |side: &i64| Dimension {
        value: Some(dimension::Value::DimValue(*side)),
        ..Dimension::default()
    };
    let shape = TensorShapeProto { dim: shape.iter().map(side).collect() };
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
