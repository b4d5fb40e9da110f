//! `leukd-train` without a subcommand: from a folder of cells to a bundle that serves, and its
//! report.

use std::io::Write;
use std::path::Path;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_model::bundle::Bundle;
use leukd_model::serving::Model;
use leukd_train::dataset::{Broken, Protocol, Side, Split};
use leukd_train::evaluate::through_engine;
use leukd_train::export;
use leukd_train::fit::{Checkpoint, Ending, State};

use super::bundle::{self, BundleArgs, Weights};
use super::data::DataArgs;
use super::measure::{self, Extra, Measured, ReportArgs};
use super::quantize::{self, GateArgs};
use super::recipe::RecipeArgs;
use super::run::RunArgs;
use super::{Outcome, evaluate};

#[derive(Debug, Args)]
pub(super) struct WholeArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    bundle: BundleArgs,
    #[command(flatten)]
    gate: GateArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// The arguments of the program without a subcommand; none where there is one.
///
/// clap's own optional groups do not see arguments that are flattened into them.
#[derive(Debug)]
pub(super) struct Whole(Option<Box<WholeArgs>>);

impl Args for Whole {
    fn augment_args(command: Command) -> Command {
        WholeArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        WholeArgs::augment_args_for_update(command)
    }
}

impl FromArgMatches for Whole {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        // Required, unless there is a subcommand.
        if matches.subcommand_name().is_some() {
            return Ok(Self(None));
        }
        Ok(Self(Some(Box::new(WholeArgs::from_arg_matches(matches)?))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Seeds the bootstrap of the intervals, as `evaluate` does where nothing is said.
const BOOTSTRAP_SEED: u64 = 0;

pub(super) fn run(Whole(args): &Whole) -> Outcome {
    let Some(args) = args else { return Err("give --data and --out, or a command".into()) };
    args.report.check()?;
    let folder = &args.run.out;
    let checkpoint = args.run.checkpoint()?;
    let recipe = args.recipe.read()?;
    let (mut split, broken) = args.data.read(&recipe.preprocessing())?;
    args.run.teach(&recipe, &mut split)?;
    let mut out = std::io::stdout();
    let start = args.run.start(&recipe, &mut out)?;
    args.run.prepare(&recipe, &split, &checkpoint)?;
    heading(&mut out, "Split")?;
    writeln!(out, "{}", split.in_words())?;
    if !broken.is_empty() {
        writeln!(out, "{} files were left out; the report lists them.", broken.len())?;
    }
    heading(&mut out, "Training")?;
    let (state, ending) = args.run.fit(&recipe, &split, &checkpoint, start)?;
    if ending == Ending::Stopped {
        return Err(super::Stopped.into());
    }
    heading(&mut out, "Bundle")?;
    let float = folder.join("model-f32.onnx");
    bundle::export(&checkpoint, &split, &args.bundle, Weights::F32, &float)?;
    heading(&mut out, "Smaller forms")?;
    let outcome = quantize::forms(&float, &split, &args.gate.settings(), &folder.join("forms"))?;
    quantize::print(&mut out, &outcome, &folder.join("model.onnx"))?;
    let float_bytes =
        std::fs::read(&float).map_err(|error| format!("{}: {error}", float.display()))?;
    let chosen = outcome.winning_bundle().unwrap_or(&float_bytes);
    heading(&mut out, "Evaluation")?;
    let path = folder.join("model.onnx");
    let referred = referred(chosen, &split, &mut out)?;
    let (model, measured) = measured(&referred, &split, &path, &args.report)?;
    if measured.is_empty() {
        writeln!(
            out,
            "Nothing is measured: this model was trained on everything. `leukd-train ship` gives it the figures that \
             `leukd-train pool` makes of runs that tested."
        )?;
    }
    for one in measured.iter().filter(|one| one.evaluation.side == headline(&split)) {
        evaluate::print(&mut out, &one.evaluation)?;
    }
    let extra = Extra {
        curves: state.epochs.iter().map(measure::curve).collect(),
        variants: quantize::variants(&outcome),
        broken: Some(broken.into_iter().map(|Broken { path, reason }| (path, reason)).collect()),
        device: Some(state.device.clone()),
        no_pictures: args.report.no_pictures,
    };
    let page = measure::write(folder, &model, &split, &measured, extra)?;
    finish(&mut out, &checkpoint, &state, &path, &page)?;
    Ok(())
}

/// The side whose figures the bundle carries.
fn headline(split: &Split) -> Side {
    if split.test.is_empty() { Side::Validation } else { Side::Test }
}

/// The bundle with the reference of its own network: f32's tells nothing of a smaller form's
/// features.
fn referred(
    bytes: &[u8],
    split: &Split,
    out: &mut impl Write,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    if Bundle::from_bytes(bytes, "the chosen form")?.manifest().reference.is_some() {
        return Ok(bytes.to_vec());
    }
    let (bytes, referred) = export::referred(bytes, split)?;
    writeln!(out, "Unlike its training cells: {}\n", referred.in_words())?;
    Ok(bytes)
}

/// Measures the bundle on every side that tells something about new cells, writes it to `path` with
/// the figures of the [`headline`] side, and gives the model that was written.
fn measured<'a>(
    bytes: &[u8],
    split: &'a Split,
    path: &Path,
    report: &ReportArgs,
) -> Result<(Model, Vec<Measured<'a>>), Box<dyn std::error::Error>> {
    let origin = path.display().to_string();
    let plain = Model::load(Bundle::from_bytes(bytes, &origin)?)?;
    let bytes = &export::recalibrated(bytes, &through_engine(&plain, &split.validation)?)?;
    let plain = Model::load(Bundle::from_bytes(bytes, &origin)?)?;
    let sides = [(Side::Validation, &split.validation), (Side::Test, &split.test)];
    let sides = sides.into_iter().filter(|(_, cells)| {
        // On everything there is nothing but the training subjects' cells.
        !cells.is_empty() && split.protocol != Protocol::Everything
    });
    let sides = sides.map(|(side, cells)| (side, cells.as_slice())).collect();
    let mut measured = measure::measure(&plain, split, sides, report, BOOTSTRAP_SEED)?;
    let told = measured.iter().find(|one| one.evaluation.side == headline(split));
    let bytes = match told {
        Some(one) => export::with_figures(bytes, &one.evaluation)?,
        None => bytes.to_vec(),
    };
    export::write(path, &bytes)?;
    let model = Model::load(Bundle::from_bytes(&bytes, &origin)?)?;
    // The file that is served has another digest than the one that had no figures yet.
    for one in &mut measured {
        one.evaluation.model = model.reference();
    }
    Ok((model, measured))
}

fn heading(out: &mut impl Write, title: &str) -> std::io::Result<()> {
    writeln!(out, "\n== {title}")
}

fn finish(
    out: &mut impl Write,
    checkpoint: &Checkpoint,
    state: &State,
    bundle: &Path,
    page: &Path,
) -> std::io::Result<()> {
    heading(out, "Done")?;
    writeln!(out, "bundle   {}", bundle.display())?;
    writeln!(out, "report   {}", page.display())?;
    writeln!(
        out,
        "run      {} ({} epochs, {:.1} minutes)",
        checkpoint.folder().display(),
        state.epochs_done(),
        state.seconds / 60.0
    )?;
    writeln!(
        out,
        "\nHand it to a running daemon:\n  \
         leukd model verify {bundle}\n  \
         leukd model diff OLD.onnx {bundle} FOLDER    # what changes, before the swap\n  \
         leukd model sign {bundle} --key YOUR.key         # `leukd model keygen` makes one; see docs/models/trust.md\n  \
         install -m 644 {bundle} MODEL_FOLDER/NAME.onnx   # model.folder in `leukd config show`\n  \
         install -m 644 {bundle}.minisig MODEL_FOLDER/NAME.onnx.minisig\n  \
         leukd reload NAME.onnx\n\
         and name it as model.bundle in the configuration, so that it is served after the next start \
         too.",
        bundle = bundle.display(),
    )?;
    writeln!(out, "{RESEARCH_USE_ONLY}")
}
