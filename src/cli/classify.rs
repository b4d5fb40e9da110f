//! `leukd classify`: images on disk, without a daemon.

use std::path::{Path, PathBuf};

use image::RgbImage;

use super::error::CliError;
use super::images::{Found, ImageFile, find, in_order, read_limited};
use super::output::{Output, clean, remark};
use super::settings::SettingsArgs;
use super::{json, progress, show};
use crate::cell::Limits;
use crate::cell::name::NamePattern;
use crate::clock::{Clock, timestamp};
use crate::grpc::{convert, proto};
use crate::model::bundle::BundleSource;
use crate::model::engine::EngineKind;
use crate::model::serving::{Model, Seen};
use crate::pipeline::{Explained, examine_and};
use crate::result::{
    Capture, CaptureKind, CapturePath, Decision, Digest, Finding, RESEARCH_USE_ONLY, Record,
    Source, Timings,
};

/// Classify image files without the daemon; nothing is stored
///
/// Limits, the file-name pattern and the review band are the daemon's: they come from /etc/leukd/leukd.toml, --config and
/// variables named LEUKD__SECTION__KEY. The model is the one inside the binary, or that of --model.
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
    /// Write a heat map of each image into this folder, under its path below DIR: NAME.heatmap.png, the picture with the
    /// map over it, and NAME.heatmap.json, its numbers (HeatMap)
    #[arg(long, value_name = "DIR")]
    pub(super) heatmap: Option<PathBuf>,
    /// One JSON object a line (Result)
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it. One bad image does not stop the others.
///
/// # Errors
/// The configuration; a bundle that does not work; at the end, paths that could not be looked at and images that could
/// not be classified.
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
    if let Some(folder) = &args.heatmap {
        prepare(folder, &files, &model)?;
    }
    let bar = progress::bar(files.len() as u64);
    let out = Output::new();
    let mut rejected = 0_usize;
    let classify = |file: &ImageFile| {
        let (result, map) = classify(file, &model, &limits, &names, args.heatmap.is_some());
        let mapped = match (&args.heatmap, map) {
            (Some(folder), Some(map)) => write_map(folder, file, &map),
            _ => Ok(()),
        };
        (result, mapped)
    };
    in_order(&files, &classify, |(result, mapped)| {
        mapped?;
        bar.inc(1);
        rejected += usize::from(result.decision() == proto::Decision::Rejected);
        let line = if args.json { json::line(&result)? } else { show::result_line(&result, &out) };
        bar.suspend(|| out.line(&line))
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

/// Makes the folder of heat maps, and refuses images whose maps would share a name.
fn prepare(folder: &Path, files: &[ImageFile], model: &Model) -> Result<(), CliError> {
    if let Err(unknown) = model.head() {
        return Err(CliError::Data(format!("of this model no map can be made: {unknown}")));
    }
    let mut names = std::collections::HashSet::new();
    if let Some(twice) = files.iter().find(|file| !names.insert(file.below())) {
        let message = "another image has the same path below its folder, and their heat maps would \
                       have too: give them in two runs, with two folders";
        return Err(CliError::Usage(format!("{}: {message}", twice.path.display())));
    }
    fs_err::create_dir_all(folder).map_err(|error| CliError::Io(error.to_string()))
}

/// Writes one image's heat map, under its path below the folder that it was found in.
fn write_map(folder: &Path, file: &ImageFile, explained: &Explained) -> Result<(), CliError> {
    let place = folder.join(file.below());
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let io = |error: std::io::Error| CliError::Io(error.to_string());
    fs_err::create_dir_all(place.parent().unwrap_or(folder)).map_err(io)?;
    let numbers = json::line(&convert::heat_map(explained))?;
    let write = |ending: &str, bytes: &[u8]| {
        fs_err::write(place.with_file_name(format!("{name}.heatmap.{ending}")), bytes).map_err(io)
    };
    write("json", numbers.as_bytes())?;
    write("png", explained.overlay.as_deref().unwrap_or_default())
}

/// The result of `file`, as the daemon would give it but without a sequence, and its heat map if
/// `mapped`.
fn classify(
    file: &ImageFile,
    model: &Model,
    limits: &Limits,
    names: &NamePattern,
    mapped: bool,
) -> (proto::Result, Option<Explained>) {
    let name = file.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let ids = names.ids(&name);
    let read = read_limited(&file.path, limits.max_bytes);
    let examined = read.as_ref().map_err(Clone::clone).and_then(|bytes| {
        let map = |picture: &RgbImage, seen: &Seen| {
            // The head was looked at before the first file.
            mapped.then(|| Explained::of(model, picture, seen, true).ok()).flatten()
        };
        examine_and(bytes, model, limits, map).map_err(|error| error.reason())
    });
    let bytes = read.as_deref().unwrap_or_default();
    let source = Source::Folder(CapturePath {
        folder: file.folder.to_string_lossy().into_owned(),
        path: file.below().to_string_lossy().into_owned(),
    });
    let modified = fs_err::metadata(&file.path).and_then(|metadata| metadata.modified());
    let now = Clock::system().wall();
    let capture = Capture {
        digest: read.is_ok().then(|| Digest::of(bytes)),
        size_bytes: bytes.len() as u64,
        source,
        captured_at: modified.map_or(now, timestamp),
        kind: CaptureKind::Cell,
    };
    let blank = Finding {
        result_id: uuid::Uuid::now_v7().to_string(),
        ordinal: 0,
        region: None,
        outline: None,
        ids,
        p_all: None,
        decision: Decision::Rejected,
        reasons: Vec::new(),
        quality_flags: Vec::new(),
        quality: None,
        model: None,
        classified_at: now,
        timings: Timings::default(),
    };
    let (finding, map) = match examined {
        Ok((examined, map)) => {
            let finding = Finding {
                p_all: Some(examined.p_all),
                decision: examined.judgement.decision,
                reasons: examined.judgement.reasons,
                quality_flags: examined.quality_flags,
                quality: Some(examined.quality),
                model: Some(model.reference()),
                timings: examined.timings,
                ..blank
            };
            (finding, map)
        }
        Err(reason) => (Finding { reasons: vec![reason], ..blank }, None),
    };
    (
        convert::result(
            &Record { sequence: 0, supersedes: None, field: None, capture, finding },
            "",
        ),
        map,
    )
}
