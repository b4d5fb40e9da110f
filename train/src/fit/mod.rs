//! The training loop.

mod batch;
mod checkpoint;
mod schedule;

use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};
use leukd::cell::preprocess::Preprocessing;

pub use batch::{Epoch, pixels, predict};
pub use checkpoint::{Checkpoint, CheckpointError, EpochLine, Kept, State};
pub use schedule::Schedule;

use crate::dataset::{LABELS, Split};
use crate::evaluate::Figures;
use crate::network::{Architecture, Network, Regularisation};

/// Everything that decides how a training runs; it is stored beside the weights.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The network's shape.
    pub architecture: Architecture,
    /// From pixels to its input.
    pub preprocessing: Preprocessing,
    /// How often as many cells are drawn as there are.
    pub epochs: u32,
    /// Cells a step.
    pub batch: usize,
    /// Seeds the weights, the order and the augmentation.
    pub seed: u64,
    /// The peak of the learning rate.
    pub learning_rate: f64,
    /// AdamW's decoupled weight decay.
    pub weight_decay: f32,
    /// The share of the run that the warm-up takes.
    pub warm_up: f64,
    /// How much of each label is spread over both classes.
    pub label_smoothing: f64,
    /// How far each batch moves the running statistics.
    pub norm_momentum: f64,
    /// The head's dropout rate.
    pub dropout: f64,
    /// The last block's chance of being skipped.
    pub drop_connect: f64,
    /// Whether pictures are flipped, turned and tinted.
    pub augment: bool,
    /// After this many minutes in all the run ends, its learning rate at 0.
    pub max_minutes: Option<f64>,
}

impl Recipe {
    /// B3 at `preprocessing`'s size.
    #[must_use]
    pub fn b3(preprocessing: Preprocessing) -> Self {
        let Regularisation { norm_momentum, dropout, drop_connect } = Regularisation::default();
        Self {
            architecture: Architecture::B3,
            preprocessing,
            epochs: 20,
            batch: 32,
            seed: 0,
            learning_rate: 1e-3,
            weight_decay: 0.01,
            warm_up: 0.06,
            label_smoothing: 0.05,
            norm_momentum,
            dropout,
            drop_connect,
            augment: true,
            max_minutes: None,
        }
    }

    /// A fresh network of this recipe's shape.
    #[must_use]
    pub fn network(&self, device: &Device) -> Network {
        let regularisation = Regularisation {
            norm_momentum: self.norm_momentum,
            dropout: self.dropout,
            drop_connect: self.drop_connect,
        };
        Network::new(&self.architecture, &regularisation, device)
    }
}

/// Where a training begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With random weights.
    Fresh,
    /// Where the run in the same folder stopped.
    Resume,
    /// With the last weights of another run's folder.
    From(PathBuf),
}

/// Trains on `split` and keeps state and weights in `folder` after every epoch; `report` gets a
/// line for each. Returns the last state.
///
/// The weights kept as best are those of the epoch with the highest balanced accuracy on the
/// validation cells.
///
/// # Errors
///
/// Where a checkpoint cannot be written or read, or does not fit the recipe.
pub fn fit(
    recipe: &Recipe,
    split: &Split,
    folder: &Checkpoint,
    start: &Start,
    mut report: impl FnMut(&EpochLine),
) -> Result<State, CheckpointError> {
    let device = Device::flex().autodiff();
    device.seed(recipe.seed);
    let mut network = recipe.network(&device);
    let mut optimizer = optimizer(recipe);
    let mut state = State::new(recipe.clone(), split);
    match start {
        Start::Fresh => {}
        Start::From(other) => {
            let other = Checkpoint::open(other);
            network = other.weights(network, Kept::Last)?;
            state.initial = Some(other.state()?.in_words(Kept::Last));
        }
        Start::Resume => {
            state = folder.state()?;
            state.check_fits(recipe, split)?;
            network = folder.weights(network, Kept::Last)?;
            optimizer = folder.optimizer(optimizer)?;
        }
    }
    let per_epoch = split.training.len().div_ceil(recipe.batch) as u64;
    let schedule = Schedule {
        peak: recipe.learning_rate,
        steps: per_epoch * u64::from(recipe.epochs),
        seconds: recipe.max_minutes.map(|minutes| minutes * 60.0),
        warm_up: recipe.warm_up,
    };
    let before = state.seconds;
    let began = Instant::now();
    let elapsed = || before + began.elapsed().as_secs_f64();
    while state.epochs_done() < recipe.epochs {
        let epoch = state.epochs_done() + 1;
        // Each epoch draws from its own seed, so that a resumed run goes on as it would have.
        device.seed(recipe.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(epoch)));
        let mut losses = Vec::new();
        for (index, batch) in Epoch::new(recipe, split, epoch).enumerate() {
            let step = u64::from(epoch - 1) * per_epoch + index as u64;
            let progress = schedule.progress(step, elapsed());
            if progress >= 1.0 {
                break;
            }
            let (inputs, targets) = batch.tensors(recipe, &device);
            let loss = loss(network.forward(inputs), targets);
            losses.push(f64::from(loss.clone().into_scalar::<f32>()));
            let grads = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(schedule.rate(progress), network, grads);
            if index % 10 == 9 {
                let mean = losses.iter().rev().take(10).sum::<f64>() / 10.0;
                tracing::info!(epoch, step = index + 1, of = per_epoch, loss = mean, progress);
            }
        }
        if losses.is_empty() {
            break;
        }
        let plain = network.valid();
        let predictions = predict(&plain, &split.validation, recipe);
        let line = EpochLine {
            epoch,
            loss: losses.iter().sum::<f64>() / losses.len() as f64,
            validation: Figures::of(&predictions, 1.0, 0.5),
            seconds: elapsed(),
        };
        let best = state.push(line);
        folder.save(&state, &plain, &optimizer, best)?;
        network = plain.train();
        report(&line);
        if schedule.progress(0, elapsed()) >= 1.0 {
            break;
        }
    }
    Ok(state)
}

fn optimizer(recipe: &Recipe) -> ModuleOptimizer {
    AdamWConfig::new().with_weight_decay(recipe.weight_decay).init()
}

/// Mean cross-entropy of `logits` `[batch, classes]` against `targets` of the same shape.
fn loss(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let batch = logits.dims()[0];
    (log_softmax(logits, 1) * targets).sum().neg().div_scalar(batch as f64)
}

/// The targets of one label: smoothed towards an equal share of every class.
fn target(label: usize, smoothing: f64) -> [f32; LABELS.len()] {
    let floor = smoothing / LABELS.len() as f64;
    std::array::from_fn(|class| {
        let own = if class == label { 1.0 - smoothing } else { 0.0 };
        (own + floor) as f32
    })
}
