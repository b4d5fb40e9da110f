//! AdamW as burn computes it, in one pass over each parameter where the device has a kernel for it.

use burn::optim::{
    AdamW as Burns, AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer,
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
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let Some(AdamWState { momentum }) = state else {
            return self.burns.step(rate, tensor, gradient, None);
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
                (tensor, Some(AdamWState { momentum }))
            }
            Err(([tensor, first, second], gradient)) => {
                let momentum = AdaptiveMomentumState::new(momentum.time, first, second);
                self.burns.step(rate, tensor, gradient, Some(AdamWState { momentum }))
            }
        }
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        Burns::to_device(state, device)
    }
}
