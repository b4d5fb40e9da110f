//! Images that are kept, for a later training and for heat maps: one file for each picture, named
//! after its bytes, in the state folder. None is, unless the configuration says so.
//!
//! An image goes when retention has removed the last result of its bytes. What cannot be kept costs
//! no result: it is told in the log and counted.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::error::JournalError;
use super::handle::Journal;
use serde::{Deserialize, Serialize};

use crate::atomic_file;
use crate::measure::Counter;
use crate::result::Digest;

/// Which images are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepImages {
    /// None: images lie where the microscope wrote them, and those of requests nowhere.
    #[default]
    None,
    /// Images of reviewed results, if their file still exists then.
    Reviewed,
    /// Those of all results that a model gave, requests' too.
    All,
}

/// The images' folder in the state folder.
const FOLDER: &str = "images";

/// An image is written before its result is stored: one that is younger than this may have none
/// yet.
const YOUNG: Duration = Duration::from_secs(3600);

/// Where the image of these bytes lies below the state folder, if it is kept: `images/ab/abcd…`, so
/// that no folder holds more than a 256th of them.
#[must_use]
pub fn place(state: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    state.join(FOLDER).join(&name[..2]).join(name)
}

/// The kept images of one state folder.
#[derive(Debug)]
pub struct Images {
    state: PathBuf,
    keep: KeepImages,
    most: u64,
    held: AtomicU64,
    /// Held by whoever writes; what lies there was counted once it is true.
    counted: Mutex<bool>,
    not_kept: Counter,
    full: AtomicBool,
}

/// Why an image was not kept.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error("{held} bytes are kept, and journal.max_images allows {most}")]
    Full { held: u64, most: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Images {
    /// Those of the state folder `state`: what is kept from now on, and at the most, in bytes.
    #[must_use]
    pub fn open(state: &Path, keep: KeepImages, most: u64) -> Self {
        Self {
            state: state.to_owned(),
            keep,
            most,
            held: AtomicU64::new(0),
            counted: Mutex::new(false),
            not_kept: Counter::default(),
            full: AtomicBool::new(false),
        }
    }

    /// How much is kept, in bytes; 0 until the first image is written or all are gone through.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// How many images were to be kept since the process began, and could not be.
    #[must_use]
    pub fn not_kept(&self) -> u64 {
        self.not_kept.get()
    }

    /// Keeps the image of a capture that was classified, where all are kept. Blocks.
    pub fn classified(&self, digest: &Digest, bytes: &[u8]) {
        if self.keep == KeepImages::All {
            self.told(digest, self.write(digest, bytes));
        }
    }

    /// Whether the image of a result that was reviewed is to be kept and is not there yet.
    #[must_use]
    pub fn wants_reviewed(&self, digest: &Digest) -> bool {
        self.keep != KeepImages::None && !place(&self.state, digest).exists()
    }

    /// Keeps the image of a result that was reviewed: what was read of its file, if those are its
    /// bytes. Blocks.
    pub fn reviewed(&self, digest: &Digest, read: io::Result<Vec<u8>>) {
        let kept = read.map_err(NotKept::Io).and_then(|bytes| {
            if Digest::of(&bytes) == *digest {
                self.write(digest, &bytes)
            } else {
                Err(io::Error::other("its file holds other bytes by now").into())
            }
        });
        self.told(digest, kept);
    }

    /// The image of these bytes, if it is kept and whole.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let bytes = fs_err::read(place(&self.state, digest)).ok()?;
        (Digest::of(&bytes) == *digest).then_some(bytes)
    }

    fn told(&self, digest: &Digest, kept: Result<(), NotKept>) {
        match kept {
            Ok(()) => self.full.store(false, Ordering::Relaxed),
            Err(error) => {
                self.not_kept.one();
                // Once, and not for every capture of a night.
                let again = matches!(error, NotKept::Full { .. })
                    && self.full.swap(true, Ordering::Relaxed);
                if !again {
                    tracing::warn!(%digest, "its image is not kept: {error}");
                }
            }
        }
    }

    fn write(&self, digest: &Digest, bytes: &[u8]) -> Result<(), NotKept> {
        let _turn = self.counted();
        let target = place(&self.state, digest);
        if target.exists() {
            // As young as one that is written now: its result is on its way again.
            return Ok(File::open(target)?.set_modified(SystemTime::now())?);
        }
        let (held, size) = (self.held_bytes(), bytes.len() as u64);
        if held.saturating_add(size) > self.most {
            return Err(NotKept::Full { held, most: self.most });
        }
        let folder = target.parent().unwrap_or(&self.state);
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        // Patients' cells: readable for leukd's own user and group, as the journal is.
        atomic_file::write(&target, 0o640, |file| file.write_all(bytes))?;
        self.held.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// A turn for whoever writes. The first one counts what a daemon before has left.
    fn counted(&self) -> MutexGuard<'_, bool> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if !*counted {
            let held = every(&self.state).map(|(_, file)| file.len()).sum();
            self.held.store(held, Ordering::Relaxed);
            *counted = true;
        }
        counted
    }

    /// Removes images of which no stored result is left; how many. Reads every result once, and
    /// blocks meanwhile.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read; nothing is removed then.
    pub fn tidy(&self, journal: &Journal) -> Result<u64, JournalError> {
        drop(self.counted());
        let now = SystemTime::now();
        let old = |file: &Metadata| {
            let age = file.modified().ok().and_then(|at| now.duration_since(at).ok());
            age.is_some_and(|age| age >= YOUNG)
        };
        let mut digests: HashSet<Digest> = every(&self.state)
            .filter(|(_, file)| old(file))
            .filter_map(|(path, _)| path.file_name()?.to_str()?.parse().ok())
            .collect();
        if !digests.is_empty() {
            journal.take_known(&mut digests)?;
        }
        let mut removed = 0;
        for (path, file) in every(&self.state) {
            let digest = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            let goes = match digest {
                // Once more by its age: its bytes may have come again meanwhile.
                Some(digest) => digests.contains(&digest) && old(&file),
                // What a death left half written.
                None => old(&file),
            };
            if !goes {
                continue;
            }
            match fs_err::remove_file(&path) {
                Ok(()) => {
                    removed += 1;
                    let less = |held: u64| Some(held.saturating_sub(file.len()));
                    let _ = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
                }
                Err(error) => {
                    tracing::warn!("an image of which no result is left stays: {error}");
                }
            }
        }
        Ok(removed)
    }
}

/// Every file in the images' folder.
fn every(state: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> {
    let files = walkdir::WalkDir::new(state.join(FOLDER)).min_depth(2).max_depth(2);
    files.into_iter().filter_map(Result::ok).filter_map(|entry| {
        let file = entry.metadata().ok().filter(Metadata::is_file)?;
        Some((entry.into_path(), file))
    })
}
