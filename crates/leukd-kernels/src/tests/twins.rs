//! The same arithmetic in plain f64, as its definitions say it: NCHW, loops, nothing fused.

use super::super::{BlockParts, Pool, Shape, StageParts, Weights, Window};

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|number| f64::from(*number)).collect()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn silu(x: f64) -> f64 {
    x * logistic(x)
}

/// A convolution in `groups`, with zeros around: `[outputs][rows][columns]`.
fn convolution(
    weights: &Weights,
    from: &[f64],
    shape: Shape,
    groups: usize,
    window: Window,
    before: [usize; 2],
    output: [usize; 2],
) -> Vec<f64> {
    let outputs = weights.bias.len();
    let (inputs, side) = (shape.channels / groups, window.side);
    let number = |channel: usize, y: usize, x: usize| {
        let (y, x) = (y.checked_sub(before[0]), x.checked_sub(before[1]));
        match (y, x) {
            (Some(y), Some(x)) if y < shape.height && x < shape.width => {
                from[(channel * shape.height + y) * shape.width + x]
            }
            _ => 0.0,
        }
    };
    let mut result = Vec::new();
    for out in 0..outputs {
        let first = out / (outputs / groups) * inputs;
        for y in 0..output[0] {
            for x in 0..output[1] {
                let mut sum = f64::from(weights.bias[out]);
                for input in 0..inputs {
                    for down in 0..side {
                        for right in 0..side {
                            let weight = weights.kernel
                                [((out * inputs + input) * side + down) * side + right];
                            let at = [y * window.stride + down, x * window.stride + right];
                            sum += f64::from(weight) * number(first + input, at[0], at[1]);
                        }
                    }
                }
                result.push(sum);
            }
        }
    }
    result
}

const ONE: Window = Window { side: 1, stride: 1 };

pub(super) fn pointwise(
    weights: &Weights,
    from: &[f32],
    pixels: usize,
    gates: Option<&[f32]>,
    residual: Option<&[f32]>,
    with_silu: bool,
) -> Vec<f64> {
    let mut from = wide(from);
    for (plane, gate) in from.chunks_exact_mut(pixels).zip(gates.unwrap_or_default()) {
        plane.iter_mut().for_each(|number| *number *= f64::from(*gate));
    }
    let shape = Shape { channels: from.len() / pixels, height: 1, width: pixels };
    let mut result = convolution(weights, &from, shape, 1, ONE, [0, 0], [1, pixels]);
    if with_silu {
        result.iter_mut().for_each(|number| *number = silu(*number));
    }
    let residual = residual.unwrap_or_default();
    result.iter_mut().zip(residual).for_each(|(number, add)| *number += f64::from(*add));
    result
}

pub(super) fn depthwise(
    weights: &Weights,
    from: &[f32],
    shape: Shape,
    window: Window,
    before: [usize; 2],
    output: [usize; 2],
) -> (Vec<f64>, Vec<f64>) {
    depthwise_of(weights, &wide(from), shape, window, before, output)
}

#[allow(clippy::cast_precision_loss)]
fn depthwise_of(
    weights: &Weights,
    from: &[f64],
    shape: Shape,
    window: Window,
    before: [usize; 2],
    output: [usize; 2],
) -> (Vec<f64>, Vec<f64>) {
    let mut result = convolution(weights, from, shape, shape.channels, window, before, output);
    result.iter_mut().for_each(|number| *number = silu(*number));
    let pixels = output[0] * output[1];
    let mean = |plane: &[f64]| plane.iter().sum::<f64>() / pixels as f64;
    let means = result.chunks_exact(pixels).map(mean).collect();
    (result, means)
}

fn block(parts: &BlockParts, from: &[f64]) -> Vec<f64> {
    let BlockParts { input, output, window, before, .. } = parts;
    let activations = match &parts.expand {
        None => from.to_vec(),
        Some(expand) => {
            let sides = [input.height, input.width];
            let mut expanded = convolution(expand, from, *input, 1, ONE, [0, 0], sides);
            expanded.iter_mut().for_each(|number| *number = silu(*number));
            expanded
        }
    };
    let channels = parts.depthwise.bias.len();
    let shape = Shape { channels, ..*input };
    let (mut inner, means) =
        depthwise_of(&parts.depthwise, &activations, shape, *window, *before, *output);
    if let Some([reduce, expand]) = &parts.squeeze {
        let single = |channels| Shape { channels, height: 1, width: 1 };
        let mut hidden = convolution(reduce, &means, single(channels), 1, ONE, [0, 0], [1, 1]);
        hidden.iter_mut().for_each(|number| *number = silu(*number));
        let gates = convolution(expand, &hidden, single(hidden.len()), 1, ONE, [0, 0], [1, 1]);
        for (plane, gate) in inner.chunks_exact_mut(output[0] * output[1]).zip(gates) {
            plane.iter_mut().for_each(|number| *number *= logistic(gate));
        }
    }
    let shape = Shape { channels, height: output[0], width: output[1] };
    let mut result = convolution(&parts.project, &inner, shape, 1, ONE, [0, 0], *output);
    if parts.residual {
        result.iter_mut().zip(from).for_each(|(number, add)| *number += add);
    }
    result
}

/// All stages, one after the other.
#[allow(clippy::cast_precision_loss)]
pub(super) fn chain(stages: &[StageParts], picture: &[f32]) -> Vec<f64> {
    let mut numbers = wide(picture);
    for stage in stages {
        numbers = match stage {
            StageParts::Stem(parts) => {
                let window = Window { side: parts.side, stride: parts.stride };
                convolution(
                    &parts.weights,
                    &numbers,
                    parts.input,
                    1,
                    window,
                    parts.before,
                    parts.output,
                )
                .into_iter()
                .map(silu)
                .collect()
            }
            StageParts::Block(parts) => block(parts, &numbers),
            StageParts::Top(shape, weights) => {
                convolution(weights, &numbers, *shape, 1, ONE, [0, 0], [shape.height, shape.width])
                    .into_iter()
                    .map(silu)
                    .collect()
            }
            StageParts::Pool(shape, kind) => numbers
                .chunks_exact(shape.pixels())
                .map(|plane| match kind {
                    Pool::Max => plane.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    Pool::Mean => plane.iter().sum::<f64>() / plane.len() as f64,
                })
                .collect(),
        };
    }
    numbers
}
