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
use crate::result::{Reason, ReasonCode};

/// Answers of one thread that may wait for those of others.
const AHEAD: usize = 16;

/// An image file, and the folder that it was found below: its own where it was named itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageFile {
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
}

impl ImageFile {
    /// The path below [`ImageFile::folder`].
    pub(super) fn below(&self) -> &Path {
        self.path.strip_prefix(&self.folder).unwrap_or(&self.path)
    }
}

impl AsRef<Path> for ImageFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// Image files, and what could not be looked at.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<ImageFile>,
    /// One sentence each: a missing file, a folder that cannot be listed, or one without images.
    pub(super) faults: Vec<String>,
}

/// The files themselves and the images in the folders, in order of name, without what `ignore`
/// (`watch.ignore`) names below them.
///
/// # Errors
/// [`CliError::Usage`]: a glob that is none.
pub(super) fn find(paths: &[PathBuf], ignore: &[String]) -> Result<Found, CliError> {
    let ignored =
        globs("watch.ignore", ignore).map_err(|error| CliError::Usage(error.to_string()))?;
    let mut found = Found::default();
    for path in paths {
        match fs_err::metadata(path) {
            Ok(metadata) if metadata.is_dir() => walk(path, &ignored, &mut found),
            Ok(_) => {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                found.files.push(ImageFile { path: path.clone(), folder });
            }
            Err(error) => found.faults.push(missing(path, &error)),
        }
    }
    Ok(found)
}

/// A path that leads to no file, in the user's words.
fn missing(path: &Path, error: &std::io::Error) -> String {
    let shown = path.display();
    if error.kind() != std::io::ErrorKind::NotFound {
        return error.to_string();
    }
    match fs_err::read_link(path) {
        Ok(target) => {
            format!("{shown}: this link leads to {}, which is not there", target.display())
        }
        Err(_) => format!("{shown}: there is no such file or folder"),
    }
}

/// The images below `folder`.
fn walk(folder: &Path, ignored: &globset::GlobSet, found: &mut Found) {
    let (files, faults) = (found.files.len(), found.faults.len());
    let mut passed_over = 0_usize;
    let is_kept = |entry: &walkdir::DirEntry| {
        !ignored.is_match(entry.path().strip_prefix(folder).unwrap_or(entry.path()))
    };
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(is_kept) {
        let entry = match entry {
            Ok(entry) => entry,
            // The rest of the folder is still there.
            Err(error) => {
                let at = error.path().unwrap_or(folder).display().to_string();
                let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                found.faults.push(format!("{at}: this folder cannot be read: {why}"));
                continue;
            }
        };
        // A file named on the command line may have any extension.
        match entry.file_type() {
            kind if kind.is_dir() => {}
            kind if kind.is_file() && has_extension(entry.path()) => {
                let folder = folder.to_owned();
                found.files.push(ImageFile { path: entry.into_path(), folder });
            }
            _ => passed_over += 1,
        }
    }
    if passed_over > 0 {
        remark(&format!(
            "leukd: {}: passed over {passed_over} that are no image files by their names, or links, \
             pipes or devices",
            clean(&folder.display().to_string())
        ));
    }
    if (found.files.len(), found.faults.len()) == (files, faults) {
        let known: Vec<&str> = extensions().collect();
        let shown = folder.display();
        found.faults.push(format!("{shown}: no image in it ({})", known.join(", ")));
    }
}

/// The same where all of it is needed.
///
/// # Errors
/// [`CliError::NoInput`]: no such file, a folder that cannot be listed, or one without images.
pub(super) fn files(paths: &[PathBuf], ignore: &[String]) -> Result<Vec<PathBuf>, CliError> {
    let Found { files, faults } = find(paths, ignore)?;
    match faults.into_iter().next() {
        Some(fault) => Err(CliError::NoInput(fault)),
        None => Ok(files.into_iter().map(|file| file.path).collect()),
    }
}

/// Runs `work` on each file, on one thread a core, and gives the answers to `take` in the files'
/// order. At most some dozens of answers wait for an earlier one.
///
/// # Errors
/// [`CliError::Software`] where `work` panicked, and whatever `take` gives.
pub(super) fn in_order<F: AsRef<Path> + Sync, T: Send>(
    files: &[F],
    work: &(impl Fn(&F) -> T + Sync),
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
                        // The receiver goes when the output is closed: then there is nothing left
                        // to do.
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
                let file = files[index].as_ref().display();
                CliError::Software(format!("a worker failed on {file}"))
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
    let unreadable = |error: std::io::Error| Reason::new(ReasonCode::Unreadable, error.to_string());
    // A pipe opened to wait would wait for somebody who writes into it.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(file);
    // A socket cannot even be opened.
    let is_socket = |error: &std::io::Error| {
        error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error())
    };
    let is_file = match &opened {
        Ok(opened) => opened.metadata().map_err(unreadable)?.is_file(),
        Err(error) => !is_socket(error),
    };
    if !is_file {
        let message = format!(
            "{} is a pipe, a socket or a device, not a file: save it as a file",
            file.display()
        );
        return Err(Reason::new(ReasonCode::Unreadable, message));
    }
    let mut bytes = Vec::new();
    opened.map_err(unreadable)?.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Reason::new(
            ReasonCode::TooLarge,
            format!("the file has more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}
