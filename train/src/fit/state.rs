//! How far a run is.

use leukd_cell::preprocess::Preprocessing;
use leukd_model::curves::Epoch;
use serde::{Deserialize, Serialize};

use super::plateau::{Monitor, Plateau};
use crate::dataset::{Protocol, Side, Split};
use crate::evaluate::Figures;
use crate::recipe::{Kept, Recipe};

/// One epoch's outcome: a line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochLine {
    /// 1, 2, 3, …
    pub epoch: u32,
    /// Whether the backbone stood still.
    pub frozen: bool,
    /// Mean training loss, penalties included.
    pub loss: f64,
    /// Share of the training cells that were classified rightly while they were learned from, 0 to
    /// 1. With mixup, the picture that had the larger share counts.
    pub accuracy: f64,
    /// Mean loss on the validation cells, penalties included, labels hard.
    pub validation_loss: f64,
    /// On the validation cells, at temperature 1 and threshold 0.5.
    pub validation: Figures,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// The learning rate of the next epoch's first step.
    pub next_learning_rate: f64,
    /// What the plateau judged it by.
    pub monitor: Option<Monitor>,
    /// How much better than the best before it, per cent, by that measure.
    pub improvement: Option<f64>,
    /// Its weights are the best so far.
    pub best: bool,
    /// Seconds of this epoch.
    pub seconds: f64,
    /// Training cells a second, validation not counted.
    pub cells_per_second: f64,
}

/// The heading over lines of epochs.
pub const HEADING: &str = "epoch   loss   acc %  val.loss  val.acc %  bal.acc %   AUROC   rate      \
                           next rate  judged by    better %  seconds";

impl EpochLine {
    /// As a manifest holds it.
    #[must_use]
    pub fn point(&self) -> Epoch {
        Epoch { epoch: self.epoch, training_loss: self.loss, validation_loss: self.validation_loss }
    }
}

impl std::fmt::Display for EpochLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let monitor = self.monitor.map_or("bal. acc.", Monitor::as_str);
        let improvement =
            self.improvement.map_or_else(|| "–".to_owned(), |better| format!("{better:.2}"));
        write!(
            f,
            "{:>4}{} {:>7.4} {:>6.2} {:>9.4} {:>10.2} {:>10.2} {:>8.4}  {:<9.2e} {:<10.2e} {monitor:<10} {improvement:>9} {:>8.1}{}",
            self.epoch,
            if self.frozen { "f" } else { " " },
            self.loss,
            self.accuracy * 100.0,
            self.validation_loss,
            self.validation.accuracy * 100.0,
            self.validation.balanced_accuracy * 100.0,
            self.validation.auroc,
            self.learning_rate,
            self.next_learning_rate,
            self.seconds,
            if self.best { "  best" } else { "" },
        )
    }
}

/// An epoch that was stopped in its midst.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partial {
    /// Steps done.
    pub steps: u64,
    /// Sum of the cells' losses.
    pub loss: f64,
    /// Cells that were classified rightly.
    pub right: u64,
    /// Cells seen.
    pub seen: u64,
    /// Seconds spent.
    pub seconds: f64,
}

/// Everything of a run besides its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What it was started with.
    pub recipe: Recipe,
    /// What that made of a cell, targets included: another leukd-train may make something else of
    /// the same words. None in a run of before it was kept.
    #[serde(default)]
    pub preprocessing: Option<Preprocessing>,
    /// The split in words.
    pub split: String,
    /// What is kept apart between the test side and the others.
    pub protocol: Protocol,
    /// What is kept apart between training and validation.
    pub validation_protocol: Protocol,
    /// Of the training images.
    pub training_digest: String,
    /// Of every side, with labels and subjects: [`Split::sides_digest`].
    pub sides_digest: String,
    /// Of every cell, whichever side: [`Split::cells_digest`]. Empty in a run of before it was
    /// kept.
    #[serde(default)]
    pub cells_digest: String,
    /// SHA-256 of the file with its teacher's targets.
    #[serde(default)]
    pub teacher: Option<String>,
    /// How many cells it is fitted on.
    pub cells: u64,
    /// Every epoch that is done.
    pub epochs: Vec<EpochLine>,
    /// The epoch that is not.
    pub partial: Partial,
    /// The epoch whose weights are kept as best; 0 before the first.
    pub best_epoch: u32,
    /// Time spent so far, seconds.
    pub seconds: f64,
    /// Where the plateau stands, where the recipe has one.
    pub plateau: Option<Plateau>,
    /// Steps that the averaged weights have taken in.
    pub averaged: u64,
    /// Where the weights came from, in words; none: they began at random.
    pub initial: Option<String>,
    /// Whether what the weights came from may have been trained on cells of this split: another
    /// model of such cells, not a backbone that knows other pictures alone.
    pub inherited: bool,
    /// What it was trained on: `cpu`, `cuda:0`.
    pub device: String,
    /// Why the run is over; none: it can go on.
    pub ended: Option<String>,
}

impl State {
    /// A run that has not begun.
    #[must_use]
    pub fn new(recipe: Recipe, split: &Split) -> Self {
        Self {
            preprocessing: Some(recipe.preprocessing()),
            recipe,
            split: split.in_words(),
            protocol: split.protocol,
            validation_protocol: split.protocol_of(Side::Validation),
            training_digest: split.training_digest().to_string(),
            sides_digest: split.sides_digest().to_string(),
            cells_digest: split.cells_digest().to_string(),
            teacher: split.teacher.map(|digest| digest.to_string()),
            cells: split.training.len() as u64,
            epochs: Vec::new(),
            partial: Partial::default(),
            best_epoch: 0,
            seconds: 0.0,
            plateau: None,
            averaged: 0,
            initial: None,
            inherited: false,
            device: String::new(),
            ended: None,
        }
    }

    /// How many epochs are done.
    #[must_use]
    pub fn epochs_done(&self) -> u32 {
        self.epochs.last().map_or(0, |line| line.epoch)
    }

    /// The number of `kept`'s epoch.
    #[must_use]
    pub fn epoch_of(&self, kept: Kept) -> u32 {
        match kept {
            Kept::Best => self.best_epoch,
            Kept::Last => self.epochs_done(),
        }
    }

    /// Whether an epoch with this balanced accuracy on the validation cells is the best so far.
    ///
    /// Not by AUROC: it does not see the shift of all outputs by which an epoch's running
    /// statistics may lag, and one threshold has to serve.
    #[must_use]
    pub fn is_best(&self, validation: &Figures) -> bool {
        let reached = validation.balanced_accuracy;
        self.epochs.iter().all(|earlier| earlier.validation.balanced_accuracy < reached)
    }
}
