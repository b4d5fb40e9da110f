//! What is read, what is left out, and who stands on which side.

mod folders;
mod inspect;
mod properties;
mod record;
mod splits;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use leukd_cell::preprocess::Preprocessing;
use leukd_cell::synthetic::{self, Kind};
use leukd_train::dataset::{Broken, Cell, Dataset, SplitPlan, TestSubjects};

/// A synthetic cell as a BMP of 450 × 450 pixels; its kind is arbitrary.
fn picture(seed: u64) -> Vec<u8> {
    let kind = if seed.is_multiple_of(2) { Kind::Blast } else { Kind::Normal };
    synthetic::bmp(&synthetic::cell(seed, kind))
}

/// Writes a file below `dir`, with the folders above it.
fn write(dir: &Path, place: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(place);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A file with C-NMC's name.
fn put(dir: &Path, label: &str, subject: &str, image: u64, bytes: &[u8]) {
    write(dir, &format!("{label}/UID_{subject}_{image}_1_{label}.bmp"), bytes);
}

fn preprocessing() -> Preprocessing {
    Preprocessing { size: 8, window: Some(320), ..Preprocessing::b3() }
}

fn read(source: &Path) -> Dataset {
    Dataset::read(source, &preprocessing()).unwrap()
}

/// Two subjects a class, in two folds, two cells each: `all` 11 and 2, `hem` H1 and h2.
fn four_subjects() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let subjects = [
        ("all", "11", "fold_0"),
        ("all", "2", "fold_1"),
        ("hem", "H1", "fold_0"),
        ("hem", "h2", "fold_1"),
    ];
    for (index, (label, subject, fold)) in subjects.into_iter().enumerate() {
        for image in 0..2 {
            put(&dir.path().join(fold), label, subject, image, &picture(index as u64 * 2 + image));
        }
    }
    dir
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn hold_out(test: &[&str], validation: &[&str]) -> SplitPlan {
    SplitPlan::Subject {
        test: TestSubjects::Named(names(test)),
        validation: names(validation),
        seed: 123,
    }
}

fn subjects(cells: &[Cell]) -> BTreeSet<&str> {
    cells.iter().map(|cell| cell.subject.as_str()).collect()
}

/// The reason for which the file of this name was left out.
fn reason<'a>(broken: &'a [Broken], name: &str) -> &'a str {
    let named = |file: &&Broken| file.path.file_name().is_some_and(|own| own == name);
    &broken.iter().find(named).unwrap_or_else(|| panic!("{name} is not in {broken:?}")).reason
}
