//! Fields with annotations below a folder.

use std::path::{Path, PathBuf};

use super::{AnnotationError, Place};
use crate::format;

/// The files of a folder and of its subfolders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Fields with annotations, by folder of the pictures, each by path.
    pub sets: Vec<(PathBuf, Vec<Place>)>,
    /// Pictures without any.
    pub bare: Vec<PathBuf>,
}

/// Folders of boxes and of masks: no fields lie in them.
const BOXES: &str = "Annotations";
const MASKS: &str = "CellMasks";
/// Deeper folders are a loop of links.
const MAX_DEPTH: usize = 16;

/// Finds the fields below `folder`. Annotations are
///
/// - `NAME.xml` beside `NAME.jpg`, or in a folder `Annotations` beside that of the pictures,
/// - `NAME.png` in a folder `CellMasks` beside that of the pictures,
/// - `NAME_mask.png` beside `NAME_img.png`, in three levels.
///
/// # Errors
/// [`AnnotationError`] where a folder cannot be read.
pub fn find(folder: &Path) -> Result<Found, AnnotationError> {
    let mut found = Found::default();
    walk(folder, 0, &mut found)?;
    found.sets.sort_by(|one, two| one.0.cmp(&two.0));
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Found) -> Result<(), AnnotationError> {
    let failed = |source| AnnotationError::Read { path: folder.to_owned(), source };
    let (mut pictures, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            folders.push(path);
        } else if is_picture(&path) && !stem(&path).ends_with("_mask") {
            pictures.push(path);
        }
    }
    pictures.sort();
    folders.sort();
    let mut places = Vec::new();
    for picture in pictures {
        match place(picture) {
            Ok(place) => places.push(place),
            Err(bare) => found.bare.push(bare),
        }
    }
    if !places.is_empty() {
        found.sets.push((folder.to_owned(), places));
    }
    let is_annotations =
        |path: &PathBuf| [BOXES, MASKS].iter().any(|own| path.file_name() == Some(own.as_ref()));
    for folder in folders.iter().filter(|path| !is_annotations(path) && depth < MAX_DEPTH) {
        walk(folder, depth + 1, found)?;
    }
    Ok(())
}

/// The annotations of a picture; the picture itself where it has none.
fn place(picture: PathBuf) -> Result<Place, PathBuf> {
    let name = stem(&picture);
    let own = picture.parent().unwrap_or(Path::new("."));
    let beside = own.parent().unwrap_or(own);
    let there = |path: PathBuf| path.is_file().then_some(path);
    let boxes = there(own.join(format!("{name}.xml")))
        .or_else(|| there(beside.join(BOXES).join(format!("{name}.xml"))));
    let cells = there(beside.join(MASKS).join(format!("{name}.png")));
    let levels = name.strip_suffix("_img").and_then(|name| {
        let mask = |extension: &str| there(own.join(format!("{name}_mask.{extension}")));
        format::extensions().find_map(mask)
    });
    if boxes.is_none() && cells.is_none() && levels.is_none() {
        return Err(picture);
    }
    Ok(Place { picture, boxes, cells, levels })
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|own| own.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|own| format::extensions().any(|known| own == known))
}
