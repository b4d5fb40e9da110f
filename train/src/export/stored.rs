//! What a network's kernels are worth after a bundle has stored them.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use leukd_model::manifest::Precision;

use crate::network::{ConvNorm, Network};
use crate::storage::Stored;

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
