//! Measuring the sides of a split, and what is written of it.

use std::path::{Path, PathBuf};

use leukd_journal::result::Timestamp;
use leukd_model::serving::Model;
use leukd_train::dataset::{Cell, LABELS, Side, Split};
use leukd_train::evaluate::{
    About, Answer, AreaCut, Evaluation, Prediction, Seen, answers, others,
};
use leukd_train::fit::EpochLine;
use leukd_train::report::{
    self, BundleFacts, Curve, Facts, Machine, SplitFacts, Variant, pictures, put,
};

/// One side with everything that was found on it.
pub(super) struct Measured<'a> {
    cells: &'a [Cell],
    answers: Vec<Answer>,
    /// What was measured.
    pub(super) evaluation: Evaluation,
}

/// What a report tells besides the evaluations, where it is known.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// The run, epoch by epoch.
    pub(super) curves: Vec<Curve>,
    /// Forms of the bundle.
    pub(super) variants: Vec<Variant>,
    /// Files that were left out.
    pub(super) broken: Option<Vec<(PathBuf, String)>>,
    /// What trained it.
    pub(super) device: Option<String>,
    /// Whether the page shows no cells.
    pub(super) no_pictures: bool,
}

/// What the report tells besides figures of cells.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Report")]
pub(super) struct ReportArgs {
    /// Tell too how many images of each folder in this one the model leaves to a person for being
    /// unlike its training cells: other kinds of cells, other stains, whole smears. What leukd
    /// draws itself is told without it.
    #[arg(long, value_name = "DIR")]
    pub(super) others: Option<PathBuf>,
    /// Leave the pictures of cells out of report.html, for a page that goes where they may not. The
    /// subjects' names and the paths of files that could not be read stay in it.
    #[arg(long)]
    pub(super) no_pictures: bool,
}

impl ReportArgs {
    /// Whether the folder is one: better said now than after the training.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.others {
            Some(folder) if !folder.is_dir() => {
                Err(format!("--others {}: it is no folder", folder.display()))
            }
            _ => Ok(()),
        }
    }
}

/// The curve of a run's `metrics.jsonl`, a line an epoch.
///
/// # Errors
///
/// Names the file, and the line that is none of an epoch.
pub(super) fn curves(path: &Path) -> Result<Vec<Curve>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.lines()
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line).as_ref().map(curve).map_err(|error| {
                format!("{}:{}: no line of a run's metrics: {error}", path.display(), at + 1)
            })
        })
        .collect()
}

/// An epoch as the report draws it.
pub(super) fn curve(line: &EpochLine) -> Curve {
    Curve {
        epoch: line.epoch,
        training_loss: line.loss,
        validation_loss: Some(line.validation_loss),
        training_accuracy: Some(line.accuracy),
        accuracy: line.validation.accuracy,
        balanced_accuracy: line.validation.balanced_accuracy,
        auroc: line.validation.auroc,
        learning_rate: Some(line.learning_rate),
    }
}

/// Runs each of `sides` through the daemon's engine, and what is no such cell.
pub(super) fn measure<'a>(
    model: &Model,
    split: &Split,
    sides: Vec<(Side, &'a [Cell])>,
    report: &ReportArgs,
    seed: u64,
) -> Result<Vec<Measured<'a>>, Box<dyn std::error::Error>> {
    let manifest = model.manifest();
    if sides.is_empty() {
        return Ok(Vec::new());
    }
    let others = others(model, report.others.as_deref())?;
    sides
        .into_iter()
        .map(|(side, cells)| {
            let answers = answers(model, cells)?;
            let about = About {
                side,
                protocol: split.protocol_of(side),
                split: split.in_words(),
                training_digest: split.training_digest().to_string(),
                recipe: manifest.training.recipe.clone(),
                model: model.reference(),
                calibration: manifest.calibration,
                seen: Seen::of(manifest, split, side),
                baseline: AreaCut::fit(split.training.iter().map(|cell| (cell.area, cell.label))),
                folds: Vec::new(),
                seed,
            };
            let has_reference = manifest.reference.is_some();
            let evaluation = Evaluation::of_answers(&answers, &about, has_reference, &others);
            Ok(Measured { cells, answers, evaluation })
        })
        .collect()
}

/// `evaluation.json`, `predictions.csv`, `split.csv` and the report into `folder`; the report's
/// path.
pub(super) fn write(
    folder: &Path,
    model: &Model,
    split: &Split,
    measured: &[Measured<'_>],
    extra: Extra,
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let named = |error: std::io::Error| format!("cannot write {}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(named)?;
    let manifest = model.manifest();
    let evaluations: Vec<_> = measured.iter().map(|one| one.evaluation.clone()).collect();
    put(&folder.join("evaluation.json"), &serde_json::to_vec_pretty(&evaluations)?)?;
    put(&folder.join("predictions.csv"), &predictions(measured)?)?;
    let record = folder.join("split.csv");
    let same = |told: Split| told.sides_digest() == split.sides_digest();
    if record.exists() && !Split::told(&record).is_ok_and(same) {
        return Err(format!(
            "{} tells of another split: give another --out, or move it away",
            record.display()
        )
        .into());
    }
    split.write_csv(&record)?;
    let shown =
        measured.iter().filter(|_| !extra.no_pictures).max_by_key(|one| one.evaluation.side);
    let device = extra.device.map_or_else(String::new, |device| format!("trained on {device}; "));
    let facts = Facts {
        bundle: BundleFacts {
            id: manifest.id.clone(),
            digest: model.digest().to_string(),
            precision: manifest.precision.as_str().to_owned(),
            trainer: manifest.training.trainer.clone(),
            trained_at: manifest.training.trained_at.clone(),
            data: manifest.training.data.clone(),
            card: manifest.card.clone(),
        },
        made_at: Timestamp(jiff::Timestamp::now().as_millisecond()).to_rfc3339(),
        evaluations,
        curves: extra.curves,
        split: SplitFacts { broken: extra.broken, ..SplitFacts::of(split) },
        recipe: manifest.training.recipe.clone().into_iter().collect(),
        variants: extra.variants,
        machine: Machine::here(format!("{device}measured on the CPU by the daemon's engine")),
        pictures: shown.map_or_else(Vec::new, |one| {
            let size = manifest.preprocessing.size;
            let predictions: Vec<Prediction> =
                one.answers.iter().map(|answer| answer.prediction.clone()).collect();
            pictures(&predictions, one.cells, &manifest.calibration, size)
        }),
    };
    Ok(report::write(&facts, folder)?.page)
}

/// `predictions.csv`: a line for each cell, with what the daemon decides about it, and the codes of
/// the reasons.
fn predictions(measured: &[Measured<'_>]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "side",
        "name",
        "subject",
        "label",
        "p_all",
        "logit_all",
        "logit_hem",
        "decision",
        "area",
        "reasons",
    ])?;
    for one in measured {
        for Answer { prediction, all, decision, reasons } in &one.answers {
            table.write_record([
                one.evaluation.side.as_str(),
                &prediction.name,
                &prediction.subject,
                LABELS[prediction.label],
                &all.to_string(),
                &prediction.logits[0].to_string(),
                &prediction.logits[1].to_string(),
                decision.as_str(),
                &prediction.area.to_string(),
                &reasons.join(" "),
            ])?;
        }
    }
    Ok(table.into_inner().map_err(|error| error.to_string())?)
}
