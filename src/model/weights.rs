//! Weights as they are stored → plain f32, before the engine sees them.
//!
//! A bundle may store weights as half precision behind `Cast`, or as one byte each with one scale an output
//! channel behind `DequantizeLinear` (ONNX operators, opset 13). The engine could fold both itself, but takes
//! over a second for 11 million weights; here it is a few milliseconds.

use std::collections::{HashMap, HashSet};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::engine::onnx::tensor_proto::{DataLocation, DataType};
use super::engine::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

/// The most values of one tensor: more cannot lie in a file of the allowed size.
const MOST_VALUES: usize = 512 << 20;

/// A tensor that cannot be what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tensor {tensor:?}: {problem}")]
pub struct WeightsError {
    /// The tensor's name.
    pub tensor: String,
    /// What is wrong.
    pub problem: String,
}

impl WeightsError {
    fn new(tensor: &str, problem: impl Into<String>) -> Self {
        Self { tensor: tensor.to_owned(), problem: problem.into() }
    }
}

/// Checks that every stored tensor has the bytes that its shape and type ask for, inside the file.
///
/// # Errors
///
/// The first tensor that has not.
pub fn check(graph: &GraphProto) -> Result<(), WeightsError> {
    if let Some(sparse) = graph.sparse_initializer.first() {
        let name = sparse.values.as_ref().map_or("", |values| values.name.as_str());
        return Err(WeightsError::new(name, "sparse tensors are not supported"));
    }
    graph.initializer.iter().try_for_each(|tensor| values_of(tensor).map(drop))
}

/// Replaces each `DequantizeLinear` of stored bytes and each `Cast` of stored half-precision numbers by a plain f32
/// tensor of the same name, and drops what nothing needs any more.
///
/// Nodes whose inputs are computed stay as they are.
///
/// # Errors
///
/// As [`check`], and for a scale, zero point or axis that does not fit its weights.
pub fn expand(network: &mut ModelProto) -> Result<(), WeightsError> {
    let Some(graph) = &mut network.graph else { return Ok(()) };
    check(graph)?;
    let stored: HashMap<&str, &TensorProto> =
        graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut expanded = Vec::new();
    let mut gone = HashSet::new();
    for (index, node) in graph.node.iter().enumerate() {
        let tensor = match node.op_type.as_str() {
            "DequantizeLinear" => dequantized(node, &stored)?,
            "Cast" => widened(node, &stored)?,
            _ => None,
        };
        if let Some(tensor) = tensor {
            expanded.push(tensor);
            gone.insert(index);
        }
    }
    if expanded.is_empty() {
        return Ok(());
    }
    let mut index = 0;
    graph.node.retain(|_| {
        index += 1;
        !gone.contains(&(index - 1))
    });
    let mut needed = HashSet::new();
    names_in(graph, &mut needed);
    let needed: HashSet<String> = needed.into_iter().map(str::to_owned).collect();
    // Older files list stored tensors among the graph's inputs too.
    let dropped: HashSet<String> = graph
        .initializer
        .extract_if(.., |tensor| !needed.contains(&tensor.name))
        .map(|tensor| tensor.name)
        .collect();
    graph.input.retain(|input| !dropped.contains(&input.name));
    graph.initializer.append(&mut expanded);
    Ok(())
}

/// Every name that a node (of a subgraph too) takes, or that the graph gives.
fn names_in<'a>(graph: &'a GraphProto, names: &mut HashSet<&'a str>) {
    names.extend(graph.output.iter().map(|output| output.name.as_str()));
    for node in &graph.node {
        names.extend(node.input.iter().map(String::as_str));
        for attribute in &node.attribute {
            attribute.g.iter().chain(&attribute.graphs).for_each(|inner| names_in(inner, names));
        }
    }
}

/// A tensor's values, where the expansion needs them.
enum Values<'a> {
    Float(Vec<f32>),
    Half(Vec<f16>),
    Signed(Vec<i8>),
    Unsigned(&'a [u8]),
    Other,
}

/// The number of values that `tensor`'s shape asks for.
fn count_of(tensor: &TensorProto) -> Result<usize, WeightsError> {
    tensor
        .dims
        .iter()
        .try_fold(1_usize, |count, side| count.checked_mul(usize::try_from(*side).ok()?))
        .filter(|count| *count <= MOST_VALUES)
        .ok_or_else(|| {
            WeightsError::new(&tensor.name, format!("the shape {:?} is impossible", tensor.dims))
        })
}

/// Checks `tensor` and gives its values.
fn values_of(tensor: &TensorProto) -> Result<Values<'_>, WeightsError> {
    let wrong = |problem: String| WeightsError::new(&tensor.name, problem);
    if tensor.data_location == Some(DataLocation::External as i32) {
        return Err(wrong("its values lie in another file; a bundle is one file".to_owned()));
    }
    let count = count_of(tensor)?;
    let kind = DataType::try_from(tensor.data_type)
        .map_err(|_| wrong(format!("the type {} is unknown", tensor.data_type)))?;
    let (width, listed) = match kind {
        DataType::Float => (4, tensor.float_data.len()),
        DataType::Double => (8, tensor.double_data.len()),
        DataType::Int64 => (8, tensor.int64_data.len()),
        DataType::Int32 => (4, tensor.int32_data.len()),
        DataType::Float16 | DataType::Int16 | DataType::Uint16 => (2, tensor.int32_data.len()),
        DataType::Int8 | DataType::Uint8 | DataType::Bool => (1, tensor.int32_data.len()),
        DataType::Uint32 => (4, tensor.uint64_data.len()),
        DataType::Uint64 => (8, tensor.uint64_data.len()),
        other => return Err(wrong(format!("the type {} is not supported", other.as_str_name()))),
    };
    let raw = tensor.raw_data.as_slice();
    let found = if raw.is_empty() { listed } else { raw.len() / width };
    if found != count || (!raw.is_empty() && raw.len() % width != 0) {
        let what = format!("the shape {:?} needs {count} values, there are {found}", tensor.dims);
        return Err(wrong(what));
    }
    // Values that do not lie in `raw_data` are listed as 32-bit integers, of which the low bits count.
    let bits = || tensor.int32_data.iter().map(|value| value.to_le_bytes());
    Ok(match kind {
        DataType::Float if raw.is_empty() => Values::Float(tensor.float_data.clone()),
        DataType::Float => {
            Values::Float(raw.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect())
        }
        DataType::Float16 if raw.is_empty() => {
            Values::Half(bits().map(|[low, high, ..]| f16::from_le_bytes([low, high])).collect())
        }
        DataType::Float16 => {
            Values::Half(raw.as_chunks().0.iter().copied().map(f16::from_le_bytes).collect())
        }
        DataType::Int8 if raw.is_empty() => {
            Values::Signed(bits().map(|[low, ..]| i8::from_le_bytes([low])).collect())
        }
        DataType::Int8 => {
            Values::Signed(raw.iter().map(|byte| i8::from_le_bytes([*byte])).collect())
        }
        DataType::Uint8 if !raw.is_empty() => Values::Unsigned(raw),
        _ => Values::Other,
    })
}

fn attribute(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute
        .iter()
        .find(|attribute: &&AttributeProto| attribute.name == name)
        .map(|attribute| attribute.i)
}

/// A f32 tensor under the name of the node's output; none when the node names none.
fn plain(node: &NodeProto, dims: &[i64], values: &[f32]) -> Option<TensorProto> {
    let name = node.output.first().filter(|name| !name.is_empty())?.clone();
    let mut raw_data = vec![0; values.len() * 4];
    for (bytes, value) in raw_data.as_chunks_mut().0.iter_mut().zip(values) {
        *bytes = value.to_le_bytes();
    }
    let data_type = DataType::Float as i32;
    Some(TensorProto { name, dims: dims.to_vec(), data_type, raw_data, ..TensorProto::default() })
}

/// `Cast` from stored half precision to f32.
fn widened(
    node: &NodeProto,
    stored: &HashMap<&str, &TensorProto>,
) -> Result<Option<TensorProto>, WeightsError> {
    if attribute(node, "to") != Some(DataType::Float as i64) {
        return Ok(None);
    }
    let Some(tensor) = node.input.first().and_then(|name| stored.get(name.as_str())) else {
        return Ok(None);
    };
    Ok(match values_of(tensor)? {
        Values::Half(halves) => {
            let mut values = vec![0.0; halves.len()];
            halves.convert_to_f32_slice(&mut values);
            plain(node, &tensor.dims, &values)
        }
        _ => None,
    })
}

/// `DequantizeLinear` of stored bytes: `(value − zero point) · scale`, scale and zero point one for the whole tensor or
/// one for each place along `axis`.
fn dequantized(
    node: &NodeProto,
    stored: &HashMap<&str, &TensorProto>,
) -> Result<Option<TensorProto>, WeightsError> {
    let input = |index: usize| node.input.get(index).filter(|name| !name.is_empty());
    let tensor_of = |index| input(index).and_then(|name| stored.get(name.as_str()).copied());
    let Some(tensor) = tensor_of(0) else { return Ok(None) };
    let wrong = |problem: String| WeightsError::new(&tensor.name, problem);
    let Some(scale) = tensor_of(1) else { return Ok(None) };
    let Values::Float(scales) = values_of(scale)? else {
        return Err(wrong(format!("its scale {:?} is not f32", scale.name)));
    };
    if attribute(node, "block_size").is_some_and(|size| size != 0) {
        return Err(wrong("scales by block are not supported".to_owned()));
    }
    let zeros = match (input(2), tensor_of(2)) {
        (None, _) => vec![0.0; scales.len()],
        (Some(_), None) => return Ok(None),
        (Some(_), Some(zero)) => integers(zero)?
            .ok_or_else(|| wrong(format!("its zero point {:?} is no byte", zero.name)))?,
    };
    if zeros.len() != scales.len() {
        return Err(wrong(format!("{} scales and {} zero points", scales.len(), zeros.len())));
    }
    let Some(mut values) = integers(tensor)? else { return Ok(None) };
    // How many neighbours share a scale.
    let run = if scales.len() == 1 {
        values.len()
    } else {
        let axis = attribute(node, "axis").unwrap_or(1);
        let rank = tensor.dims.len();
        let from_start = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
        let place =
            from_start.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
        let Some(place) = place else {
            return Err(wrong(format!("axis {axis} is none of its {rank}")));
        };
        if usize::try_from(tensor.dims[place]).ok() != Some(scales.len()) {
            let what = format!("{} scales along axis {place} of {:?}", scales.len(), tensor.dims);
            return Err(wrong(what));
        }
        tensor.dims[place + 1..].iter().filter_map(|side| usize::try_from(*side).ok()).product()
    };
    if run > 0 {
        let pairs = scales.iter().zip(&zeros).cycle();
        for (chunk, (scale, zero)) in values.chunks_mut(run).zip(pairs) {
            chunk.iter_mut().for_each(|value| *value = (*value - zero) * scale);
        }
    }
    Ok(plain(node, &tensor.dims, &values))
}

/// A tensor of bytes as numbers, each exact; none when it holds something else.
fn integers(tensor: &TensorProto) -> Result<Option<Vec<f32>>, WeightsError> {
    Ok(match values_of(tensor)? {
        Values::Signed(values) => Some(values.into_iter().map(f32::from).collect()),
        Values::Unsigned(values) => Some(values.iter().copied().map(f32::from).collect()),
        _ => None,
    })
}
