//! Real cells through the folder: the very bytes of C-NMC give the probabilities that
//! `leukd classify` gives.
//!
//! The cells are not part of the repository. They are looked for in LEUKD_DATA, else in
//! ../shared/data; without them this test says that it skips.

use crate::support;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::cnmc::{NO_CELLS, choose, data, index, restore};
use crate::support::process::{leukd, stderr, stdout};
use crate::support::{Folders, Harness, assert_gapless, path_of, sha256_of};
use leukd::cell::{Limits, decode};
use leukd::grpc::proto::get_result_request::By;
use leukd::grpc::proto::{self, Decision};
use leukd::model::bundle::Bundle;
use leukd::model::engine::EngineKind;
use leukd::model::serving::Model;
use leukd::result::Digest;
use serde_json::Value;

/// Cells of fold_1 that go through the folder, and once more through `leukd classify`.
const CELLS: usize = 200;

/// Cells on which the two engines are compared.
const COMPARED: usize = 500;

/// P(all) of every file in a folder, by `leukd classify`, with the digest of the model that gave
/// it.
async fn classify(folder: &Path) -> BTreeMap<String, (f64, String)> {
    let output = leukd(&["classify", "--json", folder.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let results = stdout(&output);
    let results = results.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let known = results.map(|result| {
        let name = result["capture"]["source"]["folder"]["path"].as_str().unwrap().to_owned();
        let classes = result["probabilities"].as_array().unwrap();
        let all = classes.iter().find(|class| class["label"] == "all").unwrap();
        let digest = result["model"]["digest"].as_str().unwrap().to_owned();
        (name, (all["probability"].as_f64().unwrap(), digest))
    });
    known.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_cells_get_one_result_each_with_the_probabilities_of_leukd_classify() {
    let Some(data) = data() else {
        println!("{NO_CELLS}");
        return;
    };
    // File name → digest of its bytes.
    let mut dropped = BTreeMap::new();
    let folders = Folders::new();
    let mut originals = 0;
    for label in ["all", "hem"] {
        for entry in std::fs::read_dir(data.join("demo").join(label)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            folders.drop_capture(name, &bytes);
            dropped.insert(name.to_owned(), Digest::of(&bytes).to_string());
            originals += 1;
        }
    }
    let rows = index(&data);
    for row in choose(&rows, CELLS) {
        let bytes = restore(&data, row);
        let digest = Digest::of(&bytes).to_string();
        assert_eq!(digest, row.sha256, "{}: these are not the original's bytes", row.file);
        folders.drop_capture(&row.file, &bytes);
        dropped.insert(row.file.clone(), digest);
    }
    let different: BTreeSet<_> = dropped.values().collect();
    assert!(different.len() < dropped.len(), "there are twins among them");
    println!("{originals} originals, {} files, {} cells", dropped.len(), different.len());

    let harness = Harness::start_on(folders, |settings| settings.model.bundle = None).await;
    assert_eq!(harness.status().await.model.unwrap().origin, "embedded");
    let results = harness.wait_results(different.len()).await;
    assert_gapless(&results);
    let digests: BTreeSet<_> = results.iter().map(|result| sha256_of(result).to_owned()).collect();
    assert_eq!(digests, different.iter().map(|digest| (*digest).clone()).collect());
    let folder = harness.status().await.folders.remove(0);
    assert_eq!(folder.duplicates as usize, dropped.len() - different.len());

    let known = classify(harness.export()).await;
    assert_eq!(known.keys().collect::<Vec<_>>(), dropped.keys().collect::<Vec<_>>());
    for (name, digest) in &dropped {
        // By its own name, also where its twin came first.
        let by = By::Path(proto::FolderSource {
            folder: harness.export().to_str().unwrap().to_owned(),
            path: name.clone(),
        });
        let request = proto::GetResultRequest { by: Some(by) };
        let result = harness.results().get_result(request).await.unwrap().into_inner();
        let result = result.result.unwrap();
        assert_eq!(sha256_of(&result), digest, "{name}");
        assert_ne!(result.decision(), Decision::Rejected, "{result:?}");
        let (expected, model) = &known[name];
        assert_eq!(&result.model.as_ref().unwrap().digest, model);
        let got = support::probability(&result, "all");
        assert!((got - expected).abs() <= 1e-12, "{name}: {got} here, {expected} by classify");
        assert!(result.quality_flags.is_empty(), "{name}: {:?}", result.quality_flags);
        if path_of(&result) == name {
            let parts: Vec<_> = name.split('_').collect();
            assert_eq!(
                [&result.specimen, &result.slide, &result.cell],
                [parts[1], parts[2], parts[3]]
            );
        }
    }
}

#[test]
fn on_real_cells_the_fused_engine_flips_no_label_and_moves_no_probability_by_a_ten_thousandth() {
    let Some(data) = data() else {
        println!("{NO_CELLS}");
        return;
    };
    let [fused, stock] = [EngineKind::Fused, EngineKind::Stock]
        .map(|kind| Model::load_on(Bundle::embedded().unwrap(), kind).unwrap());
    assert!(fused.fusion().blocks > 0, "{}", fused.fusion());
    let rows = index(&data);
    let chosen = choose(&rows, COMPARED);
    let mut worst = 0.0_f64;
    for row in &chosen {
        let picture = decode(&restore(&data, row), &Limits::default()).unwrap();
        let input = fused.manifest().preprocessing.tensor(&picture).unwrap();
        let [one, other] = [&fused, &stock].map(|model| model.run(&input).unwrap());
        assert_eq!(fused.judge(&one).label, stock.judge(&other).label, "{}", row.file);
        worst =
            one.iter().zip(&other).map(|(one, other)| (one - other).abs()).fold(worst, f64::max);
    }
    println!("{} cells: at most {worst:e} apart", chosen.len());
    assert_eq!(chosen.len(), COMPARED);
    assert!(worst <= 1e-4, "{worst:e}");
}
