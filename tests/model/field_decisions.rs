//! White cells of real fields, mostly neutrophils: the embedded model decides hardly any, also where
//! the scale is known. Real fields are looked for in LEUKD_DATA, else in ../shared/data.

use std::path::{Path, PathBuf};

use leukd::cell::Limits;
use leukd::cell::words::{Decision, KindRule};
use leukd::model::bundle::{self, Bundle};
use leukd::model::field::{CaptureRules, examine_capture};
use leukd::model::file::BundleFile;
use leukd::model::manifest::Scale;
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
            if [Decision::All, Decision::Hem].contains(&decision) {
                decided += 1;
                println!("{}: {decision:?} {}", file.display(), cell.examined.p_all);
            }
        }
    }
    (cells, decided)
}

#[test]
fn hardly_any_cell_of_real_fields_is_decided_whatever_the_scale() {
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
    // As if somebody had measured the scale of C-NMC's pictures: some value must be right.
    for trained in [0.05, 0.06, 0.075] {
        let scaled = bundle::rewritten(BundleFile::embedded().bytes(), |manifest| {
            let source = "assumed".to_owned();
            manifest.scale = Some(Scale { micrometres_per_pixel: trained, source });
        });
        let model = Model::load(Bundle::from_bytes(&scaled.unwrap(), "scaled").unwrap()).unwrap();
        let (cells, decided) = decided(&model, &files, Some(MICROMETRES_PER_PIXEL));
        println!("{cells} cells, a bundle with {trained} µm: {decided} decided");
        assert!(decided * 50 <= cells, "{decided} of {cells} are decided with {trained} µm");
    }
}
