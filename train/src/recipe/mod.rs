//! Everything that decides how a training runs: one TOML file, which is also kept beside the
//! weights.

mod check;
mod layers;
mod words;

use leukd_cell::preprocess::{Filter, Layout, Preprocessing, Range};
use leukd_cell::standardise::{Standardise, Targets};

pub use check::RecipeError;
pub use layers::{Origin, Setting};

use crate::network::{Architecture, Regularisation};

/// The recipes that come with the trainer.
pub const SHIPPED: [(&str, &str); 2] =
    [("seed", include_str!("seed.toml")), ("modern", include_str!("modern.toml"))];

/// A whole recipe. [`Recipe::read`] makes one of a file and of single settings over it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// For people: 1 to 64 characters.
    pub name: String,
    /// The network's shape.
    pub network: NetworkSettings,
    /// From a picture to the network's input.
    pub input: Input,
    /// How long, and in what portions.
    pub steps: Steps,
    /// How the weights follow the gradient.
    pub optimizer: OptimizerSettings,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// What keeps the network from learning by heart.
    pub regularisation: Penalties,
    /// What is learned from a teacher.
    #[serde(default)]
    pub distil: Distil,
    /// What is varied in each picture.
    pub augmentation: Augmentation,
    /// Which cells an epoch shows.
    pub sampling: Sampling,
    /// Averages over time.
    pub average: Average,
    /// Which epoch's weights become the model.
    pub choice: Choice,
}

/// The network's shape and how it starts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSettings {
    /// Multiplies every layer's channels: 1.2 for B3.
    pub width: f64,
    /// Multiplies every stage's blocks: 1.4 for B3.
    pub depth: f64,
    /// Units of the hidden dense layer.
    pub hidden: usize,
    /// The head's dropout rate, 0 to 1.
    pub dropout: f64,
    /// The last block's chance of being skipped in training, 0 to 1; earlier blocks have
    /// proportionally less.
    pub drop_connect: f64,
    /// How far each batch moves the running statistics: 0.01 is Keras' 0.99.
    pub norm_momentum: f64,
    /// The logits' starting weights, as a multiple of Glorot's uniform.
    pub class_gain: f64,
    /// Whether each residual block begins as the identity.
    pub zero_residuals: bool,
}

/// From a picture to the network's input; the bundle carries it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Width and height, pixels.
    pub size: u32,
    /// The square that is cut from the picture's middle first, pixels; 0: the whole picture.
    pub window: u32,
    /// The share of the input that every cell's foreground is scaled to, 0.25 to 1; 0: cells keep
    /// their size.
    #[serde(default)]
    pub cell_share: f32,
    /// How it is resized.
    pub filter: Filter,
    /// How the cell's colours are then standardised.
    #[serde(default)]
    pub standardise: StainStandard,
}

/// Which standardisation of a cell's colours, with leukd's targets: see [`Standardise`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StainStandard {
    /// The colours stay as they were captured.
    #[default]
    None,
    /// Mean and standard deviation of each channel's levels over the cell's interior.
    Channels,
    /// Of each channel's optical density over all of the cell.
    Density,
    /// Of the luminance of the cell's interior, which all channels then show: no colour is left.
    Luminance,
}

impl StainStandard {
    /// What a manifest says of it, for an input of `size` pixels.
    const fn step(self, size: u32) -> Option<Standardise> {
        match self {
            Self::None => None,
            Self::Channels => Some(Standardise::Channels(Targets::levels(size))),
            Self::Density => Some(Standardise::Density(Targets::DENSITY)),
            Self::Luminance => Some(Standardise::Luminance(Targets::levels(size))),
        }
    }
}

/// How long, and in what portions.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// How often as many cells are shown as there are.
    pub epochs: u32,
    /// Cells a step.
    pub batch: usize,
    /// Seeds the weights, the order and the augmentation.
    pub seed: u64,
    /// The whole run's length by the clock: the cosine then comes to its end in time, however fast
    /// the machine is. Such a run cannot be repeated bit for bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
}

/// How the weights follow the gradient.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerSettings {
    /// Which rule.
    pub kind: OptimizerKind,
    /// The first, or with a cosine the highest, learning rate.
    pub learning_rate: f64,
    /// Decoupled weight decay; Adamax has none.
    pub weight_decay: f32,
    /// For so many epochs only the head learns: the backbone stands still, as in Keras with
    /// `trainable = False`, and its normalisations use their running statistics.
    pub frozen_epochs: u32,
}

/// The update rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Kingma & Ba 2015, section 7.1, with Keras' ε.
    Adamax,
    /// Loshchilov & Hutter 2019.
    AdamW,
}

/// How the learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// The seed's callback.
    Plateau {
        /// Below this training accuracy it watches that accuracy, at or above it the validation
        /// loss.
        threshold: f64,
        /// What the rate is multiplied by.
        factor: f64,
        /// After so many epochs that are no better.
        patience: u32,
        /// After so many cuts in a row the run ends.
        stop_after: u32,
    },
    /// Up in a line, then down along a cosine to 0.
    Cosine {
        /// The share of the run that the way up takes, 0 to 1.
        warm_up: f64,
    },
}

/// What keeps the network from learning by heart.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Penalties {
    /// Times the sum of the hidden layer's squared weights (Keras' `l2`).
    pub kernel_l2: f64,
    /// Times the sum of the hidden layer's absolute outputs, mean over the batch (Keras'
    /// `activity_regularizer`).
    pub activity_l1: f64,
    /// Times the sum of the hidden layer's absolute biases.
    pub bias_l1: f64,
    /// How much of each label is spread over both classes, 0 to 1.
    pub label_smoothing: f64,
    /// α of the Beta distribution that two pictures are mixed by; 0: none.
    pub mixup: f64,
}

/// What is learned from a teacher's probabilities, beside the labels (Hinton et al. 2015,
/// "Distilling the Knowledge in a Neural Network").
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distil {
    /// The teacher's share of each cell's target, 0 to 1; the label has the rest. Above 0 it needs
    /// `fit --targets`.
    pub weight: f64,
}

/// What is varied in each picture, in [`crate::augment`]; the background stays black whatever is
/// chosen, and 0 is off.
///
/// Each setting is the most that a picture is changed by; how much is drawn for every picture anew.
/// Which of them help across laboratories: Tellez et al. 2019, "Quantifying the effects of data
/// augmentation and stain color normalization in convolutional neural networks for computational
/// pathology".
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Left and right change places in half of the pictures.
    pub flip_horizontal: bool,
    /// Top and bottom do.
    pub flip_vertical: bool,
    /// Turns by 0, 90, 180 or 270 degrees.
    pub quarter_turns: bool,
    /// Turns by up to so many degrees either way, 0 to 180.
    pub rotation: f64,
    /// Magnifies by 1 / (1 + this) to 1 + this, its logarithm evenly, 0 to 1: size alone is then no
    /// cue, and another microscope is tolerated (Simonyan & Zisserman 2015, "scale jittering").
    #[serde(default)]
    pub scale: f64,
    /// With this probability, 0 to 1, a cell's stain, optics and light are varied, noise and
    /// erasing included; the other cells show their own (but for `residual` and `flat`, which are
    /// drawn for every cell), so that a network which must do without may still learn from them.
    /// leukd's own.
    #[serde(default = "certain")]
    pub appearance: f64,
    /// Brightness is multiplied by 1 ± this, 0 to 0.9.
    pub brightness: f64,
    /// Each channel is, beyond that, by 1 ± this, 0 to 0.9.
    pub colour: f64,
    /// Each channel's distance from its mean over the cell is multiplied by 1 ± this, 0 to 0.9
    /// (Howard 2013, "Some Improvements on Deep Convolutional Neural Network Based Image
    /// Classification"). Like brightness and colour it is undone by a standardisation of
    /// `channels`, but for what is cut off at 0 and 255.
    #[serde(default)]
    pub contrast: f64,
    /// Levels, as shares of 255, are raised to a power of 1 / (1 + this) to 1 + this, its logarithm
    /// evenly, 0 to 1 (Isensee et al. 2021, "nnU-Net"): another camera's tone curve, which no
    /// standardisation undoes.
    #[serde(default)]
    pub gamma: f64,
    /// Each stain's optical density is multiplied by 1 ± this, 0 to 0.9.
    pub stain: f64,
    /// What standardisation leaves of another laboratory's colours: each channel's target deviation
    /// is multiplied by 1 ± this, and its target mean moved by ± this many target deviations, 0 to
    /// 0.9; only beside `input.standardise`. leukd's own: the targets of [`Standardise`] are met by
    /// the average cell of a slide alone.
    #[serde(default)]
    pub residual: f64,
    /// With this probability, 0 to 1, a cell that was standardised has half of its texture at the
    /// most: what is left of its deviation is 0 to 1/2 times the target, evenly; only beside
    /// `input.standardise`. leukd's own: a network that also sees cells without texture learns
    /// their size and outline.
    #[serde(default)]
    pub flat: f64,
    /// With this probability, 0 to 1, the cell is shown as its luminance (ITU-R BT.601) in all
    /// three channels (Chen et al. 2020, "A Simple Framework for Contrastive Learning", with 0.2).
    #[serde(default)]
    pub grey: f64,
    /// Gaussian blur with a standard deviation of 0 to this many pixels of the network's input,
    /// evenly, 0 to 8: other optics, another focus (Tellez et al. 2019).
    #[serde(default)]
    pub blur: f64,
    /// Each band of spatial frequencies (differences of Gaussians of 0.5, 1, 2 and 4 pixels of the
    /// network's input) is multiplied by 1 / (1 + this) to 1 + this, its logarithm evenly, 0 to 4:
    /// how strong the texture of one grain is depends on slide, lens and camera.
    #[serde(default)]
    pub bands: f64,
    /// All bands together are, beyond that, by 1 / (1 + this) to 1 + this, the finest wholly and
    /// coarser ones less: softer and sharper pictures, 0 to 4.
    #[serde(default)]
    pub sharpness: f64,
    /// Gaussian noise on every sample of the cell with a standard deviation of 0 to this many
    /// levels, evenly, 0 to 64 (Tellez et al. 2019).
    #[serde(default)]
    pub noise: f64,
    /// With this probability, 0 to 1, a rectangle of 2 to 20 % of the picture is black (Zhong et
    /// al. 2020, "Random Erasing Data Augmentation", with 0.5).
    #[serde(default)]
    pub erase: f64,
}

/// Which cells an epoch shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// How often each class comes.
    pub classes: Balance,
    /// How often each subject of a class comes.
    pub subjects: Balance,
}

/// How often groups come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// As often as they have cells.
    Natural,
    /// Equally often.
    Balanced,
}

/// Averages over time.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// What of the averaged weights each step keeps, 0 to 1; 0: there are none.
    pub decay: f64,
    /// The weights are taken in after every so many steps, which then count as so many: on a
    /// graphics card they are a third of a step's launches.
    #[serde(default = "one")]
    pub every: u32,
    /// Before each validation the running statistics are made anew from so many training batches;
    /// 0: they are left as training moved them.
    pub refresh_norms: u32,
}

/// Which epoch's weights become the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// See [`Kept`].
    pub keep: Kept,
}

/// Which epoch's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// Of the epoch that the schedule's own measure, or the highest balanced accuracy, finds best
    /// on the validation cells.
    Best,
    /// Of the last one: the validation cells choose no epoch.
    Last,
}

const fn one() -> u32 {
    1
}

const fn certain() -> f64 {
    1.0
}

impl Recipe {
    /// The preprocessing that training and serving share.
    #[must_use]
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing {
            window: (self.input.window > 0).then_some(self.input.window),
            cell_share: (self.input.cell_share > 0.0).then_some(self.input.cell_share),
            size: self.input.size,
            filter: self.input.filter,
            standardise: self.input.standardise.step(self.input.size),
            range: Range::Bytes,
            layout: Layout::Nchw,
        }
    }

    /// The network's shape.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        let NetworkSettings { width, depth, hidden, .. } = self.network;
        Architecture { width, depth, hidden, classes: crate::dataset::LABELS.len() }
    }

    /// What the network does in training only, and how it starts.
    #[must_use]
    pub fn regularisation(&self) -> Regularisation {
        let NetworkSettings {
            dropout,
            drop_connect,
            norm_momentum,
            class_gain,
            zero_residuals,
            ..
        } = self.network;
        Regularisation { norm_momentum, dropout, drop_connect, class_gain, zero_residuals }
    }

    /// The recipe as TOML, every setting included.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // A struct of numbers, words and booleans always has a TOML form.
        toml::to_string(self).unwrap_or_default()
    }
}
