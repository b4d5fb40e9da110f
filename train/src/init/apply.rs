//! A file's tensors against a network's parameters, and into them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::comparison::{Comparison, Match, Mismatch, Missing, Unexpected};
use super::error::InitError;
use super::plan::{Planned, plan};
use super::read::read;
use super::tensors::{Format, Stored, Tensors};
use crate::network::Network;

/// Holds what [`plan`](super::plan()) asks for against what the file has. Changes nothing.
#[must_use]
pub fn compare(network: &Network, tensors: &Tensors) -> Comparison {
    gather(network, tensors).0
}

/// `network` with the file's weights, and what was done.
///
/// The whole backbone is applied, or nothing. The head may be missing whole, where the file holds
/// a backbone alone; then it keeps the weights that it has.
///
/// # Errors
///
/// [`InitError::Misfit`] where a parameter finds no tensor, a tensor has another shape or numbers
/// that cannot be, or a tensor finds no parameter.
pub fn apply(network: Network, tensors: &Tensors) -> Result<(Network, Comparison), InitError> {
    let (mut comparison, mut values) = gather(&network, tensors);
    if !comparison.fits() {
        return Err(InitError::Misfit(Box::new(comparison)));
    }
    comparison.folded = tensors.origin.fold(&mut values);
    let network = network.with_parameters(|parameter| values.remove(&parameter.name()));
    Ok((network, comparison))
}

/// [`read`] and [`apply`]: `network` with the weights of `path`, and what was done.
///
/// # Errors
///
/// See [`InitError`].
pub fn start(network: Network, path: &Path) -> Result<(Network, Comparison), InitError> {
    apply(network, &read(path)?)
}

fn gather(network: &Network, tensors: &Tensors) -> (Comparison, BTreeMap<String, Vec<f32>>) {
    let mut comparison = Comparison {
        path: tensors.path.clone(),
        sha256: tensors.digest,
        format: tensors.format,
        applied: Vec::new(),
        at_random: Vec::new(),
        missing: Vec::new(),
        mismatched: Vec::new(),
        unexpected: Vec::new(),
        left_out: tensors.left_out.clone(),
        folded: Vec::new(),
        notes: tensors.notes.clone(),
    };
    let plan = plan(network, tensors.format);
    let find = |planned: &Planned| {
        let key = planned.theirs.as_deref()?;
        tensors.tensors.get_key_value(key)
    };
    // A head that is there in part is damaged; one that is not there at all is a backbone's file.
    // Our own files are always whole.
    let headless = matches!(tensors.format, Format::Keras | Format::Timm | Format::Torchvision)
        && plan.iter().all(|planned| !planned.in_head || find(planned).is_none());
    let mut values = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for planned in plan {
        let Some((key, stored)) = find(&planned) else {
            let list = if planned.in_head && headless {
                &mut comparison.at_random
            } else {
                &mut comparison.missing
            };
            let theirs = planned.theirs.filter(|_| !(planned.in_head && headless));
            list.push(Missing { ours: planned.ours, shape: planned.shape, theirs });
            continue;
        };
        taken.insert(key);
        let (theirs, their_shape) = (stored.name.clone(), stored.shape.clone());
        match take(&planned, stored) {
            Ok(restored) => {
                values.insert(planned.ours.clone(), restored);
                let Planned { ours, shape, .. } = planned;
                comparison.applied.push(Match { ours, shape, theirs, their_shape });
            }
            Err(problem) => {
                let Planned { ours, shape, .. } = planned;
                let mismatch = Mismatch { ours, shape, theirs, their_shape, problem };
                comparison.mismatched.push(mismatch);
            }
        }
    }
    for (key, stored) in &tensors.tensors {
        if !taken.contains(key) {
            let unexpected = Unexpected { name: stored.name.clone(), shape: stored.shape.clone() };
            comparison.unexpected.push(unexpected);
        }
    }
    (comparison, values)
}

/// The tensor's numbers as ours, or why not.
fn take(planned: &Planned, stored: &Stored) -> Result<Vec<f32>, String> {
    if stored.shape != planned.their_shape {
        return Err(format!("{:?} is needed there", planned.their_shape));
    }
    let values = match &stored.values {
        Ok(values) => values,
        Err(kind) => return Err(format!("numbers of type {kind}; floating point is needed")),
    };
    let count = values.len();
    if count != planned.shape.iter().product::<usize>() {
        return Err(format!("{count} numbers, which is not what its shape says"));
    }
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!("number {place} is {}", values[place]));
    }
    if planned.ours.ends_with(".variance")
        && let Some(place) = values.iter().position(|value| *value < 0.0)
    {
        return Err(format!("number {place} is {}; no variance is negative", values[place]));
    }
    Ok(planned.layout.restored(values, &planned.shape))
}
