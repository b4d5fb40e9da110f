//! A split as a CSV, written and read back.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use leukd::result::Digest;

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
        let table = Table::read(path, &["side", "label", "subject", "sha256"])?;
        let known = Known::of(&dataset);
        let mut sides: HashMap<Digest, (Side, u64)> = HashMap::new();
        // The copy of each picture that is kept, as an index into the cells.
        let mut kept: BTreeMap<usize, Side> = BTreeMap::new();
        for (line, row) in &table.rows {
            let failed =
                |problem| DatasetError::SplitLine { path: path.to_owned(), line: *line, problem };
            let row = row.as_ref().map_err(|problem| failed(problem.clone()))?;
            let entry = Entry {
                name: table.field(row, "name").unwrap_or_default(),
                label: table.field(row, "label").unwrap_or_default(),
                subject: table.field(row, "subject").unwrap_or_default(),
            };
            let side = table.field(row, "side").unwrap_or_default().parse().map_err(failed)?;
            let digest: Digest = table
                .field(row, "sha256")
                .unwrap_or_default()
                .parse()
                .map_err(|error| failed(format!("sha256: {error}")))?;
            if let Some((_, earlier)) = sides.insert(digest, (side, *line)) {
                return Err(failed(format!("the same picture as in line {earlier}")));
            }
            let at = known.cell(digest, &entry).map_err(failed)?;
            kept.insert(at, side);
        }
        let total = dataset.cells.len();
        let mut parted = [Vec::new(), Vec::new(), Vec::new()];
        let mut twins = 0;
        for (at, cell) in dataset.cells.into_iter().enumerate() {
            match kept.get(&at) {
                Some(side) => parted[*side as usize].push(cell),
                None => twins += usize::from(sides.contains_key(&cell.digest)),
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
}

/// What a line says of a picture besides its digest.
struct Entry<'a> {
    name: &'a str,
    label: &'a str,
    subject: &'a str,
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
    fn cell(&self, digest: Digest, entry: &Entry<'_>) -> Result<usize, String> {
        let copies = self.by_digest.get(&digest).map_or(&[][..], Vec::as_slice);
        let fit = |at: &usize| {
            let cell = &self.cells[*at];
            (cell.subject == entry.subject, cell.name == entry.name)
        };
        // The first of equals, for the cells are sorted.
        let Some(at) = copies.iter().rev().max_by_key(|at| fit(at)).copied() else {
            return Err(self.missing(digest, entry));
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
        if subject != entry.subject {
            let named = entry.subject;
            return Err(format!(
                "it is a cell of the subject {named:?}, and of {subject:?} in the data ({path})"
            ));
        }
        Ok(at)
    }

    fn missing(&self, digest: Digest, entry: &Entry<'_>) -> String {
        let named = |path: &Path| path.file_name().is_some_and(|name| name == entry.name);
        let name = entry.name;
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
