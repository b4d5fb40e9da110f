//! `leukd-train quantize`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use leukd_journal::result::RESEARCH_USE_ONLY;
use leukd_model::bundle::Bundle;
use leukd_train::dataset::Split;
use leukd_train::export;
use leukd_train::quantize::{
    self, Gate, Measured, Outcome as Quantized, QuantizeInput, Reference, Row, Settings, Verdict,
};
use leukd_train::report::Variant;
use serde::Serialize;

use super::Outcome;
use super::data::DataArgs;

#[derive(Debug, Args)]
pub(super) struct QuantizeArgs {
    /// The f32 bundle (`leukd train export --weights f32`).
    bundle: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Where the forms (NAME.onnx), the chosen one (model.onnx) and the figures (quantize.json) go.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    gate: GateArgs,
    /// Print quantize.json instead of the table.
    #[arg(long)]
    json: bool,
}

/// How forms are made, and what they may cost.
#[derive(Debug, Args)]
#[command(next_help_heading = "Smaller forms")]
pub(super) struct GateArgs {
    /// The most accuracy that a form may lose against f32, in points.
    #[arg(long, value_name = "POINTS", default_value_t = Gate::default().max_accuracy_loss)]
    max_accuracy_loss: f64,
    /// The most sensitivity that it may lose at f32's specificity, in points.
    #[arg(long, value_name = "POINTS", default_value_t = Gate::default().max_sensitivity_loss)]
    max_sensitivity_loss: f64,
    /// The most time that it may take for a cell, as a multiple of f32's.
    #[arg(long, value_name = "RATIO", default_value_t = Gate::default().max_slowdown)]
    max_slowdown: f64,
    /// Calibrate on at most so many training cells, both classes equally often.
    #[arg(long, value_name = "CELLS", default_value_t = Settings::default().calibration_cells)]
    calibration_cells: usize,
    /// int8-full covers what flows into a layer up to this percentile.
    #[arg(long, value_name = "PERCENT", default_value_t = Settings::default().percentile,
          value_parser = percentile)]
    percentile: f64,
    /// int8-full leaves so many layers in f32: those that lose most.
    #[arg(long, value_name = "LAYERS", default_value_t = Settings::default().keep_float)]
    keep_float: usize,
    /// Draws the calibration cells and the order of timing.
    #[arg(long, value_name = "SEED", default_value_t = Settings::default().seed)]
    quantize_seed: u64,
}

fn percentile(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if value > 50.0 && value <= 100.0 {
        return Ok(value);
    }
    Err("it must be above 50 and at most 100".to_owned())
}

impl GateArgs {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            gate: Gate {
                max_accuracy_loss: self.max_accuracy_loss,
                max_sensitivity_loss: self.max_sensitivity_loss,
                max_slowdown: self.max_slowdown,
            },
            calibration_cells: self.calibration_cells,
            percentile: self.percentile,
            keep_float: self.keep_float,
            seed: self.quantize_seed,
        }
    }
}

/// `quantize.json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    bundle: String,
    /// Whether the bundle says that it was trained on this split's training side. Else cells that
    /// it was trained on may stand on the validation side.
    trained_on_this_split: bool,
    chosen: &'a str,
    #[serde(flatten)]
    outcome: &'a Quantized,
    notice: &'static str,
}

pub(super) fn run(args: &QuantizeArgs) -> Outcome {
    let bundle = Bundle::read(&args.bundle)?;
    quantize::accept(&bundle)?;
    let split = args.data.split(&bundle.manifest().preprocessing)?;
    let trained_here = trained_on(&bundle, &split);
    let outcome = forms(&args.bundle, &split, &args.gate.settings(), &args.out)?;
    let chosen = chosen(&args.bundle, &split, &outcome)?;
    export::write(&args.out.join("model.onnx"), &chosen.bytes)?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", document(&args.bundle, trained_here, &outcome)?)?;
        return Ok(());
    }
    print(&mut out, &outcome, &args.out.join("model.onnx"))?;
    writeln!(out, "{}", chosen.reference)?;
    if !trained_here {
        writeln!(
            out,
            "Mind: the bundle does not say that it was trained on this split's training side."
        )?;
    }
    writeln!(out, "{RESEARCH_USE_ONLY}")?;
    Ok(())
}

/// The bundle that is kept, and what is said of its reference.
struct Chosen {
    bytes: Vec<u8>,
    reference: String,
}

/// The smallest form that lost nothing, with the reference of its own network; else the f32 bundle
/// as it is.
fn chosen(
    path: &Path,
    split: &Split,
    outcome: &Quantized,
) -> Result<Chosen, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let Some(form) = outcome.winning_bundle() else {
        return Ok(Chosen { bytes, reference: "Its reference is f32's, as it was.".to_owned() });
    };
    if !trained_on(&Bundle::from_bytes(&bytes, "the f32 bundle")?, split) {
        let reference = "It has no reference, and nothing is left to a person for being unlike its training cells: the                          bundle does not say that these are its training cells. `leukd model reference` writes one.";
        return Ok(Chosen { bytes: form.to_vec(), reference: reference.to_owned() });
    }
    let (bytes, referred) = export::referred(form, split)?;
    Ok(Chosen { bytes, reference: format!("Unlike its training cells: {}", referred.in_words()) })
}

/// Makes and measures every form of the bundle at `path`, and writes them all into `folder`.
pub(super) fn forms(
    path: &Path,
    split: &Split,
    settings: &Settings,
    folder: &Path,
) -> Result<Quantized, Box<dyn std::error::Error>> {
    let origin = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| format!("{origin}: {error}"))?;
    let trained_here = trained_on(&Bundle::from_bytes(&bytes, &origin)?, split);
    if !trained_here {
        tracing::warn!(
            "{origin} does not say that it was trained on this split's training side: cells that it knows may stand on \
             the validation side, and hide what a form loses"
        );
    }
    let input = QuantizeInput {
        origin: &origin,
        calibration: &split.training,
        validation: &split.validation,
        settings: *settings,
    };
    let outcome = quantize::run(&bytes, &input)?;
    let json = document(path, trained_here, &outcome)?;
    store(folder, &outcome, &json)?;
    Ok(outcome)
}

/// Whether the bundle says that it was trained on this split's training side.
fn trained_on(bundle: &Bundle, split: &Split) -> bool {
    bundle.manifest().training.data_digest == split.training_digest().to_string()
}

fn document(
    path: &Path,
    trained_on_this_split: bool,
    outcome: &Quantized,
) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&Document {
        bundle: path.display().to_string(),
        trained_on_this_split,
        chosen: outcome.winner.map_or("f32", |index| outcome.rows[index].name),
        outcome,
        notice: RESEARCH_USE_ONLY,
    })
}

/// The forms as a report shows them, f32 first.
pub(super) fn variants(outcome: &Quantized) -> Vec<Variant> {
    let float = &outcome.reference;
    let kept = if outcome.winner.is_none() { "chosen" } else { "measured against" };
    let mut variants = vec![Variant {
        name: "f32".to_owned(),
        bytes: float.bytes as u64,
        accuracy_change: None,
        sensitivity_change: None,
        flips: None,
        milliseconds: Some(float.milliseconds),
        verdict: kept.to_owned(),
    }];
    variants.extend(outcome.rows.iter().enumerate().map(|(index, row)| Variant {
        name: row.name.to_owned(),
        bytes: row.bytes as u64,
        accuracy_change: row.measured.map(|m| m.accuracy_change),
        sensitivity_change: row.measured.map(|m| m.sensitivity_change),
        flips: row.measured.map(|m| (m.flips_to_all + m.flips_to_hem) as u64),
        milliseconds: row.measured.map(|m| m.milliseconds),
        verdict: match &row.verdict {
            Verdict::Kept if outcome.winner == Some(index) => "chosen".to_owned(),
            Verdict::Kept => "within the gate".to_owned(),
            Verdict::Refused(reason) => format!("refused: {reason}"),
        },
    }));
    variants
}

/// Writes every form and the figures.
fn store(folder: &Path, outcome: &Quantized, json: &str) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (row, bytes) in outcome.rows.iter().zip(&outcome.bundles) {
        let path = folder.join(format!("{}.onnx", row.name));
        if bytes.is_empty() {
            // A file of an earlier run must not pass for this one's.
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("{}: {error}", path.display()).into());
                }
                _ => {}
            }
        } else {
            export::write(&path, bytes)?;
        }
    }
    export::write(&folder.join("quantize.json"), json.as_bytes())?;
    Ok(())
}

/// The table of all forms.
pub(super) fn print(out: &mut impl Write, outcome: &Quantized, path: &Path) -> std::io::Result<()> {
    let Reference { cells, accuracy, balanced_accuracy, sensitivity, specificity, .. } =
        outcome.reference;
    writeln!(
        out,
        "f32 on {cells} validation cells: accuracy {:.2} %, balanced accuracy {:.2} %, sensitivity {:.2} % at \
         specificity {:.2} %. Calibrated on {} training cells.\n",
        accuracy * 100.0,
        balanced_accuracy * 100.0,
        sensitivity * 100.0,
        specificity * 100.0,
        outcome.calibration_cells,
    )?;
    let mut table = vec![
        [
            "form",
            "MB",
            "accuracy",
            "balanced",
            "sensit.",
            "→ all",
            "→ hem",
            "max |Δp|",
            "ms/cell",
            "× f32",
            "load ms",
            "verdict",
        ]
        .map(str::to_owned),
    ];
    table.push(float_line(&outcome.reference));
    table.extend(outcome.rows.iter().map(line));
    let width = |column: usize| {
        table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..12).map(width).collect();
    for cells in &table {
        let mut text = format!("{:<width$}", cells[0], width = widths[0]);
        for (cell, width) in cells[1..11].iter().zip(&widths[1..11]) {
            text += &format!("  {cell:>width$}");
        }
        writeln!(out, "{text}  {}", cells[11])?;
    }
    writeln!(
        out,
        "\nChanges are in points against f32; sensitivity at the specificity that f32 has. Two copies of f32 differ by \
         {:.1} % in time.",
        outcome.reference.timing_noise * 100.0
    )?;
    for row in &outcome.rows {
        if let Verdict::Refused(reason) = &row.verdict {
            writeln!(out, "{} is refused: {reason}.", row.name)?;
        }
        if !row.kept_float.is_empty() {
            writeln!(out, "{} leaves in f32: {}.", row.name, row.kept_float.join(", "))?;
        }
    }
    match outcome.winner {
        Some(index) => writeln!(
            out,
            "Chosen: {}, the smallest within the gate, and of equally small ones the closest to f32: {}",
            outcome.rows[index].name,
            path.display()
        ),
        None => writeln!(out, "Every form is refused: f32 stays: {}", path.display()),
    }
}

fn float_line(reference: &Reference) -> [String; 12] {
    let none = String::new;
    [
        "f32".to_owned(),
        megabytes(reference.bytes),
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
        format!("{:.2}", reference.milliseconds),
        "1.00".to_owned(),
        format!("{:.0}", reference.load_milliseconds),
        none(),
    ]
}

fn line(row: &Row) -> [String; 12] {
    let verdict = match row.verdict {
        Verdict::Kept => "kept",
        Verdict::Refused(_) => "refused",
    };
    let points = |change: f64| format!("{:+.2}", change * 100.0);
    let of = |text: &dyn Fn(&Measured) -> String| {
        row.measured.as_ref().map_or_else(|| "-".to_owned(), text)
    };
    [
        row.name.to_owned(),
        megabytes(row.bytes),
        of(&|m| points(m.accuracy_change)),
        of(&|m| points(m.balanced_accuracy_change)),
        of(&|m| points(m.sensitivity_change)),
        of(&|m| m.flips_to_all.to_string()),
        of(&|m| m.flips_to_hem.to_string()),
        of(&|m| format!("{:.4}", m.largest_difference)),
        of(&|m| format!("{:.2}", m.milliseconds)),
        of(&|m| format!("{:.2}", m.slowdown)),
        of(&|m| format!("{:.0}", m.load_milliseconds)),
        verdict.to_owned(),
    ]
}

fn megabytes(bytes: usize) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}
