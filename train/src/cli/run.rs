//! Starting, watching and stopping a run.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use leukd_train::compute::{Compute, Numbers};
use leukd_train::dataset::Split;
use leukd_train::files;
use leukd_train::fit::{
    Checkpoint, CheckpointError, Ending, HEADING, Plan, Start, State, Stop, fit,
};
use leukd_train::init;
use leukd_train::network::Network;
use leukd_train::recipe::Recipe;

use super::progress::Progress;

/// Threads that make batches ahead of the device, where none are asked for: the device needs the
/// rest.
const LOADERS: u16 = 2;

/// Where a run is kept and what computes it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunArgs {
    /// The run's folder.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Go on where the run in --out stopped.
    #[arg(long, conflicts_with = "init")]
    pub(super) resume: bool,
    /// Begin with these weights: Keras' .h5, timm's or torchvision's .safetensors or .pth, a
    /// bundle, or the folder of another run.
    #[arg(long, value_name = "FILE")]
    pub(super) init: Option<PathBuf>,
    /// A teacher's P(all) of every training cell: a CSV with the columns name and p_all, such as
    /// the predictions.csv of an evaluation. The recipe's distil.weight is its share of the
    /// targets. A teacher that was fitted on the test side's subjects makes the figures worthless.
    #[arg(long, value_name = "FILE")]
    pub(super) targets: Option<PathBuf>,
    /// What computes: cpu, cuda, cuda:N or vulkan.
    #[arg(long, default_value = "cpu")]
    pub(super) device: Compute,
    /// Stop the training after this many minutes of it; `--resume` goes on as if nothing had
    /// happened.
    #[arg(long, value_name = "MINUTES")]
    pub(super) max_minutes: Option<f64>,
    /// Threads that make batches ahead of the device.
    #[arg(long, value_name = "COUNT", default_value_t = LOADERS,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) loaders: u16,
}

type Problem = Box<dyn std::error::Error>;

impl RunArgs {
    /// The run's folder, where it may begin.
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, Problem> {
        let checkpoint = Checkpoint::open(&self.out);
        if !self.resume && checkpoint.exists() {
            return Err(format!(
                "{} holds a run already: give --resume to go on with it, or another --out",
                self.out.display()
            )
            .into());
        }
        Ok(checkpoint)
    }

    /// Gives the training cells their teacher's targets.
    pub(super) fn teach(&self, recipe: &Recipe, split: &mut Split) -> Result<(), Problem> {
        match &self.targets {
            None if recipe.distil.weight > 0.0 => Err(format!(
                "the recipe's distil.weight is {}, and there is no teacher: give --targets",
                recipe.distil.weight
            )
            .into()),
            Some(_) if recipe.distil.weight == 0.0 => {
                let example = "give --set distil.weight=0.7, for example";
                Err(format!("--targets means nothing while distil.weight is 0: {example}").into())
            }
            None => Ok(()),
            Some(path) => Ok(split.teach(path)?),
        }
    }

    /// The run's folder with what decides it, so that it can be read, and given again. A run that
    /// is gone on with must be this one: what it was started with is not overwritten by anything
    /// else.
    pub(super) fn prepare(
        &self,
        recipe: &Recipe,
        split: &Split,
        checkpoint: &Checkpoint,
    ) -> Result<(), Problem> {
        let folder = &self.out;
        if self.resume {
            match checkpoint.resumable(recipe, split) {
                Ok(_) | Err(CheckpointError::Ended(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let path = folder.join("recipe.toml");
        files::replace(&path, recipe.to_toml().as_bytes())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        split.write_csv(&folder.join("split.csv"))?;
        Ok(())
    }

    /// Where the run begins; what `--init` brought is said.
    pub(super) fn start(&self, recipe: &Recipe, out: &mut impl Write) -> Result<Start, Problem> {
        if self.resume {
            return Ok(Start::Resume);
        }
        let Some(path) = &self.init else {
            if recipe.name == "seed" {
                writeln!(
                    out,
                    "Note: the seed's recipe was made for weights that know ImageNet already (--init). From random \
                     weights take --recipe modern."
                )?;
            }
            return Ok(Start::Fresh);
        };
        let device = self.device.device(Numbers::F32)?;
        device.seed(recipe.steps.seed);
        let fresh = Network::new(&recipe.architecture(), &recipe.regularisation(), &device);
        let (network, comparison) = init::start(fresh, path)?;
        writeln!(out, "{}", comparison.summary())?;
        for note in comparison.notes.iter().chain(&comparison.folded) {
            writeln!(out, "  {note}")?;
        }
        // A head of ours comes from a model of such cells; a backbone alone knows other pictures.
        let inherited = comparison.at_random.is_empty();
        Ok(Start::From { network: Box::new(network), origin: comparison.summary(), inherited })
    }

    /// Runs it, with a line an epoch on the standard output and a bar on a terminal.
    pub(super) fn fit(
        &self,
        recipe: &Recipe,
        split: &Split,
        checkpoint: &Checkpoint,
        start: Start,
    ) -> Result<(State, Ending), Problem> {
        let device = self.device.device(Numbers::F32)?;
        let limit = match self.max_minutes {
            None => None,
            Some(minutes) => Some(
                Duration::try_from_secs_f64(minutes * 60.0)
                    .map_err(|error| format!("--max-minutes {minutes}: {error}"))?,
            ),
        };
        let stop = Stop::after(limit);
        stop_on_signals(&stop)?;
        let plan = Plan {
            recipe,
            split,
            folder: checkpoint,
            start,
            device,
            device_name: self.device.to_string(),
            loaders: self.loaders.into(),
            stop: stop.clone(),
        };
        let mut progress = Progress::new();
        progress.line(HEADING);
        let (state, ending) = match fit(&plan, &mut progress) {
            // What comes after the training may have been interrupted: that is gone on with.
            Err(CheckpointError::Ended(_)) => (checkpoint.state()?, Ending::Done),
            outcome => outcome?,
        };
        // From here on a signal ends the program: every file is written whole, and --resume does
        // the rest.
        stop.end();
        progress.finish();
        let mut out = std::io::stdout();
        match ending {
            Ending::Done => {
                let why = state.ended.as_deref().unwrap_or("all epochs are done");
                writeln!(out, "The training is over: {why}. Best epoch: {}.", state.best_epoch)?;
            }
            Ending::Stopped => {
                let why = if stop.is_asked() { "a signal" } else { "--max-minutes" };
                writeln!(
                    out,
                    "Stopped by {why} in epoch {}. Give the same command with --resume to go on.",
                    state.epochs_done() + 1
                )?;
            }
        }
        Ok((state, ending))
    }
}

/// The first signal ends the run after its step; a second one ends the program at once.
fn stop_on_signals(stop: &Stop) -> Result<(), Problem> {
    let stop = stop.clone();
    ctrlc::set_handler(move || {
        if stop.is_asked() || stop.has_ended() {
            // 128 + SIGINT, as a shell reports it.
            std::process::exit(130);
        }
        stop.ask();
        let _ = writeln!(std::io::stderr(), "stopping after this step; once more: at once");
    })
    .map_err(|error| format!("signals cannot be handled: {error}").into())
}
