//! What lies behind a network's last activation: global pooling, then layers that bend only at
//! ReLU.
//!
//! Of such a head the gradient is known in closed form, so that leukd can say which places of the
//! picture spoke for a class (the heat map), and what the pooled features are (the distance to the
//! training cells), from the one run of the network that a result takes anyway.

mod places;
mod read;

pub use read::NoHead;

use super::engine::Activation;
use leukd_kernels::{Isa, Transposed};

/// A network's head, as far as it was recognised: [`Head::of`].
#[derive(Debug, Clone)]
pub struct Head {
    activation: String,
    /// The tensors that go into each ReLU, in the order of the layers.
    bends: Vec<String>,
    pooling: Pooling,
    channels: usize,
    layers: Vec<Layer>,
}

/// How the last activation becomes one number a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The greatest number of each channel. Where it stands at several places, the first in reading
    /// order.
    Max,
    /// The mean of each channel.
    Mean,
}

/// What pooling leaves of an activation.
#[derive(Debug, Clone, PartialEq)]
pub struct Pooled {
    /// One number a channel, in their order: the pooled features.
    pub features: Vec<f32>,
    /// Where each stands, row-major, of [`Pooling::Max`]; empty of a mean.
    places: Vec<usize>,
}

/// One step from pooled features to logits.
#[derive(Debug, Clone)]
enum Layer {
    /// `x · factor + shift`, each number for itself: batch normalisation as it serves.
    Scale { factor: Vec<f32>, shift: Vec<f32> },
    /// `W x + b`.
    Dense(Dense),
    /// `max(x, 0)`.
    Relu,
}

/// A dense layer of at least one input.
#[derive(Debug, Clone)]
struct Dense {
    /// Row-major, one row an output.
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// The same weights for the way back.
    back: Transposed,
}

impl Dense {
    /// None where `weights` are not one row of the same length, at least 1, for each output.
    fn new(weights: Vec<f32>, bias: Vec<f32>) -> Option<Self> {
        let inputs = Self::inputs_of(weights.len(), bias.len())?;
        let back = Transposed::new(Isa::best(), &weights, inputs);
        Some(Self { weights, bias, back })
    }

    /// How many numbers `back` takes of so many weights and outputs, padding among them; none where
    /// they do not fit each other.
    fn room(weights: usize, outputs: usize) -> Option<usize> {
        let inputs = Self::inputs_of(weights, outputs)?;
        outputs.checked_mul(Transposed::padded(Isa::best(), inputs))
    }

    fn inputs_of(weights: usize, outputs: usize) -> Option<usize> {
        let inputs = weights.checked_div(outputs)?;
        (inputs > 0 && inputs.checked_mul(outputs)? == weights).then_some(inputs)
    }

    fn inputs(&self) -> usize {
        self.weights.len() / self.bias.len()
    }
}

impl Layer {
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        let wide = |number: &f32| f64::from(*number);
        match self {
            Self::Scale { factor, shift } => {
                let parts = x.iter().zip(factor).zip(shift);
                parts.map(|((x, factor), shift)| x * wide(factor) + wide(shift)).collect()
            }
            Self::Dense(Dense { weights, bias, .. }) => {
                let rows = weights.chunks_exact(x.len()).zip(bias);
                let product = |row: &[f32]| {
                    row.iter().zip(x).map(|(weight, x)| wide(weight) * x).sum::<f64>()
                };
                rows.map(|(row, bias)| product(row) + wide(bias)).collect()
            }
            Self::Relu => x.iter().map(|x| x.max(0.0)).collect(),
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

    /// Pools `activation`.
    #[must_use]
    pub fn pool(&self, activation: &Activation) -> Pooled {
        match self.pooling {
            Pooling::Max => {
                let (places, features) = places::greatest(activation).unzip();
                Pooled { features, places }
            }
            Pooling::Mean => {
                Pooled { features: places::means(activation).collect(), places: Vec::new() }
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

    /// The names of the tensors that go into each ReLU, in the order of computing:
    /// [`Head::gradient`] takes their values.
    #[must_use]
    pub fn bends(&self) -> &[String] {
        &self.bends
    }

    /// The gradient of `Σ direction · logits` with respect to the pooled features, where `bends`
    /// went into the ReLUs. ReLU's own at 0 is 0, as Keras and PyTorch have it. None where `bends`
    /// are not those of this head.
    #[must_use]
    pub fn gradient(&self, bends: &[Vec<f32>], direction: &[f32]) -> Option<Vec<f32>> {
        let mut gradient = direction.to_vec();
        let mut bends = bends.iter().rev();
        for layer in self.layers.iter().rev() {
            match layer {
                Layer::Scale { factor, .. } => {
                    gradient.iter_mut().zip(factor).for_each(|(part, factor)| *part *= factor);
                }
                // Most of a hidden layer is silent behind its ReLU: those rows are passed over.
                Layer::Dense(dense) if dense.bias.len() == gradient.len() => {
                    gradient = dense.back.sum(&gradient);
                }
                Layer::Dense(_) => return None,
                Layer::Relu => {
                    let bend = bends.next().filter(|bend| bend.len() == gradient.len())?;
                    for (part, x) in gradient.iter_mut().zip(bend) {
                        *part = if *x > 0.0 { *part } else { 0.0 };
                    }
                }
            }
        }
        (gradient.len() == self.channels).then_some(gradient)
    }

    /// What goes into each ReLU at these features: what the engine gives as [`Head::bends`],
    /// computed anew.
    #[must_use]
    pub fn bends_at(&self, features: &[f32]) -> Vec<Vec<f32>> {
        let mut x: Vec<f64> = features.iter().copied().map(f64::from).collect();
        let mut bends = Vec::new();
        for layer in &self.layers {
            if matches!(layer, Layer::Relu) {
                bends.push(x.iter().map(|x| *x as f32).collect());
            }
            x = layer.forward(&x);
        }
        bends
    }

    /// Which places of an activation spoke for `Σ direction · logits`, in logits: row-major,
    /// `height · width` numbers.
    ///
    /// A channel's share is its gradient times its pooled value. It lies where the channel's
    /// greatest number is, or over all places by what each gave to the mean. So the map adds up to
    /// `gradient · features`: the logits' sum less what the head gives of itself, its biases and
    /// shifts, because the head is linear between two bends.
    ///
    /// # Panics
    ///
    /// Where `pooled` is not what [`Head::pool`] left of `activation`.
    #[must_use]
    pub fn contributions(
        &self,
        activation: &Activation,
        pooled: &Pooled,
        gradient: &[f32],
    ) -> Vec<f64> {
        match self.pooling {
            Pooling::Max => {
                let mut map = vec![0.0; activation.height * activation.width];
                let channels = pooled.places.iter().zip(&pooled.features).zip(gradient);
                for ((place, value), gradient) in channels {
                    map[*place] += f64::from(*gradient) * f64::from(*value);
                }
                map
            }
            // What a place gave to the mean.
            Pooling::Mean => places::weighted(activation, gradient),
        }
    }

    /// Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via
    /// Gradient-based Localization"): `ReLU(Σ α · A)` with α a channel's gradient, averaged over
    /// the places. Row-major.
    #[must_use]
    pub fn grad_cam(&self, activation: &Activation, gradient: &[f32]) -> Vec<f64> {
        // Of the mean's gradient each place holds its part, of the greatest number's one place all:
        // the average is one.
        let mut map = places::weighted(activation, gradient);
        map.iter_mut().for_each(|value| *value = value.max(0.0));
        map
    }
}
