//! The f32 network as layers that can be quantized, and a network again with some of them changed.

use std::collections::{HashMap, HashSet};

use leukd_model::onnx::tensor_proto::DataType;
use leukd_model::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};

use super::ranges::Levels;
use crate::storage::{Stored, float_tensor, integer, node, tensor};

/// A batch normalisation's ε where its node says nothing: ONNX' default.
const DEFAULT_EPSILON: f32 = 1e-5;

/// A network whose kernels are plain f32 tensors with their output channels first.
#[derive(Debug, Clone)]
pub(super) struct FloatNetwork {
    pub(super) network: ModelProto,
    /// In the order of the graph's nodes.
    pub(super) layers: Vec<Layer>,
}

/// What kind of node a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `Conv`, output `[1, channels, height, width]`.
    Conv,
    /// `Gemm`, output `[1, channels]`.
    Dense,
}

/// One `Conv` or `Gemm` with a stored kernel.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// The name of the node's output.
    pub(super) output: String,
    /// Of its first input.
    pub(super) input: String,
    pub(super) kind: Kind,
    /// The stored tensor's name.
    pub(super) kernel: String,
    /// Output channels first.
    pub(super) shape: Vec<i64>,
    pub(super) values: Vec<f32>,
    /// What follows, where that can take up a shift of the output.
    norm: Option<Norm>,
    bias: Option<String>,
    /// Whether it stands inside a squeeze-and-excitation: all that it sees went through a mean over
    /// the whole picture.
    pub(super) squeeze: bool,
}

/// The batch normalisation after a convolution.
#[derive(Debug, Clone)]
struct Norm {
    /// The stored tensor of means.
    mean: String,
    /// γ/√(σ² + ε) for each channel.
    gain: Vec<f32>,
}

/// How one layer is written. The default is as it was.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    /// The kernel's form.
    pub(super) stored: Option<Stored>,
    /// What flows in is rounded to these levels.
    pub(super) input: Option<Levels>,
    /// Added to each output channel, before any normalisation.
    pub(super) shift: Option<Vec<f32>>,
}

impl Layer {
    pub(super) fn rows(&self) -> usize {
        self.shape.first().and_then(|rows| usize::try_from(*rows).ok()).unwrap_or(1)
    }

    /// By how much the normalisation that follows multiplies each output channel; 1 without one.
    pub(super) fn gains(&self) -> Vec<f32> {
        self.norm.as_ref().map_or_else(|| vec![1.0; self.rows()], |norm| norm.gain.clone())
    }
}

impl FloatNetwork {
    /// The layers of `network`, whose weights are expanded. A kernel that several nodes share, or
    /// that is computed, is no layer: it stays as it is.
    pub(super) fn of(mut network: ModelProto) -> Self {
        let layers = network.graph.as_mut().map(layers).unwrap_or_default();
        Self { network, layers }
    }

    /// The network with one change a layer.
    pub(super) fn with(&self, changes: &[Change]) -> ModelProto {
        let mut network = self.network.clone();
        let Some(graph) = &mut network.graph else { return network };
        let mut front = Vec::new();
        let mut rounded: HashMap<String, String> = HashMap::new();
        let mut before: HashMap<String, Vec<NodeProto>> = HashMap::new();
        for (layer, change) in self.layers.iter().zip(changes) {
            if let Some(stored) = &change.stored {
                graph.initializer.retain(|tensor| tensor.name != layer.kernel);
                // Older files list stored tensors among the graph's inputs too.
                graph.input.retain(|input| input.name != layer.kernel);
                let (tensors, node) = stored.onnx(&layer.kernel, &layer.shape);
                graph.initializer.extend(tensors);
                front.extend(node);
            }
            if let Some(shift) = &change.shift {
                layer.shift(graph, shift);
            }
            if let Some(levels) = change.input {
                if !rounded.contains_key(&layer.input) {
                    let (tensors, nodes, name) = levels.onnx(&layer.input);
                    graph.initializer.extend(tensors);
                    before.insert(layer.output.clone(), nodes);
                    rounded.insert(layer.input.clone(), name);
                }
                let own = node_of(graph, &layer.output);
                if let (Some(own), Some(name)) = (own, rounded.get(&layer.input))
                    && let Some(first) = own.input.first_mut()
                {
                    first.clone_from(name);
                }
            }
        }
        let mut nodes = front;
        for node in std::mem::take(&mut graph.node) {
            if let Some(own) = node.output.first().and_then(|output| before.remove(output)) {
                nodes.extend(own);
            }
            nodes.push(node);
        }
        graph.node = nodes;
        network
    }
}

impl Layer {
    /// Adds `shift` to the output channels: taken from the following normalisation's means, which
    /// is the same, or added to the bias.
    fn shift(&self, graph: &mut GraphProto, shift: &[f32]) {
        let add = |tensor: &mut TensorProto, sign: f32| {
            if let Some(values) = floats(tensor) {
                let values: Vec<f32> =
                    values.iter().zip(shift).map(|(value, shift)| value + sign * shift).collect();
                *tensor = float_tensor(&tensor.name, &tensor.dims, &values);
            }
        };
        match (&self.norm, &self.bias) {
            (Some(norm), _) => {
                stored(graph, &norm.mean).into_iter().for_each(|mean| add(mean, -1.0));
            }
            (None, Some(bias)) => {
                stored(graph, bias).into_iter().for_each(|bias| add(bias, 1.0));
            }
            (None, None) => {
                let name = format!("{}.bias", self.output);
                graph.initializer.push(float_tensor(&name, &[shift.len() as i64], shift));
                if let Some(own) = node_of(graph, &self.output) {
                    // An absent bias may be written as an empty name.
                    own.input.truncate(2);
                    own.input.push(name);
                }
            }
        }
    }
}

impl Levels {
    /// The tensors and nodes that round `input` to these levels, and the name of what they give.
    pub(super) fn onnx(self, input: &str) -> (Vec<TensorProto>, Vec<NodeProto>, String) {
        let scale = float_tensor(&format!("{input}.levels.scale"), &[], &[self.scale]);
        let zero = format!("{input}.levels.zero");
        let zero = tensor(&zero, &[], DataType::Uint8, vec![self.zero]);
        let levels = format!("{input}.levels");
        let rounded = format!("{input}.rounded");
        let quantize = node("QuantizeLinear", &levels, &[input, &scale.name, &zero.name], vec![]);
        let inputs = [levels.as_str(), &scale.name, &zero.name];
        let dequantize = node("DequantizeLinear", &rounded, &inputs, vec![]);
        (vec![scale, zero], vec![quantize, dequantize], rounded)
    }
}

fn stored<'a>(graph: &'a mut GraphProto, name: &str) -> Option<&'a mut TensorProto> {
    graph.initializer.iter_mut().find(|tensor| tensor.name == name)
}

fn node_of<'a>(graph: &'a mut GraphProto, output: &str) -> Option<&'a mut NodeProto> {
    graph.node.iter_mut().find(|node| node.output.first().is_some_and(|own| own == output))
}

fn layers(graph: &mut GraphProto) -> Vec<Layer> {
    output_channels_first(graph);
    let graph = &*graph;
    let stored: HashMap<&str, &TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let uses = uses(graph);
    let once = |name: &str| uses.get(name).copied() == Some(1);
    let producers: HashMap<&str, &NodeProto> = graph
        .node
        .iter()
        .flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node)))
        .collect();
    let layer = |node: &NodeProto| {
        let kind = match node.op_type.as_str() {
            "Conv" => Kind::Conv,
            // With another factor a shift of the bias would not be one of the output.
            "Gemm" if node.attribute.iter().all(|own| own.name != "beta" || own.f == 1.0) => {
                Kind::Dense
            }
            _ => return None,
        };
        let input = node.input.first()?;
        let kernel = stored.get(node.input.get(1)?.as_str()).filter(|tensor| once(&tensor.name))?;
        let output = node.output.first()?;
        let rank = if kind == Kind::Conv { 4 } else { 2 };
        let values = floats(kernel).filter(|values| !values.is_empty())?;
        let shaped = kernel.dims.len() == rank && kernel.dims.iter().all(|side| *side > 0);
        let bias = node.input.get(2).filter(|name| !name.is_empty());
        // A bias that others share, or that is computed, cannot take up a shift.
        let own = bias.is_none_or(|name| {
            once(name) && stored.get(name.as_str()).is_some_and(|bias| bias.dims.len() == 1)
        });
        (shaped && own && !stored.contains_key(input.as_str())).then(|| Layer {
            output: output.clone(),
            input: input.clone(),
            kind,
            kernel: kernel.name.clone(),
            shape: kernel.dims.clone(),
            values,
            norm: once(output).then(|| norm(graph, &stored, &once, output)).flatten(),
            bias: bias.cloned(),
            squeeze: kind == Kind::Conv && pooled(input, &producers, &stored),
        })
    };
    graph.node.iter().filter_map(layer).collect()
}

/// Turns kernels of `Gemm` nodes around whose output channels stand last, so that one scale an
/// output channel is one a row.
fn output_channels_first(graph: &mut GraphProto) {
    let uses: HashSet<String> = {
        let uses = uses(graph);
        uses.iter().filter(|(_, count)| **count == 1).map(|(name, _)| (*name).to_owned()).collect()
    };
    for node in &mut graph.node {
        let turned = node.attribute.iter().any(|own| own.name == "transB" && own.i != 0);
        let Some(kernel) = node.input.get(1).filter(|name| uses.contains(*name)) else { continue };
        if node.op_type != "Gemm" || turned {
            continue;
        }
        let Some(tensor) = graph.initializer.iter_mut().find(|tensor| tensor.name == *kernel)
        else {
            continue;
        };
        let ([inward, outward], Some(values)) = (tensor.dims.as_slice(), floats(tensor)) else {
            continue;
        };
        let (dims, columns) = ([*outward, *inward], usize::try_from(*outward).unwrap_or_default());
        let values: Vec<f32> = (0..columns)
            .flat_map(|column| values.iter().skip(column).step_by(columns).copied())
            .collect();
        *tensor = float_tensor(&tensor.name, &dims, &values);
        node.attribute.retain(|own| own.name != "transB");
        node.attribute.push(integer("transB", 1));
    }
}

/// How many nodes and graph outputs take each name.
fn uses(graph: &GraphProto) -> HashMap<&str, usize> {
    let mut uses = HashMap::new();
    let taken = graph.node.iter().flat_map(|node| &node.input).map(String::as_str);
    for name in taken.chain(graph.output.iter().map(|output| output.name.as_str())) {
        *uses.entry(name).or_insert(0) += 1;
    }
    uses
}

/// The batch normalisation that alone takes `output`, where its parameters are stored.
fn norm(
    graph: &GraphProto,
    stored: &HashMap<&str, &TensorProto>,
    once: &dyn Fn(&str) -> bool,
    output: &str,
) -> Option<Norm> {
    let node = graph.node.iter().find(|node| node.input.first().is_some_and(|x| x == output))?;
    if node.op_type != "BatchNormalization" {
        return None;
    }
    let of = |index: usize| stored.get(node.input.get(index)?.as_str()).copied();
    let (gamma, mean, variance) = (floats(of(1)?)?, of(3)?, floats(of(4)?)?);
    let epsilon = node
        .attribute
        .iter()
        .find(|attribute| attribute.name == "epsilon")
        .map_or(DEFAULT_EPSILON, |attribute| attribute.f);
    let gain =
        gamma.iter().zip(&variance).map(|(gamma, variance)| gamma / (variance + epsilon).sqrt());
    once(&mean.name).then(|| Norm { mean: mean.name.clone(), gain: gain.collect() })
}

/// Whether `name` is nothing but a mean over the whole picture, through whatever
/// squeeze-and-excitation makes of it.
fn pooled(
    name: &str,
    producers: &HashMap<&str, &NodeProto>,
    stored: &HashMap<&str, &TensorProto>,
) -> bool {
    let Some(node) = producers.get(name) else { return false };
    let first = || node.input.first().is_some_and(|input| pooled(input, producers, stored));
    match node.op_type.as_str() {
        "GlobalAveragePool" => true,
        "Conv" | "Sigmoid" | "HardSigmoid" | "Relu" => first(),
        "Mul" | "Add" => node
            .input
            .iter()
            .all(|input| stored.contains_key(input.as_str()) || pooled(input, producers, stored)),
        _ => false,
    }
}

/// The numbers of a stored f32 tensor; none of another type.
pub(super) fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    if tensor.data_type != DataType::Float as i32 {
        return None;
    }
    if tensor.raw_data.is_empty() {
        return Some(tensor.float_data.clone());
    }
    Some(tensor.raw_data.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect())
}
