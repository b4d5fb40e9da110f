//! The weights' average over the steps.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::kernels;
use crate::network::Network;

/// An exponential moving average of every weight and running statistic (Polyak averaging; Tarvainen
/// & Valpola 2017, "Mean teachers are better role models"). Early on it keeps less, so that the
/// random start is forgotten: `min(decay, (1 + steps) / (10 + steps))`, as TensorFlow's
/// `ExponentialMovingAverage` with `num_updates`.
#[derive(Debug, Clone)]
pub struct Average {
    decay: f64,
    steps: u64,
    network: Network,
}

impl Average {
    /// Begins with `network`'s own weights; `steps` have been averaged so far.
    #[must_use]
    pub fn new(network: Network, decay: f64, steps: u64) -> Self {
        Self { decay, steps, network }
    }

    /// Takes in the weights after `count` more steps, as if they had been the same after each of
    /// those.
    #[must_use]
    pub fn update(self, network: &Network, count: u32) -> Self {
        let steps = self.steps + u64::from(count);
        let keep: f64 = (self.steps..steps)
            .map(|step| self.decay.min((1.0 + step as f64) / (10.0 + step as f64)))
            .product();
        let mut now = Collect::default();
        network.valid().visit(&mut now);
        let mut blend = Blend { keep, now: now.values.into_iter() };
        Self { network: self.network.map(&mut blend), steps, ..self }
    }

    /// The averaged network.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// How many steps have been averaged.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }
}

/// Every tensor in the order of the module, flat.
#[derive(Default)]
struct Collect {
    values: Vec<Tensor<1>>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.values.push(param.val().flatten(0, D - 1));
    }
}

struct Blend {
    keep: f64,
    now: std::vec::IntoIter<Tensor<1>>,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Both networks have one shape, so there is one for each.
        let Some(now) = self.now.next() else { return param };
        let keep = self.keep;
        param.map(|old| {
            let now = now.reshape(old.dims());
            kernels::blend(old, now, keep)
        })
    }
}
