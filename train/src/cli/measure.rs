//! Measuring the sides of a split, and what is written of it.

use std::path::{Path, PathBuf};

use leukd::model::serving::Model;
use leukd::result::Timestamp;
use leukd_train::dataset::{Cell, LABELS, Side, Split};
use leukd_train::evaluate::{
    About, AreaCut, EngineRunError, Evaluation, Prediction, Seen, through_engine,
};
use leukd_train::report::{
    self, BundleFacts, Curve, Facts, Machine, SplitFacts, Variant, pictures, put,
};

/// One side with everything that was found on it.
pub(super) struct Measured<'a> {
    cells: &'a [Cell],
    predictions: Vec<Prediction>,
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
}

/// Runs each of `sides` through the daemon's engine.
pub(super) fn measure<'a>(
    model: &Model,
    split: &Split,
    sides: Vec<(Side, &'a [Cell])>,
    seed: u64,
) -> Result<Vec<Measured<'a>>, EngineRunError> {
    let manifest = model.manifest();
    sides
        .into_iter()
        .map(|(side, cells)| {
            let predictions = through_engine(model, cells)?;
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
                seed,
            };
            let evaluation = Evaluation::of(&predictions, &about);
            Ok(Measured { cells, predictions, evaluation })
        })
        .collect()
}

/// `evaluation.json`, `predictions.csv`, `split.csv` and the report into `folder`; the report's path.
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
    put(&folder.join("predictions.csv"), &predictions(model, measured)?)?;
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
    let shown = measured.iter().max_by_key(|one| one.evaluation.side);
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
            pictures(&one.predictions, one.cells, &manifest.calibration, size)
        }),
    };
    Ok(report::write(&facts, folder)?.page)
}

/// `predictions.csv`: a line for each cell, with what leukd suggests for it.
fn predictions(
    model: &Model,
    measured: &[Measured<'_>],
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let calibration = &model.manifest().calibration;
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
    ])?;
    for one in measured {
        for prediction in &one.predictions {
            let p = prediction.probability(calibration.temperature);
            table.write_record([
                one.evaluation.side.as_str(),
                &prediction.name,
                &prediction.subject,
                LABELS[prediction.label],
                &p.to_string(),
                &prediction.logits[0].to_string(),
                &prediction.logits[1].to_string(),
                calibration.decide(p).as_str(),
                &prediction.area.to_string(),
            ])?;
        }
    }
    Ok(table.into_inner().map_err(|error| error.to_string())?)
}
