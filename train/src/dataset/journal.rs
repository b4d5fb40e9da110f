//! A leukd state folder → the cells that people reviewed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use leukd_journal::result::Digest;
use leukd_journal::review::ReviewLabel;
use leukd_journal::{self as journal, FILE, ReviewedCell, images};

use super::found::Found;
use super::{Broken, DatasetError};

/// Whether a folder is leukd's state.
pub(super) fn is_state(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// Every reviewed cell of the state folder `state` whose picture can be found.
///
/// # Errors
///
/// Where the journal cannot be read.
pub(super) fn find(state: &Path) -> Result<(Vec<Found>, Vec<Broken>), DatasetError> {
    let cells = journal::reviewed_cells(state).map_err(|error| DatasetError::Journal {
        path: state.join(FILE),
        message: error.to_string(),
    })?;
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    // A capture and a request of the same bytes are one picture. Where people disagree on it both
    // stand here, and the reading leaves both out.
    let mut seen = BTreeMap::new();
    for cell in cells {
        let sequence = cell.sequence;
        match of(state, cell) {
            Ok(cell) => match seen.insert(
                (cell.path.clone(), cell.place.as_ref().map(|place| place.ordinal), cell.label),
                sequence,
            ) {
                None => found.push(cell),
                Some(before) => {
                    let reason = format!("result {sequence}: the same picture as result {before}");
                    broken.push(Broken { path: cell.path, reason });
                }
            },
            Err((path, reason)) => {
                let path = path.unwrap_or_else(|| state.join(FILE));
                broken.push(Broken { path, reason: format!("result {sequence}: {reason}") });
            }
        }
    }
    Ok((found, broken))
}

fn of(state: &Path, cell: ReviewedCell) -> Result<Found, (Option<PathBuf>, String)> {
    let ReviewedCell { digest, path, is_of_field, place, ids, label, reviewer, .. } = cell;
    let original = path.map(|capture| Path::new(&capture.folder).join(&capture.path));
    let label = match label {
        ReviewLabel::All => 0,
        ReviewLabel::Hem => 1,
        ReviewLabel::Other => {
            return Err((original, format!("{reviewer} says that it is of neither class")));
        }
    };
    let Some(digest) = digest else {
        return Err((original, "its bytes could not be read when it was rejected".to_owned()));
    };
    if ids.specimen.is_empty() {
        let reason = "it names no specimen, and so nobody knows whose cell it is";
        return Err((original, reason.to_owned()));
    }
    if is_of_field && place.is_none() {
        let reason = "its field's event is gone, and with it the cell's place and the scale";
        return Err((original, reason.to_owned()));
    }
    let kept = images::place(state, &digest);
    let is_whole = std::fs::read(&kept).is_ok_and(|bytes| Digest::of(&bytes) == digest);
    let path = match original {
        _ if is_whole => kept,
        Some(original) if original.is_file() => original,
        Some(original) => {
            let reason = "its file is gone, and its image was not kept: journal.keep_images keeps those to come";
            return Err((Some(original), reason.to_owned()));
        }
        None => {
            let reason = "it came with a request, and its image was not kept: journal.keep_images = \"all\" keeps those to come";
            return Err((None, reason.to_owned()));
        }
    };
    let (subject, reviewed) = (ids.specimen, Some(digest));
    Ok(Found { path, label, subject, fold: None, side: None, reviewed, place, line: None })
}
