//! A teacher's targets: a CSV with a P(all) for each training cell.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use leukd_journal::result::Digest;

use super::table::Table;
use super::{DatasetError, Split};

impl Split {
    /// Gives each training cell the P(all) that the CSV at `path` has for its name: columns `name`
    /// and `p_all`, as in the `predictions.csv` of an evaluation. Cells of other sides may be in it
    /// and are ignored.
    ///
    /// # Errors
    ///
    /// With the line, where a cell comes twice or its `p_all` is no probability. Where the file
    /// cannot be read, a training cell has no target, or two training cells have one name.
    pub fn teach(&mut self, path: &Path) -> Result<(), DatasetError> {
        let table = Table::read(path, &["name", "p_all"])?;
        let failed =
            |line, problem| DatasetError::TargetLine { path: path.to_owned(), line, problem };
        let mut targets: HashMap<&str, (u64, f64)> = HashMap::new();
        for (line, row) in &table.rows {
            let row = row.as_ref().map_err(|problem| failed(*line, problem.clone()))?;
            let field = |column| {
                let empty = || failed(*line, format!("the column {column} is empty"));
                table.field(row, column).ok_or_else(empty)
            };
            let (name, text) = (field("name")?, field("p_all")?);
            let target = text.parse().ok().filter(|p| (0.0..=1.0).contains(p));
            let target =
                target.ok_or_else(|| failed(*line, format!("p_all {text:?} is not 0 to 1")))?;
            if let Some((earlier, _)) = targets.insert(name, (*line, target)) {
                let problem = format!("the cell {name:?} stands in line {earlier} already");
                return Err(failed(*line, problem));
            }
        }
        let cells = self.training.len();
        let mut missing = Vec::new();
        let mut taught = HashSet::new();
        for cell in &mut self.training {
            match targets.get(cell.name.as_str()) {
                Some((_, target)) => cell.teacher = Some(*target),
                None => missing.push(cell.name.clone()),
            }
            if !taught.insert(cell.name.clone()) {
                return Err(DatasetError::Targets {
                    path: path.to_owned(),
                    problem: format!(
                        "two training cells are named {:?}: a target needs a name of its own",
                        cell.name
                    ),
                });
            }
        }
        if let Some(first) = missing.first() {
            return Err(DatasetError::Targets {
                path: path.to_owned(),
                problem: format!(
                    "{} of {cells} training cells have no line, such as {first:?}: every training \
                     cell needs the teacher's p_all",
                    missing.len()
                ),
            });
        }
        let bytes = std::fs::read(path).map_err(|source| DatasetError::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        self.teacher = Some(Digest::of(&bytes));
        Ok(())
    }
}
