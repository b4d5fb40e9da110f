//! The seed's classifier on top of the backbone.

use burn::module::Module;
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Initializer, Linear, LinearConfig,
};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::{Architecture, EPSILON, Regularisation};

/// Channels of the backbone's top, before scaling.
const TOP: usize = 1280;

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
        // Keras' Dense: Glorot's uniform, bias 0.
        let dense = |inward, outward| {
            let mut linear = LinearConfig::new(inward, outward)
                .with_initializer(Initializer::XavierUniform { gain: 1.0 })
                .init(device);
            linear.bias = linear.bias.map(|bias| bias.map(|values| values.zeros_like()));
            linear
        };
        Self {
            norm: BatchNormConfig::new(channels)
                .with_epsilon(EPSILON)
                .with_momentum(regularisation.norm_momentum)
                .init(device),
            hidden: dense(channels, architecture.hidden),
            dropout: DropoutConfig::new(regularisation.dropout).init(),
            classes: dense(architecture.hidden, architecture.classes),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = x.dims();
        let pooled: Tensor<2> =
            x.reshape([batch, channels, height * width]).max_dim(2).squeeze_dim(2);
        let hidden = relu(self.hidden.forward(self.norm.forward(pooled)));
        self.classes.forward(self.dropout.forward(hidden))
    }
}
