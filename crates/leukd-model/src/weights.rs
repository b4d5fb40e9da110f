//! Weights as they are stored → plain f32, before the engine sees them.
//!
//! A bundle may store weights as half precision behind `Cast`, or as one byte each with one scale
//! an output channel behind `DequantizeLinear` (ONNX operators, opset 13). The engine could fold
//! both itself, but takes over a second for 11 million weights; here it is a fraction of that.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::engine::onnx::tensor_proto::{DataLocation, DataType};
use crate::engine::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

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
    graph.initializer.iter().try_for_each(|tensor| verify(tensor).map(drop))
}

/// Replaces each `DequantizeLinear` of stored bytes and each `Cast` of stored half-precision
/// numbers by a plain f32 tensor of the same name, and drops what nothing needs any more.
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

/// Checks that `tensor` has the values that its shape and type ask for, and gives its type.
///
/// # Errors
///
/// It has not, or they lie in another file.
pub(super) fn verify(tensor: &TensorProto) -> Result<DataType, WeightsError> {
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
    if found != count || !raw.len().is_multiple_of(width) {
        let what = format!("the shape {:?} needs {count} values, there are {found}", tensor.dims);
        return Err(wrong(what));
    }
    Ok(kind)
}

/// What does not lie in `raw_data` is listed as 32-bit integers, of which the low bytes count.
fn listed(tensor: &TensorProto) -> impl Iterator<Item = [u8; 4]> {
    tensor.int32_data.iter().map(|value| value.to_le_bytes())
}

/// The values of a tensor of bytes.
struct Bytes<'a> {
    values: Cow<'a, [u8]>,
    signed: bool,
}

impl<'a> Bytes<'a> {
    /// None when `tensor` holds something else.
    fn of(tensor: &'a TensorProto) -> Result<Option<Self>, WeightsError> {
        let signed = match verify(tensor)? {
            DataType::Int8 => true,
            DataType::Uint8 => false,
            _ => return Ok(None),
        };
        let values = if tensor.raw_data.is_empty() {
            Cow::Owned(listed(tensor).map(|[low, ..]| low).collect())
        } else {
            Cow::Borrowed(tensor.raw_data.as_slice())
        };
        Ok(Some(Self { values, signed }))
    }

    fn number(&self, byte: u8) -> f32 {
        if self.signed { f32::from(i8::from_le_bytes([byte])) } else { f32::from(byte) }
    }
}

fn attribute(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute
        .iter()
        .find(|attribute: &&AttributeProto| attribute.name == name)
        .map(|attribute| attribute.i)
}

/// A f32 tensor under the name of the node's output; none when the node names none.
fn plain(node: &NodeProto, dims: &[i64], raw_data: Vec<u8>) -> Option<TensorProto> {
    let name = node.output.first().filter(|name| !name.is_empty())?.clone();
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
    if verify(tensor)? != DataType::Float16 {
        return Ok(None);
    }
    let halves: Vec<f16> = if tensor.raw_data.is_empty() {
        listed(tensor).map(|[low, high, ..]| f16::from_le_bytes([low, high])).collect()
    } else {
        tensor.raw_data.as_chunks().0.iter().copied().map(f16::from_le_bytes).collect()
    };
    let mut values = vec![0.0; halves.len()];
    halves.convert_to_f32_slice(&mut values);
    let raw = values.into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(plain(node, &tensor.dims, raw))
}

/// `DequantizeLinear` of stored bytes: `(value − zero point) · scale`, scale and zero point one for
/// the whole tensor or one for each place along `axis`.
fn dequantized(
    node: &NodeProto,
    stored: &HashMap<&str, &TensorProto>,
) -> Result<Option<TensorProto>, WeightsError> {
    let input = |index: usize| node.input.get(index).filter(|name| !name.is_empty());
    let tensor_of = |index| input(index).and_then(|name| stored.get(name.as_str()).copied());
    let (Some(tensor), Some(scale)) = (tensor_of(0), tensor_of(1)) else { return Ok(None) };
    let wrong = |problem: String| WeightsError::new(&tensor.name, problem);
    let Some(bytes) = Bytes::of(tensor)? else { return Ok(None) };
    if verify(scale)? != DataType::Float {
        return Err(wrong(format!("its scale {:?} is not f32", scale.name)));
    }
    let scales: Cow<'_, [f32]> = if scale.raw_data.is_empty() {
        Cow::Borrowed(&scale.float_data)
    } else {
        scale.raw_data.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect()
    };
    if attribute(node, "block_size").is_some_and(|size| size != 0) {
        return Err(wrong("scales by block are not supported".to_owned()));
    }
    let zeros = match (input(2), tensor_of(2)) {
        (None, _) => vec![0.0; scales.len()],
        // A computed zero point: the engine's affair.
        (Some(_), None) => return Ok(None),
        (Some(_), Some(zero)) => {
            let zeros = Bytes::of(zero)?
                .ok_or_else(|| wrong(format!("its zero point {:?} is no byte", zero.name)))?;
            zeros.values.iter().map(|byte| zeros.number(*byte)).collect()
        }
    };
    if zeros.len() != scales.len() {
        return Err(wrong(format!("{} scales and {} zero points", scales.len(), zeros.len())));
    }
    let run =
        if scales.len() == 1 { bytes.values.len() } else { run_of(node, tensor, scales.len())? };
    let mut raw = vec![0; bytes.values.len() * 4];
    if run > 0 {
        let places = scales.iter().zip(&zeros).cycle();
        let out = raw.as_chunks_mut().0.chunks_mut(run);
        for ((out, chunk), (scale, zero)) in out.zip(bytes.values.chunks(run)).zip(places) {
            for (out, byte) in out.iter_mut().zip(chunk) {
                *out = ((bytes.number(*byte) - zero) * scale).to_le_bytes();
            }
        }
    }
    Ok(plain(node, &tensor.dims, raw))
}

/// How many neighbours share a scale, where there is one for each place along the node's axis.
fn run_of(node: &NodeProto, tensor: &TensorProto, scales: usize) -> Result<usize, WeightsError> {
    let axis = attribute(node, "axis").unwrap_or(1);
    let rank = tensor.dims.len();
    let from_start = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
    let place = from_start.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < rank);
    let Some(place) = place else {
        let what = format!("axis {axis} is none of its {rank}");
        return Err(WeightsError::new(&tensor.name, what));
    };
    if usize::try_from(tensor.dims[place]).ok() != Some(scales) {
        let what = format!("{scales} scales along axis {place} of {:?}", tensor.dims);
        return Err(WeightsError::new(&tensor.name, what));
    }
    Ok(tensor.dims[place + 1..].iter().filter_map(|side| usize::try_from(*side).ok()).product())
}
