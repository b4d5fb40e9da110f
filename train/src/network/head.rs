//! The seed's classifier on top of the backbone.

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Initializer, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::{Architecture, EPSILON, Regularisation, layers};

/// Channels of the backbone's top, before scaling.
const TOP: usize = 1280;

/// What the head says of a batch.
#[derive(Debug)]
pub struct Output {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// The hidden layer's activations, `[batch, hidden]`, 0 or more.
    pub hidden: Tensor<2>,
}

/// Global max pooling, batch normalisation, hidden dense layer, dropout, classes.
#[derive(Module, Debug)]
pub struct Head {
    /// Over the pooled channels.
    pub norm: BatchNorm,
    /// Weight `[channels, hidden]`; then ReLU.
    pub hidden: Linear,
    /// Only in training.
    pub dropout: Dropout,
    /// Weight `[hidden, classes]`: the logits.
    pub classes: Linear,
}

impl Head {
    pub(super) fn new(
        architecture: &Architecture,
        regularisation: &Regularisation,
        device: &Device,
    ) -> Self {
        let channels = architecture.channels(TOP);
        // Keras' Dense: Glorot's uniform.
        let dense = |inward, outward, gain| {
            layers::dense(inward, outward, Initializer::XavierUniform { gain }, device)
        };
        Self {
            norm: BatchNormConfig::new(channels)
                .with_epsilon(EPSILON)
                .with_momentum(regularisation.norm_momentum)
                .init(device),
            hidden: dense(channels, architecture.hidden, 1.0),
            dropout: DropoutConfig::new(regularisation.dropout).init(),
            classes: dense(architecture.hidden, architecture.classes, regularisation.class_gain),
        }
    }

    /// `x` `[channels, height, width, batch]`.
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Output {
        let hidden = relu(self.hidden.forward(self.norm.forward(pool(x))));
        let logits = self.classes.forward(self.dropout.forward(hidden.clone()));
        Output { logits, hidden }
    }
}

/// Global max pooling: `[channels, height, width, batch]` → `[batch, channels]`.
pub(super) fn pool(x: Tensor<4>) -> Tensor<2> {
    let [channels, height, width, batch] = x.dims();
    let pooled: Tensor<2> = x.reshape([channels, height * width, batch]).max_dim(1).squeeze_dim(1);
    pooled.transpose()
}
