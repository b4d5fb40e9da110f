//! What is read, what is left out, and who stands on which side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::path::Path;

use leukd::cell::preprocess::Preprocessing;
use leukd::cell::synthetic::{self, Kind};
use leukd_train::dataset::{Dataset, DatasetError};

fn put(dir: &Path, label: &str, subject: &str, image: u64, bytes: &[u8]) {
    let folder = dir.join(label);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("UID_{subject}_{image}_1_{label}.bmp")), bytes).unwrap();
}

fn cell(seed: u64) -> Vec<u8> {
    let kind = if seed.is_multiple_of(2) { Kind::Blast } else { Kind::Normal };
    synthetic::bmp(&synthetic::cell(seed, kind))
}

fn preprocessing() -> Preprocessing {
    Preprocessing { size: 32, window: Some(320), ..Preprocessing::b3() }
}

fn read(dir: &Path) -> Dataset {
    Dataset::read(dir, &preprocessing()).unwrap()
}

/// Two subjects a class, in two folds, two cells each.
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
            put(&dir.path().join(fold), label, subject, image, &cell(index as u64 * 2 + image));
        }
    }
    dir
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_split_keeps_subjects_apart() {
    let dir = four_subjects();
    let split = read(dir.path()).split(&names(&["2", "h2"])).unwrap();
    let side = |cells: &[leukd_train::dataset::Cell]| -> HashSet<String> {
        cells.iter().map(|cell| cell.subject.clone()).collect()
    };
    assert_eq!(side(&split.training), HashSet::from(["11".to_owned(), "H1".to_owned()]));
    assert_eq!(side(&split.validation), HashSet::from(["2".to_owned(), "h2".to_owned()]));
    assert_eq!((split.training.len(), split.validation.len(), split.twins), (4, 4, 0));
    let words = split.in_words();
    assert!(words.contains("all 11: 2") && words.contains("hem h2: 2"), "{words}");
}

#[test]
fn byte_identical_twins_stand_on_one_side_only() {
    let dir = four_subjects();
    let fold = dir.path().join("fold_0");
    // The same bytes as a held-out cell's, and as another training cell's.
    put(&fold, "all", "11", 7, &cell(2));
    put(&fold, "hem", "H1", 8, &cell(4));
    let split = read(dir.path()).split(&names(&["2", "h2"])).unwrap();
    let validation: HashSet<_> = split.validation.iter().map(|cell| cell.digest).collect();
    assert!(split.training.iter().all(|cell| !validation.contains(&cell.digest)));
    assert_eq!((split.training.len(), split.validation.len(), split.twins), (4, 4, 2));
}

#[test]
fn a_broken_image_is_listed_and_the_others_are_read() {
    let dir = four_subjects();
    let fold = dir.path().join("fold_1");
    let whole = cell(20);
    put(&fold, "all", "2", 9, &whole[..whole.len() / 2]);
    std::fs::write(fold.join("hem/picture.png"), synthetic::png(&synthetic::cell(1, Kind::Normal)))
        .unwrap();
    std::fs::write(fold.join("hem/notes.txt"), "not an image").unwrap();
    let dataset = read(dir.path());
    assert_eq!(dataset.cells.len(), 8);
    let listed: Vec<_> = dataset
        .broken
        .iter()
        .map(|file| (file.path.file_name().unwrap().to_str().unwrap(), file.reason.as_str()))
        .collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[0].0, "UID_2_9_1_all.bmp");
    assert_eq!(listed[1].0, "picture.png");
    assert!(listed[1].1.contains("subject"), "{}", listed[1].1);
}

#[test]
fn the_digest_follows_the_training_images_and_nothing_else() {
    let dir = four_subjects();
    let hold_out = names(&["2", "h2"]);
    let digest = || read(dir.path()).split(&hold_out).unwrap().training_digest();
    let first = digest();
    put(&dir.path().join("fold_1"), "all", "2", 5, &cell(30));
    assert_eq!(digest(), first);
    put(&dir.path().join("fold_0"), "all", "11", 5, &cell(31));
    assert_ne!(digest(), first);
}

#[test]
fn impossible_splits_say_what_to_do() {
    let dir = four_subjects();
    let error = read(dir.path()).split(&names(&["99"])).unwrap_err();
    assert!(matches!(error, DatasetError::UnknownSubject { .. }));
    assert!(error.to_string().contains("11, 2, H1, h2"), "{error}");
    let error = read(dir.path()).split(&names(&["11", "2"])).unwrap_err();
    assert!(error.to_string().contains("validation side has no hem cells"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = Dataset::read(empty.path(), &preprocessing()).unwrap_err();
    assert!(error.to_string().contains("all/ and hem/"), "{error}");
}
