//! How an epoch's network does on cells that it does not learn from.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::loader::{Batch, pixels};
use super::loss::loss;
use crate::dataset::{Cell, LABELS, Split};
use crate::evaluate::Prediction;
use crate::network::{Network, Regularisation};
use crate::recipe::Recipe;

/// What a network says of some cells.
#[derive(Debug, Clone)]
pub struct Validation {
    /// In the order of the cells.
    pub predictions: Vec<Prediction>,
    /// Mean loss with hard labels, penalties included.
    pub loss: f64,
}

/// Runs `cells` through `network`, both on `device`, which has no autodiff.
#[must_use]
pub fn validate(network: &Network, cells: &[Cell], recipe: &Recipe, device: &Device) -> Validation {
    let preprocessing = recipe.preprocessing();
    let mut predictions = Vec::with_capacity(cells.len());
    let mut sum = 0.0;
    for batch in cells.chunks(recipe.steps.batch) {
        let views: Vec<&[u8]> = batch.iter().map(|cell| cell.pixels.as_slice()).collect();
        let output = network.head.forward(network.features(pixels(&views, &preprocessing, device)));
        let targets: Vec<f32> = batch
            .iter()
            .flat_map(|cell| {
                std::array::from_fn::<f32, { LABELS.len() }, _>(|class| {
                    if class == cell.label { 1.0 } else { 0.0 }
                })
            })
            .collect();
        let targets = TensorData::new(targets, [batch.len(), LABELS.len()]);
        let targets = Tensor::from_data(targets, device);
        let loss = loss(&output, targets, &network.head.hidden, &recipe.regularisation);
        sum += f64::from(loss.into_scalar::<f32>()) * batch.len() as f64;
        let logits: Vec<f32> = output.logits.into_data().iter::<f32>().collect();
        predictions.extend(batch.iter().zip(logits.chunks_exact(LABELS.len())).map(
            |(cell, logits)| Prediction {
                name: cell.name.clone(),
                area: cell.area,
                logits: [f64::from(logits[0]), f64::from(logits[1])],
                label: cell.label,
                subject: cell.subject.clone(),
            },
        ));
    }
    Validation { predictions, loss: sum / cells.len().max(1) as f64 }
}

/// `network`, on a device without autodiff, with running statistics that are the plain mean over
/// the first `count` of `batches`, varied as in training and with nothing dropped.
///
/// Running statistics that follow by a hundredth a batch lag behind weights that move fast, and
/// those of averaged weights were never seen at all (Izmailov et al. 2018, "Averaging Weights Leads
/// to Wider Optima and Better Generalization", section 3.2).
#[must_use]
pub fn refresh_norms(
    network: &Network,
    recipe: &Recipe,
    split: &Split,
    batches: &[Vec<usize>],
    epoch: u32,
    device: &Device,
) -> Network {
    let usual = recipe.regularisation();
    // `valid` gives the copy statistics of its own. Without gradients: no backward pass follows
    // that would let go of what the passes below would keep for it, gigabytes each.
    let mut network = network.valid().train().no_grad();
    let count = recipe.average.refresh_norms as usize;
    for (step, cells) in batches.iter().take(count).enumerate() {
        let norm_momentum = 1.0 / (step as f64 + 1.0);
        let plain = Regularisation { norm_momentum, dropout: 0.0, drop_connect: 0.0, ..usual };
        network = network.trained_as(&plain);
        let batch = Batch::new(recipe, split, cells, epoch, step as u64);
        let (inputs, _) = batch.tensors(device);
        let _ = network.forward(inputs);
    }
    network.trained_as(&usual).valid()
}
