//! The second look: every shape from the input's on, and what follows from them.

use std::collections::HashMap;

use super::operators::place;
use super::value::Value;
use super::{GateError, Limits, MOST_PRODUCTS, MOST_RANK, Needs, rules, shown};
use crate::engine::onnx::tensor_shape_proto::dimension;
use crate::engine::onnx::{GraphProto, ValueInfoProto, type_proto};
use crate::manifest::Manifest;

/// The longest side that a file may say its input has: far above any that is prepared.
const MOST_SIDE: i64 = 1 << 16;

/// Memory as it is taken and given back, operator after operator.
#[derive(Default)]
struct Memory {
    weights: u64,
    alive: u64,
    peak: u64,
    most: u64,
}

impl Memory {
    /// The file's own copy, the engine's and the kernels'.
    const COPIES: u64 = 3;

    fn take(&mut self, value: &Value) -> Result<(), String> {
        if value.sides.len() > MOST_RANK {
            let rank = value.sides.len();
            return Err(format!("a tensor of {rank} sides; at most {MOST_RANK} are allowed"));
        }
        if value.sides.contains(&0) {
            return Err(format!("a tensor of the shape {:?} is empty", value.sides));
        }
        let bytes = value.bytes();
        if value.constant {
            self.weights = self.weights.saturating_add(bytes);
        } else {
            self.alive = self.alive.saturating_add(bytes);
            self.peak = self.peak.max(self.alive);
        }
        if self.needed() > self.most {
            return Err(format!(
                "with a tensor of the shape {:?} the network needs {} bytes of memory; at most {} are allowed \
                 (model.max_memory)",
                value.sides,
                self.needed(),
                self.most
            ));
        }
        Ok(())
    }

    /// What an operator has laid out once stays, like weights.
    fn lay_out(&mut self, bytes: u64) -> Result<(), String> {
        self.weights = self.weights.saturating_add(bytes);
        if self.needed() <= self.most {
            return Ok(());
        }
        Err(format!(
            "with the {bytes} bytes that its window takes to lay out, the network needs {} bytes of memory; at most {} \
             are allowed (model.max_memory)",
            self.needed(),
            self.most
        ))
    }

    const fn needed(&self) -> u64 {
        self.weights.saturating_mul(Self::COPIES).saturating_add(self.peak)
    }
}

/// Computes all shapes, memory and multiplications.
///
/// # Errors
///
/// The first node or tensor that cannot be, or is too much.
pub(super) fn walk(
    graph: &GraphProto,
    manifest: &Manifest,
    limits: &Limits,
) -> Result<Needs, GateError> {
    let mut values: HashMap<&str, Value> = HashMap::new();
    let mut memory = Memory { most: limits.max_memory, ..Memory::default() };
    for tensor in &graph.initializer {
        let at =
            |problem: String| GateError::new(format!("tensor {}", shown(&tensor.name)), problem);
        let value = Value::stored(tensor).map_err(at)?;
        memory.take(&value).map_err(at)?;
        give(&mut values, &tensor.name, value).map_err(at)?;
    }
    let (name, picture) = input(graph, manifest, &values)?;
    let at = |problem: String| GateError::new(format!("input {}", shown(name)), problem);
    memory.take(&picture).map_err(at)?;
    give(&mut values, name, picture).map_err(at)?;
    let last = last_uses(graph);
    let mut products = 0_u64;
    for (index, node) in graph.node.iter().enumerate() {
        let at =
            |problem: String| GateError::new(place(node), format!("{}: {problem}", node.op_type));
        let taken: Result<Vec<Option<&Value>>, String> = node
            .input
            .iter()
            .map(|name| match (name.as_str(), values.get(name.as_str())) {
                ("", _) => Ok(None),
                (_, Some(value)) => Ok(Some(value)),
                (_, None) => {
                    Err(format!("it takes {}, which nothing before it gives", shown(name)))
                }
            })
            .collect();
        let taken = taken.map_err(at)?;
        let constant = taken.iter().flatten().all(|value| value.constant);
        let outcome = rules::apply(node, &taken).map_err(at)?;
        products = products.saturating_add(outcome.products);
        if products > MOST_PRODUCTS {
            let problem = format!("the network needs more than {MOST_PRODUCTS} multiplications");
            return Err(at(problem));
        }
        memory.lay_out(outcome.tables).map_err(at)?;
        let mut given = outcome.outputs.into_iter();
        for name in &node.output {
            let value = given.next().filter(|_| !name.is_empty());
            let Some(value) = value else {
                if name.is_empty() {
                    continue;
                }
                return Err(at(format!("it has no output {}", shown(name))));
            };
            let value = Value { constant, ..value };
            memory.take(&value).map_err(at)?;
            let unused = !constant && !last.contains_key(name.as_str());
            if unused {
                memory.alive = memory.alive.saturating_sub(value.bytes());
            }
            give(&mut values, name, value).map_err(at)?;
        }
        for name in node.input.iter().map(String::as_str) {
            // A name that the node takes twice is given back once.
            if last.get(name) == Some(&index)
                && let Some(value) = values.get_mut(name)
                && !value.constant
            {
                memory.alive = memory.alive.saturating_sub(value.bytes());
                value.width = 0;
            }
        }
    }
    output(graph, manifest, &values)?;
    Ok(Needs { nodes: graph.node.len(), memory: memory.needed(), products })
}

fn give<'a>(
    values: &mut HashMap<&'a str, Value>,
    name: &'a str,
    value: Value,
) -> Result<(), String> {
    if name.is_empty() {
        return Err("it has no name".to_owned());
    }
    match values.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(format!("the name {} is given twice", shown(name))),
    }
}

/// The last node that takes each name; what the graph gives is never given back.
fn last_uses(graph: &GraphProto) -> HashMap<&str, usize> {
    let mut last = HashMap::new();
    for (index, node) in graph.node.iter().enumerate() {
        for name in &node.input {
            last.insert(name.as_str(), index);
        }
    }
    for output in &graph.output {
        last.insert(&output.name, usize::MAX);
    }
    last
}

/// The one input that is not stored, and its shape: the manifest's.
fn input<'a>(
    graph: &'a GraphProto,
    manifest: &Manifest,
    values: &HashMap<&str, Value>,
) -> Result<(&'a str, Value), GateError> {
    // Older files list stored tensors among the graph's inputs too.
    let open: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|input| !values.contains_key(input.name.as_str())).collect();
    let [only] = open.as_slice() else {
        return Err(GateError::new("the graph", format!("it has {} inputs, not one", open.len())));
    };
    let shape = manifest.preprocessing.shape().map(|side| side as u64);
    // What the file says of its input's sides is left aside, but for what no picture's side can be.
    if let Some(side) = declared(only).find(|side| !(1..=MOST_SIDE).contains(side)) {
        let problem = format!("a side of {side}; a picture's are 1 to {MOST_SIDE}");
        return Err(GateError::new(format!("input {}", shown(&only.name)), problem));
    }
    Ok((&only.name, Value::of(shape.to_vec())))
}

/// The sides that the file says of an input; those that it leaves open are none.
fn declared(input: &ValueInfoProto) -> impl Iterator<Item = i64> {
    let kind = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let shape = kind.and_then(|type_proto::Value::TensorType(tensor)| tensor.shape.as_ref());
    let side = |side: &Option<dimension::Value>| match side {
        Some(dimension::Value::DimValue(side)) => Some(*side),
        Some(dimension::Value::DimParam(_)) | None => None,
    };
    shape.into_iter().flat_map(|shape| &shape.dim).filter_map(move |own| side(&own.value))
}

fn output(
    graph: &GraphProto,
    manifest: &Manifest,
    values: &HashMap<&str, Value>,
) -> Result<(), GateError> {
    let [only] = graph.output.as_slice() else {
        let problem = format!("it has {} outputs, not one", graph.output.len());
        return Err(GateError::new("the graph", problem));
    };
    let at = |problem: String| GateError::new(format!("output {}", shown(&only.name)), problem);
    let Some(value) = values.get(only.name.as_str()) else {
        return Err(at("nothing gives it".to_owned()));
    };
    let labels = manifest.labels.len() as u64;
    if value.sides == [1, labels] {
        return Ok(());
    }
    Err(at(format!("its shape is {:?}, not [1, {labels}]", value.sides)))
}
