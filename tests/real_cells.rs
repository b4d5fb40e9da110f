//! Real cells through the folder: the very bytes of C-NMC give the probabilities that `leukd classify` gives.
//!
//! The cells are not part of the repository. They are looked for in LEUKD_DATA, else in ../shared/data; without
//! them this test says that it skips.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use leukd::cell::{Limits, decode, synthetic};
use leukd::model::bundle::Bundle;
use leukd::model::engine::EngineKind;
use leukd::model::serving::Model;
use leukd::result::Digest;
use leukd::rpc::proto::get_result_request::By;
use leukd::rpc::proto::{self, Decision};
use serde_json::Value;
use support::process::{leukd, stderr, stdout};
use support::{Folders, Harness, assert_gapless, path_of};

/// Cells of fold_1 that go through the folder, and once more through `leukd classify`.
const CELLS: usize = 200;

/// Cells on which the two engines are compared.
const COMPARED: usize = 500;

/// Width and height of C-NMC's pictures.
const SIDE: u32 = 450;

fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("shared/data");
    let folder = std::env::var_os("LEUKD_DATA").map_or_else(beside, PathBuf::from);
    folder.join("cnmc/fold_1_index.csv").exists().then(|| folder.join("cnmc"))
}

/// A row of fold_1_index.csv.
struct Row {
    file: String,
    label: String,
    at: (u32, u32),
    sha256: String,
    /// The file whose crop this one shares: it is its byte-identical twin.
    stored: String,
    has_twin: bool,
}

fn index(folder: &Path) -> Vec<Row> {
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

/// Every twin with its original, and of the others as many as make it `count`, evenly from the whole fold.
fn choose(rows: &[Row], count: usize) -> Vec<&Row> {
    let twins: BTreeSet<_> =
        rows.iter().filter(|row| row.has_twin).map(|row| &row.stored).collect();
    let (twins, others): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| twins.contains(&row.stored));
    let left = count - twins.len();
    let step = others.len() / left;
    twins.into_iter().chain(others.into_iter().step_by(step).take(left)).collect()
}

/// The original file's bytes: the crop at its place on black, as a BMP.
fn restore(folder: &Path, row: &Row) -> Vec<u8> {
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

/// P(all) of every file in a folder, by `leukd classify`, with the digest of the model that gave it.
async fn classify(folder: &Path) -> BTreeMap<String, (f64, String)> {
    let output = leukd(&["classify", "--json", folder.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let results = stdout(&output);
    let results = results.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let known = results.map(|result| {
        let name = result["source"]["folder"]["path"].as_str().unwrap().to_owned();
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
        println!("skipped: no C-NMC cells in LEUKD_DATA or ../shared/data");
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
    let digests: BTreeSet<_> = results.iter().map(|result| &result.sha256).collect();
    assert_eq!(digests, different);
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
        assert_eq!(&result.sha256, digest, "{name}");
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
        println!("skipped: no C-NMC cells in LEUKD_DATA or ../shared/data");
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
