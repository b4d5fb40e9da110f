//! What a run keeps on disk: enough to go on after a crash, and to export.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;

use super::Recipe;
use crate::dataset::Split;
use crate::evaluate::Figures;
use crate::network::Network;

/// One epoch's outcome.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochLine {
    /// 1, 2, 3, …
    pub epoch: u32,
    /// Mean training loss.
    pub loss: f64,
    /// On the held-out subjects, at temperature 1 and threshold 0.5.
    pub validation: Figures,
    /// Since the run began, over all its parts.
    pub seconds: f64,
}

impl std::fmt::Display for EpochLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, loss, validation, seconds } = self;
        write!(
            f,
            "epoch {epoch:>3}  loss {loss:.4}  validation: accuracy {:.4}  balanced {:.4}  \
             AUROC {:.4}  sensitivity {:.4}  specificity {:.4}  ({seconds:.0} s)",
            validation.accuracy,
            validation.balanced_accuracy,
            validation.auroc,
            validation.sensitivity,
            validation.specificity
        )
    }
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What it was started with.
    pub recipe: Recipe,
    /// The split in words.
    pub split: String,
    /// Of the training images.
    pub training_digest: String,
    /// How many cells it is fitted on.
    pub cells: u64,
    /// Every epoch that is done.
    pub epochs: Vec<EpochLine>,
    /// The epoch whose weights are kept as best; 0 before the first.
    pub best_epoch: u32,
    /// Time spent so far.
    pub seconds: f64,
    /// Which run the weights were taken over from, in words; none: they began at random.
    #[serde(default)]
    pub initial: Option<String>,
}

impl State {
    /// A run that has not begun.
    #[must_use]
    pub fn new(recipe: Recipe, split: &Split) -> Self {
        Self {
            recipe,
            split: split.in_words(),
            training_digest: split.training_digest().to_string(),
            cells: split.training.len() as u64,
            epochs: Vec::new(),
            best_epoch: 0,
            seconds: 0.0,
            initial: None,
        }
    }

    /// The run in words, for one that begins with `kept`'s weights.
    #[must_use]
    pub fn in_words(&self, kept: Kept) -> String {
        let size = self.recipe.preprocessing.size;
        let initial = self.initial.as_deref().unwrap_or("random weights");
        format!(
            "epoch {} of a run of {} epochs at {size} × {size} pixels, learning rate {}, seed {}, from {initial}",
            self.epoch_of(kept),
            self.epochs_done(),
            self.recipe.learning_rate,
            self.recipe.seed
        )
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

    /// Adds an epoch; whether it is the best so far, by balanced accuracy on the validation cells.
    ///
    /// Not by AUROC: it does not see the shift of all outputs by which an epoch's running
    /// statistics may lag, and one threshold has to serve.
    pub fn push(&mut self, line: EpochLine) -> bool {
        let figure = |line: &EpochLine| line.validation.balanced_accuracy;
        let best = self.epochs.iter().all(|earlier| figure(earlier) < figure(&line));
        if best {
            self.best_epoch = line.epoch;
        }
        self.seconds = line.seconds;
        self.epochs.push(line);
        best
    }

    /// # Errors
    ///
    /// Where the run was started with another recipe or other images: going on would mix two.
    /// The number of epochs and the time limit may change.
    pub(super) fn check_fits(&self, recipe: &Recipe, split: &Split) -> Result<(), CheckpointError> {
        let same = Recipe {
            epochs: self.recipe.epochs,
            max_minutes: self.recipe.max_minutes,
            ..recipe.clone()
        } == self.recipe;
        if !same {
            return Err(CheckpointError::OtherRecipe);
        }
        if self.training_digest != split.training_digest().to_string() {
            return Err(CheckpointError::OtherData);
        }
        Ok(())
    }
}

/// Why a run's folder is no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The run's state is no state of this program.
    #[error("{path} is no state of a leukd training run: {source}")]
    State {
        /// Which file.
        path: PathBuf,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
    /// Weights or optimizer cannot be read, written or applied.
    #[error("{path}: {message}")]
    Weights {
        /// Which file.
        path: PathBuf,
        /// What burn says.
        message: String,
    },
    /// `--resume` with other settings.
    #[error(
        "the run in this folder was started with other settings: give the same ones (only \
         --epochs and --max-minutes may differ), or start in another folder"
    )]
    OtherRecipe,
    /// `--resume` with other images.
    #[error(
        "the run in this folder was started on other training images: give the same --data and \
         --hold-out, or start in another folder"
    )]
    OtherData,
}

/// A run's folder.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    folder: PathBuf,
}

/// Which epoch's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Of the epoch with the highest balanced accuracy on the validation cells.
    Best,
    /// Of the last one: the validation cells choose no epoch.
    Last,
}

impl Kept {
    const fn file(self) -> &'static str {
        match self {
            Self::Best => BEST,
            Self::Last => LAST,
        }
    }
}

const STATE: &str = "run.json";
const LAST: &str = "last.bpk";
const BEST: &str = "best.bpk";
const OPTIMIZER: &str = "optimizer.bpk";

impl Checkpoint {
    /// The run in `folder`, which need not exist yet.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Whether a run has left its state here.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.folder.join(STATE).is_file()
    }

    /// # Errors
    ///
    /// Where there is none, or it cannot be understood.
    pub fn state(&self) -> Result<State, CheckpointError> {
        let path = self.folder.join(STATE);
        let text = std::fs::read_to_string(&path)
            .map_err(|source| CheckpointError::File { path: path.clone(), source })?;
        serde_json::from_str(&text).map_err(|source| CheckpointError::State { path, source })
    }

    /// When `kept`'s weights were written, RFC 3339.
    ///
    /// # Errors
    ///
    /// Where there are none.
    pub fn trained_at(&self, kept: Kept) -> Result<String, CheckpointError> {
        let path = self.folder.join(kept.file());
        let written = std::fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .and_then(|at| jiff::Timestamp::try_from(at).map_err(std::io::Error::other))
            .map_err(|source| CheckpointError::File { path, source })?;
        // Fractions of a second say nothing here.
        Ok(written.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    /// The file of `kept`'s weights, which need not exist yet.
    #[must_use]
    pub fn weights_file(&self, kept: Kept) -> PathBuf {
        self.folder.join(kept.file())
    }

    /// `network` with `kept`'s weights.
    ///
    /// # Errors
    ///
    /// Where they cannot be read or have another shape.
    pub fn weights(&self, network: Network, kept: Kept) -> Result<Network, CheckpointError> {
        let path = self.folder.join(kept.file());
        network.try_load_file(&path).map_err(|error| weights(path, &error))
    }

    /// `optimizer` with the last epoch's moments.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn optimizer(
        &self,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, CheckpointError> {
        let path = self.folder.join(OPTIMIZER);
        optimizer.load(&path).map_err(|error| weights(path, &error))
    }

    /// Keeps everything; each file is replaced whole, the state last, so that a crash leaves the
    /// run of the epoch before.
    pub(super) fn save(
        &self,
        state: &State,
        network: &Network,
        optimizer: &ModuleOptimizer,
        best: bool,
    ) -> Result<(), CheckpointError> {
        let file = |path: &Path, source| CheckpointError::File { path: path.to_owned(), source };
        std::fs::create_dir_all(&self.folder).map_err(|error| file(&self.folder, error))?;
        let replace = |name: &str, write: &dyn Fn(&Path) -> Result<(), CheckpointError>| {
            let new = self.folder.join(format!("new-{name}"));
            write(&new)?;
            let path = self.folder.join(name);
            std::fs::rename(&new, &path).map_err(|error| file(&path, error))
        };
        let save = |path: &Path| {
            network.clone().save_file(path).map_err(|error| weights(path.to_owned(), &error))
        };
        replace(LAST, &save)?;
        if best {
            replace(BEST, &save)?;
        }
        replace(OPTIMIZER, &|path| {
            optimizer.save(path).map_err(|error| weights(path.to_owned(), &error))
        })?;
        replace(STATE, &|path| {
            let text = serde_json::to_string_pretty(state)
                .map_err(|source| CheckpointError::State { path: path.to_owned(), source })?;
            std::fs::write(path, text).map_err(|error| file(path, error))
        })
    }
}

fn weights(path: PathBuf, error: &impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Weights { path, message: error.to_string() }
}
