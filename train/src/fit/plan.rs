//! What a run is asked to do, and what it tells meanwhile.

use burn::tensor::Device;

use super::checkpoint::Checkpoint;
use super::state::EpochLine;
use super::stop::Stop;
use crate::dataset::Split;
use crate::network::Network;
use crate::recipe::Recipe;

/// What is to be run.
#[derive(Debug)]
pub struct Plan<'a> {
    /// How.
    pub recipe: &'a Recipe,
    /// On which cells; both sides must hold both classes.
    pub split: &'a Split,
    /// Where it is kept.
    pub folder: &'a Checkpoint,
    /// Where it begins.
    pub start: Start,
    /// What computes, without autodiff.
    pub device: Device,
    /// The device's name, for the record.
    pub device_name: String,
    /// Threads that make batches ahead of the device.
    pub loaders: usize,
    /// When to end before it is done.
    pub stop: Stop,
}

/// Where a training begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// With random weights.
    Fresh,
    /// Where the run in the same folder stopped.
    Resume,
    /// With these weights, on the plan's device.
    From {
        /// Without autodiff.
        network: Box<Network>,
        /// Where they came from, in words.
        origin: String,
        /// [`super::State::inherited`].
        inherited: bool,
    },
}

/// One step's outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The epoch, from 1.
    pub epoch: u32,
    /// The step within it, from 1.
    pub step: u64,
    /// Steps of the epoch.
    pub of: u64,
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// Share of the epoch's cells so far that were classified rightly.
    pub accuracy: f64,
    /// The learning rate.
    pub rate: f64,
}

/// Is told how a run goes.
pub trait Observer {
    /// After each step.
    fn step(&mut self, step: &Step);
    /// Before an epoch's validation.
    fn validating(&mut self, epoch: u32);
    /// After each epoch.
    fn epoch(&mut self, line: &EpochLine);
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It is over.
    Done,
    /// It was stopped, and can go on.
    Stopped,
}
