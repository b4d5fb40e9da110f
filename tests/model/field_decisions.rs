//! White cells of real fields, mostly neutrophils: the embedded model decides none, also where the
//! field's scale is given. Real fields are looked for in LEUKD_DATA, else in ../shared/data.

use std::path::{Path, PathBuf};

use leukd::cell::Limits;
use leukd::cell::words::{Decision, KindRule};
use leukd::model::bundle::Bundle;
use leukd::model::field::{CaptureRules, examine_capture};
use leukd::model::serving::Model;

/// bccd's fields: red cells are about 100 pixels wide there.
const MICROMETRES_PER_PIXEL: f64 = 0.072;

fn real_fields() -> Option<Vec<PathBuf>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("LEUKD_DATA").map_or_else(beside, PathBuf::from);
    let folder = std::fs::read_dir(data.join("fields/bccd/JPEGImages")).ok()?;
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

/// Cells, and those that are decided.
fn decided(model: &Model, files: &[PathBuf], scale: Option<f64>) -> (usize, usize) {
    let rules = CaptureRules { kind: KindRule::Auto, micrometres_per_pixel: scale };
    let (mut cells, mut decided) = (0, 0);
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        let examined = examine_capture(&bytes, model, &Limits::default(), &rules).unwrap();
        for cell in &examined.cells {
            cells += 1;
            let decision = cell.examined.judgement.decision;
            decided += usize::from([Decision::All, Decision::Hem].contains(&decision));
        }
    }
    (cells, decided)
}

#[test]
fn no_cell_of_real_fields_is_decided_whatever_scale_is_given() {
    let Some(files) = real_fields() else {
        println!("skipped: no fields of view in LEUKD_DATA or ../shared/data");
        return;
    };
    let embedded = Model::load(Bundle::embedded().unwrap()).unwrap();
    for scale in [None, Some(MICROMETRES_PER_PIXEL)] {
        let (cells, decided) = decided(&embedded, &files, scale);
        println!("{cells} cells, scale {scale:?}: {decided} decided");
        assert!(cells >= 185 && decided == 0);
    }
}
