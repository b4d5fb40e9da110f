//! `leukd-train pool`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use leukd_cell::preprocess::Preprocessing;
use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_train::evaluate::{AreaFigures, Estimate, OperatingPoint, SIDES, Thresholds};
use leukd_train::pool::{DISCRIMINANT, Pooled, Run, Scores};
use leukd_train::report::{counted, number, put, title_and_meaning, with_interval};

use super::{Outcome, data};

#[derive(Debug, Args)]
pub(super) struct PoolArgs {
    /// The runs' folders: of the whole command, or of `evaluate --out`. By subject the runs of all
    /// folds, by image one or more.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Take a single fold of a split by subject too; it is said how many cells nobody tested.
    #[arg(long)]
    partial: bool,
    /// Pool the runs as if each bundle held a discriminant beside its network, fitted on the
    /// morphometry of the run's own training cells: these data hold every cell's picture (as
    /// --data of other commands). The scores go to scores.csv beside pooled.json.
    #[arg(long, value_name = "DIR|CSV")]
    discriminant: Option<PathBuf>,
    /// As --discriminant, from such a scores.csv, without the pictures.
    #[arg(long, value_name = "FILE", conflicts_with = "discriminant")]
    scores: Option<PathBuf>,
    /// With a discriminant and a single run: the temperature, such as that of the runs by subject.
    /// Several runs take it from each other.
    #[arg(long, value_name = "NUMBER", value_parser = temperature)]
    temperature: Option<f64>,
    /// Where pooled.json goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print pooled.json instead of tables.
    #[arg(long)]
    json: bool,
    /// Seeds the bootstrap of the intervals.
    #[arg(long, default_value_t = 0)]
    bootstrap_seed: u64,
}

fn temperature(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|own: &f64| own.is_finite() && *own > 0.0);
    number.ok_or_else(|| "a temperature is a number above 0".to_owned())
}

pub(super) fn run(args: &PoolArgs) -> Outcome {
    let runs = args.runs.iter().map(|folder| Run::read(folder)).collect::<Result<Vec<_>, _>>()?;
    let scores = match (&args.discriminant, &args.scores) {
        (Some(source), _) => {
            let scores = Scores::of(&runs, &data::read(source, &Preprocessing::b3())?)?;
            std::fs::create_dir_all(&args.out)
                .map_err(|error| format!("cannot write {}: {error}", args.out.display()))?;
            put(&args.out.join("scores.csv"), &scores.csv()?)?;
            Some(scores)
        }
        (None, Some(path)) => Some(Scores::read(path)?),
        (None, None) => None,
    };
    let runs = match scores {
        Some(scores) => scores.apply(runs, args.temperature)?,
        None if args.temperature.is_some() => {
            let problem = "--temperature goes with --discriminant or --scores: without them each run has its own";
            return Err(problem.into());
        }
        None => runs,
    };
    let pooled = Pooled::of(&runs, args.partial, args.bootstrap_seed)?;
    let json = serde_json::to_string_pretty(&pooled)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| format!("cannot write {}: {error}", args.out.display()))?;
    let path = args.out.join("pooled.json");
    put(&path, json.as_bytes())?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{json}")?;
        return Ok(());
    }
    print(&mut out, &pooled)?;
    writeln!(out, "{}\n{RESEARCH_USE_ONLY}", path.display())?;
    Ok(())
}

fn print(out: &mut impl Write, of: &Pooled) -> std::io::Result<()> {
    let counts = &of.pooled.counts;
    writeln!(
        out,
        "{} by {}: {} all of {}, {} hem of {}",
        counted(of.folds.len() as u64, "run"),
        of.protocol,
        counts.all,
        counted(counts.all_subjects, "subject"),
        counts.hem,
        counted(counts.hem_subjects, "subject"),
    )?;
    for (index, fold) in of.folds.iter().enumerate() {
        let cells = counted(fold.counts.cells, "cell");
        writeln!(
            out,
            "  {}  {}: {cells} of {}",
            index + 1,
            fold.run,
            counted(fold.counts.subjects, "subject")
        )?;
    }
    // That the sides differ goes without saying.
    for (setting, values) in of.differing.iter().filter(|(setting, _)| *setting != SIDES) {
        writeln!(out, "they differ in {setting}: {}", values.join(", "))?;
    }
    for caveat in &of.pooled.caveats {
        writeln!(out, "WARNING: {caveat}")?;
    }
    writeln!(out)?;
    table(out, of)?;
    let calibrated = if of.recipe.contains_key(DISCRIMINANT) {
        "what the other runs tested, since a discriminant joined them"
    } else {
        "its own validation cells"
    };
    writeln!(
        out,
        "\nEach run's own figures, their mean, and all tested cells together: calibrated P(all), each run's logits at the \
         temperature of {calibrated}. 95 % intervals from a bootstrap over {}. They \
         estimate what such a training gives, and measure no model that was trained on everything.",
        of.pooled.resampled
    )?;
    if let Some(all) = of.doubted() {
        let (low, high) = all.interval.unwrap_or((0.0, 1.0));
        writeln!(
            out,
            "\nDoubted for being unlike the training cells: {} of {} tested cells, {} ({low:.3} to {high:.3}).",
            all.doubted,
            all.pictures,
            number(all.share)
        )?;
    }
    calibration(out, of)
}

/// A row a figure, a column a run, then mean and pooled.
fn table(out: &mut impl Write, of: &Pooled) -> std::io::Result<()> {
    let line = |out: &mut dyn Write, title: &str, cells: &[String], mean: &str, pooled: &str| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>19}")).collect();
        writeln!(out, "{title:<34}{cells} {mean:>6} {pooled:>19}")
    };
    let heads: Vec<String> = (1..=of.folds.len()).map(|index| format!("run {index}")).collect();
    line(out, "figure", &heads, "mean", "pooled")?;
    let (means, pooled) = (of.mean.named(), of.pooled.figures.named());
    for (index, (name, mean)) in means.into_iter().enumerate() {
        let each = of
            .folds
            .iter()
            .map(|fold| with_interval(fold.figures.named()[index].1))
            .collect::<Vec<_>>();
        line(
            out,
            title_and_meaning(name).0,
            &each,
            &number(*mean),
            &with_interval(pooled[index].1),
        )?;
    }
    type Of = fn(&AreaFigures) -> &Estimate;
    let area: [(&str, Of); 2] = [
        ("Cell area alone, balanced accuracy", |area| &area.balanced_accuracy),
        ("Cell area alone, AUROC", |area| &area.auroc),
    ];
    for (title, figure) in area {
        let told = |area: Option<&AreaFigures>| {
            area.map_or_else(|| "–".to_owned(), |area| with_interval(figure(area)))
        };
        let each: Vec<Option<&AreaFigures>> =
            of.folds.iter().map(|fold| fold.baseline.as_ref().map(|own| &own.figures)).collect();
        let values: Option<Vec<f64>> = each.iter().map(|area| figure((*area)?).value).collect();
        let mean = values.map(|values| values.iter().sum::<f64>() / values.len() as f64);
        let each: Vec<String> = each.into_iter().map(told).collect();
        line(out, title, &each, &number(mean), &told(of.baseline.as_ref()))?;
    }
    Ok(())
}

fn calibration(out: &mut impl Write, of: &Pooled) -> std::io::Result<()> {
    let of_runs: Vec<String> =
        of.folds.iter().map(|fold| format!("{:.3}", fold.calibration.temperature)).collect();
    let calibration = &of.calibration;
    writeln!(
        out,
        "\nFor a model of this recipe that was trained on everything, fitted on the tested cells' logits as they are:\n  \
         temperature {:.3} (the runs' own: {})\n  threshold   {}\n  review band {:.2} to {:.2}: {} of {} cells inside; \
         wrong outside it {}, without it {}",
        calibration.temperature,
        of_runs.join(", "),
        calibration.threshold,
        calibration.review.0,
        calibration.review.1,
        of.review.cells,
        of.pooled.counts.cells,
        number(of.review.error_outside),
        number(of.review.error_without),
    )?;
    if let Some(Thresholds { most_balanced_accuracy, equal_errors }) = &of.thresholds {
        writeln!(out, "Found on these very cells, for information; nothing uses it:")?;
        for (what, point) in
            [("most balanced accuracy", most_balanced_accuracy), ("equal errors", equal_errors)]
        {
            let OperatingPoint { threshold, sensitivity, specificity, balanced_accuracy } = point;
            writeln!(
                out,
                "  {what:<22} at threshold {threshold:.3}: sensitivity {sensitivity:.3}, specificity {specificity:.3}, \
                 balanced accuracy {balanced_accuracy:.3}"
            )?;
        }
    }
    writeln!(out)
}
