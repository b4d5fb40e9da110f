//! Image files on disk, for the commands that work without a daemon.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::error::CliError;
use super::output::{clean, remark};
use crate::cell::extensions::{extensions, has_extension};
use crate::ingest::settings::globs;
use crate::model::pool::physical_cores;
use crate::result::Reason;

/// Answers of one thread that may wait for those of others.
const AHEAD: usize = 16;

/// The files themselves and the images in the folders, in order of name, without what `ignore`
/// (`watch.ignore`) names below them.
///
/// # Errors
/// [`CliError::NoInput`]: no such file, a folder that cannot be listed, or one without images.
pub(super) fn files(paths: &[PathBuf], ignore: &[String]) -> Result<Vec<PathBuf>, CliError> {
    let ignored =
        globs("watch.ignore", ignore).map_err(|error| CliError::Usage(error.to_string()))?;
    let mut files = Vec::new();
    for path in paths {
        let about = |error: &dyn std::fmt::Display| {
            CliError::NoInput(format!("{}: {error}", path.display()))
        };
        if !fs_err::metadata(path).map_err(|error| CliError::NoInput(error.to_string()))?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let (before, mut passed_over) = (files.len(), 0_usize);
        let is_kept = |entry: &walkdir::DirEntry| {
            !ignored.is_match(entry.path().strip_prefix(path).unwrap_or(entry.path()))
        };
        let walk = walkdir::WalkDir::new(path).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(is_kept) {
            let entry = entry.map_err(|error| about(&error))?;
            // A file named on the command line may have any extension.
            match entry.file_type() {
                kind if kind.is_dir() => {}
                kind if kind.is_file() && has_extension(entry.path()) => {
                    files.push(entry.into_path());
                }
                _ => passed_over += 1,
            }
        }
        if passed_over > 0 {
            remark(&format!(
                "leukd: {}: passed over {passed_over} that are no image files by their names, or links, pipes \
                 or devices",
                clean(&path.display().to_string())
            ));
        }
        if files.len() == before {
            let known: Vec<&str> = extensions().collect();
            return Err(about(&format!("no image in it ({})", known.join(", "))));
        }
    }
    Ok(files)
}

/// Runs `work` on each file, on one thread a core, and gives the answers to `take` in the files' order.
/// At most some dozens of answers wait for an earlier one.
///
/// # Errors
/// [`CliError::Software`] where `work` panicked, and whatever `take` gives.
pub(super) fn in_order<T: Send>(
    files: &[PathBuf],
    work: &(impl Fn(&Path) -> T + Sync),
    mut take: impl FnMut(T) -> Result<(), CliError>,
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

/// A file's bytes.
///
/// # Errors
/// `unreadable`, or `too-large` for more than `limit` bytes.
pub(super) fn read_limited(file: &Path, limit: u64) -> Result<Vec<u8>, Reason> {
    let unreadable = |error: std::io::Error| Reason::new("unreadable", error.to_string());
    // A pipe opened to wait would wait for somebody who writes into it.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(file);
    let opened = opened.map_err(unreadable)?;
    if !opened.metadata().map_err(unreadable)?.is_file() {
        let message =
            format!("{} is a pipe or a device, not a file: save it as a file", file.display());
        return Err(Reason::new("unreadable", message));
    }
    let mut bytes = Vec::new();
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Reason::new("too-large", format!("the file has more than {limit} bytes")));
    }
    Ok(bytes)
}
