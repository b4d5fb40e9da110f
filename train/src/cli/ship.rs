//! `leukd-train ship`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use leukd_cell::preprocess::Preprocessing;
use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_model::bundle::Bundle;
use leukd_model::curves::Epoch;
use leukd_model::discriminant::Discriminant;
use leukd_model::serving::Model;
use leukd_train::dataset::Split;
use leukd_train::discriminant::fit;
use leukd_train::export;
use leukd_train::fit::EpochLine;
use leukd_train::pool::Pooled;
use leukd_train::report::NO_REFERENCE;
use leukd_train::ship::ship;

use super::{Outcome, data};

#[derive(Debug, Args)]
pub(super) struct ShipArgs {
    /// The bundle that was trained on everything (--protocol everything).
    bundle: PathBuf,
    /// A pooled.json of runs of the same recipe and cells: one by subject, and where there is one,
    /// one by image.
    #[arg(long, value_name = "FILE", required = true)]
    figures: Vec<PathBuf>,
    /// Give the bundle a discriminant beside its network, fitted on the morphometry of these cells
    /// (as --data of other commands): all that the bundle was trained on. The figures must have
    /// been pooled with one.
    #[arg(long, value_name = "DIR|CSV")]
    discriminant: Option<PathBuf>,
    /// The metrics.jsonl of the bundle's own run: its learning curve, where the bundle lacks one.
    #[arg(long, value_name = "FILE")]
    learning: Option<PathBuf>,
    /// What the card's readers should know besides, such as what is owed: a paragraph at the card's
    /// end. Without it one that is there stays; an empty text takes it out.
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
    /// The bundle to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(args: &ShipArgs) -> Outcome {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(&args.bundle).map_err(|error| named(&args.bundle, &error))?;
    let figures = args
        .figures
        .iter()
        .map(|path| {
            let text = std::fs::read(path).map_err(|error| named(path, &error))?;
            serde_json::from_slice::<Pooled>(&text)
                .map_err(|error| format!("{}: no pooled figures: {error}", path.display()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let discriminant = args.discriminant.as_deref().map(fitted).transpose()?;
    let learning = args.learning.as_deref().map(learned).transpose()?;
    let shipped = ship(&bytes, &figures, discriminant, learning, args.remark.as_deref())
        .map_err(|error| named(&args.bundle, &error))?;
    // Nothing is written that the daemon would refuse.
    let model = Model::load(Bundle::from_bytes(&shipped, args.out.display().to_string())?)?;
    export::write(&args.out, &shipped)?;
    let manifest = model.manifest();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {} bytes, {}", args.out.display(), shipped.len(), model.digest())?;
    let begins = ["Figures: ", "Calibration: ", "Remark: ", "Unlike its training cells: "];
    let told = if manifest.reference.is_some() { &begins[..] } else { &begins[..3] };
    for part in
        manifest.card.split("\n\n").filter(|part| told.iter().any(|begin| part.starts_with(begin)))
    {
        writeln!(out, "\n{part}")?;
    }
    if manifest.reference.is_none() {
        writeln!(out, "\n{NO_REFERENCE}")?;
    }
    writeln!(
        out,
        "\n`leukd model show {}` prints all of it.\n{RESEARCH_USE_ONLY}",
        args.out.display()
    )?;
    Ok(())
}

/// The discriminant of all cells of `source`, byte-identical copies once.
fn fitted(source: &Path) -> Result<Discriminant, Box<dyn std::error::Error>> {
    let split = Split::all_tested(data::read(source, &Preprocessing::b3())?);
    Ok(fit(&split.test, &format!("all cells of {}", source.display()))?)
}

/// The learning curve of a metrics.jsonl.
fn learned(path: &Path) -> Result<Vec<Epoch>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().enumerate().map(|(at, line)| {
        let line: EpochLine = serde_json::from_str(line)
            .map_err(|error| format!("{}, line {}: {error}", path.display(), at + 1))?;
        Ok(line.point())
    });
    lines.collect()
}
