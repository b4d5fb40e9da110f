//! What training steps said, read back from the device.

use burn::tensor::{Device, Tensor};

use super::checkpoint::CheckpointError;
use super::state::Partial;

/// Reading waits for everything that a graphics card was asked for before, so that it idles while
/// the next step is put together: one reading serves so many steps.
const STEPS: usize = 8;

/// What a step said, still on the device.
#[derive(Debug)]
struct Said {
    /// The logits, `[cells · 2]`, then the loss.
    numbers: Tensor<1>,
    labels: Vec<usize>,
    epoch: u32,
    /// From 1.
    step: u64,
    rate: f64,
}

/// Collects what steps say until it is read.
#[derive(Debug)]
pub(super) struct Readings {
    said: Vec<Said>,
    /// How many steps at most wait.
    most: usize,
}

impl Readings {
    /// On the processor each step is read at once: nothing runs ahead there.
    pub(super) fn new(device: &Device) -> Self {
        Self { said: Vec::new(), most: if *device == Device::flex() { 1 } else { STEPS } }
    }

    /// Takes `logits` `[cells, 2]` and `loss` of a step, and reads those that wait if they are
    /// many.
    pub(super) fn take(
        &mut self,
        (logits, loss): (Tensor<2>, Tensor<1>),
        labels: Vec<usize>,
        (epoch, step): (u32, u64),
        rate: f64,
        partial: &mut Partial,
    ) -> Result<(), CheckpointError> {
        let logits: Tensor<1> = logits.without_autodiff().flatten(0, 1);
        let numbers = Tensor::cat(vec![logits, loss.without_autodiff()], 0);
        self.said.push(Said { numbers, labels, epoch, step, rate });
        if self.said.len() >= self.most { self.read(partial) } else { Ok(()) }
    }

    /// Adds all that waits to `partial`.
    ///
    /// # Errors
    ///
    /// Where a loss is no number any more.
    pub(super) fn read(&mut self, partial: &mut Partial) -> Result<(), CheckpointError> {
        let said = std::mem::take(&mut self.said);
        if said.is_empty() {
            return Ok(());
        }
        let all = Tensor::cat(said.iter().map(|said| said.numbers.clone()).collect(), 0);
        // An f32 tensor always reads back as f32.
        let all: Vec<f32> = all.into_data().iter::<f32>().collect();
        let mut rest = all.as_slice();
        for Said { labels, epoch, step, rate, .. } in said {
            let (logits, after) = rest.split_at(2 * labels.len());
            let Some((loss, after)) = after.split_first() else { break };
            rest = after;
            let loss = f64::from(*loss);
            if !loss.is_finite() {
                return Err(CheckpointError::Diverged { epoch, step, rate, loss });
            }
            let guesses = logits.chunks_exact(2).map(|pair| usize::from(pair[1] > pair[0]));
            partial.seen += labels.len() as u64;
            partial.loss += loss * labels.len() as f64;
            partial.right +=
                guesses.zip(&labels).filter(|(guess, label)| guess == *label).count() as u64;
        }
        Ok(())
    }
}
