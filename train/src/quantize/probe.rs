//! What a change of each layer does to that layer's own output, measured on cells.
//!
//! Beside each layer of the f32 network a changed copy is put that sees the same f32 input; both
//! outputs and their difference are averaged inside the graph, so one run a cell measures every
//! layer.

use leukd_cell::preprocess::InputTensor;
use leukd_model::engine::{EngineError, Observed, Observer};
use leukd_model::onnx::NodeProto;

use super::graph::{Change, FloatNetwork, Kind, Layer};
use crate::storage::{float_tensor, node};

/// What was measured of one layer.
#[derive(Debug, Clone)]
pub(super) struct Effect {
    /// For each output channel the mean of f32's output less the changed layer's: E\[W x\] − E\[Ŵ
    /// x̂\].
    pub(super) shift: Vec<f32>,
    /// Noise to signal: the mean squared error that is left when the shift is mended, over the
    /// output's variance, both after the normalisation's gain, summed over channels. 0 for a layer
    /// that is computed exactly.
    pub(super) noise: f64,
}

/// Sums over cells, one number a channel.
#[derive(Debug, Clone)]
struct Sums {
    error: Vec<f64>,
    squared_error: Vec<f64>,
    value: Vec<f64>,
    squared_value: Vec<f64>,
}

/// Measures `changes` (their kernel and input; not their shift) on `inputs`, one effect a layer.
///
/// The correction of the shift follows Nagel et al. 2019, "Data-Free Quantization Through Weight
/// Equalization and Bias Correction", section 4.2, with the expectation over calibration cells
/// (their appendix D) and, unlike there, over the f32 network's inputs: so all layers are measured
/// in one pass.
///
/// # Errors
///
/// Where the network with its copies cannot be compiled or run.
pub(super) fn effects(
    network: &FloatNetwork,
    changes: &[Change],
    inputs: &[InputTensor],
) -> Result<Vec<Effect>, EngineError> {
    let (Some(first), false) = (inputs.first(), network.layers.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut probed = network.network.clone();
    let mut names = Vec::new();
    if let Some(graph) = &mut probed.graph {
        for (layer, change) in network.layers.iter().zip(changes) {
            let own = graph.node.iter().find(|node| node.output.first() == Some(&layer.output));
            let Some(mut copy) = own.cloned() else { continue };
            let prefix = format!("{}.probe", layer.output);
            let values =
                change.stored.as_ref().map_or_else(|| layer.values.clone(), |s| s.restored());
            let kernel = format!("{prefix}.kernel");
            graph.initializer.push(float_tensor(&kernel, &layer.shape, &values));
            if let Some(levels) = change.input {
                // Rounded once a layer, under the layer's own name: two layers may see one input.
                let (tensors, nodes, rounded) = levels.onnx(&layer.input);
                let own = |name: &str| format!("{prefix}.{name}");
                graph.initializer.extend(tensors.into_iter().map(|mut tensor| {
                    tensor.name = own(&tensor.name);
                    tensor
                }));
                graph.node.extend(nodes.into_iter().map(|mut node| {
                    for name in node.input.iter_mut().filter(|name| **name != layer.input) {
                        *name = own(name);
                    }
                    node.output.iter_mut().for_each(|name| *name = own(name));
                    node.name = own(&node.name);
                    node
                }));
                copy.input[0] = own(&rounded);
            }
            copy.input[1] = kernel;
            copy.output = vec![prefix.clone()];
            copy.name.clone_from(&prefix);
            graph.node.push(copy);
            graph.node.extend(means(layer, &prefix, &mut names));
        }
    }
    let observer = Observer::compile(&probed, first.shape, names)?;
    let mut sums: Vec<Sums> = network.layers.iter().map(|layer| Sums::of(layer.rows())).collect();
    for input in inputs {
        let mut observed = observer.run(input)?.into_iter();
        for (layer, sums) in network.layers.iter().zip(&mut sums) {
            sums.add(layer.kind, &mut observed);
        }
    }
    let count = inputs.len() as f64;
    Ok(network.layers.iter().zip(&sums).map(|(layer, sums)| sums.effect(layer, count)).collect())
}

/// Nodes that compare a layer with its copy `prefix`; the names of what is to be observed go to
/// `names`.
fn means(layer: &Layer, prefix: &str, names: &mut Vec<String>) -> Vec<NodeProto> {
    let error = format!("{prefix}.error");
    let mut nodes = vec![node("Sub", &error, &[&layer.output, prefix], Vec::new())];
    if layer.kind == Kind::Dense {
        names.extend([error, layer.output.clone()]);
        return nodes;
    }
    for (what, of) in [("error", error.as_str()), ("value", &layer.output)] {
        let (mean, square, power) = (
            format!("{prefix}.{what}.mean"),
            format!("{prefix}.{what}.square"),
            format!("{prefix}.{what}.power"),
        );
        nodes.push(node("GlobalAveragePool", &mean, &[of], Vec::new()));
        nodes.push(node("Mul", &square, &[of, of], Vec::new()));
        nodes.push(node("GlobalAveragePool", &power, &[&square], Vec::new()));
        names.extend([mean, power]);
    }
    nodes
}

impl Sums {
    fn of(rows: usize) -> Self {
        let none = || vec![0.0; rows];
        Self { error: none(), squared_error: none(), value: none(), squared_value: none() }
    }

    /// Takes one layer's observations, in the order of [`means`].
    fn add(&mut self, kind: Kind, observed: &mut impl Iterator<Item = Observed>) {
        let mut next = || observed.next().map(|tensor| tensor.values).unwrap_or_default();
        let square = |values: &[f32]| values.iter().map(|value| value * value).collect::<Vec<_>>();
        let (error, squared_error, value, squared_value) = match kind {
            Kind::Conv => (next(), next(), next(), next()),
            Kind::Dense => {
                let (error, value) = (next(), next());
                let squares = (square(&error), square(&value));
                (error, squares.0, value, squares.1)
            }
        };
        for (sums, values) in [
            (&mut self.error, error),
            (&mut self.squared_error, squared_error),
            (&mut self.value, value),
            (&mut self.squared_value, squared_value),
        ] {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(value));
        }
    }

    fn effect(&self, layer: &Layer, count: f64) -> Effect {
        let variance = |squares: &[f64], sums: &[f64]| -> f64 {
            let each = squares.iter().zip(sums).zip(layer.gains());
            each.map(|((square, sum), gain)| {
                // Rounding may leave a little less than nothing.
                let variance = (square / count - (sum / count).powi(2)).max(0.0);
                variance * f64::from(gain).powi(2)
            })
            .sum()
        };
        let noise = variance(&self.squared_error, &self.error);
        let signal = variance(&self.squared_value, &self.value);
        let shift = self.error.iter().map(|sum| (sum / count) as f32).collect();
        // A layer without signal has nothing to lose.
        Effect { shift, noise: if signal > 0.0 { noise / signal } else { 0.0 } }
    }
}
