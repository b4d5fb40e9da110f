//! Which operators a bundle may use.

use super::{GateError, shown};
use crate::engine::onnx::NodeProto;

/// ONNX's own operators that classifiers of pictures are made of, sorted by name: what
/// `leukd train` writes, and what exported ResNets, DenseNets, Inceptions, MobileNets,
/// EfficientNets, ShuffleNets and ConvNeXts need.
///
/// Left out on purpose: control flow and recurrence (If, Loop, Scan, RNN, GRU, LSTM), whatever
/// makes a large tensor of a few numbers (Expand, Tile, ConstantOfShape, Range, EyeLike, OneHot,
/// Resize), random numbers, and whatever has a shape that depends on a picture's values (NonZero,
/// Compress, NonMaxSuppression, Where on indices).
pub const ALLOWED: &[&str] = &[
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Flatten",
    "Floor",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "QuantizeLinear",
    "Reciprocal",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Round",
    "Selu",
    "Shape",
    "Sigmoid",
    "Sign",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// Whether every node is one of [`ALLOWED`], in ONNX's own domain.
///
/// # Errors
///
/// The first that is not, by its name.
pub(super) fn check(nodes: &[NodeProto]) -> Result<(), GateError> {
    for node in nodes {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            let what = format!(
                "the operator {} of the domain {} is not allowed: only ONNX's own are",
                shown(&node.op_type),
                shown(&node.domain)
            );
            return Err(GateError::new(place(node), what));
        }
        if ALLOWED.binary_search(&node.op_type.as_str()).is_err() {
            let what = format!("the operator {} is not allowed", shown(&node.op_type));
            return Err(GateError::new(place(node), what));
        }
    }
    Ok(())
}

/// How many nodes the engine makes of these: it takes the inputs of a sum and its like two by two.
pub(super) fn unfolded(nodes: &[NodeProto]) -> usize {
    let unfolds = |node: &NodeProto| match node.op_type.as_str() {
        "Max" | "Mean" | "Min" | "Sum" => node.input.len().saturating_sub(1).max(1),
        _ => 1,
    };
    nodes.iter().map(unfolds).fold(0, usize::saturating_add)
}

/// A node, for a message: its name, or that of what it gives.
pub(super) fn place(node: &NodeProto) -> String {
    let name = if node.name.is_empty() {
        node.output.first().map_or("", String::as_str)
    } else {
        node.name.as_str()
    };
    format!("node {}", shown(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        assert!(ALLOWED.is_sorted());
    }
}
