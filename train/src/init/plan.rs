//! Which tensor of a file each of our parameters takes.
//!
//! Names as in `keras/applications/efficientnet.py`, timm's `EfficientNet`
//! (`DepthwiseSeparableConv` in the first stage, `InvertedResidual` after) and torchvision's
//! `EfficientNet` (`MBConv`).

use super::tensors::Format;
use crate::network::{Layer, Network, Parameter, Position, Quantity};

/// How a tensor lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As ours.
    Same,
    /// `[out, in · k · k]`: as ours, but of two dimensions.
    Flat,
    /// `[k, k, in, out]` → `[out, in, k, k]`.
    Hwio,
    /// `[k, k, channels, 1]` → `[channels, 1, k, k]`.
    Hwc1,
    /// `[in, out]` → `[out, in]` or `[out, in, 1, 1]`.
    Transposed,
}

/// What one of our parameters takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Our parameter's name, as in the bundle's graph.
    pub ours: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it belongs to the classifier.
    pub in_head: bool,
    /// The tensor's key in [`Tensors`](super::Tensors); none where the format has no such layer.
    pub theirs: Option<String>,
    /// The shape that it must have in the file.
    pub their_shape: Vec<usize>,
    /// How it lies there.
    pub layout: Layout,
}

/// What every parameter of `network` takes from a file of `format`, in the network's order.
#[must_use]
pub fn plan(network: &Network, format: Format) -> Vec<Planned> {
    let place = |parameter: &Parameter| {
        let layout = layout(format, parameter);
        Planned {
            ours: parameter.name(),
            in_head: parameter.layer.in_head(),
            theirs: theirs(format, parameter),
            their_shape: layout.of(&parameter.shape),
            layout,
            shape: parameter.shape.clone(),
        }
    };
    network.parameters().iter().map(place).collect()
}

fn layout(format: Format, parameter: &Parameter) -> Layout {
    let dense = matches!(parameter.layer, Layer::Hidden | Layer::Classes);
    let gate = matches!(parameter.layer, Layer::Reduce(_) | Layer::Excite(_));
    match (format, parameter.quantity) {
        (Format::Keras, Quantity::Kernel) if dense => Layout::Transposed,
        (Format::Keras, Quantity::Kernel) if matches!(parameter.layer, Layer::Depthwise(_)) => {
            Layout::Hwc1
        }
        (Format::Keras, Quantity::Kernel) => Layout::Hwio,
        (Format::Run, Quantity::Kernel) if dense || gate => Layout::Transposed,
        (Format::Run, Quantity::Kernel) => Layout::Flat,
        _ => Layout::Same,
    }
}

impl Layout {
    /// The shape in the file of what has `shape` with us.
    #[must_use]
    pub fn of(self, shape: &[usize]) -> Vec<usize> {
        match (self, shape) {
            (Self::Flat, [outward, rest @ ..]) => vec![*outward, rest.iter().product()],
            (Self::Hwio, [outward, inward, height, width]) => {
                vec![*height, *width, *inward, *outward]
            }
            (Self::Hwc1, [channels, one, height, width]) => vec![*height, *width, *channels, *one],
            (Self::Transposed, [outward, inward, ..]) => vec![*inward, *outward],
            _ => shape.to_vec(),
        }
    }

    /// `values` of the file, as we keep what has `shape` with us.
    pub(super) fn restored(self, values: &[f32], shape: &[usize]) -> Vec<f32> {
        // Both Keras layouts of windows keep the window first; what follows is one matrix.
        let (rows, columns) = match (self, shape) {
            (Self::Hwio, [outward, rest @ ..]) => (rest.iter().product(), *outward),
            (Self::Hwc1, [channels, ..]) => (values.len() / (*channels).max(1), *channels),
            (Self::Transposed, [outward, inward, ..]) => (*inward, *outward),
            _ => return values.to_vec(),
        };
        let transposed = transpose(values, rows, columns);
        match (self, shape) {
            // Each row is now [k · k, in] of one output channel.
            (Self::Hwio, [_, inward, height, width]) => transposed
                .chunks((inward * height * width).max(1))
                .flat_map(|row| transpose(row, height * width, *inward))
                .collect(),
            _ => transposed,
        }
    }
}

/// `[rows, columns]` → `[columns, rows]`.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}

fn theirs(format: Format, parameter: &Parameter) -> Option<String> {
    match format {
        Format::Keras => Some(keras(parameter)),
        Format::Timm => timm(parameter),
        Format::Torchvision => torchvision(parameter),
        Format::Bundle => Some(parameter.name()),
        Format::Run => Some(run(parameter)),
    }
}

/// `layer/variable`, as [`super::keras`] reduces the file's names to.
fn keras(parameter: &Parameter) -> String {
    let block = |at: Position| {
        // Stages count from 1, repeats from a.
        let letter = char::from_u32(u32::from('a') + at.repeat as u32).unwrap_or('?');
        format!("block{}{letter}", at.stage + 1)
    };
    let (prefix, conv, norm) = match parameter.layer {
        Layer::Stem => ("stem".to_owned(), "conv", "bn"),
        Layer::Expand(at) => (block(at), "expand_conv", "expand_bn"),
        Layer::Depthwise(at) => (block(at), "dwconv", "bn"),
        Layer::Reduce(at) => (block(at), "se_reduce", ""),
        Layer::Excite(at) => (block(at), "se_expand", ""),
        Layer::Project(at) => (block(at), "project_conv", "project_bn"),
        Layer::Top => ("top".to_owned(), "conv", "bn"),
        Layer::HeadNorm => ("head".to_owned(), "", "norm"),
        Layer::Hidden => ("head".to_owned(), "hidden", ""),
        Layer::Classes => ("head".to_owned(), "classes", ""),
    };
    let (layer, variable) = match parameter.quantity {
        Quantity::Kernel => (conv, "kernel"),
        Quantity::Bias => (conv, "bias"),
        Quantity::Gamma => (norm, "gamma"),
        Quantity::Beta => (norm, "beta"),
        Quantity::Mean => (norm, "moving_mean"),
        Quantity::Variance => (norm, "moving_variance"),
    };
    format!("{prefix}_{layer}/{variable}")
}

/// PyTorch's name of a quantity, in a convolution or a norm.
const fn pytorch(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Kernel | Quantity::Gamma => "weight",
        Quantity::Bias | Quantity::Beta => "bias",
        Quantity::Mean => "running_mean",
        Quantity::Variance => "running_var",
    }
}

const fn of_norm(quantity: Quantity) -> bool {
    !matches!(quantity, Quantity::Kernel | Quantity::Bias)
}

fn timm(parameter: &Parameter) -> Option<String> {
    // Convolutions and norms of a block are numbered from whichever comes first.
    let (position, conv, norm) = match parameter.layer {
        Layer::Stem => (None, "conv_stem", "bn1"),
        Layer::Top => (None, "conv_head", "bn2"),
        Layer::Expand(at) => (Some(at), "conv_pw", "bn1"),
        Layer::Depthwise(at) if at.expands => (Some(at), "conv_dw", "bn2"),
        Layer::Depthwise(at) => (Some(at), "conv_dw", "bn1"),
        Layer::Reduce(at) => (Some(at), "se.conv_reduce", ""),
        Layer::Excite(at) => (Some(at), "se.conv_expand", ""),
        Layer::Project(at) if at.expands => (Some(at), "conv_pwl", "bn3"),
        Layer::Project(at) => (Some(at), "conv_pw", "bn2"),
        Layer::HeadNorm | Layer::Hidden | Layer::Classes => return None,
    };
    let layer = if of_norm(parameter.quantity) { norm } else { conv };
    let tensor = pytorch(parameter.quantity);
    Some(match position {
        None => format!("{layer}.{tensor}"),
        Some(at) => format!("blocks.{}.{}.{layer}.{tensor}", at.stage, at.repeat),
    })
}

fn torchvision(parameter: &Parameter) -> Option<String> {
    /// `features.0` is the stem, `features.8` the top.
    const TOP: usize = 8;
    let tensor = pytorch(parameter.quantity);
    let within = usize::from(of_norm(parameter.quantity));
    // Without an expansion all that follows stands one place earlier.
    let step = |at: Position, place: usize| if at.expands { place } else { place - 1 };
    let (at, part) = match parameter.layer {
        Layer::Stem => return Some(format!("features.0.{within}.{tensor}")),
        Layer::Top => return Some(format!("features.{TOP}.{within}.{tensor}")),
        Layer::Expand(at) => (at, format!("0.{within}")),
        Layer::Depthwise(at) => (at, format!("{}.{within}", step(at, 1))),
        Layer::Reduce(at) => (at, format!("{}.fc1", step(at, 2))),
        Layer::Excite(at) => (at, format!("{}.fc2", step(at, 2))),
        Layer::Project(at) => (at, format!("{}.{within}", step(at, 3))),
        Layer::HeadNorm | Layer::Hidden | Layer::Classes => return None,
    };
    Some(format!("features.{}.{}.block.{part}.{tensor}", at.stage + 1, at.repeat))
}

/// burn's path of the field.
fn run(parameter: &Parameter) -> String {
    let block = |at: Position, part: &str| format!("backbone.blocks.{}.{part}", at.index);
    let layer = match parameter.layer {
        Layer::Stem => "backbone.stem".to_owned(),
        Layer::Expand(at) => block(at, "expand"),
        Layer::Depthwise(at) => block(at, "depthwise"),
        Layer::Reduce(at) => block(at, "squeeze.reduce"),
        Layer::Excite(at) => block(at, "squeeze.expand"),
        Layer::Project(at) => block(at, "project"),
        Layer::Top => "backbone.top".to_owned(),
        Layer::HeadNorm => "head".to_owned(),
        Layer::Hidden => "head.hidden".to_owned(),
        Layer::Classes => "head.classes".to_owned(),
    };
    // A convolution of ours has a kernel; burn's own dense layer a weight.
    let window = matches!(
        parameter.layer,
        Layer::Stem | Layer::Expand(_) | Layer::Depthwise(_) | Layer::Project(_) | Layer::Top
    );
    let tensor = match parameter.quantity {
        Quantity::Kernel if window => "kernel",
        Quantity::Kernel => "weight",
        Quantity::Bias => "bias",
        Quantity::Gamma => "norm.gamma",
        Quantity::Beta => "norm.beta",
        Quantity::Mean => "norm.running_mean",
        Quantity::Variance => "norm.running_var",
    };
    format!("{layer}.{tensor}")
}
