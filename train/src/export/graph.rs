//! The network as an ONNX graph: what [`Network::forward`] computes for one picture.

use burn::nn::{BatchNorm, Linear};
use leukd_model::manifest::Precision;
use leukd_model::onnx::ModelProto;

use super::builder::{Builder, float, integer, integers};
use super::stored::values;
use crate::network::{Block, ConvNorm, Network, SqueezeExcite, normalisation};

const INPUT: &str = "pixels";
const OUTPUT: &str = "logits";

/// The graph of `network` for pictures of `size` × `size` pixels: input `[1, 3, size, size]`, 0 to
/// 255, output logits `[1, classes]`. Kernels are stored as `precision` asks, all else as f32.
#[must_use]
pub fn graph(network: &Network, size: usize, precision: Precision) -> ModelProto {
    let mut builder = Builder::new(precision);
    let (scale, shift) = normalisation();
    let scale = builder.tensor("normalise.scale", &[1, 3, 1, 1], &scale);
    let shift = builder.tensor("normalise.shift", &[1, 3, 1, 1], &shift);
    let x = builder.node("Mul", "normalise.scaled", &[INPUT, &scale], Vec::new());
    let x = builder.node("Add", "normalise.shifted", &[&x, &shift], Vec::new());

    let backbone = &network.backbone;
    let mut picture = Picture { name: x, side: size };
    picture = convolution(&mut builder, "stem", &backbone.stem, picture);
    for (index, part) in backbone.blocks.iter().enumerate() {
        picture = block(&mut builder, &format!("block{index}"), part, picture);
    }
    picture = convolution(&mut builder, "top", &backbone.top, picture);

    let x = builder.node("GlobalMaxPool", "head.pool", &[&picture.name], Vec::new());
    let x = normalise(&mut builder, "head.norm", &network.head.norm, &x);
    let x = builder.node("Flatten", "head.flat", &[&x], vec![integer("axis", 1)]);
    let x = dense(&mut builder, "head.hidden", &network.head.hidden, &x);
    let x = builder.node("Relu", "head.relu", &[&x], Vec::new());
    dense(&mut builder, OUTPUT, &network.head.classes, &x);
    let classes = network.head.classes.weight.dims()[1];
    builder.finish(INPUT, [1, 3, size, size], OUTPUT, classes)
}

/// A tensor `[1, channels, side, side]`.
struct Picture {
    name: String,
    side: usize,
}

fn convolution(builder: &mut Builder, name: &str, layer: &ConvNorm, x: Picture) -> Picture {
    let geometry = layer.geometry(x.side, x.side);
    let ((top, bottom), (left, right)) = geometry.padding();
    let [outward, columns] = layer.kernel.dims();
    let shape = [outward, columns / (layer.size * layer.size), layer.size, layer.size];
    let kernel = builder.kernel(&format!("{name}.kernel"), &shape, &values(layer.kernel.val()));
    let attributes = vec![
        integers("kernel_shape", &[layer.size, layer.size]),
        integers("strides", &[layer.stride, layer.stride]),
        integers("pads", &[top, left, bottom, right]),
        integer("group", if layer.depthwise { outward as i64 } else { 1 }),
    ];
    let y = builder.node("Conv", &format!("{name}.conv"), &[&x.name, &kernel], attributes);
    let mut y = normalise(builder, &format!("{name}.norm"), &layer.norm, &y);
    if layer.swish {
        y = builder.swish(name, &y);
    }
    Picture { name: y, side: geometry.output().0 }
}

fn normalise(builder: &mut Builder, name: &str, norm: &BatchNorm, x: &str) -> String {
    let mut tensor = |part: &str, values: &[f32]| {
        builder.tensor(&format!("{name}.{part}"), &[values.len()], values)
    };
    let gamma = tensor("gamma", &values(norm.gamma.val()));
    let beta = tensor("beta", &values(norm.beta.val()));
    let mean = tensor("mean", &values(norm.running_mean.value_sync()));
    let variance = tensor("variance", &values(norm.running_var.value_sync()));
    let inputs = [x, &gamma, &beta, &mean, &variance];
    builder.node("BatchNormalization", name, &inputs, vec![float("epsilon", norm.epsilon)])
}

fn block(builder: &mut Builder, name: &str, block: &Block, input: Picture) -> Picture {
    let (skip, side) = (input.name.clone(), input.side);
    let wide = match &block.expand {
        Some(expand) => convolution(builder, &format!("{name}.expand"), expand, input),
        None => input,
    };
    let deep = convolution(builder, &format!("{name}.depthwise"), &block.depthwise, wide);
    let gated = squeeze(builder, &format!("{name}.squeeze"), &block.squeeze, &deep.name);
    let gated = Picture { name: gated, side: deep.side };
    let out = convolution(builder, &format!("{name}.project"), &block.project, gated);
    if !block.residual {
        return out;
    }
    let sum = builder.node("Add", &format!("{name}.sum"), &[&skip, &out.name], Vec::new());
    Picture { name: sum, side }
}

fn squeeze(builder: &mut Builder, name: &str, layer: &SqueezeExcite, x: &str) -> String {
    let mean = builder.node("GlobalAveragePool", &format!("{name}.mean"), &[x], Vec::new());
    let reduced = pointwise(builder, &format!("{name}.reduce"), &layer.reduce, &mean);
    let reduced = builder.swish(&format!("{name}.reduce"), &reduced);
    let gate = pointwise(builder, &format!("{name}.expand"), &layer.expand, &reduced);
    let gate = builder.node("Sigmoid", &format!("{name}.gate"), &[&gate], Vec::new());
    builder.node("Mul", &format!("{name}.gated"), &[x, &gate], Vec::new())
}

/// A dense layer over `[1, channels, 1, 1]`, as a 1×1 convolution with bias.
fn pointwise(builder: &mut Builder, name: &str, layer: &Linear, x: &str) -> String {
    let [inward, outward] = layer.weight.dims();
    let (kernel, bias) = parameters(builder, name, layer, &[outward, inward, 1, 1]);
    let shape = vec![integers("kernel_shape", &[1, 1])];
    builder.node("Conv", name, &[x, &kernel, &bias], shape)
}

fn dense(builder: &mut Builder, name: &str, layer: &Linear, x: &str) -> String {
    let [inward, outward] = layer.weight.dims();
    let (kernel, bias) = parameters(builder, name, layer, &[outward, inward]);
    builder.node("Gemm", name, &[x, &kernel, &bias], vec![integer("transB", 1)])
}

fn parameters(
    builder: &mut Builder,
    name: &str,
    layer: &Linear,
    shape: &[usize],
) -> (String, String) {
    let kernel = values(layer.weight.val().transpose());
    let kernel = builder.kernel(&format!("{name}.kernel"), shape, &kernel);
    let bias = match &layer.bias {
        Some(bias) => values(bias.val()),
        None => vec![0.0; shape[0]],
    };
    let bias = builder.tensor(&format!("{name}.bias"), &[shape[0]], &bias);
    (kernel, bias)
}
