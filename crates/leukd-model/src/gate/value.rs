//! A tensor as the gate knows it: its shape, and its integers where they are known.

use crate::engine::onnx::TensorProto;
use crate::engine::onnx::tensor_proto::DataType;
use crate::weights;

use super::attributes;

/// A tensor, as far as the gate knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// Its sides, none of them 0.
    pub(super) sides: Vec<u64>,
    /// It follows from the file alone.
    pub(super) constant: bool,
    /// What it holds, where that is a few integers that are known: a shape, axes.
    pub(super) integers: Option<Vec<i64>>,
    /// Bytes of one element.
    pub(super) width: u64,
}

impl Value {
    /// A tensor of f32.
    pub(super) const fn of(sides: Vec<u64>) -> Self {
        Self { sides, constant: false, integers: None, width: 4 }
    }

    /// How many elements it has; `u64::MAX` where they are more than can be counted.
    pub(super) fn elements(&self) -> u64 {
        self.sides.iter().fold(1, |count, side| count.saturating_mul(*side))
    }

    /// Bytes of all its elements.
    pub(super) fn bytes(&self) -> u64 {
        self.elements().saturating_mul(self.width)
    }

    /// A stored tensor whose values are there.
    ///
    /// # Errors
    ///
    /// Its values are not what its shape and type ask for.
    pub(super) fn stored(tensor: &TensorProto) -> Result<Self, String> {
        let kind = weights::verify(tensor).map_err(|error| error.problem)?;
        let side = |side: &i64| u64::try_from(*side).ok();
        let sides: Option<Vec<u64>> = tensor.dims.iter().map(side).collect();
        let wide = matches!(kind, DataType::Int64 | DataType::Uint64 | DataType::Double);
        Ok(Self {
            sides: sides.ok_or_else(|| format!("the shape {:?} is impossible", tensor.dims))?,
            constant: true,
            integers: attributes::values(tensor),
            width: if wide { 8 } else { 4 },
        })
    }
}
