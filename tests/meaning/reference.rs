//! What a bundle says of its training cells, and that captures unlike them are left to a person.

#![allow(clippy::print_stdout)]

use std::path::Path;

use image::RgbImage;
use leukd::cell::Limits;
use leukd::cell::foreign::Foreign;
use leukd::cell::synthetic::{self, Kind};
use leukd::grpc::proto;
use leukd::model::bundle::{self, Bundle};
use leukd::model::serving::Model;
use leukd::model::testing;
use leukd::pipeline::examine;
use leukd::result::Decision;
use leukd::result::ReasonCode;

use crate::support::process::{leukd, stderr, stdout};
use crate::support::{Folders, Harness, cnmc, path_of};

/// Pictures that no model was made for, by kind.
fn others() -> Vec<(&'static str, RgbImage)> {
    let three = |kind: Foreign| kind.pictures(3).map(move |picture| (kind.as_str(), picture));
    Foreign::EVERY.into_iter().flat_map(three).collect()
}

fn write(folder: &Path, name: &str, picture: &RgbImage) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), synthetic::bmp(picture)).unwrap();
}

/// The tiny bundle with a reference from drawn cells, written by the command; and what that said.
async fn referred(folders: &Folders) -> serde_json::Value {
    let root = folders.root.path();
    for number in 0..54_u64 {
        let kind = if number % 2 == 0 { Kind::Blast } else { Kind::Normal };
        let name = format!("UID_{}_1_{number}_all.bmp", 1 + number % 3);
        write(&root.join("cells"), &name, &synthetic::cell(number, kind));
    }
    for (number, (kind, picture)) in others().into_iter().enumerate() {
        write(&root.join("others").join(kind), &format!("{number}.bmp"), &picture);
    }
    let [bundle, cells, others, out] = [
        folders.models.join("tiny.onnx"),
        root.join("cells"),
        root.join("others"),
        folders.models.join("next.onnx"),
    ]
    .map(|path| path.to_str().unwrap().to_owned());
    let command = ["model", "reference", &bundle, "--cells", &cells, "--validate"];
    let unknown = leukd(&[&command[..], &["9", "--out", &out]].concat()).await;
    assert_eq!(unknown.status.code(), Some(64), "{}", stderr(&unknown));
    assert!(stderr(&unknown).contains("of the subject \"9\""), "{}", stderr(&unknown));
    let few = leukd(&[&command[..], &["1,2,3", "--out", &out]].concat()).await;
    assert_eq!(few.status.code(), Some(65), "{}", stderr(&few));
    assert!(stderr(&few).contains("at least 20"), "{}", stderr(&few));
    // Eighteen cells of one subject are too few to choose a limit by.
    let args = ["1", "--out", &out, "--others", &others, "--false-alarms", "0.1", "--json"];
    let few = leukd(&[&command[..], &args].concat()).await;
    assert_eq!(few.status.code(), Some(65), "{}", stderr(&few));
    for number in 54..60_u64 {
        let name = format!("UID_1_1_{number}_all.bmp");
        write(&root.join("cells"), &name, &synthetic::cell(number, Kind::Blast));
    }
    let done = leukd(&[&command[..], &args].concat()).await;
    assert!(done.status.success(), "{}", stderr(&done));
    serde_json::from_str(&stdout(&done)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_unlike_the_training_cells_is_left_to_a_person_and_says_why() {
    let folders = Folders::new();
    let told = referred(&folders).await;
    assert_eq!((&told["training_cells"], &told["validation_cells"]), (&36.into(), &24.into()));
    for (kind, counts) in told["others"].as_object().unwrap() {
        assert_eq!(counts["doubted"], counts["images"], "{kind}: {told}");
    }
    let next = folders.models.join("next.onnx");
    for seed in 0..12 {
        let kind = if seed % 2 == 0 { Kind::Blast } else { Kind::Normal };
        folders.drop_capture(
            &format!("cell/{seed}.bmp"),
            &synthetic::bmp(&synthetic::cell(seed, kind)),
        );
    }
    for (number, (kind, picture)) in others().into_iter().enumerate() {
        folders.drop_capture(&format!("{kind}/{number}.bmp"), &synthetic::bmp(&picture));
    }
    let harness = Harness::start_on(folders, |settings| settings.model.bundle = Some(next)).await;
    let results = harness.wait_results(12 + others().len()).await;
    let (cells, others): (Vec<_>, Vec<_>) =
        results.iter().partition(|result| path_of(result).starts_with("cell/"));
    for result in others {
        assert_eq!(result.decision(), proto::Decision::Review, "{result:?}");
        let first = &result.reasons[0];
        assert_ne!(first.code, "low-confidence", "{result:?}");
        assert!(first.message.contains("a person should look") || first.code == "no-cell");
        if path_of(result).starts_with("black/") {
            assert_eq!(first.code, "no-cell", "{result:?}");
        }
    }
    let doubted = |result: &&&proto::Result| {
        result.reasons.iter().any(|reason| reason.code != "low-confidence")
    };
    let doubts = cells.iter().filter(doubted).count();
    assert!(doubts <= 4, "{doubts} of 12 cells of its own kind are doubted: {cells:?}");
}

#[test]
fn a_reference_that_does_not_fit_is_refused_with_its_field() {
    let folders = Folders::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(referred(&folders));
    let bytes = std::fs::read(folders.models.join("next.onnx")).unwrap();
    let own = Bundle::from_bytes(&bytes, "next").unwrap().manifest().reference.clone().unwrap();
    let changed = |change: &dyn Fn(&mut leukd::model::reference::Reference)| {
        let mut reference = own.clone();
        change(&mut reference);
        let written = bundle::rewritten(&bytes, |manifest| manifest.reference = Some(reference));
        match written {
            Err(error) => error.to_string(),
            Ok(bytes) => {
                Model::load(Bundle::from_bytes(&bytes, "b").unwrap()).unwrap_err().to_string()
            }
        }
    };
    let unknown = changed(&|reference| {
        reference.bounds.insert("charm".to_owned(), (0.0, 1.0));
    });
    assert!(unknown.contains("reference.bounds.charm"), "{unknown}");
    let crossed = changed(&|reference| {
        reference.bounds.insert("area".to_owned(), (2.0, 1.0));
    });
    assert!(crossed.contains("reference.bounds.area"), "{crossed}");
    let cut = changed(&|reference| reference.features.as_mut().unwrap().directions.truncate(4));
    assert!(cut.contains("reference.features.directions"), "{cut}");
    let flat = changed(&|reference| reference.features.as_mut().unwrap().residual = 0.0);
    assert!(flat.contains("reference.features.variances"), "{flat}");
    let share = changed(&|reference| reference.false_alarms = 1.5);
    assert!(share.contains("reference.false_alarms"), "{share}");
    // Features of another network: five numbers where this one has four.
    let other = changed(&|reference| {
        let features = reference.features.as_mut().unwrap();
        *features =
            leukd::model::reference::FeatureSpace::pack(&[0.0; 5], &[], Vec::new(), 1.0, 1.0);
    });
    assert!(other.contains("reference.features") && other.contains("of 5 features"), "{other}");
}

#[test]
fn a_bundle_without_a_reference_doubts_nothing() {
    let bundle = Bundle::from_bytes(&testing::tiny_bundle("tiny", 1), "tiny").unwrap();
    assert!(bundle.manifest().reference.is_none());
    let model = Model::load(bundle).unwrap();
    for (kind, picture) in others() {
        let examined = examine(&synthetic::bmp(&picture), &model, &Limits::default()).unwrap();
        let reasons = examined.judgement.reasons;
        assert!(
            reasons.iter().all(|reason| reason.code == "low-confidence"),
            "{kind}: {reasons:?}"
        );
    }
}

#[test]
fn the_embedded_model_leaves_what_it_was_not_made_for_to_a_person() {
    let model = Model::load(Bundle::embedded().unwrap()).unwrap();
    let mut by_features = 0;
    for (kind, picture) in others() {
        let examined = examine(&synthetic::bmp(&picture), &model, &Limits::default()).unwrap();
        let judgement = examined.judgement;
        assert_eq!(judgement.decision, Decision::Review, "{kind}");
        assert_ne!(judgement.reasons[0].code, "low-confidence", "{kind}: {judgement:?}");
        by_features += usize::from(
            judgement.reasons.iter().any(|reason| reason.code == ReasonCode::UnlikeTraining),
        );
    }
    assert!(by_features >= 10, "the features alone tell {by_features} of {}", others().len());
}

/// It was trained on cells of every subject there: how many cells of subjects that they had not
/// seen its siblings doubt stands on its card.
#[test]
fn of_real_cells_like_those_that_it_was_trained_on_few_are_doubted() {
    let Some(folder) = cnmc::data() else {
        println!("{}", cnmc::NO_CELLS);
        return;
    };
    let model = Model::load(Bundle::embedded().unwrap()).unwrap();
    let rows = cnmc::index(&folder);
    let rows: Vec<_> = rows.iter().step_by(17).collect();
    let mut doubted = 0;
    for row in &rows {
        let bytes = cnmc::restore(&folder, row);
        let examined = examine(&bytes, &model, &Limits::default()).unwrap();
        doubted += usize::from(examined.judgement.is_doubted());
    }
    println!("{doubted} of {} cells are doubted", rows.len());
    assert!(rows.len() > 150 && doubted * 10 < rows.len(), "{doubted} of {}", rows.len());
}

/// Cells of H1, H2 and h3: it was trained on other cells of H2 and on a near copy of `h3_1_1`.
#[test]
fn of_real_cells_that_it_has_not_seen_most_are_not_doubted() {
    let Some(folder) = cnmc::data() else {
        println!("{}", cnmc::NO_CELLS);
        return;
    };
    let model = Model::load(Bundle::embedded().unwrap()).unwrap();
    let (mut cells, mut doubted) = (0, 0);
    for entry in std::fs::read_dir(folder.join("demo/hem")).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("UID_h3_1_1_hem.bmp") {
            continue;
        }
        let examined = examine(&std::fs::read(&path).unwrap(), &model, &Limits::default()).unwrap();
        cells += 1;
        doubted += usize::from(examined.judgement.is_doubted());
    }
    println!("{doubted} of {cells} cells are doubted");
    assert!(cells >= 19 && doubted * 4 < cells, "{doubted} of {cells}");
}
