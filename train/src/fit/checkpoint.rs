//! What a run keeps on disk: enough to go on bit for bit, and to export.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use leukd_cell::preprocess::Preprocessing;

use super::state::State;
use crate::dataset::Split;
use crate::files;
use crate::network::Network;
use crate::recipe::{Kept, Recipe};

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
    /// There is no run.
    #[error("{0} holds no training run: there is no checkpoint in it")]
    NoRun(PathBuf),
    /// The run's state is no state of this program.
    #[error("{path} is no state of a leukd training run: {source}")]
    State {
        /// Which file.
        path: PathBuf,
        /// Where it goes wrong.
        source: Box<toml::de::Error>,
    },
    /// The run's state cannot be written down: a defect.
    #[error("{path}: {message}")]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// What is in the way.
        message: String,
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
        "the run in this folder was started with another recipe: `{setting}` was {before} and is \
         {now} (only steps.epochs may change); give the same recipe, or start in another folder"
    )]
    OtherRecipe {
        /// The first setting that differs.
        setting: String,
        /// The run's.
        before: String,
        /// What was asked for.
        now: String,
    },
    /// The recipe's words mean another preprocessing than they did when the run began.
    #[error(
        "{path}: this run's cells were prepared otherwise than this leukd-train prepares them: {before} then, {now} now. Go on \
         with the leukd-train that began it, or start in another folder"
    )]
    OtherPreprocessing {
        /// Which state.
        path: PathBuf,
        /// The run's, in words.
        before: String,
        /// What it would be now.
        now: String,
    },
    /// `--resume` with other cells, labels, subjects or sides.
    #[error(
        "the run in this folder was started on other cells, or on the same with other labels, subjects or sides: give the same --data and \
         the same split (--split takes the run's split.csv), or start in another folder"
    )]
    OtherData,
    /// `--resume` with other targets of a teacher.
    #[error(
        "the run in this folder was started with {before}, and now there is {now}: give the same \
         --targets, or start in another folder"
    )]
    OtherTeacher {
        /// The run's targets, in words.
        before: String,
        /// Those that were given.
        now: String,
    },
    /// The loss is no number any more.
    #[error(
        "the training diverged: the loss is {loss} at step {step} of epoch {epoch}, learning rate {rate:e}; the \
         checkpoint before it stays. Start in another folder with a lower optimizer.learning_rate"
    )]
    Diverged {
        /// From 1.
        epoch: u32,
        /// Within the epoch, from 1.
        step: u64,
        /// The rate of the step.
        rate: f64,
        /// Not finite.
        loss: f64,
    },
    /// There is no best epoch.
    #[error("{0}: no epoch of this run was better than none; export the last one (--keep last)")]
    NoBest(PathBuf),
    /// Another process trains in the folder.
    #[error("{0} is in use: another leukd-train works in this folder")]
    Busy(PathBuf),
    /// A run that is over.
    #[error("the run in this folder is over ({0}): nothing is left to go on with")]
    Ended(String),
}

/// A run's folder.
///
/// ```text
/// checkpoint/        to go on: replaced as one, so that a crash or a full disk leaves the one before
///   run.toml         [`State`]
///   weights.bpk      as training left them
///   optimizer.bpk    its moments
///   average.bpk      the averaged weights, where the recipe has them
///   model.bpk        of the last whole epoch: what it was validated with
/// best-0007.bpk      of the best epoch, 7
/// metrics.jsonl      a line an epoch
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoint {
    folder: PathBuf,
}

/// The tensors of a run.
pub(super) struct Tensors<'a> {
    /// As training left them, without autodiff.
    pub(super) weights: &'a Network,
    pub(super) optimizer: &'a ModuleOptimizer,
    pub(super) average: Option<&'a Network>,
    /// Of the epoch that has just ended; none in its midst: the one before stays.
    pub(super) model: Option<&'a Network>,
    /// Whether that is the best so far.
    pub(super) best: bool,
}

const CURRENT: &str = "checkpoint";
const NEW: &str = "checkpoint.new";
const OLD: &str = "checkpoint.old";
/// TOML, not JSON: its numbers come back to the last bit, and a run must go on with just those.
const STATE: &str = "run.toml";
const WEIGHTS: &str = "weights.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const AVERAGE: &str = "average.bpk";
const MODEL: &str = "model.bpk";
const METRICS: &str = "metrics.jsonl";
const LOCK: &str = "run.lock";

fn in_words(preprocessing: &Preprocessing) -> String {
    serde_json::to_string(preprocessing).unwrap_or_else(|_| format!("{preprocessing:?}"))
}

impl Checkpoint {
    /// The run in `folder`, which need not exist yet.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a run has left its state here.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.current().join(STATE).is_file()
    }

    /// The checkpoint in force: a crash between two renames leaves only the old one.
    fn current(&self) -> PathBuf {
        let current = self.folder.join(CURRENT);
        if current.exists() { current } else { self.folder.join(OLD) }
    }

    /// # Errors
    ///
    /// Where there is none, it cannot be understood, or this program would prepare the run's cells
    /// otherwise.
    pub fn state(&self) -> Result<State, CheckpointError> {
        if !self.exists() {
            return Err(CheckpointError::NoRun(self.folder.clone()));
        }
        let path = self.current().join(STATE);
        let text = std::fs::read_to_string(&path).map_err(|error| file(&path, error))?;
        let state: State = toml::from_str(&text).map_err(|source| {
            let path = path.clone();
            CheckpointError::State { path, source: Box::new(source) }
        })?;
        let now = state.recipe.preprocessing();
        match &state.preprocessing {
            Some(before) if *before != now => Err(CheckpointError::OtherPreprocessing {
                before: in_words(before),
                now: in_words(&now),
                path,
            }),
            _ => Ok(state),
        }
    }

    /// The state, if a run with `recipe` on `split` can go on from it.
    ///
    /// # Errors
    ///
    /// Where it was started with another recipe or other images, for going on would mix two, or is
    /// over. The number of epochs may change.
    pub fn resumable(&self, recipe: &Recipe, split: &Split) -> Result<State, CheckpointError> {
        let state = self.state()?;
        let (before, now) = (state.recipe.settings(), recipe.settings());
        for (setting, value) in &now {
            let before = before.get(setting).cloned().unwrap_or_default();
            if before != *value && setting != "steps.epochs" {
                let (setting, now) = (setting.clone(), value.clone());
                return Err(CheckpointError::OtherRecipe { setting, before, now });
            }
        }
        if state.sides_digest != split.sides_digest().to_string() {
            return Err(CheckpointError::OtherData);
        }
        let teacher = split.teacher.map(|digest| digest.to_string());
        if state.teacher != teacher {
            let words = |teacher: Option<String>| {
                teacher.map_or_else(
                    || "no teacher".to_owned(),
                    |of| format!("targets of SHA-256 {of}"),
                )
            };
            return Err(CheckpointError::OtherTeacher {
                before: words(state.teacher),
                now: words(teacher),
            });
        }
        match state.ended {
            Some(why) => Err(CheckpointError::Ended(why)),
            // A run from before it was kept has none; equal sides have equal cells.
            None => {
                let cells_digest = split.cells_digest().to_string();
                Ok(State { recipe: recipe.clone(), cells_digest, ..state })
            }
        }
    }

    /// When `kept`'s weights were written, RFC 3339.
    ///
    /// # Errors
    ///
    /// Where there are none.
    pub fn trained_at(&self, kept: Kept) -> Result<String, CheckpointError> {
        let path = self.weights_file(kept)?;
        let written = std::fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .and_then(|at| jiff::Timestamp::try_from(at).map_err(std::io::Error::other))
            .map_err(|error| file(&path, error))?;
        // Fractions of a second say nothing here.
        Ok(written.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    /// `network` with `kept`'s weights: those that the epoch was validated with.
    ///
    /// # Errors
    ///
    /// Where they cannot be read or have another shape.
    pub fn weights(&self, network: Network, kept: Kept) -> Result<Network, CheckpointError> {
        read(network, self.weights_file(kept)?)
    }

    /// The file of `kept`'s weights.
    ///
    /// # Errors
    ///
    /// Where there is no run.
    pub fn weights_file(&self, kept: Kept) -> Result<PathBuf, CheckpointError> {
        Ok(match kept {
            Kept::Best => match self.state()?.best_epoch {
                0 => return Err(CheckpointError::NoBest(self.folder.clone())),
                epoch => self.folder.join(best(epoch)),
            },
            Kept::Last => self.current().join(MODEL),
        })
    }

    /// `network` as training left it.
    pub(super) fn raw(&self, network: Network) -> Result<Network, CheckpointError> {
        read(network, self.current().join(WEIGHTS))
    }

    /// `network` as it was averaged.
    pub(super) fn averaged(&self, network: Network) -> Result<Network, CheckpointError> {
        read(network, self.current().join(AVERAGE))
    }

    /// `optimizer` with its moments.
    pub(super) fn optimizer(
        &self,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, CheckpointError> {
        let path = self.current().join(OPTIMIZER);
        optimizer.load(&path).map_err(|error| weights(&path, &error))
    }

    /// Keeps other processes out of the folder as long as the file that it gives is open.
    pub(super) fn lock(&self) -> Result<File, CheckpointError> {
        std::fs::create_dir_all(&self.folder).map_err(|error| file(&self.folder, error))?;
        let path = self.folder.join(LOCK);
        let lock = File::create(&path).map_err(|error| file(&path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(CheckpointError::Busy(self.folder.clone())),
            Err(TryLockError::Error(error)) => Err(file(&path, error)),
        }
    }

    /// Keeps everything, all of it or nothing.
    pub(super) fn save(&self, state: &State, tensors: &Tensors<'_>) -> Result<(), CheckpointError> {
        let new = self.folder.join(NEW);
        if new.exists() {
            std::fs::remove_dir_all(&new).map_err(|error| file(&new, error))?;
        }
        std::fs::create_dir_all(&new).map_err(|error| file(&new, error))?;
        write(tensors.weights, &new.join(WEIGHTS))?;
        if let Some(average) = tensors.average {
            write(average, &new.join(AVERAGE))?;
        }
        let path = new.join(OPTIMIZER);
        tensors.optimizer.save(&path).map_err(|error| weights(&path, &error))?;
        match tensors.model {
            Some(model) => write(model, &new.join(MODEL))?,
            None => self.keep_model(&new)?,
        }
        if tensors.best
            && let Some(model) = tensors.model
        {
            let path = self.folder.join(best(state.best_epoch));
            write(model, &path)?;
            files::sync(&path).map_err(|error| file(&path, error))?;
        }
        let path = new.join(STATE);
        let text = toml::to_string(state).map_err(|error| unwritable(&path, &error))?;
        std::fs::write(&path, text).map_err(|error| file(&path, error))?;
        sync_all(&new)?;
        self.swap(&new)?;
        self.write_metrics(state)?;
        self.forget_bests(state.best_epoch)
    }

    fn keep_model(&self, new: &Path) -> Result<(), CheckpointError> {
        let model = self.current().join(MODEL);
        if model.exists() {
            std::fs::copy(&model, new.join(MODEL)).map_err(|error| file(&model, error))?;
        }
        Ok(())
    }

    fn swap(&self, new: &Path) -> Result<(), CheckpointError> {
        let (current, old) = (self.folder.join(CURRENT), self.folder.join(OLD));
        if current.exists() {
            if old.exists() {
                std::fs::remove_dir_all(&old).map_err(|error| file(&old, error))?;
            }
            std::fs::rename(&current, &old).map_err(|error| file(&current, error))?;
        }
        std::fs::rename(new, &current).map_err(|error| file(&current, error))?;
        files::sync(&self.folder).map_err(|error| file(&self.folder, error))?;
        if old.exists() {
            std::fs::remove_dir_all(&old).map_err(|error| file(&old, error))?;
        }
        Ok(())
    }

    /// Written whole each time, so that a resumed run leaves no line twice.
    fn write_metrics(&self, state: &State) -> Result<(), CheckpointError> {
        let path = self.folder.join(METRICS);
        let mut text = Vec::new();
        for line in &state.epochs {
            serde_json::to_writer(&mut text, line).map_err(|error| unwritable(&path, &error))?;
            text.write_all(b"\n").map_err(|error| file(&path, error))?;
        }
        files::replace(&path, &text).map_err(|error| file(&path, error))
    }

    fn forget_bests(&self, kept: u32) -> Result<(), CheckpointError> {
        let entries = std::fs::read_dir(&self.folder).map_err(|error| file(&self.folder, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| file(&self.folder, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(BEST) && name != best(kept) {
                std::fs::remove_file(entry.path()).map_err(|error| file(&entry.path(), error))?;
            }
        }
        Ok(())
    }
}

/// Waits until a folder and its files are on the disk: a power cut must not leave a checkpoint of
/// names without their bytes.
fn sync_all(folder: &Path) -> Result<(), CheckpointError> {
    for entry in std::fs::read_dir(folder).map_err(|error| file(folder, error))? {
        let path = entry.map_err(|error| file(folder, error))?.path();
        files::sync(&path).map_err(|error| file(&path, error))?;
    }
    files::sync(folder).map_err(|error| file(folder, error))
}

const BEST: &str = "best-";

fn best(epoch: u32) -> String {
    format!("{BEST}{epoch:04}.bpk")
}

fn file(path: &Path, source: std::io::Error) -> CheckpointError {
    CheckpointError::File { path: path.to_owned(), source }
}

fn unwritable(path: &Path, error: &impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Unwritable { path: path.to_owned(), message: error.to_string() }
}

fn weights(path: &Path, error: &impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Weights { path: path.to_owned(), message: error.to_string() }
}

fn read(network: Network, path: PathBuf) -> Result<Network, CheckpointError> {
    network.try_load_file(&path).map_err(|error| weights(&path, &error))
}

fn write(network: &Network, path: &Path) -> Result<(), CheckpointError> {
    network.clone().save_file(path).map_err(|error| weights(path, &error))
}
