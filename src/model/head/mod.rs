//! What lies behind a network's last activation: global pooling, then layers that bend only at ReLU.
//!
//! Of such a head the gradient is known in closed form, so that leukd can say which places of the picture spoke for
//! a class (the heat map), and what the pooled features are (the distance to the training cells), from the one run of
//! the network that a result takes anyway.

mod read;

pub use read::NoHead;

use super::engine::Activation;

/// A network's head, as far as it was recognised: [`Head::of`].
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    activation: String,
    pooling: Pooling,
    channels: usize,
    layers: Vec<Layer>,
}

/// How the last activation becomes one number a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The greatest number of each channel. Where it stands at several places, the first in reading order.
    Max,
    /// The mean of each channel.
    Mean,
}

/// One step from pooled features to logits.
#[derive(Debug, Clone, PartialEq)]
enum Layer {
    /// `x · factor + shift`, each number for itself: batch normalisation as it serves.
    Scale { factor: Vec<f64>, shift: Vec<f64> },
    /// `W x + b`; row-major, one row an output.
    Dense { weights: Vec<f64>, bias: Vec<f64> },
    /// `max(x, 0)`.
    Relu,
}

impl Layer {
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Scale { factor, shift } => x
                .iter()
                .zip(factor)
                .zip(shift)
                .map(|((x, factor), shift)| x * factor + shift)
                .collect(),
            Self::Dense { weights, bias } => weights
                .chunks_exact(x.len())
                .zip(bias)
                .map(|(row, bias)| {
                    row.iter().zip(x).map(|(weight, x)| weight * x).sum::<f64>() + bias
                })
                .collect(),
            Self::Relu => x.iter().map(|x| x.max(0.0)).collect(),
        }
    }

    /// The gradient with respect to the layer's input `x` of whatever has the gradient `after` with respect to its
    /// output. ReLU's at 0 is 0, as Keras and PyTorch have it.
    fn backward(&self, x: &[f64], after: &[f64]) -> Vec<f64> {
        match self {
            Self::Scale { factor, .. } => {
                after.iter().zip(factor).map(|(after, factor)| after * factor).collect()
            }
            Self::Dense { weights, .. } => {
                let mut before = vec![0.0; x.len()];
                for (row, after) in weights.chunks_exact(x.len()).zip(after) {
                    if *after != 0.0 {
                        before
                            .iter_mut()
                            .zip(row)
                            .for_each(|(before, weight)| *before += weight * after);
                    }
                }
                before
            }
            Self::Relu => {
                x.iter().zip(after).map(|(x, after)| if *x > 0.0 { *after } else { 0.0 }).collect()
            }
        }
    }
}

impl Head {
    /// The name of the tensor that is pooled: `[1, channels, height, width]`.
    #[must_use]
    pub fn activation(&self) -> &str {
        &self.activation
    }

    /// How it is pooled.
    #[must_use]
    pub const fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// How many channels it has.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// One number a channel, in their order: the pooled features.
    #[must_use]
    pub fn features(&self, activation: &Activation) -> Vec<f32> {
        let pixels = activation.height * activation.width;
        let channels = activation.values.chunks_exact(pixels.max(1));
        match self.pooling {
            Pooling::Max => channels.map(greatest).map(|(_, value)| value).collect(),
            #[expect(
                clippy::cast_precision_loss,
                reason = "an activation has thousands of places at the most"
            )]
            Pooling::Mean => {
                channels.map(|channel| channel.iter().sum::<f32>() / pixels as f32).collect()
            }
        }
    }

    /// The logits that follow from pooled features, in the order of the manifest's labels.
    #[must_use]
    pub fn logits(&self, features: &[f32]) -> Vec<f64> {
        let mut x: Vec<f64> = features.iter().copied().map(f64::from).collect();
        for layer in &self.layers {
            x = layer.forward(&x);
        }
        x
    }

    /// The gradient of `Σ direction · logits` with respect to the pooled features.
    #[must_use]
    pub fn gradient(&self, features: &[f32], direction: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = features.iter().copied().map(f64::from).collect();
        let mut inputs = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let next = layer.forward(&x);
            inputs.push(std::mem::replace(&mut x, next));
        }
        let mut gradient = direction.to_vec();
        for (layer, x) in self.layers.iter().zip(&inputs).rev() {
            gradient = layer.backward(x, &gradient);
        }
        gradient
    }

    /// Which places of an activation spoke for `Σ direction · logits`, in logits: row-major, `height · width` numbers.
    ///
    /// A channel's share is its gradient times its pooled value. It lies where the channel's greatest number is, or
    /// over all places by what each gave to the mean. So the map adds up to `gradient · features`: the logits' sum less
    /// what the head gives of itself ([`Head::constant`]), exactly, because the head is linear between two bends.
    #[must_use]
    pub fn contributions(&self, activation: &Activation, gradient: &[f64]) -> Vec<f64> {
        let pixels = activation.height * activation.width;
        let mut map = vec![0.0; pixels];
        for (channel, gradient) in activation.values.chunks_exact(pixels.max(1)).zip(gradient) {
            match self.pooling {
                Pooling::Max => {
                    let (place, value) = greatest(channel);
                    map[place] += gradient * f64::from(value);
                }
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "an activation has thousands of places at the most"
                )]
                Pooling::Mean => {
                    let each = gradient / pixels as f64;
                    map.iter_mut()
                        .zip(channel)
                        .for_each(|(map, value)| *map += each * f64::from(*value));
                }
            }
        }
        map
    }

    /// What is left of `Σ direction · logits` when [`Head::contributions`] are taken off: biases and shifts, through
    /// the bends as they stand at these features.
    #[must_use]
    pub fn constant(&self, features: &[f32], direction: &[f64]) -> f64 {
        let whole: f64 =
            self.logits(features).iter().zip(direction).map(|(logit, share)| logit * share).sum();
        let gradient = self.gradient(features, direction);
        let linear: f64 = gradient
            .iter()
            .zip(features)
            .map(|(gradient, value)| gradient * f64::from(*value))
            .sum();
        whole - linear
    }

    /// Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    /// Localization"): `ReLU(Σ α · A)` with α a channel's gradient, averaged over the places. Row-major.
    #[must_use]
    pub fn grad_cam(&self, activation: &Activation, gradient: &[f64]) -> Vec<f64> {
        let pixels = activation.height * activation.width;
        // Of the mean's gradient each place holds its part, of the greatest number's one place all: the average is one.
        #[expect(
            clippy::cast_precision_loss,
            reason = "an activation has thousands of places at the most"
        )]
        let share = 1.0 / pixels.max(1) as f64;
        let mut map = vec![0.0; pixels];
        for (channel, gradient) in activation.values.chunks_exact(pixels.max(1)).zip(gradient) {
            let weight = gradient * share;
            map.iter_mut().zip(channel).for_each(|(map, value)| *map += weight * f64::from(*value));
        }
        map.iter_mut().for_each(|value| *value = value.max(0.0));
        map
    }
}

/// The greatest of a channel's numbers and its first place.
fn greatest(channel: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (place, value) in channel.iter().enumerate() {
        if *value > best.1 {
            best = (place, *value);
        }
    }
    best
}
