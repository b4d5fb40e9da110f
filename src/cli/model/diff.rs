//! `leukd model diff`: two bundles on the images of one folder, before one takes the other's place.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::side::{Answer, Comparison, DECISIONS, Pair};
use crate::cell::{Limits, decode};
use crate::cli::error::CliError;
use crate::cli::images::{files, in_order, read_limited};
use crate::cli::output::{Output, Table, clean, remark};
use crate::cli::progress;
use crate::cli::settings::SettingsArgs;
use crate::model::bundle::BundleSource;
use crate::model::engine::EngineKind;
use crate::model::serving::Model;
use crate::model::verdict::Verdict;
use crate::result::RESEARCH_USE_ONLY;

/// Flipped images named in each direction; `--json` names all.
const NAMED: usize = 5;

/// Said wherever the truth is known.
const CAUTION: &str = "If either model was trained on these files, its figures are too good: only cells of subjects \
     that neither has seen tell which one is better.";

/// Compare two bundles on a folder of images: agreement, flips, and figures with known labels
///
/// Every image of the folder and its subfolders goes through both bundles. A folder named `all` or
/// `hem`, as in C-NMC, gives its images that label. Unreadable images are listed and left out. The
/// configured review band applies too (decision.review).
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DiffArgs {
    /// The first bundle: the one in service now
    a: PathBuf,
    /// The second bundle: its successor
    b: PathBuf,
    /// Folder of images, with its subfolders
    folder: PathBuf,
    /// Read this file too; it overrides /etc/leukd/leukd.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Operators that run both networks
    #[arg(long, value_enum, default_value_t)]
    engine: EngineKind,
    /// One JSON object with every figure and every file that flipped
    #[arg(long)]
    json: bool,
}

/// An image that was left out.
#[derive(Debug, Serialize)]
struct Broken {
    path: String,
    reason: String,
}

/// Which bundle.
#[derive(Debug, Serialize)]
struct Named {
    id: String,
    digest: String,
    origin: String,
    precision: String,
}

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    a: Named,
    b: Named,
    folder: String,
    broken: &'a [Broken],
    #[serde(flatten)]
    comparison: &'a Comparison,
    caution: &'static str,
    notice: &'static str,
}

/// Runs it.
///
/// # Errors
/// The configuration; a bundle that does not work; a folder that is not there or has no images; no
/// image that could be read at all.
pub(super) fn run(args: &DiffArgs) -> Result<(), CliError> {
    remark(RESEARCH_USE_ONLY);
    let settings = SettingsArgs::of_file(args.config.as_ref())?;
    let review = settings.decision.review;
    let load = |path: &PathBuf| super::load(&BundleSource::File(path.clone()), args.engine, review);
    let models = [&args.a, &args.b].map(load);
    let [a, b] = models;
    let models = [a?, b?];
    let files = files(std::slice::from_ref(&args.folder), &settings.watch.ignore)?;
    let bar = progress::bar(files.len() as u64);
    let limits = Limits::default();
    let (mut pairs, mut broken) = (Vec::with_capacity(files.len()), Vec::new());
    let compare = |file: &PathBuf| {
        let path = file.strip_prefix(&args.folder).unwrap_or(file).display().to_string();
        match answers(file, &models, &limits) {
            Ok(answers) => Ok(Pair { truth: truth(file), path, answers }),
            Err(reason) => Err(Broken { path, reason }),
        }
    };
    in_order(&files, &compare, |compared| {
        bar.inc(1);
        match compared {
            Ok(pair) => pairs.push(pair),
            Err(file) => broken.push(file),
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let Some(comparison) = Comparison::of(&pairs) else {
        let first = broken.first().map_or("", |file| file.reason.as_str());
        let folder = args.folder.display();
        return Err(CliError::Data(format!(
            "{folder}: none of its {} images can be compared; the first: {first}",
            broken.len()
        )));
    };
    let out = Output::new();
    if args.json {
        return json(args, &models, &broken, &comparison, &out);
    }
    people(&models, &broken, &comparison, &out)
}

/// Both answers on one image, which is decoded once.
fn answers(file: &Path, models: &[Model; 2], limits: &Limits) -> Result<[Answer; 2], String> {
    let bytes = read_limited(file, limits.max_bytes).map_err(|reason| reason.message)?;
    let picture = decode(&bytes, limits).map_err(|fault| fault.message().to_owned())?;
    let answer = |model: &Model| {
        let manifest = model.manifest();
        let input = manifest.preprocessing.tensor(&picture).map_err(|fault| fault.to_string())?;
        let seen = model.look(&input).map_err(|error| error.to_string())?;
        let measured = model.measure(&picture).map_err(|fault| fault.to_string())?;
        let Verdict { probabilities, judgement, .. } = model.verdict(&seen, &measured);
        let place = manifest.labels.iter().position(|label| label == "all").unwrap_or_default();
        let all = probabilities.get(place).copied().unwrap_or_default();
        let blast = all >= manifest.calibration.threshold;
        Ok::<_, String>(Answer { all, blast, decision: judgement.decision })
    };
    Ok([answer(&models[0])?, answer(&models[1])?])
}

/// The label that the image's folder gives.
fn truth(file: &Path) -> Option<bool> {
    match file.parent()?.file_name()?.to_str()? {
        "all" => Some(true),
        "hem" => Some(false),
        _ => None,
    }
}

fn named(model: &Model) -> Named {
    Named {
        id: model.manifest().id.clone(),
        digest: model.digest().to_string(),
        origin: model.origin().to_owned(),
        precision: model.manifest().precision.as_str().to_owned(),
    }
}

fn json(
    args: &DiffArgs,
    models: &[Model; 2],
    broken: &[Broken],
    comparison: &Comparison,
    out: &Output,
) -> Result<(), CliError> {
    let report = Report {
        a: named(&models[0]),
        b: named(&models[1]),
        folder: args.folder.display().to_string(),
        broken,
        comparison,
        caution: CAUTION,
        notice: RESEARCH_USE_ONLY,
    };
    let text = serde_json::to_string(&report)
        .map_err(|error| CliError::Software(format!("cannot write JSON: {error}")))?;
    out.line(&text)
}

fn people(
    models: &[Model; 2],
    broken: &[Broken],
    comparison: &Comparison,
    out: &Output,
) -> Result<(), CliError> {
    for (letter, model) in ["A", "B"].into_iter().zip(models) {
        let Named { id, digest, origin, precision } = named(model);
        out.line(&clean(&format!("{letter}  {id} {precision} {digest} {origin}")))?;
    }
    if models[0].digest() == models[1].digest() {
        out.line("A and B are the same file.")?;
    }
    let images = comparison.images;
    out.line(&format!("\n{images} images, {} left out", broken.len()))?;
    out.line(&format!(
        "agreement      {:.2} % on which side of its own threshold P(all) lies",
        comparison.agreement * 100.0
    ))?;
    flips("hem → all", &comparison.flips_to_all, out)?;
    flips("all → hem", &comparison.flips_to_hem, out)?;
    out.line(&clean(&format!(
        "|Δ P(all)|     mean {:.4}, largest {:.4} ({})",
        comparison.mean_difference, comparison.largest_difference, comparison.largest_difference_of
    )))?;
    out.line("\nDecisions: rows are A's, columns are B's")?;
    let mut table = Table::new(&["", "all", "hem", "review"]);
    for (decision, row) in DECISIONS.iter().zip(&comparison.decisions) {
        let mut cells = vec![decision.as_str().to_owned()];
        cells.extend(row.iter().map(usize::to_string));
        table.row(cells, None);
    }
    table.print(out)?;
    if let Some(truth) = &comparison.truth {
        let (all, hem) = (truth.all, truth.hem);
        out.line(&format!("\nAgainst the folders' names: {all} all, {hem} hem"))?;
        let mut table = Table::new(&["", "A", "B", "B − A"]);
        for (name, a, b) in [
            ("accuracy", truth.a.accuracy, truth.b.accuracy),
            ("sensitivity", truth.a.sensitivity, truth.b.sensitivity),
            ("specificity", truth.a.specificity, truth.b.specificity),
        ] {
            let share = |value: Option<f64>| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{:.2} %", value * 100.0))
            };
            let change = a
                .zip(b)
                .map_or_else(|| "-".to_owned(), |(a, b)| format!("{:+.2} points", (b - a) * 100.0));
            table.row(vec![name.to_owned(), share(a), share(b), change], None);
        }
        table.print(out)?;
        out.line(CAUTION)?;
    }
    if !broken.is_empty() {
        out.line("\nLeft out:")?;
        for Broken { path, reason } in broken {
            out.line(&clean(&format!("  {path}: {reason}")))?;
        }
    }
    Ok(())
}

/// The count, and the first few names.
fn flips(direction: &str, paths: &[String], out: &Output) -> Result<(), CliError> {
    let mut line = format!("{direction}      {}", paths.len());
    if let Some(first) = paths.get(..paths.len().min(NAMED)).filter(|first| !first.is_empty()) {
        line += &format!(": {}", first.join(", "));
        if paths.len() > NAMED {
            line += &format!(" and {} more (--json names all)", paths.len() - NAMED);
        }
    }
    out.line(&clean(&line))
}
