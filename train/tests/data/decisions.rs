//! The report and the daemon decide alike, file by file; a bundle's reference is its own network's;
//! and what is told of pictures that are no such cells.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leukd_cell::Limits;
use leukd_cell::foreign::Foreign;
use leukd_cell::synthetic::{self, Kind};
use leukd_journal::result::Decision;
use leukd_model::bundle::Bundle;
use leukd_model::examine::examine;
use leukd_model::manifest::Manifest;
use leukd_model::reference::{FALSE_ALARMS, fit};
use leukd_model::serving::Model;
use leukd_model::testing;
use leukd_train::dataset::{Cell, Dataset, Split};
use leukd_train::evaluate::{DRAWN, Evaluation, Served, samples};
use leukd_train::export::{Referred, referred};

use crate::support::{NARROW, cell as cell_of, said};

fn train(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leukd-train")).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn write(path: &Path, picture: &image::RgbImage) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, synthetic::bmp(picture)).unwrap();
}

/// Three subjects a class, twelve cells each; of the first of each class some captures that are no
/// good cells.
fn cells(dir: &Path) {
    let subjects =
        [("all", "1"), ("all", "2"), ("all", "3"), ("hem", "H1"), ("hem", "H2"), ("hem", "H3")];
    for (index, (label, subject)) in subjects.into_iter().enumerate() {
        let kind = if label == "all" { Kind::Blast } else { Kind::Normal };
        let path = |cell: u64| dir.join(label).join(format!("UID_{subject}_1_{cell}_{label}.bmp"));
        for cell in 0..12 {
            write(&path(cell), &synthetic::cell(index as u64 * 100 + cell, kind));
        }
        if subject.ends_with('1') {
            for (cell, kind) in (12..).zip(Foreign::EVERY) {
                // Two black pictures would be the same cell with two labels.
                if kind != Foreign::Black || label == "all" {
                    write(&path(cell), &kind.draw(index as u64));
                }
            }
            let blurred = image::imageops::blur(&synthetic::cell(index as u64 * 100, kind), 6.0);
            write(&path(20), &blurred);
        }
    }
}

/// Tests on the first subject of each class, validates on the second, and trains a network that a
/// test can train.
fn narrow() -> Vec<&'static str> {
    let more =
        ["--max-accuracy-loss", "100", "--max-sensitivity-loss", "100", "--hold-out", "1,H1"];
    [&NARROW[..], &more].concat()
}

/// Decision, the reasons' codes, and P(all), bit for bit.
type Said = (String, String, u64);

/// `predictions.csv`, by the files' names.
fn told(folder: &Path, side: &str) -> BTreeMap<String, Said> {
    let mut table = csv::Reader::from_path(folder.join("predictions.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let mut told = BTreeMap::new();
    for row in table.records() {
        let row = row.unwrap();
        let field = |name: &str| row[header.iter().position(|own| own == name).unwrap()].to_owned();
        if field("side") == side {
            let p: f64 = field("p_all").parse().unwrap();
            told.insert(field("name"), (field("decision"), field("reasons"), p.to_bits()));
        }
    }
    told
}

/// What the daemon's own way from bytes to a judgement says of these files.
fn served(model: &Model, files: &[PathBuf]) -> BTreeMap<String, Said> {
    let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
    let said = |file: &PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        let examined = examine(&bytes, model, &Limits::default()).unwrap();
        let judgement = examined.judgement;
        let codes: Vec<_> = judgement.reasons.iter().map(|reason| reason.code.as_str()).collect();
        (judgement.decision.to_string(), codes.join(" "), examined.p_all.to_bits())
    };
    files.iter().map(|file| (name(file), said(file))).collect()
}

/// Every image in `dir/all` and `dir/hem`.
fn images(dir: &Path) -> Vec<PathBuf> {
    let of = |label: &str| std::fs::read_dir(dir.join(label)).unwrap();
    ["all", "hem"].into_iter().flat_map(of).map(|entry| entry.unwrap().path()).collect()
}

fn agrees(served: &BTreeMap<String, Said>, told: &BTreeMap<String, Said>) {
    assert_eq!(served.keys().collect::<Vec<_>>(), told.keys().collect::<Vec<_>>());
    for (name, daemon) in served {
        assert_eq!(daemon, &told[name], "{name}");
    }
}

/// The figures that the report tells of the daemon are those of the daemon.
fn counts_agree(of: &Evaluation, daemon: &BTreeMap<String, Said>) -> Served {
    let counts = of.served.clone().unwrap();
    let number = |truth: &str, is: &dyn Fn(&Said) -> bool| {
        let own = daemon.iter().filter(|(name, _)| name.contains(&format!("_{truth}.")));
        own.filter(|(_, said)| is(said)).count() as u64
    };
    for (truth, decided) in [("all", counts.decisions.all), ("hem", counts.decisions.hem)] {
        for (decision, count) in [
            (Decision::All, decided.all),
            (Decision::Review, decided.review),
            (Decision::Hem, decided.hem),
        ] {
            assert_eq!(number(truth, &|said| said.0 == decision.as_str()), count, "{truth}");
        }
    }
    let has = |said: &Said, code: &str| said.1.split(' ').any(|own| own == code);
    for (code, count) in &counts.reasons {
        assert_eq!(number("all", &|said| has(said, code)), count.all, "{code}");
        assert_eq!(number("hem", &|said| has(said, code)), count.hem, "{code}");
    }
    let doubts =
        |said: &Said| said.1.split(' ').any(|code| !["", "low-confidence"].contains(&code));
    let doubted = counts.doubted.clone().unwrap();
    assert_eq!(doubted.doubted, number("all", &doubts) + number("hem", &doubts));
    assert_eq!(doubted.pictures, daemon.len() as u64);
    assert_eq!(doubted.doubted, counts.by_doubt.both() + counts.by_both.both());
    counts
}

#[test]
fn the_report_gives_each_file_the_decision_and_the_reasons_that_the_daemon_gives_it() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out, others) =
        (dir.path().join("data"), dir.path().join("out"), dir.path().join("others"));
    cells(&data);
    for seed in 0..3 {
        write(&others.join("smears").join(format!("{seed}.bmp")), &Foreign::Stripes.draw(seed));
    }
    std::fs::write(others.join("smears/cut.bmp"), b"BM, but no picture").unwrap();
    let command = ["--data", text(&data), "--out", text(&out), "--others", text(&others)];
    let output = train(&[&command[..], &narrow(), &["--validate-on", "2,H2"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    for part in
        ["as the daemon", "left to a person", "test cells, split by subject", "drawn: noise"]
    {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let model = Model::load(Bundle::read(&out.join("model.onnx")).unwrap()).unwrap();
    let tested: Vec<PathBuf> = images(&data)
        .into_iter()
        .filter(|file| ["UID_1_", "UID_H1_"].iter().any(|own| text(file).contains(own)))
        .collect();
    let daemon = served(&model, &tested);
    agrees(&daemon, &told(&out, "test"));
    let json = std::fs::read(out.join("evaluation.json")).unwrap();
    let evaluations: Vec<Evaluation> = serde_json::from_slice(&json).unwrap();
    let counts = counts_agree(&evaluations[1], &daemon);
    // Threshold figures count every cell, the doubted ones too.
    assert_eq!(evaluations[1].counts.cells, 37);
    let of = evaluations[1].confusion;
    assert_eq!(of.all_as_all + of.all_as_hem + of.hem_as_all + of.hem_as_hem, 37);
    // Eleven drawn pictures that are no cells, and two blurred cells.
    let doubted = counts.doubted.unwrap();
    assert!(doubted.doubted >= 13 && doubted.split == "subject", "{doubted:?}");
    let (low, high) = doubted.interval.unwrap();
    assert!(low < doubted.share.unwrap() && doubted.share.unwrap() < high);
    assert!(counts.reasons.contains_key("no-cell") && counts.reasons.contains_key("cut-off"));
    let other = |kind: &str| counts.others.iter().find(|one| one.kind == kind).unwrap();
    for kind in Foreign::EVERY {
        let most = if kind == Foreign::Black { 1 } else { DRAWN };
        let drawn = other(&format!("drawn: {}", kind.as_str()));
        assert_eq!((drawn.pictures, drawn.doubted, drawn.unreadable), (most, most, 0), "{drawn:?}");
    }
    let smears = other("smears");
    assert_eq!((smears.pictures, smears.doubted, smears.unreadable), (3, 3, 1), "{smears:?}");
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    for part in ["What the daemon decides", "no-cell", "smears (1 unreadable file left out)"] {
        assert!(report.contains(part), "{part}");
    }

    own_reference(&data, &out, &model);
    measured_again(&data, &out, &others, dir.path());
}

/// The bundle's reference is that of the network that is in it, as it is stored, and no other's.
fn own_reference(data: &Path, out: &Path, model: &Model) {
    let manifest = model.manifest();
    assert_ne!(manifest.precision.as_str(), "f32", "a smaller form was chosen");
    let split = Split::from_csv(
        Dataset::read(data, &manifest.preprocessing).unwrap(),
        &out.join("split.csv"),
    )
    .unwrap();
    let refitted = |model: &Model| {
        let own = model.manifest().reference.clone().unwrap();
        let [training, validation] =
            [&split.training, &split.validation].map(|cells| samples(model, cells).unwrap());
        let again = fit(own.data.clone(), &training, &validation, FALSE_ALARMS).unwrap();
        // JSON's numbers may be read back with another last bit.
        let near = |a: f64, b: f64| (a - b).abs() <= a.abs() * 1e-12;
        let (ours, theirs) = (own.features.unwrap(), again.features.unwrap());
        assert_eq!((ours.mean, ours.directions), (theirs.mean, theirs.directions));
        assert!(near(ours.limit, theirs.limit), "{} {}", ours.limit, theirs.limit);
        assert_eq!((own.cells, own.validation_cells), (24, 24));
        assert!(own.data.contains("subjects 3, H3") && own.data.contains("subjects 2, H2"));
        assert!(own.false_alarms <= FALSE_ALARMS + 0.2, "{}", own.false_alarms);
        manifest_mean(model.manifest())
    };
    let float = Model::load(Bundle::read(&out.join("model-f32.onnx")).unwrap()).unwrap();
    assert_ne!(refitted(model), refitted(&float), "each has its own");
    assert!(manifest.card.contains("Unlike its training cells: what differs from 24"));
    for form in std::fs::read_dir(out.join("forms")).unwrap() {
        let path = form.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "onnx") {
            let bundle = Bundle::read(&path).unwrap();
            assert!(bundle.manifest().reference.is_none(), "{}", path.display());
            assert!(!bundle.manifest().card.contains("Unlike its training cells"));
        }
    }
}

fn manifest_mean(manifest: &Manifest) -> String {
    manifest.reference.as_ref().unwrap().features.as_ref().unwrap().mean.clone()
}

/// `evaluate` says the same of the bundle, from the files and from a pack; `quantize` gives its
/// form a reference too.
fn measured_again(data: &Path, out: &Path, others: &Path, dir: &Path) {
    let (pack, bundle, sides) =
        (dir.join("cells.zip"), out.join("model.onnx"), out.join("split.csv"));
    let packed = train(&[
        "pack",
        "--size",
        "32",
        "--window",
        "320",
        "--data",
        text(data),
        "--out",
        text(&pack),
    ]);
    assert!(packed.status.success(), "{}", said(&packed));
    let evaluate = |data: &Path| {
        let again = dir.join(data.file_stem().unwrap()).join("again");
        let output = train(&[
            "evaluate",
            text(&bundle),
            "--data",
            text(data),
            "--split",
            text(&sides),
            "--others",
            text(others),
            "--out",
            text(&again),
        ]);
        assert!(output.status.success(), "{}", said(&output));
        agrees(&told(out, "test"), &told(&again, "test"));
    };
    evaluate(data);
    evaluate(&pack);
    let wrong = train(&[
        "evaluate",
        text(&bundle),
        "--data",
        text(data),
        "--split",
        text(&sides),
        "--others",
        "/nowhere",
    ]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).contains("--others /nowhere"), "{}", said(&wrong));

    let (float, forms) = (out.join("model-f32.onnx"), dir.join("quantized"));
    let output = train(
        &[
            &["quantize", text(&float), "--data", text(data), "--split", text(&sides)],
            &["--out", text(&forms)][..],
            &narrow()[14..20],
        ]
        .concat(),
    );
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("Unlike its training cells: what differs"), "{}", said(&output));
    let quantized = Bundle::read(&forms.join("model.onnx")).unwrap();
    assert_eq!(quantized.manifest().reference.as_ref().unwrap().cells, 24);
}

#[test]
fn a_run_whose_validation_cells_are_too_few_says_why_its_bundle_doubts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("out"));
    cells(&data);
    // Validation cells come from the training subjects: some seven.
    let command = ["--data", text(&data), "--out", text(&out)];
    let output = train(&[&command[..], &narrow()].concat());
    assert!(output.status.success(), "{}", said(&output));
    for part in [
        "Unlike its training cells: nothing is known",
        "validation cells; at least 20 of each are needed",
        "The bundle knows nothing of its training cells",
    ] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let manifest = Bundle::read(&out.join("model.onnx")).unwrap().manifest().clone();
    assert!(manifest.reference.is_none() && manifest.card.contains("nothing is known"));
    let json = std::fs::read(out.join("evaluation.json")).unwrap();
    let evaluations: Vec<Evaluation> = serde_json::from_slice(&json).unwrap();
    for one in &evaluations {
        let served = one.served.as_ref().unwrap();
        assert!(served.doubted.is_none() && served.others.is_empty());
        assert_eq!(served.decisions, one.decisions, "nothing but the band decides");
    }
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("The bundle knows nothing of its training cells"));
}

/// `count` cells of the two subjects, in turn.
fn drawn(model: &Model, seeds: std::ops::Range<u64>, subjects: [&str; 2]) -> Vec<Cell> {
    let preprocessing = &model.manifest().preprocessing;
    let label = |seed: u64| usize::from(seed % 2 == 1);
    seeds.map(|seed| cell_of(preprocessing, seed, label(seed), subjects[label(seed)])).collect()
}

#[test]
fn a_bundle_without_validation_cells_gets_no_reference_and_loses_another_ones() {
    let bytes = testing::tiny_bundle("tiny", 1);
    let model = Model::load(Bundle::from_bytes(&bytes, "tiny").unwrap()).unwrap();
    let (training, validation) =
        (drawn(&model, 0..30, ["a", "h"]), drawn(&model, 30..60, ["b", "i"]));
    let whole = Split::of(training.clone(), validation, vec![]);
    let (with, told) = referred(&bytes, &whole).unwrap();
    let Referred::Written { reference, without_features } = told else { panic!("{told:?}") };
    assert_eq!((reference.cells, reference.validation_cells, without_features), (30, 30, None));
    assert!(reference.data.starts_with("training cells of subjects a, h"), "{}", reference.data);
    let written = Bundle::from_bytes(&with, "with").unwrap();
    assert!(written.manifest().reference.as_ref().unwrap().features.is_some());

    let alone = Split::of(training, vec![], vec![]);
    let (without, told) = referred(&with, &alone).unwrap();
    assert!(told.in_words().contains("there are no validation cells"), "{}", told.in_words());
    let bare = Bundle::from_bytes(&without, "without").unwrap();
    assert!(bare.manifest().reference.is_none());
    assert!(bare.manifest().card.contains("there are no validation cells"));
    assert_eq!(bare.manifest().card.matches("Unlike its training cells").count(), 1);
}

/// C-NMC's demo cells, from LEUKD_DATA or ../shared/data: they are not part of the repository.
#[test]
fn on_real_cells_the_embedded_model_decides_alike_in_report_and_daemon() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("LEUKD_DATA").map_or_else(beside, PathBuf::from);
    let data = folder.join("cnmc/demo");
    if !data.join("all").is_dir() {
        println!("skipped: no C-NMC cells in LEUKD_DATA or ../shared/data");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (bundle, out) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/../models/default.onnx"), dir.path().join("out"));
    let output =
        train(&["evaluate", bundle, "--data", text(&data), "--everything", "--out", text(&out)]);
    assert!(output.status.success(), "{}", said(&output));
    let model = Model::load(Bundle::embedded().unwrap()).unwrap();
    let daemon = served(&model, &images(&data));
    assert!(daemon.len() >= 20, "{}", daemon.len());
    agrees(&daemon, &told(&out, "test"));
    let json = std::fs::read(out.join("evaluation.json")).unwrap();
    let evaluations: Vec<Evaluation> = serde_json::from_slice(&json).unwrap();
    let counts = counts_agree(&evaluations[0], &daemon);
    let doubted = counts.doubted.unwrap();
    println!("{} of {} real cells are doubted", doubted.doubted, doubted.pictures);
}
