//! The network is Keras' EfficientNet-B3 with the seed's head.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use leukd_train::network::{Architecture, Network, Regularisation};

#[test]
fn b3_has_as_many_parameters_as_keras_counts() {
    let network = Network::new(&Architecture::B3, &Regularisation::default(), &Device::flex());
    assert_eq!(network.keras_backbone_parameters(), 10_783_535);
    assert_eq!(network.keras_parameters(), 11_183_665);
}

#[test]
fn b3_has_keras_stages() {
    let network = Network::new(&Architecture::B3, &Regularisation::default(), &Device::flex());
    let blocks = &network.backbone.blocks;
    assert_eq!(blocks.len(), 26);
    assert_eq!(network.backbone.stem.kernel.dims(), [40, 27]);
    assert_eq!(network.backbone.top.kernel.dims(), [1536, 384]);
    // The first block of every stage: its output channels, kernel and stride.
    let firsts = [0, 2, 5, 8, 13, 18, 24].map(|index: usize| {
        let block = &blocks[index];
        (block.project.kernel.dims()[0], block.depthwise.size, block.depthwise.stride)
    });
    let expected =
        [(24, 3, 1), (32, 3, 2), (48, 5, 2), (96, 3, 2), (136, 5, 1), (232, 5, 2), (384, 3, 1)];
    assert_eq!(firsts, expected);
    // A quarter of the block's input channels, not of the expanded ones.
    assert_eq!(blocks[3].squeeze.reduce.weight.dims(), [192, 8]);
    assert_eq!(blocks.iter().filter(|block| block.residual).count(), 19);
}

#[test]
fn every_parameter_takes_part_in_training() {
    let device = Device::flex().autodiff();
    let narrow = Architecture { width: 0.25, depth: 0.3, hidden: 8, classes: 2 };
    let network = Network::new(&narrow, &Regularisation::default(), &device);
    let pixels = Tensor::random([4, 3, 32, 32], Distribution::Uniform(0.0, 255.0), &device);
    let grads = network.forward(pixels).powi_scalar(2).mean().backward();
    let grads = burn::optim::GradientsParams::from_grads(grads, &network);
    struct Trainable(usize);
    impl burn::module::ModuleVisitor for Trainable {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0 += usize::from(param.val().is_require_grad());
        }
    }
    let mut trainable = Trainable(0);
    network.visit(&mut trainable);
    let convolutions = 2 + network
        .backbone
        .blocks
        .iter()
        .fold(0, |sum, block| sum + 2 + usize::from(block.expand.is_some()));
    // Three tensors a convolution with its norm, four a squeeze, six in the head.
    let expected = 3 * convolutions + 4 * network.backbone.blocks.len() + 6;
    assert_eq!(trainable.0, expected);
    assert_eq!(grads.len(), expected);
}
