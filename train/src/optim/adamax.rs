//! Adamax as Keras computes it.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

const MOMENT: &str = "moment";
const NORM: &str = "norm";
const TIME: &str = "time";

/// Adam with the infinity norm (Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization",
/// section 7.1), with the ε that Keras adds to the denominator:
///
/// ```text
/// m ← β₁·m + (1 − β₁)·g
/// u ← max(β₂·u, |g|)
/// w ← w − rate / (1 − β₁ᵗ) · m / (u + ε),   t = 1, 2, …
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adamax {
    /// How much of the first moment each step keeps.
    pub beta_1: f64,
    /// How much of the norm each step keeps.
    pub beta_2: f64,
    /// Keeps the denominator from 0.
    pub epsilon: f64,
}

impl Adamax {
    /// Keras' defaults: β 0.9 and 0.999, ε 1e-7.
    #[must_use]
    pub const fn keras() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

/// What Adamax remembers of one parameter.
#[derive(Debug, Clone)]
pub struct AdamaxState<const D: usize> {
    /// First moment of the gradient, in the parameter's shape.
    pub moment: Tensor<D>,
    /// Its decaying largest absolute value.
    pub norm: Tensor<D>,
    /// Steps done.
    pub time: usize,
}

impl Optimizer for Adamax {
    type State<const D: usize> = AdamaxState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let fresh = gradient.clone().mul_scalar(1.0 - self.beta_1);
        let size = gradient.abs();
        let (moment, norm, time) = match state {
            None => (fresh, size, 1),
            Some(state) => (
                state.moment.mul_scalar(self.beta_1) + fresh,
                state.norm.mul_scalar(self.beta_2).max_pair(size),
                state.time + 1,
            ),
        };
        let corrected = rate / (1.0 - self.beta_1.powf(time as f64));
        let delta = moment.clone().mul_scalar(corrected) / norm.clone().add_scalar(self.epsilon);
        (tensor - delta, Some(AdamaxState { moment, norm, time }))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AdamaxState {
            moment: state.moment.to_device(device),
            norm: state.norm.to_device(device),
            time: state.time,
        }
    }
}

impl<const D: usize> RecordState for AdamaxState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, MOMENT, self.moment.to_data());
        out.push_tensor(prefix, NORM, self.norm.to_data());
        out.push_scalar(prefix, TIME, self.time.into());
    }

    /// On the processor, as [`super::adamw::Moments`].
    fn state_unflatten(prefix: &str, src: &mut StateSource, _default: &Device) -> Option<Self> {
        let device = &Device::flex();
        Some(Self {
            moment: Tensor::from_data(src.take_tensor(prefix, MOMENT)?, device),
            norm: Tensor::from_data(src.take_tensor(prefix, NORM)?, device),
            time: usize::try_from(src.take_scalar(prefix, TIME)?).ok()?,
        })
    }
}
