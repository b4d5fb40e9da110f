//! One run from its start, or from where it stopped, to its end.

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};

use super::checkpoint::{CheckpointError, Tensors};
use super::loader::{Batch, Loader};
use super::loss::loss;
use super::order::batches;
use super::plan::{Ending, Observer, Plan, Start, Step};
use super::plateau::{Plateau, PlateauSettings, Verdict};
use super::readings::Readings;
use super::schedule::Cosine;
use super::state::{EpochLine, Partial, State};
use super::validate::{refresh_norms, validate};
use crate::evaluate::Figures;
use crate::network::{Network, Output};
use crate::optim::{Average, optimizer};
use crate::recipe::{Kept, Schedule};

/// Runs `plan` and keeps everything in its folder after every epoch and where it is stopped.
///
/// On the processor a run that was stopped and resumed gives the same weights, bit for bit, as one
/// that was not, unless the recipe's length is given by the clock.
///
/// # Errors
///
/// Where a checkpoint cannot be written or read, or does not fit the plan.
pub fn fit(
    plan: &Plan<'_>,
    observer: &mut dyn Observer,
) -> Result<(State, Ending), CheckpointError> {
    let _lock = plan.folder.lock()?;
    let mut run = Run::begin(plan)?;
    let recipe = plan.recipe;
    while run.state.epochs_done() < recipe.steps.epochs {
        if plan.stop.is_due() || !run.epoch(observer)? {
            run.keep_midway()?;
            return Ok((run.state, Ending::Stopped));
        }
        if run.state.ended.is_some() {
            return Ok((run.state, Ending::Done));
        }
    }
    Ok((run.state, Ending::Done))
}

struct Run<'a> {
    plan: &'a Plan<'a>,
    state: State,
    /// With autodiff.
    device: Device,
    network: Network,
    optimizer: ModuleOptimizer,
    average: Option<Average>,
    readings: Readings,
    before: f64,
    began: Instant,
    /// When the last checkpoint was written.
    kept: Instant,
}

/// A long epoch is kept so often, so that a crash costs no more.
const KEEP_EVERY: Duration = Duration::from_secs(600);

impl<'a> Run<'a> {
    fn begin(plan: &'a Plan<'a>) -> Result<Self, CheckpointError> {
        let recipe = plan.recipe;
        let device = plan.device.clone().autodiff();
        device.seed(recipe.steps.seed);
        let fresh = || Network::new(&recipe.architecture(), &recipe.regularisation(), &plan.device);
        let mut optimizer = optimizer(&recipe.optimizer);
        let mut state = State::new(recipe.clone(), plan.split);
        state.device.clone_from(&plan.device_name);
        let averages = recipe.average.decay > 0.0;
        let mut average = None;
        let network = match &plan.start {
            Start::Fresh => fresh(),
            Start::From { network, origin, inherited } => {
                state.initial = Some(origin.clone());
                state.inherited = *inherited;
                network.valid()
            }
            Start::Resume => {
                state = plan.folder.resumable(recipe, plan.split)?;
                optimizer = plan.folder.optimizer(optimizer)?;
                if averages {
                    let network = plan.folder.averaged(fresh())?;
                    average = Some(Average::new(network, recipe.average.decay, state.averaged));
                }
                plan.folder.raw(fresh())?
            }
        };
        if averages && average.is_none() {
            average = Some(Average::new(network.valid(), recipe.average.decay, 0));
        }
        if let Schedule::Plateau { .. } = recipe.schedule {
            let fresh = Plateau::new(recipe.optimizer.learning_rate);
            state.plateau.get_or_insert(fresh);
        }
        let before = state.seconds;
        let network = network.trained_as(&recipe.regularisation()).train();
        let readings = Readings::new(&plan.device);
        let now = Instant::now();
        Ok(Self {
            plan,
            state,
            device,
            network,
            optimizer,
            average,
            readings,
            before,
            began: now,
            kept: now,
        })
    }

    fn elapsed(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// The rest of the current epoch, its validation and its checkpoint; false where it was stopped
    /// in its midst.
    fn epoch(&mut self, observer: &mut dyn Observer) -> Result<bool, CheckpointError> {
        let recipe = self.plan.recipe;
        let epoch = self.state.epochs_done() + 1;
        let frozen = epoch <= recipe.optimizer.frozen_epochs;
        let order = batches(recipe, self.plan.split, epoch);
        let already = self.state.partial.seconds;
        let began = Instant::now();
        let mut rate = self.rate(epoch, self.state.partial.steps, order.len());
        let first = usize::try_from(self.state.partial.steps).unwrap_or(usize::MAX);
        let whole = std::thread::scope(|scope| -> Result<bool, CheckpointError> {
            let split = self.plan.split;
            let loader =
                Loader::start(scope, recipe, split, epoch, first, &order, self.plan.loaders);
            for batch in loader {
                // A run by the clock may end between two epochs' last steps.
                rate = self.rate(epoch, self.state.partial.steps, order.len());
                self.step(batch, epoch, frozen, rate)?;
                let Partial { steps, loss, right, seen, .. } = self.state.partial;
                observer.step(&Step {
                    epoch,
                    step: steps,
                    of: order.len() as u64,
                    // Nothing has been read yet in a graphics card's first steps.
                    loss: loss / seen.max(1) as f64,
                    accuracy: right as f64 / seen.max(1) as f64,
                    rate,
                });
                if self.is_out_of_time() {
                    break;
                }
                if self.plan.stop.is_due() && steps < order.len() as u64 {
                    return Ok(false);
                }
                if self.kept.elapsed() >= KEEP_EVERY {
                    self.state.partial.seconds = already + began.elapsed().as_secs_f64();
                    self.keep_midway()?;
                }
            }
            Ok(true)
        })?;
        // Only what has been read has been done.
        self.readings.read(&mut self.state.partial)?;
        self.state.partial.seconds = already + began.elapsed().as_secs_f64();
        if !whole {
            return Ok(false);
        }
        observer.validating(epoch);
        self.finish(epoch, frozen, rate, &order, observer)?;
        Ok(true)
    }

    fn step(
        &mut self,
        batch: Batch,
        epoch: u32,
        frozen: bool,
        rate: f64,
    ) -> Result<(), CheckpointError> {
        let recipe = self.plan.recipe;
        let step = self.state.partial.steps;
        // Each step draws from its own seed, so that a resumed run goes on as it would have.
        self.device.seed(mixed(recipe.steps.seed, epoch, step));
        let labels = batch.labels().to_vec();
        let output = if frozen {
            // The backbone does not see training at all: its statistics stand still too.
            let (inputs, targets) = batch.tensors(&self.plan.device);
            let features = self.network.valid().features(inputs);
            let output = self.network.head.forward(Tensor::from_inner(features));
            (output, Tensor::from_inner(targets))
        } else {
            let (inputs, targets) = batch.tensors(&self.device);
            (self.network.head.forward(self.network.features(inputs)), targets)
        };
        let (output, targets): (Output, Tensor<2>) = output;
        let loss = loss(&output, targets, &self.network.head.hidden, &recipe.regularisation);
        let said = (output.logits, loss.clone());
        self.readings.take(said, labels, (epoch, step + 1), rate, &mut self.state.partial)?;
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        // The optimizer takes the network and gives it back.
        let network = self.network.clone();
        self.network = self.optimizer.step(rate, network, gradients);
        self.state.partial.steps += 1;
        if self.unaveraged() == 0 {
            self.take_in(recipe.average.every);
        }
        Ok(())
    }

    /// Steps of this epoch that the averaged weights have not taken in.
    fn unaveraged(&self) -> u32 {
        let left = self.state.partial.steps % u64::from(self.plan.recipe.average.every);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Averages the weights as they are, for `count` steps.
    fn take_in(&mut self, count: u32) {
        if let Some(average) = self.average.take() {
            self.average = Some(average.update(&self.network, count));
        }
    }

    /// The learning rate of `step`, from 0, of `epoch`.
    fn rate(&self, epoch: u32, step: u64, steps: usize) -> f64 {
        let recipe = self.plan.recipe;
        match recipe.schedule {
            Schedule::Plateau { .. } => {
                self.state.plateau.map_or(recipe.optimizer.learning_rate, |plateau| plateau.rate)
            }
            Schedule::Cosine { warm_up } => {
                let cosine = Cosine {
                    peak: recipe.optimizer.learning_rate,
                    steps: steps as u64 * u64::from(recipe.steps.epochs),
                    seconds: recipe.steps.minutes.map(|minutes| minutes * 60.0),
                    warm_up,
                };
                let done = u64::from(epoch - 1) * steps as u64 + step;
                cosine.rate(cosine.progress(done, self.elapsed()))
            }
        }
    }

    fn is_out_of_time(&self) -> bool {
        self.plan.recipe.steps.minutes.is_some_and(|minutes| self.elapsed() >= minutes * 60.0)
    }

    /// Validates, judges and keeps an epoch whose steps are done.
    fn finish(
        &mut self,
        epoch: u32,
        frozen: bool,
        rate: f64,
        order: &[Vec<usize>],
        observer: &mut dyn Observer,
    ) -> Result<(), CheckpointError> {
        let Plan { recipe, split, device, .. } = self.plan;
        // An epoch's last steps count too, however many there are.
        if self.unaveraged() > 0 {
            self.take_in(self.unaveraged());
        }
        let plain = self.network.valid();
        let mut model =
            self.average.as_ref().map_or_else(|| plain.clone(), |a| a.network().valid());
        if recipe.average.refresh_norms > 0 && !frozen {
            model = refresh_norms(&model, recipe, split, order, epoch, &self.device);
        }
        let validation = validate(&model, &split.validation, recipe, device);
        let figures = Figures::of(&validation.predictions, 1.0, 0.5);
        let partial = self.state.partial;
        let accuracy = partial.right as f64 / partial.seen as f64;
        let verdict = self.judge(accuracy, validation.loss);
        let best = verdict.map_or_else(|| self.state.is_best(&figures), |verdict| verdict.best);
        if best {
            self.state.best_epoch = epoch;
        }
        let seconds = partial.seconds;
        self.state.partial = Partial::default();
        self.state.seconds = self.elapsed();
        self.state.averaged = self.average.as_ref().map_or(0, Average::steps);
        let next_learning_rate = self.rate(epoch + 1, 0, order.len());
        let line = EpochLine {
            epoch,
            frozen,
            loss: partial.loss / partial.seen as f64,
            accuracy,
            validation_loss: validation.loss,
            validation: figures,
            learning_rate: rate,
            next_learning_rate,
            monitor: verdict.map(|verdict| verdict.monitor),
            improvement: verdict.map(|verdict| verdict.improvement),
            best,
            seconds,
            cells_per_second: partial.seen as f64 / seconds.max(1e-9),
        };
        self.state.epochs.push(line.clone());
        self.state.ended = self.end(verdict);
        let mut weights = plain;
        if verdict.is_some_and(|verdict| verdict.restore) && self.state.best_epoch > 0 {
            // As the notebook's callback: the next epoch begins with the best weights.
            let fresh = weights.clone();
            weights = self.plan.folder.weights(fresh, Kept::Best)?;
        }
        let tensors = Tensors {
            weights: &weights,
            optimizer: &self.optimizer,
            average: self.average.as_ref().map(Average::network),
            model: Some(&model),
            best,
        };
        self.plan.folder.save(&self.state, &tensors)?;
        self.kept = Instant::now();
        self.network = weights.train();
        observer.epoch(&line);
        Ok(())
    }

    fn judge(&mut self, accuracy: f64, validation_loss: f64) -> Option<Verdict> {
        let Schedule::Plateau { threshold, factor, patience, stop_after } =
            self.plan.recipe.schedule
        else {
            return None;
        };
        let settings = PlateauSettings { threshold, factor, patience, stop_after };
        let plateau = self.state.plateau.as_mut()?;
        Some(plateau.judge(&settings, accuracy, validation_loss))
    }

    /// Why the run is over after the epoch that was just added, if it is.
    fn end(&self, verdict: Option<Verdict>) -> Option<String> {
        if verdict.is_some_and(|verdict| verdict.stop) {
            return Some("the learning rate was cut as often in a row as the recipe allows".into());
        }
        if self.is_out_of_time() {
            return Some("its minutes are over".into());
        }
        // Having done all epochs is no end for good: the same run may be given more.
        None
    }

    /// Keeps a run that was stopped in the midst of an epoch, or between two.
    fn keep_midway(&mut self) -> Result<(), CheckpointError> {
        self.readings.read(&mut self.state.partial)?;
        self.state.seconds = self.elapsed();
        self.state.averaged = self.average.as_ref().map_or(0, Average::steps);
        let weights = self.network.valid();
        let tensors = Tensors {
            weights: &weights,
            optimizer: &self.optimizer,
            average: self.average.as_ref().map(Average::network),
            model: None,
            best: false,
        };
        self.plan.folder.save(&self.state, &tensors)?;
        self.kept = Instant::now();
        Ok(())
    }
}

/// A seed of its own for each step of each epoch: the finaliser of SplitMix64 (Steele et al. 2014).
fn mixed(seed: u64, epoch: u32, step: u64) -> u64 {
    let mut z = seed ^ (u64::from(epoch) << 40) ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
