//! EfficientNet with the seed's head, built so that Keras' weights would fit it exactly.
//!
//! The backbone is Keras' EfficientNet (Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for
//! Convolutional Neural Networks", and `keras.applications.efficientnet`): TensorFlow's "same"
//! padding, batch normalisation with ε 1e-3, squeeze-and-excitation on a quarter of each block's
//! input filters. The head is global MAX pooling, batch normalisation, Dense 256 ReLU, Dropout,
//! Dense 2.

mod backbone;
mod head;
mod layers;
mod parameters;

pub use backbone::{Backbone, Block, SqueezeExcite};
pub use head::{Head, Output};
pub use layers::ConvNorm;
pub use parameters::{Layer, Parameter, Position, Quantity};

use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// Channel means of ImageNet's pixels over 0 to 1: Keras' normalisation layer.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// Their standard deviations. Keras' layer holds the variances, these values squared.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// ε of every batch normalisation, as in Keras' EfficientNet and in the seed's head.
pub const EPSILON: f64 = 1e-3;

/// What Keras counts in its normalisation layer besides the network's own tensors: three means,
/// three variances and a counter.
const KERAS_NORMALISATION: usize = 7;

/// The shape of a network.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Multiplies every layer's channels: 1.2 for B3.
    pub width: f64,
    /// Multiplies every stage's blocks: 1.4 for B3.
    pub depth: f64,
    /// Units of the hidden dense layer: 256 in the seed.
    pub hidden: usize,
    /// How many classes.
    pub classes: usize,
}

impl Architecture {
    /// EfficientNet-B3 with the seed's head and two classes.
    pub const B3: Self = Self { width: 1.2, depth: 1.4, hidden: 256, classes: 2 };

    /// `channels` scaled to the width, to a multiple of 8 that loses no more than a tenth
    /// (`round_filters` in Keras).
    #[must_use]
    #[expect(clippy::cast_sign_loss, reason = "channel counts are small and positive")]
    pub fn channels(&self, channels: usize) -> usize {
        let scaled = channels as f64 * self.width;
        let rounded = (((scaled + 4.0) as usize) / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * scaled { rounded + 8 } else { rounded }
    }

    /// `blocks` scaled to the depth (`round_repeats` in Keras).
    #[must_use]
    #[expect(clippy::cast_sign_loss, reason = "block counts are small and positive")]
    pub fn repeats(&self, blocks: usize) -> usize {
        (blocks as f64 * self.depth).ceil() as usize
    }
}

/// What training does, and where it starts, without changing the served function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regularisation {
    /// How far each batch moves a batch normalisation's running statistics: 0.01 is Keras' 0.99.
    pub norm_momentum: f64,
    /// The head's dropout rate: 0.45 in the seed.
    pub dropout: f64,
    /// The last block's chance of being skipped in training (stochastic depth); earlier blocks
    /// have proportionally less. 0.2 in Keras.
    pub drop_connect: f64,
    /// The logits' starting weights, as a multiple of Glorot's uniform: 1 in Keras. With 0.1
    /// training begins with even odds: global max pooling makes the largest of a random network's
    /// noise, and full logits of it keep a short training from converging.
    pub class_gain: f64,
    /// Whether each residual block begins as the identity, its last γ at 0 (Goyal et al. 2017,
    /// "Accurate, Large Minibatch SGD", section 5.1): a deep network that trains for a short time
    /// needs it. Not so in Keras.
    pub zero_residuals: bool,
}

impl Default for Regularisation {
    fn default() -> Self {
        Self {
            norm_momentum: 0.01,
            dropout: 0.45,
            drop_connect: 0.2,
            class_gain: 0.1,
            zero_residuals: true,
        }
    }
}

/// The whole network: pixels over 0 to 255 in, logits out.
#[derive(Module, Debug)]
pub struct Network {
    /// The convolutions.
    pub backbone: Backbone,
    /// The classifier on top.
    pub head: Head,
}

impl Network {
    /// A network with fresh random weights, drawn from the device's generator.
    #[must_use]
    pub fn new(
        architecture: &Architecture,
        regularisation: &Regularisation,
        device: &Device,
    ) -> Self {
        let backbone = Backbone::new(architecture, regularisation, device);
        let head = Head::new(architecture, regularisation, device);
        Self { backbone, head }
    }

    /// Logits `[batch, classes]` of `pixels`, shape `[batch, 3, height, width]`, red, green, blue,
    /// values 0 to 255. On an autodiff device it behaves as in training.
    #[must_use]
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.features(pixels)).logits
    }

    /// The backbone's last activations, `[channels, height / 32, width / 32, batch]`, of `pixels`
    /// as in [`Self::forward`].
    #[must_use]
    pub fn features(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.backbone.forward(normalise(pixels))
    }

    /// This network with other settings for training; how it starts is not changed.
    #[must_use]
    pub fn trained_as(mut self, regularisation: &Regularisation) -> Self {
        self.backbone.train_as(regularisation);
        self.head.norm.momentum = regularisation.norm_momentum;
        self.head.dropout.prob = regularisation.dropout;
        self
    }

    /// What the backbone says of `pixels` (as for [`Network::forward`]) after global max pooling:
    /// `[batch, channels]`, the head's input.
    #[must_use]
    pub fn pooled(&self, pixels: Tensor<4>) -> Tensor<2> {
        head::pool(self.features(pixels))
    }

    /// How many parameters Keras would count in the backbone.
    #[must_use]
    pub fn keras_backbone_parameters(&self) -> usize {
        self.backbone.num_params() + KERAS_NORMALISATION
    }

    /// How many parameters Keras would count in all.
    #[must_use]
    pub fn keras_parameters(&self) -> usize {
        self.num_params() + KERAS_NORMALISATION
    }
}

/// `x ↦ x · scale + shift` for each channel: Keras' rescaling by 1/255 and its normalisation.
#[must_use]
pub fn normalisation() -> ([f32; 3], [f32; 3]) {
    let scale = STD.map(|std| 1.0 / (255.0 * std));
    let shift = std::array::from_fn(|channel| -MEAN[channel] / STD[channel]);
    (scale, shift)
}

fn normalise(pixels: Tensor<4>) -> Tensor<4> {
    let device = pixels.device();
    let (scale, shift) = normalisation();
    let channel =
        |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
    pixels * channel(scale) + channel(shift)
}
