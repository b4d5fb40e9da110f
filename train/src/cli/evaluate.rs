//! `leukd-train evaluate`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_model::bundle::Bundle;
use leukd_model::manifest::Manifest;
use leukd_model::serving::Model;
use leukd_train::dataset::{Cell, LABELS, Protocol, Side, Split};
use leukd_train::evaluate::Evaluation;
use leukd_train::fit::Checkpoint;
use leukd_train::report::{counted, number, title_and_meaning, with_interval};

use super::Outcome;
use super::data::{self, DataArgs};
use super::measure::{Extra, ReportArgs, curves, measure, write};
use super::served;

#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// The model bundle.
    bundle: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Which side of the split is measured; all: each side that has cells, one after the other,
    /// never pooled.
    #[arg(long, value_enum, default_value = "test")]
    side: Sides,
    /// Measure every cell of --data, whoever's it is: for a bundle that was trained on other data.
    /// The flags of the split mean nothing then.
    #[arg(long, conflicts_with = "side")]
    everything: bool,
    /// One JSON object a side, a line each, instead of tables.
    #[arg(long)]
    json: bool,
    /// Write evaluation.json, predictions.csv, split.csv, report.html and figures/ into this
    /// folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The metrics.jsonl of the run that the bundle is of: its learning curve comes into the
    /// report.
    #[arg(long, value_name = "FILE", requires = "out")]
    metrics: Option<PathBuf>,
    /// Seeds the bootstrap of the intervals.
    #[arg(long, default_value_t = 0)]
    bootstrap_seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sides {
    /// Fitted on: tells what was learnt by heart.
    Training,
    /// Calibrated on.
    Validation,
    /// Held out from everything.
    Test,
    /// Each of them.
    All,
}

pub(super) fn run(args: &EvaluateArgs) -> Outcome {
    args.report.check()?;
    let curves = args.metrics.as_deref().map(curves).transpose()?.unwrap_or_default();
    let model = Model::load(Bundle::read(&args.bundle)?)?;
    let manifest = model.manifest();
    if let Some(folder) = &args.out
        && Checkpoint::open(folder).exists()
    {
        return Err(format!(
            "{} is a run's folder and has a report of its own: give --out another one",
            folder.display()
        )
        .into());
    }
    let split = if args.everything {
        Split::all_tested(data::read(&args.data.data, &manifest.preprocessing)?)
    } else {
        let split = args.data.split(&manifest.preprocessing)?;
        tests_something(&split)?;
        same_protocol(manifest, &split)?;
        split
    };
    let sides = chosen(args.side, &split)?;
    let measured = measure(&model, &split, sides, &args.report, args.bootstrap_seed)?;
    let mut out = std::io::stdout().lock();
    for one in &measured {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&one.evaluation)?)?;
        } else {
            print(&mut out, &one.evaluation)?;
        }
    }
    if let Some(folder) = &args.out {
        let extra = Extra { curves, no_pictures: args.report.no_pictures, ..Extra::default() };
        let page = write(folder, &model, &split, &measured, extra)?;
        if !args.json {
            writeln!(out, "{}", page.display())?;
        }
    }
    if !args.json {
        writeln!(out, "{RESEARCH_USE_ONLY}")?;
    }
    Ok(())
}

/// # Errors
///
/// Where nothing is kept apart: whatever were measured would pass for accuracy on new cells.
fn tests_something(split: &Split) -> Outcome {
    if split.protocol != Protocol::Everything {
        return Ok(());
    }
    Err("this split has no test side, and its validation cells are the training subjects': nothing on it can be \
         measured. The figures of a model that was trained on everything come from runs that tested (`leukd-train \
         pool`, then `ship`); on cells from elsewhere --everything measures it"
        .into())
}

/// # Errors
///
/// Where the bundle was trained under another protocol: under either mix the test side holds what
/// the bundle may have been trained on.
fn same_protocol(manifest: &Manifest, split: &Split) -> Outcome {
    let word = split.protocol.to_string();
    let own = manifest.training.protocol.as_str();
    if own == word {
        return Ok(());
    }
    if own == Protocol::Everything.as_str() {
        let figures = if manifest.metrics.iter().any(|metric| metric.siblings.is_some()) {
            "Its card tells the figures of siblings that tested (`leukd model show`); the siblings' own bundles repeat them \
             here, and `leukd train pool` from their runs"
        } else {
            "Its figures come from runs that tested (`leukd train pool`, then `ship`)"
        };
        return Err(format!(
            "the bundle was trained on all cells of its data, so no side of a split of them is new to it. {figures}. On \
             cells from elsewhere --everything measures it"
        )
        .into());
    }
    Err(format!(
        "the bundle was trained on a split by {own:?} and these cells are split by {word:?}: its \
         training may have seen the cells or the subjects that the figures would stand on. Split \
         them as the bundle's were (its manifest tells: {})",
        manifest.training.split
    )
    .into())
}

/// The sides that were asked for and have cells.
///
/// # Errors
///
/// Where there is none; the message names those that have.
fn chosen(sides: Sides, split: &Split) -> Result<Vec<(Side, &[Cell])>, String> {
    let every = [
        (Sides::Training, Side::Training, split.training.as_slice()),
        (Sides::Validation, Side::Validation, split.validation.as_slice()),
        (Sides::Test, Side::Test, split.test.as_slice()),
    ];
    let filled = every.into_iter().filter(|(_, _, cells)| !cells.is_empty());
    let chosen: Vec<_> = filled
        .clone()
        .filter(|(name, _, _)| sides == *name || sides == Sides::All)
        .map(|(_, side, cells)| (side, cells))
        .collect();
    if chosen.is_empty() {
        let others: Vec<_> = filled.map(|(_, side, _)| side.as_str()).collect();
        return Err(format!(
            "the split has no cells on the side that was asked for; --side may be {}",
            others.join(", ")
        ));
    }
    Ok(chosen)
}

/// The tables of one side.
pub(super) fn print(out: &mut impl Write, of: &Evaluation) -> std::io::Result<()> {
    let counts = &of.counts;
    let protocol = of.protocol;
    writeln!(out, "{} on the {} side, split by {protocol}", of.model.id, of.side.as_str())?;
    writeln!(
        out,
        "{}: {} all of {}, {} hem of {}",
        counted(counts.cells, "cell"),
        counts.all,
        counted(counts.all_subjects, "subject"),
        counts.hem,
        counted(counts.hem_subjects, "subject")
    )?;
    for caveat in &of.caveats {
        writeln!(out, "WARNING: {caveat}")?;
    }
    writeln!(out, "\n{:<34} {:>6}  95 % interval, over {}", "figure", "value", of.resampled)?;
    for (name, estimate) in of.figures.named() {
        let interval = estimate
            .interval
            .map_or_else(|| "–".to_owned(), |(low, high)| format!("{low:.3} to {high:.3}"));
        let (title, _) = title_and_meaning(name);
        writeln!(out, "{title:<34} {:>6}  {interval}", number(estimate.value))?;
    }
    let confusion = &of.confusion;
    writeln!(out, "\nat threshold {:.2}  {:>8} {:>8}", of.calibration.threshold, "all", "hem")?;
    for (truth, as_all, as_hem) in [
        (LABELS[0], confusion.all_as_all, confusion.all_as_hem),
        (LABELS[1], confusion.hem_as_all, confusion.hem_as_hem),
    ] {
        writeln!(out, "  truth {truth:<10}  {as_all:>8} {as_hem:>8}")?;
    }
    let review = &of.review;
    writeln!(
        out,
        "review band {:.2} to {:.2}: {} of {} cells; wrong outside it {}, without it {}",
        review.band.0,
        review.band.1,
        review.cells,
        counts.cells,
        number(review.error_outside),
        number(review.error_without)
    )?;
    served::print(out, of)?;
    writeln!(
        out,
        "\n{:<16} {:<5} {:>6} {:>6} {:>6} {:>7} {:>6}  accuracy, 95 % interval",
        "subject", "truth", "cells", "right", "band", "P(all)", "score"
    )?;
    for row in &of.subjects {
        // A name comes from a file: control characters in it would steer the terminal.
        let subject = match row.subject.escape_debug().to_string() {
            name if name.is_empty() => "–".to_owned(),
            name => name,
        };
        writeln!(
            out,
            "{subject:<16} {:<5} {:>6} {:>6} {:>6} {:>7.3} {:>6}  {:.3} ({:.3} to {:.3})",
            row.label,
            row.cells,
            row.right,
            row.review,
            row.mean_probability,
            row.score.map_or_else(|| "–".to_owned(), |score| format!("{score:.2}")),
            row.accuracy,
            row.interval.0,
            row.interval.1
        )?;
    }
    match &of.baseline {
        Some(baseline) => writeln!(
            out,
            "\ncell area alone, cut at {:.0} px on the training side: balanced accuracy {}, \
             AUROC {}\n",
            baseline.cut.area,
            with_interval(&baseline.figures.balanced_accuracy),
            with_interval(&baseline.figures.auroc)
        ),
        None => writeln!(out, "\nno baseline: the training side lacks a class\n"),
    }
}
