//! Batches, made by threads ahead of the device.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use burn::tensor::{Device, Tensor, TensorData};
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::standardise::Residual;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::augment::{residual, vary};
use crate::dataset::{Cell, LABELS, Split};
use crate::recipe::Recipe;

/// Batches that wait for the device, for each thread.
const AHEAD: usize = 2;

/// One step's cells, ready for the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[cells, 3, size, size]`, 0 to 255.
    pixels: Vec<f32>,
    /// `[cells, classes]`: smoothed and mixed.
    targets: Vec<f32>,
    /// The likelier class of each.
    labels: Vec<usize>,
    size: usize,
}

impl Batch {
    /// Makes one: what it draws depends on the recipe's seed, the epoch and the step alone, so that
    /// threads and interruptions change nothing.
    #[must_use]
    pub fn new(recipe: &Recipe, split: &Split, cells: &[usize], epoch: u32, step: u64) -> Self {
        let preprocessing = recipe.preprocessing();
        let size = recipe.input.size as usize;
        let mut rng = ChaCha8Rng::seed_from_u64(recipe.steps.seed);
        // Epochs' orders use the streams below 2³².
        rng.set_stream((u64::from(epoch) << 32) | (step + 1));
        let mut pixels = Vec::with_capacity(cells.len() * 3 * size * size);
        let mut targets = Vec::with_capacity(cells.len() * LABELS.len());
        for index in cells {
            let cell = &split.training[*index];
            let varied = vary(&cell.pixels, size, &recipe.augmentation, &mut rng);
            let left = residual(&recipe.augmentation, &mut rng);
            preprocessing.append(&varied, &left, &mut pixels);
            targets.extend(target(cell, recipe));
        }
        if recipe.regularisation.mixup > 0.0 {
            mix(&mut pixels, &mut targets, recipe.regularisation.mixup, cells.len(), &mut rng);
        }
        let labels = targets
            .chunks_exact(LABELS.len())
            .map(|shares| usize::from(shares[1] > shares[0]))
            .collect();
        Self { pixels, targets, labels, size }
    }

    /// Inputs `[batch, 3, size, size]`, 0 to 255, and targets `[batch, classes]`.
    #[must_use]
    pub fn tensors(self, device: &Device) -> (Tensor<4>, Tensor<2>) {
        let cells = self.labels.len();
        let pixels = TensorData::new(self.pixels, [cells, 3, self.size, self.size]);
        let targets = TensorData::new(self.targets, [cells, LABELS.len()]);
        (Tensor::from_data(pixels, device), Tensor::from_data(targets, device))
    }

    /// The likelier class of each cell.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }
}

/// An epoch's batches in order, from the `first`th on.
#[derive(Debug)]
pub struct Loader {
    threads: Vec<Receiver<Batch>>,
    next: usize,
}

impl Loader {
    /// Starts `threads` threads; they end when the loader is dropped or the epoch is done.
    pub fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        recipe: &'env Recipe,
        split: &'env Split,
        epoch: u32,
        first: usize,
        batches: &'env [Vec<usize>],
        threads: usize,
    ) -> Self {
        let threads = threads.max(1);
        let receivers = (0..threads).map(|thread| {
            let (sender, receiver) = sync_channel(AHEAD);
            scope.spawn(move || {
                for (step, cells) in
                    batches.iter().enumerate().skip(first + thread).step_by(threads)
                {
                    let batch = Batch::new(recipe, split, cells, epoch, step as u64);
                    if sender.send(batch).is_err() {
                        // The training has stopped.
                        return;
                    }
                }
            });
            receiver
        });
        Self { threads: receivers.collect(), next: 0 }
    }
}

impl Iterator for Loader {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let thread = self.next % self.threads.len();
        self.next += 1;
        self.threads[thread].recv().ok()
    }
}

/// Squares, row by row, red green blue, as the network's input `[batch, 3, size, size]`: by
/// `preprocessing`, whose layout must be channels first, as a recipe's is.
#[must_use]
pub fn pixels(squares: &[&[u8]], preprocessing: &Preprocessing, device: &Device) -> Tensor<4> {
    let [_, channels, height, width] = preprocessing.shape();
    let mut values = Vec::with_capacity(squares.len() * channels * height * width);
    for square in squares {
        preprocessing.append(square, &Residual::NONE, &mut values);
    }
    let shape = [squares.len(), channels, height, width];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A cell's targets: its label, smoothed towards an equal share of every class, mixed with what its
/// teacher says.
fn target(cell: &Cell, recipe: &Recipe) -> [f32; LABELS.len()] {
    let smoothing = recipe.regularisation.label_smoothing;
    let floor = smoothing / LABELS.len() as f64;
    std::array::from_fn(|class| {
        let own = if class == cell.label { 1.0 - smoothing } else { 0.0 };
        let labelled = own + floor;
        let Some(p) = cell.teacher else { return labelled as f32 };
        let taught = if class == 0 { p } else { 1.0 - p };
        (recipe.distil.weight * taught + (1.0 - recipe.distil.weight) * labelled) as f32
    })
}

/// Mixes each picture and its targets with another's (Zhang et al. 2018, "mixup"): one share a
/// batch, from Beta(α, α), of which the larger part stays the picture's own.
fn mix(pixels: &mut [f32], targets: &mut [f32], alpha: f64, cells: usize, rng: &mut impl Rng) {
    let drawn = beta(alpha, rng);
    let share = drawn.max(1.0 - drawn) as f32;
    let mut partners: Vec<usize> = (0..cells).collect();
    partners.shuffle(rng);
    blend(pixels, &partners, share);
    blend(targets, &partners, share);
}

fn blend(values: &mut [f32], partners: &[usize], share: f32) {
    let width = values.len() / partners.len().max(1);
    let before = values.to_vec();
    for (own, partner) in values.chunks_exact_mut(width).zip(partners) {
        let other = &before[partner * width..(partner + 1) * width];
        for (own, other) in own.iter_mut().zip(other) {
            *own = share * *own + (1.0 - share) * other;
        }
    }
}

/// A draw from Beta(α, α), α at most 1 (Jöhnk 1964).
fn beta(alpha: f64, rng: &mut impl Rng) -> f64 {
    loop {
        let x = rng.random::<f64>().powf(1.0 / alpha);
        let y = rng.random::<f64>().powf(1.0 / alpha);
        let sum = x + y;
        if sum > 0.0 && sum <= 1.0 {
            return x / sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_draws_lie_as_the_distribution_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let draws: Vec<f64> = (0..20_000).map(|_| beta(0.4, &mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|d| (d - 0.5) * (d - 0.5)).sum::<f64>() / 20_000.0;
        // Var = 1 / (4 (2α + 1)).
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!((variance - 1.0 / 7.2).abs() < 0.005, "{variance}");
    }

    #[test]
    fn mixing_keeps_the_sum_of_every_cell_s_targets() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut pixels = vec![0.0, 0.0, 100.0, 100.0, 200.0, 200.0];
        let mut targets = vec![0.95, 0.05, 0.05, 0.95, 0.95, 0.05];
        mix(&mut pixels, &mut targets, 1.0, 3, &mut rng);
        for shares in targets.chunks(2) {
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert!((pixels.iter().sum::<f32>() - 600.0).abs() < 1e-3);
    }
}
