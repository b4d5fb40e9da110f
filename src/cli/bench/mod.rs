//! `leukd bench`: what this machine needs for a cell, engine by engine, and for the way around the
//! network.

mod cells;
mod daemon;
mod machine;
mod meaning;
mod network;
mod ratio;
mod report;
mod rounds;
mod start;
mod statistics;
mod way_in;

use std::path::PathBuf;
use std::time::Duration;

use super::error::CliError;
use super::output::{Output, remark};
use crate::model::bundle::{Bundle, BundleSource};
use crate::model::engine::EngineKind;
use crate::model::serving::Model;
use crate::result::RESEARCH_USE_ONLY;
use network::Loaded;
use report::{ModelFigures, Report};

/// Measure leukd on this machine
///
/// The engines take turns in short rounds, so that other load meets both. Cells are drawn unless
/// --images names some. The daemon's part always draws its own, because equal captures have one
/// result. Close other programs first.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct BenchArgs {
    /// Measure this bundle instead of the one inside the binary
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Measure this engine [default: both in turns]
    #[arg(long, value_enum)]
    engine: Option<EngineKind>,
    /// Number of cells at once, each on its own thread
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Seconds for the network
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Use images of this folder
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Number of different cells
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    cells: u16,
    /// Measure only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Measure the fused engine's time over the stock one's, and fail if it is more than 5 % above
    /// this file's ratio for this machine's instructions
    #[arg(long, value_name = "FILE", conflicts_with_all = ["engine", "only", "json"])]
    check: Option<PathBuf>,
    /// Write the network's inputs as a NumPy array, for other programs, and end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "json", "only"])]
    write_inputs: Option<PathBuf>,
    /// Read commands from standard input, one a line: `round N` runs N cells and prints the
    /// milliseconds a cell, `outputs` prints each cell's probabilities
    #[arg(long, requires = "engine", conflicts_with_all = ["check", "json", "only", "write_inputs"])]
    serve_rounds: bool,
}

/// Parts of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The network alone
    Network,
    /// From the bytes of an image to the network's input
    WayIn,
    /// Quality measures and heat map, beside the network
    Meaning,
    /// A daemon: from folder to event, and a request's way
    Daemon,
    /// A process: until it serves, and its peak memory
    Start,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.1..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("write 0.1 to 3600".into()) }
}

/// Runs it.
///
/// # Errors
/// A bundle, folder or file of ratios that does not work; with `--check`, an engine that became
/// slower.
pub(super) fn run(args: &BenchArgs) -> Result<(), CliError> {
    remark(RESEARCH_USE_ONLY);
    let source = args.model.clone().map_or(BundleSource::Embedded, BundleSource::File);
    let bundle = source.read().map_err(super::model::unusable)?;
    let cells = cells::read(args.images.as_deref(), args.cells.into())?;
    let inputs = cells::inputs(&cells, &bundle.manifest().preprocessing)?;
    if let Some(file) = &args.write_inputs {
        return cells::write(&inputs, file);
    }
    let out = Output::new();
    let for_so_long = Duration::from_secs_f64(args.seconds);
    let threads = usize::from(args.threads);
    if let Some(file) = &args.check {
        let stored = ratio::read(file)?;
        let [fused, stock] = [EngineKind::Fused, EngineKind::Stock].map(|k| load(&bundle, k));
        return ratio::check(&stored, &[fused?, stock?], &inputs, threads, for_so_long, &out);
    }
    if args.serve_rounds {
        let loaded = load(&bundle, args.engine.unwrap_or_default())?;
        return rounds::serve(&loaded, &inputs, threads, &out);
    }
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let mut report = Report::new(ModelFigures::of(&bundle), cells.len(), args);
    if wanted(Part::Network) {
        remark(&format!("the network, {threads} at once, for {} s", args.seconds));
        let kinds = args.engine.map_or(vec![EngineKind::Fused, EngineKind::Stock], |k| vec![k]);
        let loaded: Vec<Loaded> =
            kinds.into_iter().map(|kind| load(&bundle, kind)).collect::<Result<_, _>>()?;
        report.network = network::measure(&loaded, &inputs, threads, for_so_long)?;
        report.fused_to_stock = ratio::of(&report.network);
        let default = report.network.iter().find(|run| run.engine == EngineKind::default());
        report.ms_per_cell = default.map(|run| run.ms_per_cell);
    }
    if wanted(Part::WayIn) {
        remark("from bytes to the network's input");
        report.way_in = Some(way_in::measure(&cells, &bundle.manifest().preprocessing)?);
    }
    let engine = args.engine.unwrap_or_default();
    if wanted(Part::Meaning) {
        remark("quality measures and heat map, in turns with the network");
        let model = load(&bundle, engine)?.model;
        report.meaning = Some(meaning::measure(&model, &cells::pictures(&cells)?, &inputs)?);
    }
    if wanted(Part::Daemon) {
        remark("a daemon: captures dropped one by one, then requests");
        report.daemon = Some(daemon::measure(args.model.as_deref(), engine)?);
    }
    if wanted(Part::Start) {
        remark("a process: until it serves, and its memory");
        report.start = Some(start::measure(args.model.as_deref(), engine)?);
    }
    report.print(args.json, &out)
}

fn load(bundle: &Bundle, kind: EngineKind) -> Result<Loaded, CliError> {
    let model = Model::load_on(bundle.clone(), kind)
        .map_err(|error| CliError::Data(format!("{}: {error}", bundle.origin())))?;
    Ok(Loaded { kind, model })
}
