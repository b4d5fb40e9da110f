//! Reads a head out of an ONNX graph, from its output backwards.

use std::cell::Cell;
use std::collections::HashMap;

use super::super::onnx::tensor_proto::DataType;
use super::super::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::{Dense, Head, Layer, Pooling};
use crate::weights;

/// Why a network has no head that leukd knows, in words: it serves all the same, but nothing can be
/// said of where in the picture its answer comes from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoHead(pub String);

/// The longest head that is looked at.
const MOST_STEPS: usize = 64;

/// The most numbers of one of its layers: a hundred times the seed's.
const MOST_NUMBERS: usize = 64 << 20;

/// The most numbers of all its dense layers as they lie for the way back, padding among them: forty
/// times the seed's, 64 MiB.
const MOST_BACK: usize = 16 << 20;

impl Head {
    /// The head of a network whose weights have been expanded.
    ///
    /// # Errors
    ///
    /// [`NoHead`]: something other than layers, ReLU and global pooling lies between the last activation and the
    /// output.
    pub fn of(network: &ModelProto) -> Result<Self, NoHead> {
        let graph = network.graph.as_ref().ok_or_else(|| NoHead("it has no graph".to_owned()))?;
        Reader::new(graph).head()
    }
}

struct Reader<'a> {
    graph: &'a GraphProto,
    makers: HashMap<&'a str, &'a NodeProto>,
    stored: HashMap<&'a str, &'a TensorProto>,
    /// How many of [`MOST_BACK`] no layer has taken.
    back: Cell<usize>,
}

/// A layer before the number of its inputs is known.
enum Step {
    Layer(Layer),
    /// One number for all.
    Even {
        factor: f32,
        shift: f32,
    },
}

impl<'a> Reader<'a> {
    fn new(graph: &'a GraphProto) -> Self {
        let makers = graph
            .node
            .iter()
            .flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)))
            .collect();
        let stored =
            graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        Self { graph, makers, stored, back: Cell::new(MOST_BACK) }
    }

    fn head(&self) -> Result<Head, NoHead> {
        let [output] = &self.graph.output[..] else {
            return Err(NoHead("it has not one output".to_owned()));
        };
        let mut at = output.name.as_str();
        let (mut steps, mut bends) = (Vec::new(), Vec::new());
        for _ in 0..MOST_STEPS {
            let node = *self.makers.get(at).ok_or_else(|| {
                NoHead("between its input and its output there is no global pooling".to_owned())
            })?;
            if let Some(pooling) = self.pooling(node) {
                let activation = input(node, 0)?.to_owned();
                let Some((channels, layers)) = joined(steps) else {
                    return Err(NoHead("its layers do not fit each other".to_owned()));
                };
                bends.reverse();
                return Ok(Head { activation, bends, pooling, channels, layers });
            }
            let from = self.step(node, at, output.name == at, &mut steps)?;
            if node.op_type == "Relu" {
                bends.push(from.to_owned());
            }
            at = from;
        }
        Err(NoHead(format!("its head has more than {MOST_STEPS} steps")))
    }

    /// One node backwards: adds its layer, gives the name of its input.
    fn step(
        &self,
        node: &'a NodeProto,
        gives: &str,
        last: bool,
        steps: &mut Vec<Step>,
    ) -> Result<&'a str, NoHead> {
        let unknown = || {
            NoHead(format!(
                "the step {} that gives {gives:?} is none that the map can be led through, or too large",
                node.op_type
            ))
        };
        match node.op_type.as_str() {
            "Flatten" | "Squeeze" | "Reshape" | "Identity" | "Dropout" | "Unsqueeze" => {}
            // Probabilities: the logits lie before.
            "Softmax" if last => {}
            "Relu" => steps.push(Step::Layer(Layer::Relu)),
            "Gemm" => steps.push(Step::Layer(self.gemm(node).ok_or_else(unknown)?)),
            "MatMul" => {
                let weights = self.values(node.input.get(1)).ok_or_else(unknown)?;
                let [_, columns] = self.sides(node.input.get(1)).ok_or_else(unknown)?;
                let dense = self.dense(transposed(&weights, columns), vec![0.0; columns]);
                steps.push(Step::Layer(Layer::Dense(dense.ok_or_else(unknown)?)));
            }
            "BatchNormalization" => {
                steps.push(Step::Layer(self.normalisation(node).ok_or_else(unknown)?));
            }
            "Add" | "Mul" => {
                let (from, by) = self.with_constant(node).ok_or_else(unknown)?;
                let is_sum = node.op_type == "Add";
                steps.push(match by[..] {
                    [by] if is_sum => Step::Even { factor: 1.0, shift: by },
                    [by] => Step::Even { factor: by, shift: 0.0 },
                    _ if is_sum => {
                        Step::Layer(Layer::Scale { factor: vec![1.0; by.len()], shift: by })
                    }
                    _ => Step::Layer(Layer::Scale { shift: vec![0.0; by.len()], factor: by }),
                });
                return Ok(from);
            }
            _ => return Err(unknown()),
        }
        input(node, 0)
    }

    fn pooling(&self, node: &NodeProto) -> Option<Pooling> {
        match node.op_type.as_str() {
            "GlobalMaxPool" => Some(Pooling::Max),
            "GlobalAveragePool" => Some(Pooling::Mean),
            "ReduceMax" if self.over_the_picture(node) => Some(Pooling::Max),
            "ReduceMean" if self.over_the_picture(node) => Some(Pooling::Mean),
            _ => None,
        }
    }

    /// Whether a reduction runs over rows and columns: axes 2 and 3, as an attribute or as an
    /// input.
    fn over_the_picture(&self, node: &NodeProto) -> bool {
        let attribute = node.attribute.iter().find(|own| own.name == "axes");
        let axes: Vec<i64> = match (attribute, node.input.get(1)) {
            (Some(attribute), _) => attribute.ints.clone(),
            (None, Some(name)) => self.stored.get(name.as_str()).map_or_else(Vec::new, |tensor| {
                if tensor.int64_data.is_empty() {
                    let numbers = tensor.raw_data.as_chunks::<8>().0.iter();
                    numbers.map(|bytes| i64::from_le_bytes(*bytes)).collect()
                } else {
                    tensor.int64_data.clone()
                }
            }),
            (None, None) => Vec::new(),
        };
        let places: Vec<i64> =
            axes.iter().map(|axis| if *axis < 0 { axis + 4 } else { *axis }).collect();
        places == [2, 3] || places == [3, 2]
    }

    fn gemm(&self, node: &NodeProto) -> Option<Layer> {
        let number = |name: &str| node.attribute.iter().find(|own| own.name == name);
        let plain = number("transA").is_none_or(|own| own.i == 0)
            && ["alpha", "beta"].iter().all(|name| number(name).is_none_or(|own| own.f == 1.0));
        if !plain {
            return None;
        }
        let weights = self.values(node.input.get(1))?;
        let [rows, columns] = self.sides(node.input.get(1))?;
        let (weights, outputs) = if number("transB").is_some_and(|own| own.i != 0) {
            (weights, rows)
        } else {
            (transposed(&weights, columns), columns)
        };
        let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(name) => self.values(Some(name))?,
            None => vec![0.0; outputs],
        };
        let bias = if bias.len() == 1 { vec![bias[0]; outputs] } else { bias };
        if bias.len() != outputs {
            return None;
        }
        self.dense(weights, bias).map(Layer::Dense)
    }

    /// None where the weights do not fit the bias, or take more room than is left.
    fn dense(&self, weights: Vec<f32>, bias: Vec<f32>) -> Option<Dense> {
        let room = Dense::room(weights.len(), bias.len())?;
        self.back.set(self.back.get().checked_sub(room)?);
        Dense::new(weights, bias)
    }

    /// Batch normalisation as it serves: `(x − mean) / √(variance + ε) · γ + β` (Ioffe & Szegedy
    /// 2015).
    fn normalisation(&self, node: &NodeProto) -> Option<Layer> {
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|at| self.values(node.input.get(at)));
        let (gamma, beta, mean, variance) = (gamma?, beta?, mean?, variance?);
        // ONNX's own default.
        let epsilon =
            node.attribute.iter().find(|own| own.name == "epsilon").map_or(1e-5, |own| own.f);
        let same = [&beta, &mean, &variance].iter().all(|part| part.len() == gamma.len());
        if !same {
            return None;
        }
        let factor: Vec<f32> = gamma
            .iter()
            .zip(&variance)
            .map(|(gamma, variance)| gamma / (variance + epsilon).sqrt())
            .collect();
        let shift = beta
            .iter()
            .zip(&mean)
            .zip(&factor)
            .map(|((beta, mean), factor)| beta - mean * factor)
            .collect();
        Some(Layer::Scale { factor, shift })
    }

    /// The computed and the stored input of a node that has one of each.
    fn with_constant(&self, node: &'a NodeProto) -> Option<(&'a str, Vec<f32>)> {
        let [one, other] = &node.input[..] else { return None };
        match (self.values(Some(one)), self.values(Some(other))) {
            (None, Some(by)) => Some((one, by)),
            (Some(by), None) => Some((other, by)),
            _ => None,
        }
    }

    /// A stored tensor's numbers, if they are f32 and not too many.
    fn values(&self, name: Option<&String>) -> Option<Vec<f32>> {
        let tensor = *self.stored.get(name?.as_str())?;
        if weights::verify(tensor).ok()? != DataType::Float {
            return None;
        }
        let values: Vec<f32> = if tensor.raw_data.is_empty() {
            tensor.float_data.clone()
        } else {
            let numbers = tensor.raw_data.as_chunks::<4>().0.iter();
            numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect()
        };
        (values.len() <= MOST_NUMBERS && values.iter().all(|value| value.is_finite()))
            .then_some(values)
    }

    /// A stored matrix' rows and columns.
    fn sides(&self, name: Option<&String>) -> Option<[usize; 2]> {
        let tensor = self.stored.get(name?.as_str())?;
        let [rows, columns] = tensor.dims[..] else { return None };
        Some([usize::try_from(rows).ok()?, usize::try_from(columns).ok()?])
    }
}

fn input(node: &NodeProto, at: usize) -> Result<&str, NoHead> {
    let name = node.input.get(at).map(String::as_str).filter(|name| !name.is_empty());
    name.ok_or_else(|| NoHead(format!("the step {} has no input", node.op_type)))
}

/// `[inputs, outputs]` to one row an output.
fn transposed(weights: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| weights.iter().skip(column).step_by(columns.max(1)).copied())
        .collect()
}

/// The steps in the order of computing, each with as many numbers as the one before gives; and how
/// many the first takes. None where they do not fit.
fn joined(steps: Vec<Step>) -> Option<(usize, Vec<Layer>)> {
    let mut layers: Vec<Layer> = Vec::new();
    let first = steps.iter().rev().find_map(|step| match step {
        Step::Layer(Layer::Scale { factor, .. }) => Some(factor.len()),
        Step::Layer(Layer::Dense(dense)) => Some(dense.inputs()),
        Step::Layer(Layer::Relu) | Step::Even { .. } => None,
    })?;
    let mut width = first;
    for step in steps.into_iter().rev() {
        let layer = match step {
            Step::Even { factor, shift } => {
                Layer::Scale { factor: vec![factor; width], shift: vec![shift; width] }
            }
            Step::Layer(layer) => layer,
        };
        match &layer {
            Layer::Scale { factor, .. } if factor.len() != width => return None,
            Layer::Dense(dense) if dense.inputs() != width => return None,
            Layer::Dense(dense) => width = dense.bias.len(),
            Layer::Scale { .. } | Layer::Relu => {}
        }
        layers.push(layer);
    }
    Some((first, layers))
}
