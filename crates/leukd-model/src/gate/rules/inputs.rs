//! Inputs and outcome of an operator's rule.

use crate::engine::onnx::NodeProto;

use super::super::attributes::integers;
use super::super::value::Value;

/// What a node gives.
pub(in crate::gate) struct Outcome {
    /// Its outputs, in order; further ones it has none.
    pub(in crate::gate) outputs: Vec<Value>,
    /// Multiplications, or what takes as long.
    pub(in crate::gate) products: u64,
    /// Bytes of what the engine lays out for it once, besides weights.
    pub(in crate::gate) tables: u64,
}

impl Outcome {
    /// One output, computed element by element.
    pub(super) fn of(value: Value) -> Self {
        Self { products: value.elements(), outputs: vec![value], tables: 0 }
    }

    /// One output, with the multiplications that it takes.
    pub(super) fn worth(value: Value, products: u64) -> Self {
        Self { outputs: vec![value], products, tables: 0 }
    }
}

/// The inputs of a node, some of them left out.
pub(in crate::gate) type Inputs<'a> = [Option<&'a Value>];

/// The first input.
pub(super) fn first<'a>(inputs: &Inputs<'a>) -> Result<&'a Value, String> {
    nth(inputs, 0).ok_or_else(|| "it takes nothing".to_owned())
}

pub(super) fn nth<'a>(inputs: &Inputs<'a>, index: usize) -> Option<&'a Value> {
    inputs.get(index).copied().flatten()
}

pub(super) fn second<'a>(inputs: &Inputs<'a>) -> Result<&'a Value, String> {
    nth(inputs, 1).ok_or_else(|| "its second input is missing".to_owned())
}

pub(super) fn plain(value: &Value) -> Value {
    Value::of(value.sides.clone())
}

/// The place of a side that may be counted from the end.
pub(super) fn place(axis: i64, rank: usize) -> Result<usize, String> {
    let from_start = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
    from_start
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|axis| *axis < rank)
        .ok_or_else(|| format!("the axis {axis} is none of {rank}"))
}

/// Axes from the attribute, or from the second input; none where there are neither.
pub(super) fn axes(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Option<Vec<i64>>, String> {
    if let Some(own) = integers(node, "axes") {
        return Ok(Some(own.to_vec()));
    }
    match nth(inputs, 1) {
        None => Ok(None),
        Some(value) => known(value).map(|axes| Some(axes.to_vec())),
    }
}

/// Integers that must be known before a picture comes.
pub(super) fn known(value: &Value) -> Result<&[i64], String> {
    value
        .integers
        .as_deref()
        .ok_or_else(|| "a shape or axis is computed, not written down".to_owned())
}
