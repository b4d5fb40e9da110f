//! A discriminant beside the network of every run: its score joins the logits of the tested cells.

use std::collections::HashMap;
use std::path::Path;

use leukd_journal::result::Digest;
use serde::{Deserialize, Serialize};

use super::{PoolError, Run};
use crate::dataset::{Cell, Dataset, Side};
use crate::discriminant::{SHARE, fit};
use crate::evaluate::{About, Evaluation, Prediction, fit_temperature};

/// The recipe tells by this key the share of a discriminant beside the network.
pub const DISCRIMINANT: &str = "discriminant.share";

/// Scores of tested cells, each by the discriminant of the run that tested it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores(Vec<Score>);

/// A line of the CSV.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Score {
    /// Last part of the run's folder.
    run: String,
    /// The cell's file name.
    name: String,
    /// Added to its logit of `all`.
    score: f64,
}

impl Scores {
    /// Fits a discriminant for each run on its own training cells alone and scores its tested
    /// cells. `data` holds the pictures of all cells.
    ///
    /// # Errors
    ///
    /// Where `data` lacks a cell, or a discriminant cannot be fitted, naming the run.
    pub fn of(runs: &[Run], data: &Dataset) -> Result<Self, PoolError> {
        let cells: HashMap<Digest, &Cell> =
            data.cells.iter().map(|cell| (cell.digest, cell)).collect();
        let mut scores = Vec::new();
        for run in runs {
            let find = |digest: &Digest, name: &str| {
                cells.get(digest).copied().ok_or_else(|| {
                    let place = data.source.display();
                    let problem =
                        format!("{name} (SHA-256 {digest}) is not among the cells of {place}");
                    wrong(run, "split.csv", problem)
                })
            };
            // A told split has no pictures; the data do. The person is the split's.
            let training = run.split.side(Side::Training).iter().map(|told| {
                let found = find(&told.digest, &told.name)?;
                Ok(Cell { subject: told.subject.clone(), ..found.clone() })
            });
            let training: Vec<Cell> = training.collect::<Result<_, _>>()?;
            let own = fit(&training, "training cells of a fold")
                .map_err(|error| wrong(run, "split.csv", error.to_string()))?;
            for (digest, one) in &run.tested {
                let seen = find(digest, &one.name)?.morphometry.as_ref();
                let score = seen.map_or(0.0, |seen| own.score(seen));
                scores.push(Score { run: short(run), name: one.name.clone(), score });
            }
        }
        Ok(Self(scores))
    }

    /// Reads what [`Scores::csv`] wrote.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, naming it.
    pub fn read(path: &Path) -> Result<Self, PoolError> {
        let failed = |error: csv::Error| PoolError::File {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let mut table = csv::Reader::from_path(path).map_err(failed)?;
        Ok(Self(table.deserialize().collect::<Result<_, _>>().map_err(failed)?))
    }

    /// As a CSV: `run`, `name`, `score`.
    ///
    /// # Errors
    ///
    /// None in practice: it is written to memory.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut table = csv::Writer::from_writer(Vec::new());
        self.0.iter().try_for_each(|line| table.serialize(line))?;
        table.into_inner().map_err(|error| csv::Error::from(error.into_error()))
    }

    /// `runs` as their bundles would have tested with their discriminants.
    ///
    /// Each run's temperature is fitted anew, on what the *other* runs tested. A single run has no
    /// others and takes `temperature`.
    ///
    /// # Errors
    ///
    /// Where a tested cell has no score, naming run and cell.
    pub fn apply(
        &self,
        mut runs: Vec<Run>,
        temperature: Option<f64>,
    ) -> Result<Vec<Run>, PoolError> {
        let known: HashMap<(&str, &str), f64> =
            self.0.iter().map(|line| ((&*line.run, &*line.name), line.score)).collect();
        for run in &mut runs {
            let own = short(run);
            for at in 0..run.tested.len() {
                let name = &run.tested[at].1.name;
                let Some(score) =
                    known.get(&(&*own, &**name)).copied().filter(|score| score.is_finite())
                else {
                    let problem = format!("the scores have no number for {name} of {own}");
                    return Err(wrong(run, "predictions.csv", problem));
                };
                run.tested[at].1.logits[0] += score;
            }
            run.recipe.insert(DISCRIMINANT.to_owned(), SHARE.to_string());
        }
        let temperatures = temperatures(&runs, temperature)?;
        for (run, temperature) in runs.iter_mut().zip(temperatures) {
            run.measure_again(temperature);
        }
        Ok(runs)
    }
}

fn short(run: &Run) -> String {
    run.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn wrong(run: &Run, field: &str, problem: String) -> PoolError {
    PoolError::Run { run: run.folder.clone(), field: field.to_owned(), problem }
}

fn temperatures(runs: &[Run], given: Option<f64>) -> Result<Vec<f64>, PoolError> {
    if let [one] = runs {
        let problem = "with a discriminant it comes from other runs, and there is none: give --temperature, that of \
                       the runs by subject";
        let given =
            given.ok_or_else(|| wrong(one, "calibration.temperature", problem.to_owned()))?;
        return Ok(vec![given]);
    }
    let of = |at: usize| {
        let others = runs.iter().enumerate().filter(|(other, _)| *other != at);
        let tested = others.flat_map(|(_, run)| run.tested.iter().map(|(_, one)| one.clone()));
        fit_temperature(&tested.collect::<Vec<_>>())
    };
    Ok((0..runs.len()).map(of).collect())
}

impl Run {
    /// The evaluation of `tested` as it is now. Which captures were doubted stays: that is the
    /// network's.
    fn measure_again(&mut self, temperature: f64) {
        let before = &self.evaluation;
        let mut calibration = before.calibration;
        calibration.temperature = temperature;
        let about = About {
            side: before.side,
            protocol: before.protocol,
            split: before.split.clone(),
            training_digest: before.training_digest.clone(),
            recipe: self.recipe.clone(),
            model: before.model.clone(),
            calibration,
            seen: before.seen,
            baseline: before.baseline.as_ref().map(|baseline| baseline.cut),
            folds: Vec::new(),
            seed: before.seed,
        };
        let tested: Vec<Prediction> = self.tested.iter().map(|(_, one)| one.clone()).collect();
        let served = before.served.clone();
        self.evaluation = Evaluation { served, ..Evaluation::of(&tested, &about) };
    }
}
