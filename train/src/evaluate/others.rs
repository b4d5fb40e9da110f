//! Pictures that are none of the cells that a model was made for: how many of them it doubts.

use std::path::{Path, PathBuf};

use image::RgbImage;
use leukd_cell::foreign::Foreign;
use leukd_model::serving::Model;
use leukd_model::verdict::Judgement;
use rayon::prelude::*;

use super::Doubted;
use crate::dataset::{is_image, picture};

/// Drawn pictures of each kind.
pub const DRAWN: u64 = 24;

/// Why nothing can be said of other pictures.
#[derive(Debug, thiserror::Error)]
pub enum OthersError {
    /// The folder, or one below it, cannot be listed.
    #[error("{path}: {source}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There is not one image.
    #[error("{0}: no images in it: give a folder with one folder for each kind of picture")]
    Empty(PathBuf),
    /// The bundle cannot be run on a drawn picture.
    #[error("a drawn picture ({kind}): {problem}")]
    Drawn {
        /// What was drawn.
        kind: &'static str,
        /// What went wrong.
        problem: String,
    },
}

/// Of the pictures that leukd draws itself, [`DRAWN`] of each kind, and of the images below each
/// folder of `folder`, where there is one. A bundle without a reference doubts nothing: none of it
/// is asked.
///
/// # Errors
///
/// Where the folder cannot be listed or holds no image, or the engine does not run.
pub fn others(model: &Model, folder: Option<&Path>) -> Result<Vec<Doubted>, OthersError> {
    if model.manifest().reference.is_none() {
        return Ok(Vec::new());
    }
    let mut told = Vec::new();
    for kind in Foreign::EVERY {
        let mut doubted = Doubted::none_of(format!("drawn: {}", kind.as_str()), "");
        let pictures: Vec<RgbImage> = kind.pictures(DRAWN).collect();
        let judged: Vec<_> = pictures.par_iter().map(|picture| judged(model, picture)).collect();
        for judgement in judged {
            let failed = |problem| OthersError::Drawn { kind: kind.as_str(), problem };
            count(&mut doubted, &judgement.map_err(failed)?);
        }
        told.push(doubted);
    }
    if let Some(folder) = folder {
        told.extend(foreign(model, folder)?);
    }
    Ok(told)
}

/// Of the images below each folder of `folder`, and of those that lie in it, by the folders' names.
fn foreign(model: &Model, folder: &Path) -> Result<Vec<Doubted>, OthersError> {
    let mut kinds = vec![(folder.to_owned(), Vec::new())];
    for entry in list(folder)? {
        if is_folder(&entry) {
            let images = images(&entry)?;
            kinds.push((entry, images));
        } else if is_image(&entry) {
            kinds[0].1.push(entry);
        }
    }
    kinds.retain(|(_, images)| !images.is_empty());
    if kinds.is_empty() {
        return Err(OthersError::Empty(folder.to_owned()));
    }
    Ok(kinds.into_iter().map(|(kind, images)| of_files(model, &kind, &images)).collect())
}

fn of_files(model: &Model, kind: &Path, images: &[PathBuf]) -> Doubted {
    let name = kind.file_name().unwrap_or(kind.as_os_str()).to_string_lossy();
    let mut doubted = Doubted::none_of(name, "");
    let judged: Vec<_> = images
        .par_iter()
        .map(|path| picture(path).and_then(|(_, picture)| judged(model, &picture)))
        .collect();
    for (path, judged) in images.iter().zip(judged) {
        match judged {
            Ok(judgement) => count(&mut doubted, &judgement),
            Err(reason) => {
                tracing::warn!(path = %path.display(), reason, "left out");
                doubted.unreadable += 1;
            }
        }
    }
    doubted
}

fn judged(model: &Model, picture: &RgbImage) -> Result<Judgement, String> {
    let input =
        model.manifest().preprocessing.tensor(picture).map_err(|fault| fault.to_string())?;
    let seen = model.look(&input).map_err(|error| error.to_string())?;
    let measured = model.measure(picture).map_err(|fault| fault.to_string())?;
    Ok(model.verdict(&seen, &measured).judgement)
}

fn count(doubted: &mut Doubted, judgement: &Judgement) {
    doubted.count(judgement.reasons.iter().map(|reason| reason.code.as_str()));
}

/// Every image below `folder`.
fn images(folder: &Path) -> Result<Vec<PathBuf>, OthersError> {
    let (mut waiting, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = waiting.pop() {
        for entry in list(&next)? {
            if is_folder(&entry) {
                waiting.push(entry);
            } else if is_image(&entry) {
                found.push(entry);
            }
        }
    }
    Ok(found)
}

/// A folder and no link to one: such a link may lead back.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|of| of.is_dir())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, OthersError> {
    let failed = |source| OthersError::Folder { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}
