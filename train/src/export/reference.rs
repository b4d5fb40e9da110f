//! What a bundle knows of its training cells: taken from its own network, by the same fit as
//! `leukd model reference`.

use std::collections::BTreeSet;

use leukd_model::bundle::Bundle;
use leukd_model::manifest::MANIFEST_VERSION;
use leukd_model::reference::{FALSE_ALARMS, Reference, fit};
use leukd_model::serving::Model;

use super::{ExportError, rewritten};
use crate::card::{REFERENCE, with_paragraph};
use crate::dataset::{Cell, Split, ValidationBy, listed};
use crate::evaluate::samples;

/// What came of a bundle's reference.
#[derive(Debug, Clone, PartialEq)]
pub enum Referred {
    /// The bundle holds it.
    Written {
        /// As it was written.
        reference: Box<Reference>,
        /// Why it knows nothing of the network's features, and so only what pictures measure.
        without_features: Option<String>,
    },
    /// The bundle holds none, and doubts nothing: why.
    Without(String),
}

/// The bundle `bytes` with what the training cells of `split`, its own, are like: bounds of what
/// their pictures measure, and where the bundle's very network, in the daemon's engine, puts their
/// features. The limit leaves at most [`FALSE_ALARMS`] of the validation cells to a person. A
/// reference that the bundle held is replaced, or taken out.
///
/// # Errors
///
/// Where `bytes` are no bundle, or the engine cannot run a cell. That there can be no reference is
/// none: see [`Referred::Without`].
pub fn referred(bytes: &[u8], split: &Split) -> Result<(Vec<u8>, Referred), ExportError> {
    let referred = of(bytes, split)?;
    let bytes = rewritten(bytes, |manifest| {
        manifest.version = MANIFEST_VERSION;
        manifest.reference = match &referred {
            Referred::Written { reference, .. } => Some((**reference).clone()),
            Referred::Without(_) => None,
        };
        let paragraph = format!("{REFERENCE}{}", referred.in_words());
        manifest.card = with_paragraph(&manifest.card, REFERENCE, &paragraph);
    })?;
    // The daemon would refuse what does not fit its network.
    Model::load(Bundle::from_bytes(&bytes, "the bundle with its reference")?)?;
    Ok((bytes, referred))
}

fn of(bytes: &[u8], split: &Split) -> Result<Referred, ExportError> {
    if split.validation.is_empty() {
        let why = "there are no validation cells, and only cells that the network was not trained on can choose the limit";
        return Ok(Referred::Without(why.to_owned()));
    }
    let model = Model::load(Bundle::from_bytes(bytes, "the bundle")?)?;
    let training = samples(&model, &split.training)?;
    let validation = samples(&model, &split.validation)?;
    let without_features = model.head().err().map(ToString::to_string);
    Ok(match fit(data(split), &training, &validation, FALSE_ALARMS) {
        Ok(reference) => Referred::Written { reference: Box::new(reference), without_features },
        Err(error) => Referred::Without(error.to_string()),
    })
}

/// Which cells, and whose.
fn data(split: &Split) -> String {
    let subjects = |cells: &[Cell]| {
        let names: BTreeSet<&str> = cells
            .iter()
            .map(|cell| cell.subject.as_str())
            .filter(|name| !name.is_empty())
            .collect();
        if names.is_empty() {
            return "subjects that nobody names".to_owned();
        }
        format!("subjects {}", listed(names))
    };
    let validated = match split.validation_by {
        ValidationBy::Subject => subjects(&split.validation),
        ValidationBy::Image => {
            "other cells of the same subjects: of a new subject's cells more may be doubted"
                .to_owned()
        }
    };
    format!("training cells of {}; limit chosen on {validated}", subjects(&split.training))
}

impl Referred {
    /// In whole sentences, for a card and a terminal.
    #[must_use]
    pub fn in_words(&self) -> String {
        let (reference, without_features) = match self {
            Self::Without(why) => {
                return format!(
                    "nothing is known, so nothing is left to a person for being unlike them: {why}. `leukd model reference` \
                     writes it into the bundle."
                );
            }
            Self::Written { reference, without_features } => (reference, without_features),
        };
        let by = match without_features {
            None => String::new(),
            Some(why) => format!(
                " By what the pictures measure alone, not by the network's features: {why}."
            ),
        };
        format!(
            "what differs from {} training cells is left to a person. Of {} validation cells that are {:.1} % ({:.1} % was \
             asked for; {}).{by}",
            reference.cells,
            reference.validation_cells,
            reference.false_alarms * 100.0,
            reference.asked_false_alarms * 100.0,
            reference.data,
        )
    }
}
