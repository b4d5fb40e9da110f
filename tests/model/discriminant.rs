//! A discriminant beside the network: what it adds, and which bundles are refused for it.

use leukd::cell::synthetic::{self, Kind};
use leukd::model::bundle::{Bundle, rewritten};
use leukd::model::discriminant::Discriminant;
use leukd::model::serving::{Model, ModelError};

fn embedded() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/models/default.onnx")).unwrap()
}

/// The embedded bundle with another discriminant.
fn with(change: impl FnOnce(&mut Discriminant)) -> Result<Bundle, String> {
    let bytes = rewritten(&embedded(), |manifest| {
        change(manifest.discriminant.as_mut().expect("the embedded model has one"));
    });
    let bytes = bytes.map_err(|error| error.to_string())?;
    Bundle::from_bytes(&bytes, "changed").map_err(|error| error.to_string())
}

#[test]
fn its_score_is_added_to_the_logit_of_all_and_to_nothing_else() {
    let model = Model::load(Bundle::embedded().unwrap()).unwrap();
    let discriminant = model.manifest().discriminant.clone().unwrap();
    for seed in 0..4 {
        let picture = synthetic::cell(seed, Kind::Normal);
        let seen = model.look(&model.manifest().preprocessing.tensor(&picture).unwrap()).unwrap();
        let measured = model.measure(&picture).unwrap();
        let score = discriminant.score(measured.morphometry.as_ref().unwrap());
        let weighed = model.weighed(&seen.logits, measured.morphometry.as_ref());
        let place = model.manifest().labels.iter().position(|label| label == "all").unwrap();
        assert!((weighed[place] - seen.logits[place] - score).abs() < 1e-12);
        assert_eq!(weighed[1 - place], seen.logits[1 - place]);
        assert_eq!(model.verdict(&seen, &measured).probabilities, model.probabilities(&weighed));
        assert_eq!(model.weighed(&seen.logits, None), seen.logits, "a picture without a cell");
    }
}

#[test]
fn a_bundle_whose_discriminant_cannot_be_served_is_refused_by_field() {
    type Change = fn(&mut Discriminant);
    let changes: [(Change, &str); 6] = [
        (|own| own.figures[3].name = "colour of the sky".to_owned(), "figures[3].name"),
        (|own| own.figures[5].alone.deviation = 0.0, "figures[5]"),
        (|own| own.figures.truncate(9), "discriminant.figures"),
        (|own| own.factors[1] = "weather".to_owned(), "discriminant.factors"),
        (|own| own.figures[2].products.truncate(3), "figures[2].products"),
        (|own| own.golden.clear(), "discriminant.golden"),
    ];
    for (change, field) in changes {
        let refused = with(change)
            .and_then(|bundle| Model::load(bundle).map(drop).map_err(|error| error.to_string()));
        let refused = refused.expect_err(field);
        assert!(refused.contains(field), "{field}: {refused}");
    }
}

#[test]
fn a_leukd_that_measures_otherwise_refuses_the_bundle() {
    let bundle = with(|own| own.golden[0] += 0.1).unwrap();
    match Model::load(bundle) {
        Err(ModelError::GoldenScore { expected, got, .. }) => {
            assert!((expected - got - 0.1).abs() < 1e-3, "{expected} {got}");
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
}
