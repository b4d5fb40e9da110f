//! How fast a device trains: the network's steps alone, on random pixels.

use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};

use super::loss::loss;
use crate::network::Network;
use crate::optim::optimizer;
use crate::recipe::Recipe;

/// Seconds of each of `steps` training steps (forward, backward, optimizer) of the recipe's
/// network, batch and optimizer on `device`, which has no autodiff. The first ones include what a
/// device compiles and tunes: leave them out of a figure.
#[must_use]
pub fn pace(recipe: &Recipe, device: &Device, steps: u32) -> Vec<f64> {
    let trained = device.clone().autodiff();
    trained.seed(recipe.steps.seed);
    let mut network = Network::new(&recipe.architecture(), &recipe.regularisation(), &trained);
    let mut optimizer = optimizer(&recipe.optimizer);
    let (batch, size) = (recipe.steps.batch, recipe.input.size as usize);
    let pixels =
        Tensor::<4>::random([batch, 3, size, size], Distribution::Uniform(0.0, 255.0), &trained);
    let targets = Tensor::<2>::full([batch, recipe.architecture().classes], 0.5, &trained);
    (0..steps)
        .map(|_| {
            let began = Instant::now();
            let output = network.head.forward(network.features(pixels.clone()));
            let loss = loss(&output, targets.clone(), &network.head.hidden, &recipe.regularisation);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(recipe.optimizer.learning_rate, network.clone(), gradients);
            // Reading a number waits for everything before it; the weights' step comes last.
            let last = network.head.classes.weight.val().sum();
            let _ = last.into_scalar::<f32>();
            began.elapsed().as_secs_f64()
        })
        .collect()
}
