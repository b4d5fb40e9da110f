//! A split as a CSV, written and read back.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use leukd_cell::Format;
use leukd_journal::result::Digest;

use super::split::{Side, Split};
use super::table::Table;
use super::{Broken, Cell, Dataset, DatasetError, LABELS};

/// The columns of a split's CSV, in the order in which its lines are sorted.
const COLUMNS: [&str; 6] = ["side", "label", "subject", "name", "path", "sha256"];

impl Split {
    /// Writes the split as a CSV with the columns `side`, `label`, `subject`, `name`, `path` and
    /// `sha256`: one line a cell, sorted, so that equal splits of equal data make equal files.
    ///
    /// `path` is relative to the folder that was read, or the CSV's folder, where the cell is below
    /// it. [`Split::from_csv`] does not need it: it goes by the digests. Copies that were left out
    /// are not listed. The file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<(), DatasetError> {
        let root =
            if self.source.is_file() { self.source.parent() } else { Some(self.source.as_path()) };
        let mut lines = Vec::new();
        for side in Side::EVERY {
            for cell in self.side(side) {
                let place = root.and_then(|root| cell.path.strip_prefix(root).ok());
                let place = place.unwrap_or(&cell.path).to_string_lossy().into_owned();
                let label = LABELS[cell.label];
                lines.push((side, label, &cell.subject, &cell.name, place, cell.digest));
            }
        }
        lines.sort();
        let error = |source| DatasetError::File { action: "write", path: path.to_owned(), source };
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |fields: [&str; 6]| {
            writer.write_record(fields).map_err(|problem| error(std::io::Error::from(problem)))
        };
        write(COLUMNS)?;
        for (side, label, subject, name, place, digest) in lines {
            write([side.as_str(), label, subject, name, &place, &digest.to_string()])?;
        }
        let bytes = writer.into_inner().map_err(|problem| error(problem.into_error()))?;
        crate::files::replace(path, &bytes).map_err(error)
    }

    /// The split that a CSV as [`Split::write_csv`] writes it makes of `dataset`. The columns
    /// `side`, `label`, `subject` and `sha256` count, and `name` where there is one; the order of
    /// the lines does not.
    ///
    /// Cells that no line names are left out: as `twins` where a line names a copy of theirs, else
    /// as `left_out`. The protocol is what the sides are ([`Split::of`]).
    ///
    /// # Errors
    ///
    /// At the first line whose picture is not among the cells any more, comes twice, or has another
    /// label or subject there; and where a side lacks a class.
    pub fn from_csv(dataset: Dataset, path: &Path) -> Result<Self, DatasetError> {
        let known = Known::of(&dataset);
        // The copy of each picture that is kept, as an index into the cells.
        let mut kept: BTreeMap<usize, Side> = BTreeMap::new();
        let entries = entries(path)?;
        for entry in &entries {
            kept.insert(
                known.cell(entry).map_err(|problem| entry.failed(path, problem))?,
                entry.side,
            );
        }
        let named: HashSet<Digest> = entries.iter().map(|entry| entry.digest).collect();
        let total = dataset.cells.len();
        let mut parted = [Vec::new(), Vec::new(), Vec::new()];
        let mut twins = 0;
        for (at, cell) in dataset.cells.into_iter().enumerate() {
            match kept.get(&at) {
                Some(side) => parted[*side as usize].push(cell),
                None => twins += usize::from(named.contains(&cell.digest)),
            }
        }
        let [training, validation, test] = parted;
        Self {
            origin: format!("as in {}", path.display()),
            source: dataset.source,
            twins,
            left_out: total - kept.len() - twins,
            ..Self::of(training, validation, test)
        }
        .with_every_class()
    }

    /// The split that a CSV as [`Split::write_csv`] writes it tells of, without its pictures: its
    /// cells have names, labels, subjects and digests, and no pixels, sizes or areas. For what is
    /// said of a split long after it was trained on.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, and at the first line that names no cell or one that came
    /// before.
    pub fn told(path: &Path) -> Result<Self, DatasetError> {
        let mut parted = [Vec::new(), Vec::new(), Vec::new()];
        for entry in entries(path)? {
            let Some(label) = LABELS.iter().position(|known| *known == entry.label) else {
                let problem = format!("the label {:?} is neither all nor hem", entry.label);
                return Err(entry.failed(path, problem));
            };
            parted[entry.side as usize].push(Cell {
                path: entry.name.clone().into(),
                name: entry.name,
                label,
                subject: entry.subject,
                fold: None,
                side: Some(entry.side),
                digest: entry.digest,
                place: None,
                format: Format::Bmp,
                width: 0,
                height: 0,
                area: 0,
                measures: None,
                morphometry: None,
                teacher: None,
                pixels: Vec::new(),
            });
        }
        let [training, validation, test] = parted;
        Ok(Self {
            origin: format!("as in {}", path.display()),
            ..Self::of(training, validation, test)
        })
    }
}

/// What a line says of a picture.
struct Entry {
    line: u64,
    side: Side,
    digest: Digest,
    name: String,
    label: String,
    subject: String,
}

impl Entry {
    fn failed(&self, path: &Path, problem: String) -> DatasetError {
        DatasetError::SplitLine { path: path.to_owned(), line: self.line, problem }
    }
}

/// The lines of a split's CSV, each picture in one of them.
fn entries(path: &Path) -> Result<Vec<Entry>, DatasetError> {
    let table = Table::read(path, &["side", "label", "subject", "sha256"])?;
    let mut lines: HashMap<Digest, u64> = HashMap::new();
    let mut entries = Vec::with_capacity(table.rows.len());
    for (line, row) in &table.rows {
        let failed =
            |problem| DatasetError::SplitLine { path: path.to_owned(), line: *line, problem };
        let row = row.as_ref().map_err(|problem| failed(problem.clone()))?;
        let field = |column| table.field(row, column).unwrap_or_default();
        let side = field("side").parse().map_err(failed)?;
        let digest: Digest =
            field("sha256").parse().map_err(|error| failed(format!("sha256: {error}")))?;
        if let Some(earlier) = lines.insert(digest, *line) {
            return Err(failed(format!("the same picture as in line {earlier}")));
        }
        let [name, label, subject] =
            ["name", "label", "subject"].map(|column| field(column).to_owned());
        entries.push(Entry { line: *line, side, digest, name, label, subject });
    }
    Ok(entries)
}

/// The data's files, by what a line may know of them.
struct Known<'a> {
    cells: &'a [Cell],
    broken: &'a [Broken],
    by_digest: HashMap<Digest, Vec<usize>>,
}

impl<'a> Known<'a> {
    fn of(dataset: &'a Dataset) -> Self {
        let mut by_digest: HashMap<Digest, Vec<usize>> = HashMap::new();
        for (at, cell) in dataset.cells.iter().enumerate() {
            by_digest.entry(cell.digest).or_default().push(at);
        }
        Self { cells: &dataset.cells, broken: &dataset.broken, by_digest }
    }

    /// The cell that a line means: of copies the one that fits it best.
    fn cell(&self, entry: &Entry) -> Result<usize, String> {
        let copies = self.by_digest.get(&entry.digest).map_or(&[][..], Vec::as_slice);
        let fit = |at: &usize| {
            let cell = &self.cells[*at];
            (cell.subject == entry.subject, cell.name == entry.name)
        };
        // The first of equals, for the cells are sorted.
        let Some(at) = copies.iter().rev().max_by_key(|at| fit(at)).copied() else {
            return Err(self.missing(entry));
        };
        let Cell { label, subject, path, .. } = &self.cells[at];
        let path = path.display();
        if LABELS[*label] != entry.label {
            let label = LABELS[*label];
            return Err(format!(
                "it is labelled {}, and {label} in the data ({path})",
                entry.label
            ));
        }
        if *subject != entry.subject {
            let named = &entry.subject;
            return Err(format!(
                "it is a cell of the subject {named:?}, and of {subject:?} in the data ({path})"
            ));
        }
        Ok(at)
    }

    fn missing(&self, entry: &Entry) -> String {
        let Entry { name, digest, .. } = entry;
        let named = |path: &Path| path.file_name().is_some_and(|own| own == name.as_str());
        let what = "give the data that this split was made of, or make a new one without --split";
        if let Some(cell) = self.cells.iter().find(|cell| named(&cell.path)) {
            let path = cell.path.display();
            return format!("{name} has changed: {path} is not SHA-256 {digest}; {what}");
        }
        match self.broken.iter().find(|file| named(&file.path)) {
            Some(Broken { path, reason }) => {
                format!("{name} was left out ({}: {reason}); {what}", path.display())
            }
            None => format!("no cell is SHA-256 {digest} ({name}): it is missing; {what}"),
        }
    }
}
