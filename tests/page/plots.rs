//! Plots of the model's card: what the bundle holds, in words too, and no more.

use crate::support::Folders;
use crate::{start, start_on};

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_model_shows_both_protocols_and_says_what_it_lacks() {
    let (_harness, client) =
        start_on(Folders::new(), |settings| settings.model.bundle = None).await;
    let model = client.get("/api/model").await.json();
    let all = [
        "figures",
        "persons",
        "roc",
        "confusion",
        "reliability",
        "risk_coverage",
        "learning_curve",
    ];
    assert_eq!(model["plots"], serde_json::json!(all));
    assert_eq!(model["not_drawn"], serde_json::json!([]));
    let figure = |name: &str, split: &str| {
        let metrics = model["metrics"].as_array().unwrap();
        let own = metrics.iter().find(|own| own["name"] == name && own["split"] == split);
        own.unwrap()["value"].as_f64().unwrap()
    };
    for plot in ["figures", "roc", "confusion"] {
        let answer = client.get(&format!("/api/plot?of={plot}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "image/svg+xml"));
        let svg = answer.text();
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>"));
        assert!(!svg.contains("style") && !svg.contains("script"), "the policy forbids both");
        let said = svg.split("<desc").nth(1).unwrap().split("</desc>").next().unwrap();
        // Each protocol's own figure, in words and apart.
        for split in ["subject", "image"] {
            let value = format!("{:.3}", figure("sensitivity", split));
            assert!(said.contains(&value), "{plot} by {split}: {value} is not in {said}");
        }
        assert_eq!(svg.matches("<title").count(), 1);
    }
    let roc = client.get("/api/plot?of=roc").await.text();
    // The threshold and six points beside it, of each protocol: discs and squares.
    assert_eq!((roc.matches("<circle").count(), roc.matches("<rect").count()), (7, 7));
    let confusion = client.get("/api/plot?of=confusion").await.text();
    let wrong = 100.0 * (1.0 - figure("specificity", "subject"));
    assert!(confusion.contains(&format!(">{wrong:.1} %<")), "{wrong} {confusion}");
    // The curve between the points.
    assert_eq!(roc.matches("<polyline").count(), 2);
    let other = client.get("/api/plot?of=nothing").await;
    assert_eq!((other.status, other.code().as_str()), (400, "BAD_FIELD"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_models_curves_and_persons_are_drawn_and_said() {
    let (_harness, client) =
        start_on(Folders::new(), |settings| settings.model.bundle = None).await;
    let drawn = async |address: String| {
        let answer = client.get(&address).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "image/svg+xml"));
        answer.text()
    };
    for plot in ["reliability", "risk_coverage"] {
        let svg = drawn(format!("/api/plot?of={plot}")).await;
        assert_eq!(svg.matches("<polyline").count(), 2, "a curve each by subject and by image");
        assert!(svg.contains("Split by subject: 7139 cells of 39 subjects"), "{svg}");
    }
    let svg = drawn("/api/plot?of=learning_curve".to_owned()).await;
    assert!(svg.contains("Epochs 1 to 8"), "{svg}");
    let persons = drawn("/api/plot?of=persons".to_owned()).await;
    // Person 19 has nine cells, too few for a score.
    assert!(persons.contains("24 with leukemia") && persons.contains("14 healthy"), "{persons}");
    assert!(!persons.contains("This specimen"));
    let own = drawn("/api/plot?of=persons&score=1.25".to_owned()).await;
    assert!(own.contains("This specimen: 1.25"), "{own}");
    for wrong in ["NaN", "21", "x"] {
        let answer = client.get(&format!("/api/plot?of=persons&score={wrong}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "BAD_FIELD"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_figures_draws_nothing() {
    let (_harness, client) = start().await;
    let model = client.get("/api/model").await.json();
    let drawn: Vec<_> = model["plots"].as_array().unwrap().iter().collect();
    for plot in
        ["figures", "persons", "roc", "confusion", "reliability", "risk_coverage", "learning_curve"]
    {
        let status = client.get(&format!("/api/plot?of={plot}")).await.status;
        let expected = if drawn.iter().any(|own| **own == plot) { 200 } else { 404 };
        assert_eq!(status, expected, "{plot}");
    }
    assert_eq!(
        drawn.len() + model["not_drawn"].as_array().unwrap().len(),
        7,
        "each is drawn or said to be missing"
    );
}
