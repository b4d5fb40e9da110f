//! Image files on disk, for the commands that work without a daemon.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::cell::extensions::{extensions, has_extension};
use crate::model::pool::physical_cores;
use crate::result::Reason;

/// Answers of one thread that may wait for those of others.
const AHEAD: usize = 16;

/// The files themselves and the images in the folders, in order of name.
///
/// # Errors
/// [`CliError::NoInput`]: no such file, a folder that cannot be listed, or one without images.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
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
            // A file named on the command line may have any extension.
            if entry.file_type().is_file() && has_extension(entry.path()) {
                files.push(entry.into_path());
            }
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
    let opened = fs_err::File::open(file).map_err(unreadable)?;
    let mut bytes = Vec::new();
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Reason::new("too-large", format!("the file has more than {limit} bytes")));
    }
    Ok(bytes)
}
