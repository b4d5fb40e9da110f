//! Kernels in the forms that a bundle stores, and these forms as ONNX.
//!
//! Both the export of a run and the quantization of a bundle write kernels this way; the daemon's
//! loader (`leukd_model::weights`) reads them back.

use half::f16;
use leukd_model::manifest::Precision;
use leukd_model::onnx::attribute_proto::AttributeType;
use leukd_model::onnx::tensor_proto::DataType;
use leukd_model::onnx::{AttributeProto, NodeProto, TensorProto};
use rayon::prelude::*;

/// The largest level: symmetric about 0, so −128 is not used.
const MOST_LEVEL: f32 = 127.0;

/// A kernel of some output channels, row by row, in the form that the bundle stores.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// As it is.
    F32(Vec<f32>),
    /// The nearest half-precision numbers.
    F16(Vec<f16>),
    /// −127 to 127 with one scale an output channel: value = level · scale.
    Int8 {
        /// Row by row.
        levels: Vec<i8>,
        /// One a row, each greater than 0.
        scales: Vec<f32>,
    },
}

impl Stored {
    /// Stores `values`, `rows` output channels of equally many numbers; in one byte with the scales
    /// of [`largest_scales`].
    #[must_use]
    pub fn new(values: &[f32], rows: usize, precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(values.to_vec()),
            Precision::F16 => Self::F16(values.iter().map(|value| f16::from_f32(*value)).collect()),
            Precision::Int8 => Self::int8(values, largest_scales(values, rows)),
        }
    }

    /// Stores `values` in one byte each, one row a scale; what lies beyond 127 levels is cut to
    /// them.
    #[must_use]
    pub fn int8(values: &[f32], scales: Vec<f32>) -> Self {
        let level = |value: f32, scale: f32| level(value, scale) as i8;
        let levels = values
            .chunks(row_of(values, scales.len()))
            .zip(&scales)
            .flat_map(|(row, scale)| row.iter().map(move |value| level(*value, *scale)))
            .collect();
        Self::Int8 { levels, scales }
    }

    /// The numbers that a reader gets back.
    #[must_use]
    pub fn restored(&self) -> Vec<f32> {
        match self {
            Self::F32(values) => values.clone(),
            Self::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
            Self::Int8 { levels, scales } => levels
                .chunks(row_of(levels, scales.len()))
                .zip(scales)
                .flat_map(|(levels, scale)| {
                    levels.iter().map(move |level| f32::from(*level) * scale)
                })
                .collect(),
        }
    }

    /// The tensors that hold the kernel `name` of `shape`, output channels first, and the node that
    /// gives it back as f32 under that name; no node where it is stored as it is. ONNX operators,
    /// opset 13.
    #[must_use]
    pub fn onnx(&self, name: &str, shape: &[i64]) -> (Vec<TensorProto>, Option<NodeProto>) {
        match self {
            Self::F32(values) => (vec![float_tensor(name, shape, values)], None),
            Self::F16(values) => {
                let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                let stored = tensor(&format!("{name}.f16"), shape, DataType::Float16, raw);
                let to = vec![integer("to", DataType::Float as i64)];
                let node = node("Cast", name, &[&stored.name], to);
                (vec![stored], Some(node))
            }
            Self::Int8 { levels, scales } => {
                let rows = [scales.len() as i64];
                let raw = levels.iter().flat_map(|level| level.to_le_bytes()).collect();
                let stored = tensor(&format!("{name}.int8"), shape, DataType::Int8, raw);
                let scale = float_tensor(&format!("{name}.scale"), &rows, scales);
                let zero = vec![0; scales.len()];
                let zero = tensor(&format!("{name}.zero"), &rows, DataType::Int8, zero);
                let inputs = [stored.name.as_str(), &scale.name, &zero.name];
                let node = node("DequantizeLinear", name, &inputs, vec![integer("axis", 0)]);
                (vec![stored, scale, zero], Some(node))
            }
        }
    }
}

/// One scale a row of `values`: its largest magnitude is level 127, so nothing is cut.
#[must_use]
pub fn largest_scales(values: &[f32], rows: usize) -> Vec<f32> {
    values.chunks(row_of(values, rows)).map(largest_scale).collect()
}

/// One scale a row of `values`: the one with the least squared error among [`largest_scales`]' and
/// those that cut off up to two fifths of the range, in steps of a hundredth. A few outliers are
/// cut so that all others get finer levels (the search for a clipping ratio of OMSE: Choukroun et
/// al. 2019, "Low-bit Quantization of Neural Networks for Efficient Inference").
#[must_use]
pub fn least_error_scales(values: &[f32], rows: usize) -> Vec<f32> {
    let best = |row: &[f32]| {
        let whole = largest_scale(row);
        let mut best = (f64::INFINITY, whole);
        for hundredths in (60..=100_u8).rev() {
            let scale = whole * f32::from(hundredths) / 100.0;
            let error: f64 = row
                .iter()
                .map(|value| f64::from(value - level(*value, scale) * scale).powi(2))
                .sum();
            // The first is kept where others are no better: it cuts nothing.
            if error < best.0 {
                best = (error, scale);
            }
        }
        best.1
    };
    values.par_chunks(row_of(values, rows)).map(best).collect()
}

fn largest_scale(row: &[f32]) -> f32 {
    let most = row.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let scale = most / MOST_LEVEL;
    // A row of zeros, or of numbers too small to divide, needs a scale too.
    if scale >= f32::MIN_POSITIVE { scale } else { 1.0 }
}

fn level(value: f32, scale: f32) -> f32 {
    (value / scale).round().clamp(-MOST_LEVEL, MOST_LEVEL)
}

/// How many values one of `rows` rows has; 1 where there are none, as chunks need.
fn row_of<T>(values: &[T], rows: usize) -> usize {
    (values.len() / rows.max(1)).max(1)
}

/// A stored f32 tensor.
#[must_use]
pub fn float_tensor(name: &str, shape: &[i64], values: &[f32]) -> TensorProto {
    let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, shape, DataType::Float, raw)
}

/// A stored tensor of `kind`, its values little-endian.
#[must_use]
pub fn tensor(name: &str, shape: &[i64], kind: DataType, raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: shape.to_vec(),
        data_type: kind as i32,
        raw_data,
        ..TensorProto::default()
    }
}

/// A node with one output, of the node's own name.
#[must_use]
pub fn node(
    operator: &str,
    name: &str,
    inputs: &[&str],
    attributes: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        name: name.to_owned(),
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![name.to_owned()],
        attribute: attributes,
        ..NodeProto::default()
    }
}

/// An attribute that holds one integer.
#[must_use]
pub fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..AttributeProto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storing_twice_changes_nothing_more() {
        let values: Vec<f32> = (0..60_u8).map(|i| (f32::from(i) * 0.7).sin() * 3.0).collect();
        for precision in [Precision::F32, Precision::F16, Precision::Int8] {
            let once = Stored::new(&values, 6, precision).restored();
            let twice = Stored::new(&once, 6, precision).restored();
            for (once, twice) in once.iter().zip(&twice) {
                assert!((once - twice).abs() <= 1e-6, "{precision:?}: {once} {twice}");
            }
        }
    }

    #[test]
    fn one_byte_loses_at_most_half_a_level_of_its_own_row() {
        let mut values: Vec<f32> = (0..40_u8).map(|i| (f32::from(i) * 1.3).cos()).collect();
        values[..20].iter_mut().for_each(|value| *value *= 1e-3);
        let restored = Stored::new(&values, 2, Precision::Int8).restored();
        for (index, (value, kept)) in values.iter().zip(&restored).enumerate() {
            let most = if index < 20 { 1e-3 } else { 1.0 };
            assert!((value - kept).abs() <= most / 127.0 * 0.501, "{value} {kept}");
        }
    }

    #[test]
    fn the_scale_of_least_error_is_no_worse_on_any_row_and_better_on_one_with_an_outlier() {
        // So many numbers of one size that their finer levels outweigh one that is cut.
        let mut values: Vec<f32> =
            (0..200_000_u32).map(|i| ((i % 1_000) as f32 * 0.37).sin()).collect();
        values[7] = 1.6;
        let error = |scales: Vec<f32>| -> Vec<f64> {
            let restored = Stored::int8(&values, scales).restored();
            let squares = values.iter().zip(&restored).map(|(a, b)| f64::from(a - b).powi(2));
            squares.collect::<Vec<_>>().chunks(100_000).map(|row| row.iter().sum()).collect()
        };
        let whole = error(largest_scales(&values, 2));
        let least = error(least_error_scales(&values, 2));
        assert!(least[0] < whole[0] * 0.9, "{least:?} {whole:?}");
        assert!(least[1] <= whole[1], "{least:?} {whole:?}");
    }

    #[test]
    fn rows_of_zeros_and_of_the_smallest_numbers_stay_finite() {
        let values = [0.0, 0.0, 1e-45, -1e-45, 1.0, -2.0];
        for scales in [largest_scales(&values, 3), least_error_scales(&values, 3)] {
            let restored = Stored::int8(&values, scales).restored();
            assert!(restored.iter().all(|value| value.is_finite()));
            assert!((restored[5] + 2.0).abs() < 1e-2, "{restored:?}");
        }
    }
}
