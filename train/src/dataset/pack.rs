//! All cells of a data set in one file, at the network's size: to carry them to another machine,
//! and to read them there in seconds.
//!
//! A ZIP file of `index.json` and one lossless PNG a cell. It keeps what splits and reports need of
//! the originals (digest, subject, area, size), so that a run on a pack is the run on the files.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use image::ImageFormat;
use leukd_cell::preprocess::Preprocessing;
use leukd_cell::{FORMATS, Measures, Morphometry};
use leukd_journal::result::Digest;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::split::Side;
use super::{Broken, Cell, Dataset, DatasetError, LABELS, lossy};
use crate::files;

const INDEX: &str = "index.json";

/// The version of the index that this program writes and reads.
///
/// Version 1 did not hold what the whole pictures measure, and from the squares alone nobody can
/// tell. Version 2 did not hold their morphometry.
const VERSION: u32 = 3;

/// The most bytes of an index: more than 100 million cells would need.
const MOST_INDEX: u64 = 8 << 30;

/// The most bytes of one PNG.
const MOST_PICTURE: u64 = 64 << 20;

/// How a ZIP file begins.
const MAGIC: [u8; 4] = *b"PK\x03\x04";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    version: u32,
    /// What brought the pictures to their size. Their colours are as captured: standardised when
    /// they are read.
    preprocessing: Preprocessing,
    cells: Vec<Entry>,
    /// What had been left out.
    broken: Vec<Left>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(serialize_with = "lossy")]
    path: PathBuf,
    name: String,
    label: String,
    subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fold: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    side: Option<Side>,
    sha256: String,
    format: String,
    width: u32,
    height: u32,
    area: u64,
    /// In the order of [`Measures::NAMES`], as text: so they are read back bit for bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measures: Option<[String; Measures::NAMES.len()]>,
    /// In the order of [`Morphometry::iter`], as text too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    morphometry: Option<Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Left {
    #[serde(serialize_with = "lossy")]
    path: PathBuf,
    reason: String,
}

/// Whether `path` is a pack, by its first bytes.
pub(super) fn is_pack(path: &Path) -> bool {
    let mut start = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == MAGIC
}

impl Dataset {
    /// Writes every cell to `path`, whole or not at all. `preprocessing` is what they were read
    /// with; what it says beyond the square (colours, order, range) is free when the pack is read.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn pack(&self, preprocessing: &Preprocessing, path: &Path) -> Result<(), DatasetError> {
        let failed = |source| DatasetError::File { action: "write", path: path.to_owned(), source };
        files::replace_with(path, |file| self.write_pack(preprocessing, file)).map_err(failed)
    }

    fn write_pack(&self, preprocessing: &Preprocessing, file: &mut File) -> std::io::Result<()> {
        let index = Index {
            version: VERSION,
            preprocessing: Preprocessing { standardise: None, ..preprocessing.clone() },
            cells: self.cells.iter().map(Entry::of).collect(),
            broken: self
                .broken
                .iter()
                .map(|file| Left { path: file.path.clone(), reason: file.reason.clone() })
                .collect(),
        };
        let mut zip = ZipWriter::new(file);
        // PNG is deflated already.
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let stored = stored.large_file(true);
        zip.start_file(INDEX, stored)?;
        serde_json::to_writer(&mut zip, &index)?;
        // A portion at a time: all processors work, and memory stays small.
        for (portion, cells) in self.cells.chunks(PORTION).enumerate() {
            let pictures: Vec<std::io::Result<Vec<u8>>> =
                cells.par_iter().map(|cell| png(cell, preprocessing.size)).collect();
            for (place, picture) in pictures.into_iter().enumerate() {
                zip.start_file(picture_name(portion * PORTION + place), stored)?;
                zip.write_all(&picture?)?;
            }
        }
        zip.finish()?;
        Ok(())
    }
}

/// Cells that are encoded at once.
const PORTION: usize = 256;

fn picture_name(place: usize) -> String {
    format!("{place:08}.png")
}

fn png(cell: &Cell, size: u32) -> std::io::Result<Vec<u8>> {
    let square = cell.square(size).ok_or_else(|| {
        std::io::Error::other(format!("{} was not read at {size} pixels", cell.name))
    })?;
    let mut bytes = Vec::new();
    square
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .map_err(std::io::Error::other)?;
    Ok(bytes)
}

impl Entry {
    fn of(cell: &Cell) -> Self {
        Self {
            path: cell.path.clone(),
            name: cell.name.clone(),
            label: LABELS[cell.label].to_owned(),
            subject: cell.subject.clone(),
            fold: cell.fold.clone(),
            side: cell.side,
            sha256: cell.digest.to_string(),
            format: cell.format.to_string(),
            width: cell.width,
            height: cell.height,
            area: cell.area,
            measures: cell.measures.map(|of| of.values().map(|value| value.to_string())),
            morphometry: cell
                .morphometry
                .as_ref()
                .map(|of| of.iter().map(|(_, value)| value.to_string()).collect()),
        }
    }

    fn cell(self, pixels: Vec<u8>) -> Result<Cell, String> {
        let label = LABELS
            .iter()
            .position(|label| *label == self.label)
            .ok_or_else(|| format!("the label {:?} of {} is none", self.label, self.name))?;
        let format = FORMATS
            .iter()
            .find(|facts| facts.name == self.format)
            .map(|facts| facts.format)
            .ok_or_else(|| format!("the format {:?} of {} is none", self.format, self.name))?;
        let digest = self
            .sha256
            .parse::<Digest>()
            .map_err(|_| format!("the digest {:?} of {} is none", self.sha256, self.name))?;
        let measures = self
            .measures
            .map(|texts| measures(&texts))
            .transpose()
            .map_err(|text| format!("{text:?} of {} is no measure", self.name))?;
        let morphometry = self
            .morphometry
            .map(|texts| morphometry(&texts))
            .transpose()
            .map_err(|problem| format!("{}: {problem}", self.name))?;
        Ok(Cell {
            path: self.path,
            name: self.name,
            label,
            subject: self.subject,
            fold: self.fold,
            side: self.side,
            digest,
            place: None,
            format,
            width: self.width,
            height: self.height,
            area: self.area,
            measures,
            morphometry,
            teacher: None,
            pixels,
        })
    }
}

fn morphometry(texts: &[String]) -> Result<Morphometry, String> {
    let values: Option<Vec<f64>> = texts.iter().map(|text| text.parse().ok()).collect();
    values.and_then(Morphometry::from_values).ok_or_else(|| {
        let (own, due) = (texts.len(), Morphometry::names().len());
        format!("its morphometry is not {due} numbers but {own} words")
    })
}

/// # Errors
///
/// The first text that is no finite number.
fn measures(texts: &[String; Measures::NAMES.len()]) -> Result<Measures, String> {
    let mut values = [0.0; Measures::NAMES.len()];
    for (value, text) in values.iter_mut().zip(texts) {
        *value = text
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite())
            .ok_or_else(|| text.clone())?;
    }
    Ok(Measures::from_values(values))
}

/// What brought the cells of the pack at `path` to their size; none where it is no pack.
///
/// # Errors
///
/// Where it is one, but cannot be read.
pub fn packed_with(path: &Path) -> Result<Option<Preprocessing>, DatasetError> {
    if !is_pack(path) {
        return Ok(None);
    }
    let (_, index) = open(path)?;
    Ok(Some(index.preprocessing))
}

/// Reads a pack whose squares are those of `preprocessing`; what comes after the square does not
/// matter.
pub(super) fn read(path: &Path, preprocessing: &Preprocessing) -> Result<Dataset, DatasetError> {
    let wrong = |problem: String| DatasetError::Pack { path: path.to_owned(), problem };
    let (mut zip, index) = open(path)?;
    if !index.preprocessing.same_square(preprocessing) {
        return Err(DatasetError::PackedOtherwise {
            path: path.to_owned(),
            packed: in_words(&index.preprocessing),
            asked: in_words(preprocessing),
        });
    }
    let mut cells = Vec::with_capacity(index.cells.len());
    for (place, about) in index.cells.into_iter().enumerate() {
        let name = picture_name(place);
        let bytes = entry(&mut zip, &name, MOST_PICTURE).map_err(wrong)?;
        let picture = image::load_from_memory_with_format(&bytes, ImageFormat::Png)
            .map_err(|error| wrong(format!("{name}: {error}")))?
            .into_rgb8();
        let side = preprocessing.size;
        if picture.dimensions() != (side, side) {
            let (width, height) = picture.dimensions();
            return Err(wrong(format!("{name} has {width}×{height} pixels, not {side}×{side}")));
        }
        cells.push(about.cell(picture.into_raw()).map_err(wrong)?);
    }
    let broken = index.broken.into_iter();
    let broken = broken.map(|left| Broken { path: left.path, reason: left.reason }).collect();
    Ok(Dataset { source: path.to_owned(), cells, broken, joined: Vec::new() })
}

fn open(path: &Path) -> Result<(ZipArchive<File>, Index), DatasetError> {
    let wrong = |problem: String| DatasetError::Pack { path: path.to_owned(), problem };
    let file = File::open(path).map_err(|source| DatasetError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let mut zip = ZipArchive::new(file).map_err(|error| wrong(error.to_string()))?;
    let index = entry(&mut zip, INDEX, MOST_INDEX).map_err(wrong)?;
    let index: Index =
        serde_json::from_slice(&index).map_err(|error| wrong(format!("{INDEX}: {error}")))?;
    if index.version != VERSION {
        let problem =
            format!("its version is {}, not {VERSION}: pack the cells again", index.version);
        return Err(wrong(problem));
    }
    Ok((zip, index))
}

fn entry(zip: &mut ZipArchive<File>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let entry = zip.by_name(name).map_err(|error| format!("{name}: {error}"))?;
    let mut bytes = Vec::new();
    entry.take(most).read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    Ok(bytes)
}

fn in_words(preprocessing: &Preprocessing) -> String {
    let Preprocessing { window, cell_share, size, filter, .. } = preprocessing;
    let part = match (window, cell_share) {
        (_, Some(share)) => format!("cells at {share} of the square"),
        (Some(window), None) => format!("a window of {window}"),
        (None, None) => "the whole picture".to_owned(),
    };
    format!("{part} at {size} pixels, {filter:?}").to_lowercase()
}
