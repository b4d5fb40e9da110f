//! Kernels as the bundle stores them, and what they are worth afterwards.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use leukd::model::manifest::Precision;

use crate::network::{ConvNorm, Network};

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
        /// One a row.
        scales: Vec<f32>,
    },
}

impl Stored {
    /// Stores `values`, `rows` output channels of equally many numbers.
    #[must_use]
    pub fn new(values: &[f32], rows: usize, precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(values.to_vec()),
            Precision::F16 => Self::F16(values.iter().map(|value| f16::from_f32(*value)).collect()),
            Precision::Int8 => {
                let mut levels = Vec::with_capacity(values.len());
                let mut scales = Vec::with_capacity(rows);
                for row in values.chunks(values.len() / rows.max(1)) {
                    let most = row.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                    // A row of zeros needs a scale too.
                    let scale = if most > 0.0 { most / 127.0 } else { 1.0 };
                    scales.push(scale);
                    levels.extend(row.iter().map(|value| (value / scale).round() as i8));
                }
                Self::Int8 { levels, scales }
            }
        }
    }

    /// The numbers that a reader gets back.
    #[must_use]
    pub fn restored(&self) -> Vec<f32> {
        match self {
            Self::F32(values) => values.clone(),
            Self::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
            Self::Int8 { levels, scales } => {
                let row = levels.len() / scales.len().max(1);
                levels
                    .chunks(row.max(1))
                    .zip(scales)
                    .flat_map(|(levels, scale)| {
                        levels.iter().map(move |level| f32::from(*level) * scale)
                    })
                    .collect()
            }
        }
    }
}

/// `network` on the plain CPU device with every kernel worth what `precision` keeps of it.
#[must_use]
pub fn rounded(mut network: Network, precision: Precision) -> Network {
    if precision == Precision::F32 {
        return network;
    }
    let backbone = &mut network.backbone;
    convolution(&mut backbone.stem, precision);
    for block in &mut backbone.blocks {
        if let Some(expand) = &mut block.expand {
            convolution(expand, precision);
        }
        convolution(&mut block.depthwise, precision);
        dense(&mut block.squeeze.reduce, precision);
        dense(&mut block.squeeze.expand, precision);
        convolution(&mut block.project, precision);
    }
    convolution(&mut backbone.top, precision);
    dense(&mut network.head.hidden, precision);
    dense(&mut network.head.classes, precision);
    network
}

fn convolution(layer: &mut ConvNorm, precision: Precision) {
    layer.kernel = Param::from_tensor(keep(layer.kernel.val(), precision));
}

fn dense(layer: &mut Linear, precision: Precision) {
    // burn keeps [in, out]; the rows that share a scale are output channels.
    let rows = keep(layer.weight.val().transpose(), precision);
    layer.weight = Param::from_tensor(rows.transpose());
}

fn keep(kernel: Tensor<2>, precision: Precision) -> Tensor<2> {
    let shape = kernel.dims();
    let values = values(kernel);
    let restored = Stored::new(&values, shape[0], precision).restored();
    Tensor::from_data(TensorData::new(restored, shape), &Device::flex())
}

/// A tensor's numbers, row by row.
pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.without_autodiff().into_data().iter::<f32>().collect()
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
}
