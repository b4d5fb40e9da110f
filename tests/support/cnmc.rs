//! Real cells for the tests that can use them: C-NMC's fold_1, from LEUKD_DATA or ../shared/data.
//! They are not part of the repository.

#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use leukd::cell::synthetic;

/// What a test says that does nothing without them.
pub const NO_CELLS: &str = "skipped: no C-NMC cells in LEUKD_DATA or ../shared/data";

/// Width and height of C-NMC's pictures.
const SIDE: u32 = 450;

/// The folder `cnmc` of the real data; none where it is not.
pub fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("shared/data");
    let folder = std::env::var_os("LEUKD_DATA").map_or_else(beside, PathBuf::from);
    folder.join("cnmc/fold_1_index.csv").exists().then(|| folder.join("cnmc"))
}

/// A row of fold_1_index.csv.
pub struct Row {
    pub file: String,
    pub label: String,
    pub at: (u32, u32),
    pub sha256: String,
    /// The file whose crop this one shares: it is its byte-identical twin.
    pub stored: String,
    pub has_twin: bool,
}

/// All rows of the index.
pub fn index(folder: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(folder.join("fold_1_index.csv")).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    let rows = lines.map(|line| {
        let row: BTreeMap<_, _> = names.iter().copied().zip(line.split(',')).collect();
        let twin = row["duplicate_of"];
        Row {
            file: row["file"].to_owned(),
            label: row["label"].to_owned(),
            at: (row["x0"].parse().unwrap(), row["y0"].parse().unwrap()),
            sha256: row["sha256_bmp"].to_owned(),
            stored: if twin.is_empty() { row["file"] } else { twin }.to_owned(),
            has_twin: !twin.is_empty(),
        }
    });
    rows.collect()
}

/// Every twin with its original, and of the others as many as make it `count`, evenly from the
/// whole fold.
pub fn choose(rows: &[Row], count: usize) -> Vec<&Row> {
    let twins: BTreeSet<_> =
        rows.iter().filter(|row| row.has_twin).map(|row| &row.stored).collect();
    let (twins, others): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| twins.contains(&row.stored));
    let left = count - twins.len();
    let step = others.len() / left;
    twins.into_iter().chain(others.into_iter().step_by(step).take(left)).collect()
}

/// The original file's bytes: the crop at its place on black, as a BMP.
pub fn restore(folder: &Path, row: &Row) -> Vec<u8> {
    let name = Path::new(&row.stored).with_extension("webp");
    let bytes = std::fs::read(folder.join("fold_1").join(&row.label).join(name)).unwrap();
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).unwrap();
    let (width, height) = decoder.dimensions();
    let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.read_image(&mut pixels).unwrap();
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let mut picture = RgbImage::new(SIDE, SIDE);
    for y in 0..height {
        for x in 0..width {
            let at = (y * width + x) as usize * channels;
            let pixel = Rgb([pixels[at], pixels[at + 1], pixels[at + 2]]);
            picture.put_pixel(row.at.0 + x, row.at.1 + y, pixel);
        }
    }
    synthetic::bmp(&picture)
}

/// The bytes of `count` original files, evenly from the whole fold; none, and a word about it,
/// where there are none.
pub fn cells(count: usize) -> Option<Vec<Vec<u8>>> {
    let Some(folder) = data() else {
        println!("{NO_CELLS}");
        return None;
    };
    let rows = index(&folder);
    let step = (rows.len() / count).max(1);
    Some(rows.iter().step_by(step).take(count).map(|row| restore(&folder, row)).collect())
}
