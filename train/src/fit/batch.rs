//! Cells on their way to the network.

use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Recipe, target};
use crate::augment::vary;
use crate::dataset::{Cell, LABELS, Split};
use crate::evaluate::Prediction;
use crate::network::Network;

/// The batches of one epoch: as many draws as there are training cells, half of each class; within
/// a class every cell comes once before any comes again.
pub struct Epoch<'a> {
    split: &'a Split,
    order: std::vec::IntoIter<usize>,
    rng: ChaCha8Rng,
    batch: usize,
    augment: bool,
    side: usize,
}

/// One step's cells.
pub struct Batch {
    pixels: Vec<Vec<u8>>,
    labels: Vec<usize>,
}

impl<'a> Epoch<'a> {
    /// The `epoch`th epoch: the same for the same recipe, split and number.
    #[must_use]
    pub fn new(recipe: &Recipe, split: &'a Split, epoch: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
        rng.set_stream(u64::from(epoch));
        let order = balanced(&split.by_class(), split.training.len(), &mut rng);
        Self {
            split,
            order: order.into_iter(),
            rng,
            batch: recipe.batch,
            augment: recipe.augment,
            side: recipe.preprocessing.size as usize,
        }
    }
}

impl Iterator for Epoch<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let chosen: Vec<usize> = self.order.by_ref().take(self.batch).collect();
        if chosen.is_empty() {
            return None;
        }
        let cells = chosen.iter().map(|index| &self.split.training[*index]);
        let labels = cells.clone().map(|cell| cell.label).collect();
        let pixels = cells
            .map(|cell| {
                if self.augment {
                    vary(&cell.pixels, self.side, &mut self.rng)
                } else {
                    cell.pixels.clone()
                }
            })
            .collect();
        Some(Batch { pixels, labels })
    }
}

fn balanced(classes: &[Vec<usize>], total: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order = Vec::with_capacity(total + classes.len());
    for class in classes.iter().filter(|class| !class.is_empty()) {
        let mut left = total.div_ceil(classes.len());
        while left > 0 {
            let mut round = class.clone();
            round.shuffle(rng);
            round.truncate(left);
            left -= round.len();
            order.extend(round);
        }
    }
    order.shuffle(rng);
    order
}

impl Batch {
    /// Inputs `[batch, 3, size, size]`, 0 to 255, and smoothed targets `[batch, classes]`.
    #[must_use]
    pub fn tensors(&self, recipe: &Recipe, device: &Device) -> (Tensor<4>, Tensor<2>) {
        let views: Vec<&[u8]> = self.pixels.iter().map(Vec::as_slice).collect();
        let inputs = pixels(&views, recipe.preprocessing.size as usize, device);
        let targets: Vec<f32> =
            self.labels.iter().flat_map(|label| target(*label, recipe.label_smoothing)).collect();
        let shape = [self.labels.len(), LABELS.len()];
        (inputs, Tensor::from_data(TensorData::new(targets, shape), device))
    }
}

/// Pictures of `side` × `side` pixels, row by row, red green blue, as `[batch, 3, side, side]`.
#[must_use]
pub fn pixels(pictures: &[&[u8]], side: usize, device: &Device) -> Tensor<4> {
    let mut values = Vec::with_capacity(pictures.len() * 3 * side * side);
    for picture in pictures {
        for channel in 0..3 {
            values.extend(picture.iter().skip(channel).step_by(3).map(|v| f32::from(*v)));
        }
    }
    Tensor::from_data(TensorData::new(values, [pictures.len(), 3, side, side]), device)
}

/// What `network`, on a device without autodiff, says of `cells`.
#[must_use]
pub fn predict(network: &Network, cells: &[Cell], recipe: &Recipe) -> Vec<Prediction> {
    let device = Device::flex();
    let side = recipe.preprocessing.size as usize;
    let mut predictions = Vec::with_capacity(cells.len());
    for batch in cells.chunks(recipe.batch) {
        let views: Vec<&[u8]> = batch.iter().map(|cell| cell.pixels.as_slice()).collect();
        let logits = network.forward(pixels(&views, side, &device)).into_data();
        let logits: Vec<f32> = logits.iter::<f32>().collect();
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
    predictions
}
