//! `leukd model reference`: what a model's training cells are like, into its bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::error::CliError;
use super::super::images::{files, in_order, read_limited};
use super::super::output::{Output, clean, remark};
use super::super::progress;
use super::load;
use super::sign::replace;
use crate::cell::name::NamePattern;
use crate::cell::{Limits, Measures, decode};
use crate::config::settings::{Settings, Watch};
use crate::model::bundle::{self, BundleSource};
use crate::model::engine::EngineKind;
use crate::model::manifest::MANIFEST_VERSION;
use crate::model::reference::{FALSE_ALARMS, Reference, Sample, fit};
use crate::model::serving::Model;
use crate::result::RESEARCH_USE_ONLY;

/// Write a description of its training cells into a bundle, so that other captures are left to a
/// person
///
/// Measures the cells of a folder and their pooled features. Cells of subjects that the model was
/// not trained on choose the limit. Network, calibration and figures stay the same. The digest
/// changes, so the bundle must be signed again.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReferenceArgs {
    /// The bundle
    bundle: PathBuf,
    /// Folder of its training and validation cells, whose names contain the subject
    #[arg(long, value_name = "DIR")]
    cells: PathBuf,
    /// Subjects that it was not trained on; their cells choose the limit
    #[arg(long, value_name = "SUBJECT", value_delimiter = ',', required = true)]
    validate: Vec<String>,
    /// Largest share of their cells that may be left to a person, 0 to 0.5
    #[arg(long, value_name = "SHARE", default_value_t = FALSE_ALARMS, value_parser = share)]
    false_alarms: f64,
    /// Also count the images left to a person in each folder below this one: other cells, noise,
    /// blank frames
    #[arg(long, value_name = "DIR")]
    others: Option<PathBuf>,
    /// Write the new bundle to this file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.0..=0.5).contains(&share) { Ok(share) } else { Err("write 0 to 0.5".into()) }
}

/// One cell with its subject.
struct Named {
    subject: String,
    sample: Sample,
}

/// Runs it. One bad image does not stop the others.
///
/// # Errors
/// No such bundle or folder; too few cells; the new bundle cannot be written, or does not work.
pub(super) fn run(args: &ReferenceArgs) -> Result<(), CliError> {
    remark(RESEARCH_USE_ONLY);
    let model = load(&BundleSource::File(args.bundle.clone()), EngineKind::default(), None)?;
    let names =
        NamePattern::new(&Settings::default().watch.name_pattern).map_err(CliError::Software)?;
    let (cells, broken) = measured(&args.cells, &model, &names)?;
    let held_out: BTreeSet<&str> = args.validate.iter().map(String::as_str).collect();
    let known: BTreeSet<&str> = cells.iter().map(|cell| cell.subject.as_str()).collect();
    if let Some(unknown) = held_out.iter().find(|subject| !known.contains(*subject)) {
        let message = format!("no cell in {} is of the subject {unknown:?}", args.cells.display());
        return Err(CliError::Usage(message));
    }
    let data = format!(
        "training cells of {}; validated on {}",
        listed(known.difference(&held_out)),
        listed(held_out.iter())
    );
    let (validation, training): (Vec<_>, Vec<_>) =
        cells.into_iter().partition(|cell| held_out.contains(cell.subject.as_str()));
    let [training, validation] = [training, validation]
        .map(|cells| cells.into_iter().map(|cell| cell.sample).collect::<Vec<_>>());
    let reference = fit(data, &training, &validation, args.false_alarms)
        .map_err(|error| CliError::Data(format!("{}: {error}", args.cells.display())))?;
    write(args, &reference)?;
    // As it serves.
    let model = load(&BundleSource::File(args.out.clone()), EngineKind::default(), None)?;
    let others = match &args.others {
        Some(folder) => doubted(folder, &model)?,
        None => BTreeMap::new(),
    };
    told(args, &reference, &others, broken)
}

fn listed<'a>(subjects: impl Iterator<Item = &'a &'a str>) -> String {
    subjects.copied().collect::<Vec<_>>().join(", ")
}

fn write(args: &ReferenceArgs, reference: &Reference) -> Result<(), CliError> {
    let bytes = fs_err::read(&args.bundle).map_err(|error| CliError::NoInput(error.to_string()))?;
    let new = bundle::rewritten(&bytes, |manifest| {
        manifest.version = MANIFEST_VERSION;
        manifest.reference = Some(reference.clone());
    })
    .map_err(|error| CliError::Data(error.to_string()))?;
    replace(&args.out, &new)
}

/// Every image of a folder, measured and through the network; and how many could not be.
fn measured(
    folder: &Path,
    model: &Model,
    names: &NamePattern,
) -> Result<(Vec<Named>, usize), CliError> {
    let files = files(&[folder.to_owned()], &Watch::default().ignore)?;
    let bar = progress::bar(files.len() as u64);
    let (mut cells, mut broken) = (Vec::new(), 0);
    let measure = |file: &Path| -> Result<Named, String> {
        let (measures, features, _) = through(file, model)?;
        let measures = measures.ok_or("nothing in it is not black")?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(Named { subject: names.ids(&name).specimen, sample: Sample { measures, features } })
    };
    in_order(
        &files,
        &|file: &PathBuf| measure(file).map_err(|why| format!("{}: {why}", file.display())),
        |cell| {
            bar.inc(1);
            match cell {
                Ok(cell) => cells.push(cell),
                Err(why) => {
                    broken += 1;
                    bar.suspend(|| remark(&format!("left out: {}", clean(&why))));
                }
            }
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    Ok((cells, broken))
}

/// One image: what it measures, its features (none where the head is not known), and whether it is
/// doubted.
fn through(file: &Path, model: &Model) -> Result<(Option<Measures>, Vec<f32>, bool), String> {
    let limits = Limits::default();
    let bytes = read_limited(file, limits.max_bytes).map_err(|reason| reason.message)?;
    let picture = decode(&bytes, &limits).map_err(|fault| fault.to_string())?;
    let input =
        model.manifest().preprocessing.tensor(&picture).map_err(|fault| fault.to_string())?;
    let seen = model.look(&input).map_err(|error| error.to_string())?;
    let measured = model.measure(&picture).map_err(|fault| fault.to_string())?;
    let doubted = model.verdict(&seen, &measured).judgement.is_doubted();
    Ok((measured.measures, seen.pooled.map(|pooled| pooled.features).unwrap_or_default(), doubted))
}

/// Doubted images and all images, for each folder in `folder`. Unreadable images are left out and
/// reported.
fn doubted(folder: &Path, model: &Model) -> Result<BTreeMap<String, (u64, u64)>, CliError> {
    let files = files(&[folder.to_owned()], &Watch::default().ignore)?;
    let mut counts = BTreeMap::new();
    let judge = |file: &PathBuf| {
        let kind = file.parent().and_then(Path::file_name).unwrap_or_default();
        let judged = through(file, model).map(|(_, _, doubted)| doubted);
        (
            kind.to_string_lossy().into_owned(),
            judged.map_err(|why| format!("{}: {why}", file.display())),
        )
    };
    in_order(&files, &judge, |(kind, judged)| {
        match judged {
            Ok(is_doubted) => {
                let (doubted, all) = counts.entry(kind).or_insert((0, 0));
                *all += 1;
                *doubted += u64::from(is_doubted);
            }
            Err(why) => remark(&format!("left out: {}", clean(&why))),
        }
        Ok(())
    })?;
    Ok(counts)
}

fn told(
    args: &ReferenceArgs,
    reference: &Reference,
    others: &BTreeMap<String, (u64, u64)>,
    broken: usize,
) -> Result<(), CliError> {
    let out = Output::new();
    let limit = reference.features.as_ref().map(|features| features.limit);
    if args.json {
        let others: BTreeMap<_, _> = others
            .iter()
            .map(|(kind, (doubted, all))| (kind, json!({ "doubted": doubted, "images": all })))
            .collect();
        let object = json!({
            "out": args.out,
            "training_cells": reference.cells,
            "validation_cells": reference.validation_cells,
            "false_alarms": reference.false_alarms,
            "limit": limit,
            "bounds": reference.bounds,
            "others": others,
            "left_out": broken,
        });
        return out.line(&object.to_string());
    }
    out.line(&format!(
        "{} training cells; of {} others, of subjects that it was not trained on, {:.1} % are left to a person for \
         being unlike them",
        reference.cells,
        reference.validation_cells,
        reference.false_alarms * 100.0
    ))?;
    for (name, (lower, upper)) in &reference.bounds {
        out.line(&format!("  {name:<11} {lower:.3} to {upper:.3}"))?;
    }
    if let Some(limit) = limit {
        out.line(&format!("  {:<11} at most {limit:.3}", "distance"))?;
    }
    for (kind, (doubted, all)) in others {
        let share = *doubted as f64 / (*all).max(1) as f64 * 100.0;
        out.line(&format!("{}: {doubted} of {all} left to a person ({share:.1} %)", clean(kind)))?;
    }
    Ok(())
}
