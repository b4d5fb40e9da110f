//! `leukd classify`: images on disk, without a daemon.

use std::path::{Path, PathBuf};

use image::RgbImage;

use super::error::CliError;
use super::images::{Found, ImageFile, find, in_order, read_limited};
use super::output::{Output, clean, remark};
use super::settings::SettingsArgs;
use super::{json, overlay, progress, show};
use crate::cell::Limits;
use crate::cell::name::NamePattern;
use crate::clock::{Clock, timestamp};
use crate::grpc::{convert, proto};
use crate::journal::types::Found as Captured;
use crate::model::bundle::BundleSource;
use crate::model::engine::EngineKind;
use crate::model::field::examine_capture_and;
use crate::model::serving::{Model, Seen};
use crate::pipeline::{Explained, Known, RuleSet};
use crate::result::{
    Capture, CaptureKind, CapturePath, Digest, RESEARCH_USE_ONLY, Record, Source, Timings,
};

/// Classify image files without the daemon; nothing is stored
///
/// Limits, the file-name pattern and the review band are the daemon's: they come from
/// /etc/leukd/leukd.toml, --config and variables named LEUKD__SECTION__KEY. The model is the one
/// inside the binary, or that of --model.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ClassifyArgs {
    /// Images, or folders of images
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(super) paths: Vec<PathBuf>,
    /// Classify with this bundle instead of the one inside the binary
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// Read this file too; it overrides /etc/leukd/leukd.toml
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Operators that run the network
    #[arg(long, value_enum, default_value_t)]
    pub(super) engine: EngineKind,
    /// Write a heat map of each image into this folder, under its path below DIR: NAME.heatmap.png,
    /// the picture with the map over it, and NAME.heatmap.json, its numbers (HeatMap)
    #[arg(long, value_name = "DIR")]
    pub(super) heatmap: Option<PathBuf>,
    /// Draw the outlines of each field of view's cells into this folder, under its path below DIR:
    /// NAME.overlay.png, each cell with its number, decision and probability
    #[arg(long, value_name = "DIR")]
    pub(super) overlay: Option<PathBuf>,
    /// One JSON object a line (Result)
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it. One bad image does not stop the others.
///
/// # Errors
/// The configuration; a bundle that does not work; at the end, paths that could not be looked at
/// and images that could not be classified.
pub(super) fn run(args: &ClassifyArgs) -> Result<(), CliError> {
    remark(RESEARCH_USE_ONLY);
    let settings = SettingsArgs::of_file(args.config.as_ref())?;
    let source = args.model.clone().map_or(BundleSource::Embedded, BundleSource::File);
    let model = super::model::load(&source, args.engine, settings.decision.review)?;
    let Found { files, faults } = find(&args.paths, &settings.watch.ignore)?;
    for fault in &faults {
        remark(&format!("leukd: {}", clean(fault)));
    }
    let names = NamePattern::new(&settings.watch.name_pattern).map_err(CliError::Software)?;
    let limits = Limits {
        max_bytes: settings.image.max_file.0,
        max_side: settings.image.max_side,
        max_memory: settings.image.max_memory.0,
    };
    let rules =
        RuleSet::new(&settings.watch).map_err(|error| CliError::Software(error.to_string()))?;
    for folder in args.heatmap.iter().chain(&args.overlay) {
        prepare(folder, &files)?;
    }
    if args.heatmap.is_some()
        && let Err(unknown) = model.head()
    {
        return Err(CliError::Data(format!("of this model no map can be made: {unknown}")));
    }
    let bar = progress::bar(files.len() as u64);
    let out = Output::new();
    let mut rejected = 0_usize;
    let with = With { model: &model, limits: &limits, rules: &rules, names: &names };
    let classify = |file: &ImageFile| -> Result<(ImageFile, Vec<proto::Result>), CliError> {
        let (records, maps, bytes) = classify(file, &with, args.heatmap.is_some());
        if let Some(folder) = &args.heatmap {
            for (record, map) in records.iter().zip(&maps) {
                map.as_ref().map_or(Ok(()), |map| write_map(folder, file, record, map))?;
            }
        }
        if let Some(folder) = &args.overlay {
            overlay::write(folder, file, &bytes, &limits, &records)?;
        }
        let results = records.iter().map(|record| convert::result(record, "")).collect();
        Ok((file.clone(), results))
    };
    in_order(&files, &classify, |answered| {
        let (file, results) = answered?;
        bar.inc(1);
        let is_rejected = |one: &proto::Result| one.decision() == proto::Decision::Rejected;
        rejected += usize::from(results.iter().any(is_rejected));
        if results.is_empty() {
            let at = clean(&file.path.display().to_string());
            bar.suspend(|| remark(&format!("leukd: {at}: a field of view without a white cell")));
        }
        // The table has no room for sentences; --json has them.
        for one in results.iter().filter(|one| is_rejected(one) && !args.json) {
            let at = clean(&file.path.display().to_string());
            let why = one.reasons.first().map_or("", |reason| reason.message.as_str());
            bar.suspend(|| remark(&format!("leukd: {at}: {}", clean(why))));
        }
        results.iter().try_for_each(|result| {
            let line =
                if args.json { json::line(result)? } else { show::result_line(result, &out) };
            bar.suspend(|| out.line(&line))
        })
    })?;
    bar.finish_and_clear();
    let all = files.len();
    match (rejected, faults.as_slice()) {
        (0, []) => Ok(()),
        (0, [only]) if all == 0 => Err(CliError::NoInput(only.clone())),
        (0, faults) => {
            let (count, images) = (faults.len(), plural(all, "image was", "images were"));
            Err(CliError::NoInput(format!(
                "{} not be looked at, see above; {images} classified",
                plural(count, "path could", "paths could")
            )))
        }
        (count, _) => Err(CliError::Data(format!(
            "{count} of {all} images could not be classified; their reasons stand above"
        ))),
    }
}

/// `1 image was` or `2 images were`.
fn plural(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Makes a folder for pictures, and refuses images whose pictures would share a name.
fn prepare(folder: &Path, files: &[ImageFile]) -> Result<(), CliError> {
    let mut names = std::collections::HashSet::new();
    if let Some(twice) = files.iter().find(|file| !names.insert(file.below())) {
        let message = "another image has the same path below its folder, and what is drawn of them \
                       would have too: give them in two runs, with two folders";
        return Err(CliError::Usage(format!("{}: {message}", twice.path.display())));
    }
    fs_err::create_dir_all(folder).map_err(|error| CliError::Io(error.to_string()))
}

/// Writes one image's heat map, under its path below the folder that it was found in.
fn write_map(
    folder: &Path,
    file: &ImageFile,
    record: &Record,
    explained: &Explained,
) -> Result<(), CliError> {
    let place = folder.join(file.below());
    let mut name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if record.capture.kind == CaptureKind::Field {
        name = format!("{name}.{}", record.finding.ordinal);
    }
    let io = |error: std::io::Error| CliError::Io(error.to_string());
    fs_err::create_dir_all(place.parent().unwrap_or(folder)).map_err(io)?;
    let numbers = json::line(&convert::heat_map(explained))?;
    let write = |ending: &str, bytes: &[u8]| {
        fs_err::write(place.with_file_name(format!("{name}.heatmap.{ending}")), bytes).map_err(io)
    };
    write("json", numbers.as_bytes())?;
    write("png", explained.overlay.as_deref().unwrap_or_default())
}

/// What every image is classified with.
struct With<'a> {
    model: &'a Model,
    limits: &'a Limits,
    rules: &'a RuleSet,
    names: &'a NamePattern,
}

/// The results of `file`, as the daemon would give them but without a sequence, their heat maps if
/// `is_mapped`, and its bytes.
fn classify(
    file: &ImageFile,
    with: &With<'_>,
    is_mapped: bool,
) -> (Vec<Record>, Vec<Option<Explained>>, Vec<u8>) {
    let With { model, limits, rules, names } = *with;
    let name = file.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let ids = names.ids(&name);
    let read = read_limited(&file.path, limits.max_bytes);
    let examined = read.as_ref().map_err(Clone::clone).and_then(|bytes| {
        let map = |picture: &RgbImage, seen: &Seen| {
            // The head was looked at before the first file.
            is_mapped.then(|| Explained::of(model, picture, seen, true).ok()).flatten()
        };
        let path = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
        let rules = rules.for_path(&path);
        examine_capture_and(bytes, model, limits, &rules, map).map_err(|error| error.reason())
    });
    let bytes = read.as_deref().unwrap_or_default();
    let source = Source::Folder(CapturePath {
        folder: file.folder.to_string_lossy().into_owned(),
        path: file.below().to_string_lossy().into_owned(),
    });
    let modified = fs_err::metadata(&file.path).and_then(|metadata| metadata.modified());
    let now = Clock::system().wall();
    let known = Known {
        result_id: uuid::Uuid::now_v7(),
        capture: Capture {
            digest: read.is_ok().then(|| Digest::of(bytes)),
            size_bytes: bytes.len() as u64,
            source,
            captured_at: modified.map_or(now, timestamp),
            kind: CaptureKind::Cell,
        },
        ids,
    };
    let timings = Timings::default();
    let (found, maps) = match examined {
        Ok((examined, maps)) => (known.examined(examined, &model.reference(), timings, now), maps),
        Err(reason) => (known.rejected(vec![reason], None, timings, now), vec![None]),
    };
    let Captured { capture, cells, .. } = found;
    let record = |finding| {
        let capture = capture.clone();
        Record { sequence: 0, supersedes: None, field: None, capture, finding }
    };
    (cells.into_iter().map(record).collect(), maps, read.unwrap_or_default())
}
