//! Everything that was measured, as one JSON object or as lines for people.

use serde::Serialize;

use super::BenchArgs;
use super::daemon::DaemonFigures;
use super::machine::Machine;
use super::meaning::Meaning;
use super::network::Run;
use super::start::StartFigures;
use super::way_in::WayIn;
use crate::cli::error::CliError;
use crate::cli::output::{Output, Table, clean};
use crate::model::bundle::Bundle;
use crate::result::RESEARCH_USE_ONLY;

/// Which bundle.
#[derive(Debug, Serialize)]
pub(super) struct ModelFigures {
    id: String,
    digest: String,
    origin: String,
    /// Storage of its weights; all arithmetic is f32.
    stored_as: String,
    input_size: u32,
}

impl ModelFigures {
    pub(super) fn of(bundle: &Bundle) -> Self {
        let manifest = bundle.manifest();
        Self {
            id: manifest.id.clone(),
            digest: bundle.digest().to_string(),
            origin: bundle.origin().to_owned(),
            stored_as: manifest.precision.as_str().to_owned(),
            input_size: manifest.preprocessing.size,
        }
    }
}

/// The output of `--json`. A part that was not measured is absent.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The default engine's network alone: the median over rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ms_per_cell: Option<f64>,
    machine: Machine,
    version: &'static str,
    model: ModelFigures,
    /// Number of different cells.
    cells: usize,
    /// The folder that they come from, or `drawn`.
    images: String,
    /// One entry an engine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) network: Vec<Run>,
    /// The median over rounds of the fused engine's time by the stock one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fused_to_stock: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) way_in: Option<WayIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meaning: Option<Meaning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) daemon: Option<DaemonFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start: Option<StartFigures>,
    notice: &'static str,
}

impl Report {
    pub(super) fn new(model: ModelFigures, cells: usize, args: &BenchArgs) -> Self {
        let images = args.images.as_ref();
        Self {
            ms_per_cell: None,
            machine: Machine::here(),
            version: env!("CARGO_PKG_VERSION"),
            model,
            cells,
            images: images.map_or_else(|| "drawn".to_owned(), |path| path.display().to_string()),
            network: Vec::new(),
            fused_to_stock: None,
            way_in: None,
            meaning: None,
            daemon: None,
            start: None,
            notice: RESEARCH_USE_ONLY,
        }
    }

    /// Prints it.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub(super) fn print(&self, as_json: bool, out: &Output) -> Result<(), CliError> {
        if as_json {
            let text = serde_json::to_string(self)
                .map_err(|error| CliError::Software(format!("cannot write JSON: {error}")))?;
            return out.line(&text);
        }
        let Machine { cpu, isa, physical_cores } = &self.machine;
        out.line(&clean(&format!("machine    {cpu}, {isa}, {physical_cores} cores")))?;
        let ModelFigures { id, stored_as, input_size, .. } = &self.model;
        out.line(&clean(&format!(
            "model      {id}, {input_size}×{input_size}, stored as {stored_as}"
        )))?;
        out.line(&clean(&format!("cells      {} ({})", self.cells, self.images)))?;
        self.print_network(out)?;
        self.lines().iter().try_for_each(|line| out.line(line))
    }

    fn print_network(&self, out: &Output) -> Result<(), CliError> {
        if self.network.is_empty() {
            return Ok(());
        }
        out.line("\nThe network alone")?;
        let mut table =
            Table::new(&["engine", "in", "at once", "ms a cell", "min", "cells/s", "rounds", ""]);
        for run in &self.network {
            table.row(
                vec![
                    run.engine.to_string(),
                    run.arithmetic.to_owned(),
                    run.threads.to_string(),
                    format!("{:.2}", run.ms_per_cell),
                    format!("{:.2}", run.ms_per_cell_min),
                    format!("{:.1}", run.cells_per_second),
                    run.rounds.to_string(),
                    run.fusion.clone(),
                ],
                None,
            );
        }
        table.print(out)?;
        self.fused_to_stock.map_or(Ok(()), |ratio| {
            out.line(&format!("fused : stock = {ratio:.3}, the median of the rounds' ratios"))
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(way_in) = &self.way_in {
            lines.push(format!(
                "\nBefore the network: decode {:.0} µs, resize {:.0} µs, tensor {:.0} µs",
                way_in.decode_us, way_in.resize_us, way_in.tensor_us
            ));
        }
        if let Some(meaning) = &self.meaning {
            let map = meaning.heat_map_us.map_or("none".to_owned(), |time| format!("{time:.0} µs"));
            lines.push(format!(
                "\nBeside the network: quality {:.0} µs, heat map {map}; together {:.2} % of the network's time",
                meaning.quality_us,
                meaning.share_of_network * 100.0
            ));
        }
        if let Some(daemon) = &self.daemon {
            lines.push(format!(
                "\nFolder to event, without the network: {:.0} ms, slowest 1 % {:.0} ms; {:.0} ms of it the file must \
                 stand still",
                daemon.folder_to_event_p50_ms, daemon.folder_to_event_p99_ms, daemon.settle_ms
            ));
            lines.push(format!(
                "A request beside its own stages: {:.2} ms, slowest 1 % {:.2} ms",
                daemon.rpc_overhead_p50_ms, daemon.rpc_overhead_p99_ms
            ));
        }
        if let Some(start) = &self.start {
            lines.push(format!(
                "\nProcess start to SERVING: {:.0} ms, quickest {:.0} ms; peak memory {:.0} MiB",
                start.to_serving_ms_median,
                start.to_serving_ms_min,
                start.peak_memory_bytes as f64 / f64::from(1 << 20)
            ));
        }
        lines
    }
}
