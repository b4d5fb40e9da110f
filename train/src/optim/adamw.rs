//! AdamW as burn computes it, in one pass over each parameter where the device has a kernel for it.

use burn::optim::{
    AdamW as Burns, AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer,
    RecordState, StateSink, StateSource,
};
use burn::tensor::{Device, Tensor};

use crate::kernels::{AdamwStep, adamw};

/// β₁ of the paper and of PyTorch, not burn's.
const BETA_1: f32 = 0.9;
/// β₂, likewise.
const BETA_2: f32 = 0.999;
/// ε, likewise.
const EPSILON: f32 = 1e-8;

/// burn's AdamW: its numbers, its state and so its checkpoints. A graphics card makes each step's
/// ten passes in one; on the processor it is burn's to the bit.
///
/// As in PyTorch, the decay falls on every parameter, biases and normalisations included.
#[derive(Clone)]
pub struct AdamW {
    burns: Burns,
    weight_decay: f32,
}

impl std::fmt::Debug for AdamW {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdamW").field("weight_decay", &self.weight_decay).finish_non_exhaustive()
    }
}

impl AdamW {
    /// With the paper's β and ε.
    #[must_use]
    pub fn new(weight_decay: f32) -> Self {
        let burns = AdamWConfig::new()
            .with_beta_1(BETA_1)
            .with_beta_2(BETA_2)
            .with_epsilon(EPSILON)
            .with_weight_decay(weight_decay)
            .build();
        Self { burns, weight_decay }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = Moments<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let Some(Moments(AdamWState { momentum })) = state else {
            let (tensor, state) = self.burns.step(rate, tensor, gradient, None);
            return (tensor, state.map(Moments));
        };
        let time = momentum.time + 1;
        let step = AdamwStep {
            beta_1: BETA_1,
            beta_2: BETA_2,
            epsilon: EPSILON,
            weight_decay: self.weight_decay,
            rate,
            time,
        };
        match adamw([tensor, momentum.moment_1, momentum.moment_2], gradient, &step) {
            Ok([tensor, first, second]) => {
                let momentum = AdaptiveMomentumState::new(time, first, second);
                (tensor, Some(Moments(AdamWState { momentum })))
            }
            Err(([tensor, first, second], gradient)) => {
                let momentum = AdaptiveMomentumState::new(momentum.time, first, second);
                let state = Some(AdamWState { momentum });
                let (tensor, state) = self.burns.step(rate, tensor, gradient, state);
                (tensor, state.map(Moments))
            }
        }
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        Moments(Burns::to_device(state.0, device))
    }
}

/// What AdamW remembers of one parameter: burn's own, but read back on the processor.
///
/// burn reads a record on its default device, which in a build for a card is that card, whatever
/// the run asked for; the next step takes the moments to where the parameter is.
#[derive(Clone)]
pub struct Moments<const D: usize>(pub AdamWState<D>);

impl<const D: usize> std::fmt::Debug for Moments<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moments").field("time", &self.0.momentum.time).finish_non_exhaustive()
    }
}

impl<const D: usize> RecordState for Moments<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        self.0.state_flatten(prefix, out);
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, _default: &Device) -> Option<Self> {
        AdamWState::state_unflatten(prefix, src, &Device::flex()).map(Self)
    }
}
