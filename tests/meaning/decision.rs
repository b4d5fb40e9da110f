//! What leukd decides and what it leaves to a person: the model's review band, and the configured
//! one.

#![allow(clippy::float_cmp)]

use crate::support;
use crate::support::process::{Process, config_file, leukd, stderr, stdout};
use crate::support::{Folders, HEM, Harness, WEAK_ALL, cell_of};
use leukd::grpc::proto::{self, Decision};
use leukd::model::manifest::Precision;
use leukd::model::testing;
use serde_json::Value;

const WIDER: Option<(f64, f64)> = Some((0.3, 0.9));

async fn model(harness: &Harness) -> proto::Model {
    let answer = harness.control().get_model(proto::GetModelRequest {}).await.unwrap();
    answer.into_inner().model.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configured_band_leaves_more_to_a_person_and_no_stored_decision_changes() {
    let harness = Harness::start().await;
    harness.drop_capture("a.bmp", &cell_of(WEAK_ALL, 1));
    let before = harness.wait_results(1).await.remove(0);
    assert_eq!(before.decision(), Decision::All);
    let asked = harness.classify(cell_of(WEAK_ALL, 2)).await;
    assert_eq!(asked.decision(), Decision::All);
    let folders = harness.stop().await;

    let harness = Harness::start_on(folders, |settings| settings.decision.review = WIDER).await;
    harness.drop_capture("b.bmp", &cell_of(WEAK_ALL, 3));
    harness.drop_capture("c.bmp", &cell_of(HEM, 4));
    let results = harness.wait_results(4).await;
    assert_eq!(results[..2], [before, asked.clone()]);
    for result in &results[2..] {
        let p = support::probability(result, "all");
        let inside = (0.3..0.9).contains(&p);
        assert_eq!(result.decision() == Decision::Review, inside, "{p}");
        assert!(!inside || result.reasons[0].code == "low-confidence");
    }
    let review = results[2..].iter().find(|result| result.decision() == Decision::Review);
    let message = &review.expect("one is left to a person").reasons[0].message;
    assert!(message.contains("the configuration leaves to a person"), "{message}");
    // A retry is answered with what is stored; another cell is decided by what is in force.
    assert_eq!(harness.classify(cell_of(WEAK_ALL, 2)).await, asked);
    assert_eq!(harness.classify(cell_of(WEAK_ALL, 5)).await.decision(), Decision::Review);

    let model = model(&harness).await;
    assert_eq!((model.review_lower, model.review_upper), (0.3, 0.9));
    assert_eq!((model.bundle_review_lower, model.bundle_review_upper), (0.4, 0.6));
    assert!(model.review_reason.starts_with("decision.review [0.3, 0.9]: "), "{model:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_band_that_would_let_more_be_decided_changes_nothing_and_is_said() {
    let folders = Folders::new();
    let inside = |settings: &mut leukd::config::settings::Settings| {
        settings.decision.review = Some((0.45, 0.9));
    };
    let daemon = Process::serve_with(&folders, inside);
    let words = ["WARN", "its lower end 0.45 changes nothing"];
    let server = format!("http://{}", daemon.address);
    support::until("a model", async || {
        let mut control = daemon.control().await;
        control.get_model(proto::GetModelRequest {}).await.ok().map(drop)
    })
    .await;
    // The first load may have come before the port, and its lines with it.
    while daemon.log.try_recv().is_ok() {}
    assert!(leukd(&["reload", "--server", &server]).await.status.success());
    daemon.line_with(&words);
    let shown = stdout(&leukd(&["model", "show", "--server", &server]).await);
    assert!(shown.contains("review     0.4 ≤ P(all) < 0.9"), "{shown}");
    assert!(shown.contains("the model's own: 0.4 ≤ P(all) < 0.6; decision.review"), "{shown}");
    let file = config_file(&folders, "check.toml", inside);
    let checked = leukd(&["check", "--config", file.to_str().unwrap()]).await;
    assert!(checked.status.success(), "{}", stderr(&checked));
    assert!(stderr(&checked).contains(words[1]), "{}", stderr(&checked));
    let said = stdout(&checked);
    assert!(said.contains("a person looks at cells with 0.4 ≤ P(all) < 0.9"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_band_without_the_models_threshold_is_refused_by_name() {
    let folders = Folders::new();
    let beside = |settings: &mut leukd::config::settings::Settings| {
        settings.decision.review = Some((0.6, 0.9));
    };
    let file = config_file(&folders, "check.toml", beside);
    let checked = leukd(&["check", "--config", file.to_str().unwrap()]).await;
    assert_eq!(checked.status.code(), Some(78));
    let said = stderr(&checked);
    assert!(said.contains("decision.review: [0.6, 0.9] does not contain"), "{said}");
    let harness = Harness::start_unready(folders, beside).await;
    support::until("the reason", async || {
        let degraded = harness.status().await.degraded;
        degraded.iter().any(|one| one.message.contains("decision.review")).then_some(())
    })
    .await;
    harness.stop().await;
    // A model that the band does not fit takes no other's place.
    let harness = Harness::start_with(|settings| settings.decision.review = WIDER).await;
    let mut manifest = testing::tiny_manifest("eager", Precision::F32);
    manifest.calibration.threshold = 0.2;
    let bundle = testing::bundle_of(testing::tiny_network(1, Precision::F32), manifest);
    std::fs::write(harness.folders.models.join("other.onnx"), bundle).unwrap();
    let request = proto::ReloadModelRequest { file: "other.onnx".to_owned() };
    let refused = harness.control().reload_model(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("decision.review"), "{}", refused.message());
    assert_eq!(model(&harness).await.id, "tiny");
}

#[tokio::test(flavor = "multi_thread")]
async fn classify_and_model_diff_decide_by_the_configured_band() {
    let folders = Folders::new();
    let wider = |settings: &mut leukd::config::settings::Settings| {
        settings.decision.review = WIDER;
    };
    let wider = config_file(&folders, "wider.toml", wider);
    let plain = config_file(&folders, "plain.toml", |_| {});
    let cell = folders.drop_capture("cell.bmp", &cell_of(WEAK_ALL, 1));
    let bundle = folders.models.join("tiny.onnx");
    let [bundle, cell] = [&bundle, &cell].map(|path| path.to_str().unwrap());
    for (config, decision, place) in [(&plain, "DECISION_ALL", 0), (&wider, "DECISION_REVIEW", 2)] {
        let config = config.to_str().unwrap();
        let arguments = ["classify", "--json", "--model", bundle, "--config", config, cell];
        let output = leukd(&arguments).await;
        let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(result["decision"], decision, "{}", stderr(&output));
        let folder = folders.export.to_str().unwrap();
        let arguments = ["model", "diff", "--json", "--config", config, bundle, bundle, folder];
        let report: Value = serde_json::from_str(&stdout(&leukd(&arguments).await)).unwrap();
        assert_eq!(report["decisions"][place][place], 1, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_band_is_a_record_of_the_audit_chain() {
    let folders = Harness::start().await.stop().await;
    let harness = Harness::start_on(folders, |settings| settings.decision.review = WIDER).await;
    let folders = harness.stop().await;
    let state = folders.state.to_str().unwrap();
    let export = stdout(&leukd(&["audit", "export", "--state", state]).await);
    let changed = export
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| serde_json::from_str::<Value>(line["record"].as_str()?).ok())
        .filter_map(|record| record.pointer("/changed/decision.review").cloned())
        .next_back();
    assert_eq!(changed, Some(serde_json::json!({"old": null, "new": [0.3, 0.9]})));
}

#[tokio::test]
async fn model_show_says_at_which_risk_the_band_was_chosen() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/models/default.onnx");
    let shown = stdout(&leukd(&["model", "show", file]).await);
    assert!(shown.contains("review     0.08 ≤ P(all) < 0.92"), "{shown}");
    let card = shown.split_whitespace().collect::<Vec<&str>>().join(" ");
    let risk = "Review band 0.08 to 0.92: the narrowest with 95 % of the siblings' tested cells outside it decided rightly";
    assert!(card.contains(risk), "{card}");
}
