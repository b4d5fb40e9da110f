//! A node's attributes, as numbers.

use crate::engine::onnx::tensor_proto::DataType;
use crate::engine::onnx::{AttributeProto, NodeProto, TensorProto};

fn find<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// An integer; `default` where the node has none of the name.
pub(super) fn integer(node: &NodeProto, name: &str, default: i64) -> i64 {
    find(node, name).map_or(default, |attribute| attribute.i)
}

/// A list of integers; none where the node has none of the name.
pub(super) fn integers<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    find(node, name).map(|attribute| attribute.ints.as_slice())
}

/// A word; empty where the node has none of the name.
pub(super) fn word<'a>(node: &'a NodeProto, name: &str) -> &'a [u8] {
    find(node, name).map_or(b"", |attribute| attribute.s.as_slice())
}

/// A tensor.
pub(super) fn tensor<'a>(node: &'a NodeProto, name: &str) -> Option<&'a TensorProto> {
    find(node, name)?.t.as_ref()
}

/// The values of a tensor of integers, where it is one of a few: shapes, axes, pads.
pub(super) fn values(tensor: &TensorProto) -> Option<Vec<i64>> {
    const MOST: usize = 64;
    let raw = tensor.raw_data.as_slice();
    let listed = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Int64) if raw.is_empty() => tensor.int64_data.clone(),
        Ok(DataType::Int64) => {
            raw.as_chunks().0.iter().take(MOST + 1).copied().map(i64::from_le_bytes).collect()
        }
        Ok(DataType::Int32) if raw.is_empty() => {
            tensor.int32_data.iter().take(MOST + 1).copied().map(i64::from).collect()
        }
        Ok(DataType::Int32) => {
            let numbers = raw.as_chunks().0.iter().take(MOST + 1).copied();
            numbers.map(|bytes| i64::from(i32::from_le_bytes(bytes))).collect()
        }
        _ => return None,
    };
    (listed.len() <= MOST).then_some(listed)
}
