//! Fields of view with what people drew on them (boxes, masks), and how well a segmentation agrees
//! with that.

mod agreement;
mod find;
mod mask;
mod sheet;
mod voc;

use std::path::{Path, PathBuf};

use image::RgbImage;

pub use agreement::{Agreement, MaskAgreement, MatchedBox, agreement};
pub use find::{Found, find};
pub use mask::Mask;
pub use sheet::{Compared, contact_sheet};

use crate::{Limits, decode};

/// Left, top, right and bottom in pixels.
pub type Box4 = [f32; 4];

/// A field of view whose annotations lie beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The picture.
    pub picture: PathBuf,
    /// Boxes, in PASCAL VOC's XML.
    pub boxes: Option<PathBuf>,
    /// Masks of whole white cells, lit.
    pub cells: Option<PathBuf>,
    /// A mask of three levels: nuclei white, cytoplasm grey, all else black.
    pub levels: Option<PathBuf>,
}

/// A field of view and what people drew on it.
#[derive(Debug, Clone)]
pub struct Annotated {
    /// The picture's file.
    pub path: PathBuf,
    /// The field.
    pub picture: RgbImage,
    /// White cells' boxes; from the masks where there is no file of boxes.
    pub boxes: Vec<Box4>,
    /// Median of the longer sides of the red cells' boxes; none where no red cell has one.
    pub red_cells: Option<f32>,
    /// White cells.
    pub cells: Vec<Mask>,
    /// The cells' nuclei; none where nobody drew them.
    pub nuclei: Option<Mask>,
}

/// Why annotations cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnnotationError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl AnnotationError {
    fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), problem: problem.into() }
    }
}

/// Names of white and red cells in files of boxes.
#[derive(Debug, Clone)]
pub struct Names {
    /// White cells have one of these.
    pub white: Vec<String>,
    /// Red cells.
    pub red: String,
}

impl Default for Names {
    fn default() -> Self {
        Self { white: vec!["WBC".to_owned()], red: "RBC".to_owned() }
    }
}

/// Parts of a mask below this share of its largest one are slips of the pen.
const MIN_PART: f64 = 0.05;

impl Place {
    /// Reads the field and its annotations.
    ///
    /// # Errors
    /// [`AnnotationError`] names the file that cannot be read or is of another size.
    pub fn read(&self, names: &Names) -> Result<Annotated, AnnotationError> {
        let picture = read_picture(&self.picture)?;
        let mask = |path: &Path| -> Result<RgbImage, AnnotationError> {
            let mask = read_picture(path)?;
            if mask.dimensions() != picture.dimensions() {
                let ((width, height), (due, own)) = (mask.dimensions(), picture.dimensions());
                let problem = format!("{width}×{height} pixels; its field has {due}×{own}");
                return Err(AnnotationError::content(path, problem));
            }
            Ok(mask)
        };
        let (mut cells, mut nuclei) = (Vec::new(), None);
        if let Some(path) = &self.cells {
            cells = Mask::of(&mask(path)?, |level| level > 127).parts(MIN_PART);
        } else if let Some(path) = &self.levels {
            let levels = mask(path)?;
            cells = Mask::of(&levels, |level| level > 64).parts(MIN_PART);
            nuclei = Some(Mask::of(&levels, |level| level > 191));
        }
        let (boxes, red_cells) = match &self.boxes {
            Some(path) => {
                let bytes = read(path)?;
                let found = voc::objects(&String::from_utf8_lossy(&bytes))
                    .map_err(|problem| AnnotationError::content(path, problem))?;
                let named = |is: &dyn Fn(&str) -> bool| -> Vec<Box4> {
                    found.iter().filter(|(name, _)| is(name)).map(|(_, own)| *own).collect()
                };
                let mut red: Vec<f32> = named(&|name| name == names.red)
                    .iter()
                    .map(|own| (own[2] - own[0]).max(own[3] - own[1]))
                    .collect();
                red.sort_by(f32::total_cmp);
                let white = named(&|name| names.white.iter().any(|own| own == name));
                (white, red.get(red.len() / 2).copied())
            }
            None => (cells.iter().map(Mask::bounds).collect(), None),
        };
        Ok(Annotated { path: self.picture.clone(), picture, boxes, red_cells, cells, nuclei })
    }
}

/// Larger files are no annotations.
const MAX_BYTES: u64 = 1 << 30;

fn read(path: &Path) -> Result<Vec<u8>, AnnotationError> {
    let failed = |source| AnnotationError::Read { path: path.to_owned(), source };
    // To open a pipe would wait for its other end.
    let known = std::fs::metadata(path).map_err(failed)?;
    if !known.is_file() || known.len() > MAX_BYTES {
        return Err(AnnotationError::content(path, "it is no regular file of at most 1 GiB"));
    }
    std::fs::read(path).map_err(failed)
}

fn read_picture(path: &Path) -> Result<RgbImage, AnnotationError> {
    decode(&read(path)?, &Limits::default())
        .map_err(|fault| AnnotationError::content(path, fault.message()))
}

#[cfg(test)]
mod tests;
