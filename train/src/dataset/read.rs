//! Files that were found → cells.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::RgbImage;
use leukd_cell::complete::{Completeness, completeness};
use leukd_cell::decode::{Limits, decode};
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::segment::Point;
use leukd_cell::{Fault, Measures, Morphometry};
use leukd_journal::CellPlace;
use leukd_journal::result::Digest;
use leukd_model::field::training_crop;
use rayon::prelude::*;

use super::found::{Found, Names};
use super::{
    Broken, Cell, Dataset, DatasetError, LABELS, Progress, folder, journal, near, pack, table,
};

/// As [`Dataset::read_with`].
pub(super) fn read(
    source: &Path,
    preprocessing: &Preprocessing,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Dataset, DatasetError> {
    if pack::is_pack(source) {
        return pack::read(source, preprocessing);
    }
    let names = Names::new()?;
    let (found, mut broken) = if source.is_file() {
        table::find(source, &names)?
    } else if journal::is_state(source) {
        journal::find(source)?
    } else {
        folder::find(source, &names)?
    };
    let (done, of) = (AtomicUsize::new(0), found.len());
    let read: Vec<Result<Cell, Broken>> = found
        .into_par_iter()
        .map(|found| {
            let cell = cell(&found, &names, preprocessing).map_err(|reason| match &found.line {
                Some((csv, line)) => table::on_line(found.path.clone(), csv, *line, &reason),
                None => Broken { path: found.path.clone(), reason },
            });
            progress(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, of });
            cell
        })
        .collect();
    let mut cells = Vec::with_capacity(read.len());
    for found in read {
        match found {
            Ok(cell) => cells.push(cell),
            Err(file) => broken.push(file),
        }
    }
    cells.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    let (mut cells, contradictory) = agreeing(cells);
    broken.extend(contradictory);
    broken.sort_by(|a, b| (&a.path, &a.reason).cmp(&(&b.path, &b.reason)));
    if cells.is_empty() {
        let broken = broken.first().map_or_else(String::new, |file| {
            let Broken { path, reason } = file;
            format!("; {} were left out, such as {}: {reason}", broken.len(), path.display())
        });
        return Err(DatasetError::Empty { path: source.to_owned(), broken });
    }
    let joined = near::join(&mut cells);
    Ok(Dataset { source: source.to_owned(), cells, broken, joined })
}

fn cell(found: &Found, names: &Names, preprocessing: &Preprocessing) -> Result<Cell, String> {
    let path = &found.path;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or("its name is not UTF-8: rename it")?
        .to_owned();
    // Such names break the lines of a split's CSV, and of every log.
    if format!("{}{}", path.display(), found.subject).contains(char::is_control) {
        return Err("its path or its subject holds a control character: rename it".to_owned());
    }
    if found.reviewed.is_none()
        && let Some(told) = names.label(&name)
        && told != found.label
    {
        let (told, given) = (LABELS[told], LABELS[found.label]);
        return Err(format!("its name says {told}, and it is labelled {given}"));
    }
    let (bytes, picture) = picture(path)?;
    if found.reviewed.is_some_and(|digest| digest != Digest::of(&bytes)) {
        return Err("it holds other bytes than those that were reviewed".to_owned());
    }
    let format = match completeness(&bytes) {
        Completeness::Complete(format) => format,
        Completeness::Incomplete(fault) | Completeness::Unrecognised(fault) => {
            return Err(fault.message().to_owned());
        }
    };
    let digest = Digest::of(&bytes);
    let (name, digest, picture) = match &found.place {
        None => (name, digest, picture),
        Some(place) => {
            let cell = of_field(&picture, place).map_err(|fault| fault.message().to_owned())?;
            (format!("{name}#{}", place.ordinal), Digest::of(cell.as_raw()), cell)
        }
    };
    let square = preprocessing.square(&picture).map_err(|fault| fault.message().to_owned())?;
    let measures = Measures::of(&picture);
    let morphometry = Morphometry::of(&picture).map_err(|fault| fault.message().to_owned())?;
    #[expect(clippy::cast_sign_loss, reason = "an area is at least 0")]
    let area = measures.map_or(0, |measures| measures.area as u64);
    Ok(Cell {
        path: path.clone(),
        name,
        label: found.label,
        subject: found.subject.trim().to_owned(),
        fold: found.fold.clone(),
        side: found.side,
        digest,
        place: found.place.clone(),
        format,
        width: picture.width(),
        height: picture.height(),
        area,
        measures,
        morphometry,
        teacher: None,
        pixels: square.into_raw(),
    })
}

/// The cell at `place` of a field of view, cut out on black as the daemon does it.
pub(super) fn of_field(field: &RgbImage, place: &CellPlace) -> Result<RgbImage, Fault> {
    // Whole pixels are exact.
    let corner = |[x, y]: &[u32; 2]| Point { x: *x as f32, y: *y as f32 };
    let outline: Vec<Point> = place.outline.iter().map(corner).collect();
    let crop = training_crop(place.micrometres_per_pixel);
    crop.outlined_on_black(field, place.region, &outline)
}

/// A file's bytes and its picture, decoded as the daemon does it.
pub(crate) fn picture(path: &Path) -> Result<(Vec<u8>, RgbImage), String> {
    let limits = Limits::default();
    // Told before opening: to open a pipe would wait for its other end.
    let file = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !file.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if file.len() > limits.max_bytes {
        let (bytes, most) = (file.len(), limits.max_bytes);
        return Err(format!("the file has {bytes} bytes; at most {most} are allowed"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let picture = decode(&bytes, &limits).map_err(|fault| fault.message().to_owned())?;
    Ok((bytes, picture))
}

/// The cells whose byte-identical copies all have their label; the others cannot be told right from
/// wrong, so all copies are left out.
fn agreeing(cells: Vec<Cell>) -> (Vec<Cell>, Vec<Broken>) {
    let mut examples: HashMap<Digest, [Option<PathBuf>; LABELS.len()]> = HashMap::new();
    for cell in &cells {
        let example = &mut examples.entry(cell.digest).or_default()[cell.label];
        example.get_or_insert_with(|| cell.path.clone());
    }
    let mut broken = Vec::new();
    let cells = cells
        .into_iter()
        .filter(|cell| {
            let other = examples.get(&cell.digest).and_then(|paths| paths[1 - cell.label].as_ref());
            if let Some(other) = other {
                let reason = format!(
                    "the same bytes are labelled {} here and {} in {}: remove what is wrong",
                    LABELS[cell.label],
                    LABELS[1 - cell.label],
                    other.display()
                );
                broken.push(Broken { path: cell.path.clone(), reason });
            }
            other.is_none()
        })
        .collect();
    (cells, broken)
}
