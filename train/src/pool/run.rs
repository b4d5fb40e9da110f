//! One run that tested: its files, and whether they are of one making.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use leukd_journal::result::Digest;
use leukd_model::bundle::Bundle;
use serde::Deserialize;

use super::PoolError;
use crate::dataset::{LABELS, Protocol, Side, Split};
use crate::evaluate::{Evaluation, Prediction, SIDES, Seen, THRESHOLD};

/// The most that a P(all) in `predictions.csv` may differ from what its logits give at the run's
/// temperature: both were written as the shortest text that reads back as the same number.
const ROUNDING: f64 = 1e-9;

/// A run that tested: what `leukd train` or `leukd train evaluate --out` wrote into its folder.
#[derive(Debug, Clone)]
pub struct Run {
    pub(super) folder: PathBuf,
    /// Of the test side.
    pub(super) evaluation: Evaluation,
    /// Each setting by its name, and what the run itself adds.
    pub(super) recipe: BTreeMap<String, String>,
    /// Who stood where, without pictures.
    pub(super) split: Split,
    /// Of the test side, each with its picture's digest.
    pub(super) tested: Vec<(Digest, Prediction)>,
}

/// A line of `predictions.csv`; its other columns do not count.
#[derive(Debug, Deserialize)]
struct Line {
    side: String,
    name: String,
    subject: String,
    label: String,
    p_all: f64,
    logit_all: f64,
    logit_hem: f64,
    area: u64,
}

impl Run {
    /// Reads `evaluation.json`, `predictions.csv` and `split.csv` of `folder`, and where the first
    /// tells no recipe, as before it did, that of `model.onnx`.
    ///
    /// # Errors
    ///
    /// Where a file is missing or damaged, no test side was measured, the cells may have been known
    /// to the model, or the files contradict each other.
    pub fn read(folder: &Path) -> Result<Self, PoolError> {
        let evaluation = test_side(folder)?;
        let path = folder.join("split.csv");
        let split = Split::told(&path)
            .map_err(|error| PoolError::File { path, problem: error.to_string() })?;
        let recipe = recipe(folder, &evaluation)?;
        let predictions = predictions(&folder.join("predictions.csv"))?;
        let wrong = |field: &str, problem: String| PoolError::Run {
            run: folder.to_owned(),
            field: field.to_owned(),
            problem,
        };
        check_making(&evaluation, &split, &recipe)
            .map_err(|(field, problem)| wrong(field, problem))?;
        let tested = placed(&predictions, &evaluation, &split)
            .map_err(|problem| wrong("predictions.csv", problem))?;
        Ok(Self { folder: folder.to_owned(), evaluation, recipe, split, tested })
    }
}

fn test_side(folder: &Path) -> Result<Evaluation, PoolError> {
    let path = folder.join("evaluation.json");
    let failed = |problem: String| PoolError::File { path: path.clone(), problem };
    let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    let sides: Vec<Evaluation> =
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    let mut tested = sides.into_iter().filter(|one| one.side == Side::Test);
    match (tested.next(), tested.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(failed("no test side was measured".to_owned())),
        (Some(_), Some(_)) => Err(failed("it tells of several test sides".to_owned())),
    }
}

fn recipe(folder: &Path, evaluation: &Evaluation) -> Result<BTreeMap<String, String>, PoolError> {
    if !evaluation.recipe.is_empty() {
        return Ok(evaluation.recipe.clone());
    }
    let path = folder.join("model.onnx");
    let failed = |problem: String| PoolError::File { path: path.clone(), problem };
    let again = "evaluation.json was written before it told the recipe: measure the bundle anew with `leukd-train \
                 evaluate --out`";
    let bundle = Bundle::read(&path).map_err(|error| failed(format!("{error}; {again}")))?;
    if bundle.digest().to_string() != evaluation.model.digest {
        return Err(failed(format!("it is not the bundle that was measured; {again}")));
    }
    Ok(bundle.manifest().training.recipe.clone())
}

fn predictions(path: &Path) -> Result<Vec<(Prediction, f64)>, PoolError> {
    let failed = |problem: String| PoolError::File { path: path.to_owned(), problem };
    let mut table = csv::Reader::from_path(path).map_err(|error| failed(error.to_string()))?;
    let mut predictions = Vec::new();
    for line in table.deserialize() {
        let line: Line = line.map_err(|error| failed(error.to_string()))?;
        if line.side != Side::Test.as_str() {
            continue;
        }
        let label = LABELS.iter().position(|known| *known == line.label).ok_or_else(|| {
            failed(format!("{}: the label {:?} is neither all nor hem", line.name, line.label))
        })?;
        let Line { name, subject, area, .. } = line;
        let logits = [line.logit_all, line.logit_hem];
        predictions.push((Prediction { name, logits, label, subject, area }, line.p_all));
    }
    Ok(predictions)
}

/// # Errors
///
/// The field that shows that the files are not of one making, or that the figures are none of new
/// cells.
fn check_making(
    evaluation: &Evaluation,
    split: &Split,
    recipe: &BTreeMap<String, String>,
) -> Result<(), (&'static str, String)> {
    match evaluation.seen {
        // That the weights began as another model's is told with the figures.
        Seen::No | Seen::Inherited => {}
        Seen::Steered | Seen::Trained | Seen::Unknown => {
            return Err(("seen", evaluation.seen.warning().unwrap_or_default().to_owned()));
        }
    }
    if evaluation.protocol == Protocol::Everything || evaluation.protocol != split.protocol {
        let problem =
            format!("{}, and the sides of split.csv are {}", evaluation.protocol, split.protocol);
        return Err(("protocol", problem));
    }
    if evaluation.training_digest != split.training_digest().to_string() {
        return Err(("training_digest", "it is not that of split.csv's training side".to_owned()));
    }
    if recipe.get(SIDES).is_some_and(|told| *told != split.sides_digest().to_string()) {
        return Err((
            SIDES,
            "the bundle was trained on other sides than split.csv tells of".to_owned(),
        ));
    }
    if evaluation.calibration.threshold != THRESHOLD {
        let problem = format!("{}, not {THRESHOLD}", evaluation.calibration.threshold);
        return Err(("calibration.threshold", problem));
    }
    Ok(())
}

/// The predictions with the digests of their pictures.
///
/// # Errors
///
/// Where they are not those of the split's test side, or not of the model that was evaluated.
fn placed(
    predictions: &[(Prediction, f64)],
    evaluation: &Evaluation,
    split: &Split,
) -> Result<Vec<(Digest, Prediction)>, String> {
    let mut places: HashMap<(&str, usize, &str), Vec<Digest>> = HashMap::new();
    for cell in &split.test {
        places.entry((&cell.name, cell.label, &cell.subject)).or_default().push(cell.digest);
    }
    let temperature = evaluation.calibration.temperature;
    let mut tested = Vec::with_capacity(predictions.len());
    for (one, p_all) in predictions {
        let place = places.get_mut(&(one.name.as_str(), one.label, one.subject.as_str()));
        let Some(digest) = place.and_then(Vec::pop) else {
            return Err(format!("{} is not among the test cells of split.csv", one.name));
        };
        let off = (one.probability(temperature) - p_all).abs();
        if off.is_nan() || off > ROUNDING {
            return Err(format!(
                "{}: P(all) is {p_all}, and its logits give {} at the temperature of evaluation.json",
                one.name,
                one.probability(temperature)
            ));
        }
        tested.push((digest, one.clone()));
    }
    let (found, due) = (tested.len(), split.test.len());
    if found != due || found as u64 != evaluation.counts.cells {
        return Err(format!(
            "it has {found} test cells, split.csv {due} and evaluation.json {}",
            evaluation.counts.cells
        ));
    }
    Ok(tested)
}
