//! `leukd classify`: images on disk, without a daemon.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::output::{Output, remark};
use super::{json, progress, show};
use crate::cell::Limits;
use crate::cell::name::NamePattern;
use crate::clock::{Clock, timestamp};
use crate::config::settings::Settings;
use crate::model::bundle::BundleSource;
use crate::model::pool::physical_cores;
use crate::model::serving::Model;
use crate::pipeline::examine;
use crate::result::{
    CapturePath, Decision, Digest, Finding, RESEARCH_USE_ONLY, Reason, Record, Source, Timings,
};
use crate::rpc::{convert, proto};

/// What is taken from a folder. A file that is named itself may have any name.
const EXTENSIONS: [&str; 6] = ["bmp", "png", "tif", "tiff", "jpg", "jpeg"];

/// How many answers of one thread may wait for the others'.
const AHEAD: usize = 16;

/// Classify image files here and now, without the daemon; nothing is stored
///
/// The limits and the file-name pattern are the built-in ones, and so is the model unless --model names another:
/// no configuration is read.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ClassifyArgs {
    /// Images, or folders of images
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(super) paths: Vec<PathBuf>,
    /// Classify with this bundle instead of the one inside the binary
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// One JSON object a line (Result)
    #[arg(long)]
    pub(super) json: bool,
}

/// Runs it. One bad image does not stop the others.
///
/// # Errors
/// No such file; a bundle that does not work; after all others, images that could not be classified.
pub(super) fn run(args: &ClassifyArgs) -> Result<(), CliError> {
    remark(RESEARCH_USE_ONLY);
    let source = args.model.clone().map_or(BundleSource::Embedded, BundleSource::File);
    let model = super::model::load(&source)?;
    let files = files(&args.paths)?;
    let settings = Settings::default();
    let names = NamePattern::new(&settings.watch.name_pattern).map_err(CliError::Software)?;
    let limits = Limits {
        max_bytes: settings.image.max_file.0,
        max_side: settings.image.max_side,
        max_memory: settings.image.max_memory.0,
    };
    let bar = progress::bar(files.len() as u64);
    let out = Output::new();
    let mut rejected = 0_usize;
    let classify = |file: &Path| classify(file, &model, &limits, &names);
    in_order(&files, &classify, |result| {
        bar.inc(1);
        rejected += usize::from(result.decision() == proto::Decision::Rejected);
        let line = if args.json { json::line(&result)? } else { show::result_line(&result, &out) };
        bar.suspend(|| out.line(&line))
    })?;
    bar.finish_and_clear();
    if rejected == 0 {
        return Ok(());
    }
    let (count, all) = (rejected, files.len());
    Err(CliError::Data(format!(
        "{count} of {all} images could not be classified; their reasons stand above"
    )))
}

/// The files themselves and the images in the folders, in order of name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        let about = |error: &dyn std::fmt::Display| {
            CliError::NoInput(format!("{}: {error}", path.display()))
        };
        if !fs_err::metadata(path).map_err(|error| CliError::NoInput(error.to_string()))?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            let entry = entry.map_err(|error| about(&error))?;
            let extension = entry.path().extension().map(|text| text.to_ascii_lowercase());
            let is_image =
                extension.is_some_and(|text| EXTENSIONS.iter().any(|known| text == *known));
            if entry.file_type().is_file() && is_image {
                files.push(entry.into_path());
            }
        }
        if files.len() == before {
            return Err(about(&format!("no image in it ({})", EXTENSIONS.join(", "))));
        }
    }
    Ok(files)
}

/// Runs `work` on each file, on one thread a core, and gives the answers to `take` in the files' order.
/// At most some dozens of answers wait for an earlier one.
fn in_order(
    files: &[PathBuf],
    work: &(impl Fn(&Path) -> proto::Result + Sync),
    mut take: impl FnMut(proto::Result) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let threads = physical_cores().min(files.len()).max(1);
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..threads)
            .map(|lane| {
                let (answer, answers) = std::sync::mpsc::sync_channel(AHEAD);
                scope.spawn(move || {
                    for file in files.iter().skip(lane).step_by(threads) {
                        // A panic ends this lane, and the receiver says at which file.
                        let Ok(result) = catch_unwind(AssertUnwindSafe(|| work(file))) else {
                            break;
                        };
                        // The receiver goes when the output is closed: then there is nothing left to do.
                        if answer.send(result).is_err() {
                            break;
                        }
                    }
                });
                answers
            })
            .collect();
        for index in 0..files.len() {
            let answer = lanes[index % threads].recv().map_err(|_| {
                CliError::Software(format!("a worker failed on {}", files[index].display()))
            })?;
            take(answer)?;
        }
        Ok(())
    })
}

/// One file's result, as the daemon would give it, without a place in a journal.
fn classify(file: &Path, model: &Model, limits: &Limits, names: &NamePattern) -> proto::Result {
    let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let ids = names.ids(&name);
    let read = read_limited(file, limits.max_bytes);
    let examined = read
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|bytes| examine(bytes, model, limits).map_err(|error| error.reason()));
    let bytes = read.as_deref().unwrap_or_default();
    let source = Source::Folder(CapturePath {
        folder: file
            .parent()
            .map(|parent| parent.to_string_lossy().into_owned())
            .unwrap_or_default(),
        path: name.into_owned(),
    });
    let modified = fs_err::metadata(file).and_then(|metadata| metadata.modified());
    let now = Clock::system().wall();
    let blank = Finding {
        result_id: uuid::Uuid::now_v7().to_string(),
        source,
        sha256: read.is_ok().then(|| Digest::of(bytes)),
        size_bytes: bytes.len() as u64,
        ids,
        label: None,
        probabilities: Vec::new(),
        decision: Decision::Rejected,
        reasons: Vec::new(),
        quality_flags: Vec::new(),
        model: None,
        captured_at: modified.map_or(now, timestamp),
        classified_at: now,
        timings: Timings::default(),
    };
    let finding = match examined {
        Ok(examined) => Finding {
            label: Some(examined.judgement.label),
            probabilities: examined.probabilities,
            decision: examined.judgement.decision,
            reasons: examined.judgement.reasons,
            quality_flags: examined.quality_flags,
            model: Some(model.reference()),
            timings: examined.timings,
            ..blank
        },
        Err(reason) => Finding { reasons: vec![reason], ..blank },
    };
    convert::result(&Record { sequence: 0, supersedes: None, finding }, "")
}

fn read_limited(file: &Path, limit: u64) -> Result<Vec<u8>, Reason> {
    let unreadable = |error: std::io::Error| Reason::new("unreadable", error.to_string());
    let opened = fs_err::File::open(file).map_err(unreadable)?;
    let mut bytes = Vec::new();
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Reason::new("too-large", format!("the file has more than {limit} bytes")));
    }
    Ok(bytes)
}
