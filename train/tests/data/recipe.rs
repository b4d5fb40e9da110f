//! Recipes: the shipped ones, files over them, flags over both.

use leukd_cell::standardise::{Standardise, Targets};
use leukd_train::recipe::{OptimizerKind, Recipe, SHIPPED, Schedule, Setting};

fn read(source: &str, settings: &[&str]) -> Result<Recipe, String> {
    let settings: Vec<_> = settings.iter().map(|text| Setting::parse(text).unwrap()).collect();
    Recipe::read(source, &settings).map_err(|error| error.to_string())
}

fn file(text: &str, settings: &[&str]) -> (Result<Recipe, String>, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lab.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (read(&path, settings), path)
}

#[test]
fn the_seed_s_recipe_has_the_notebook_s_constants() {
    let seed = read("seed", &[]).unwrap();
    assert_eq!((seed.input.size, seed.steps.batch, seed.steps.seed), (224, 40, 123));
    assert_eq!(seed.optimizer.kind, OptimizerKind::Adamax);
    assert_eq!(seed.optimizer.learning_rate, 1e-3);
    assert_eq!(seed.network.dropout, 0.45);
    // Keras' momentum of 0.99 keeps what burn's 0.01 replaces.
    assert_eq!(seed.network.norm_momentum, 0.01);
    let penalties = seed.regularisation;
    assert_eq!(
        (penalties.kernel_l2, penalties.activity_l1, penalties.bias_l1),
        (0.016, 0.006, 0.006)
    );
    assert!(seed.augmentation.flip_horizontal && !seed.augmentation.flip_vertical);
    assert_eq!(
        seed.schedule,
        Schedule::Plateau { threshold: 0.9, factor: 0.5, patience: 1, stop_after: 3 }
    );
}

#[test]
fn every_shipped_recipe_is_whole_and_survives_its_own_toml() {
    for (name, _) in SHIPPED {
        let recipe = read(name, &[]).unwrap();
        assert_eq!(recipe.name, name);
        let (again, _) = file(&recipe.to_toml(), &[]);
        assert_eq!(again.unwrap(), recipe);
    }
}

#[test]
fn flags_lie_over_a_file_and_a_file_over_its_base() {
    let text = "base = \"modern\"\nname = \"lab\"\n[steps]\nepochs = 7\nbatch = 12\n";
    let recipe = file(text, &["steps.batch=16", "name=mine"]).0.unwrap();
    assert_eq!((recipe.steps.epochs, recipe.steps.batch), (7, 16));
    assert_eq!((recipe.name.as_str(), recipe.optimizer.kind), ("mine", OptimizerKind::AdamW));
}

#[test]
fn another_schedule_brings_its_own_settings() {
    let cosine = read("seed", &["schedule.warm_up=0.2", "schedule.kind=cosine"]).unwrap();
    assert_eq!(cosine.schedule, Schedule::Cosine { warm_up: 0.2 });
    let error = read("seed", &["schedule.warm_up=0.2"]).unwrap_err();
    assert!(error.contains("there is no setting `schedule.warm_up`"), "{error}");
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_line_or_its_flag() {
    let (error, path) = file("[steps]\nepochs = 3\n\n[optimizer]\nlerning_rate = 1e-3\n", &[]);
    let error = error.unwrap_err();
    assert!(error.starts_with(&format!("{path}:5: ")), "{error}");
    assert!(error.contains("optimizer.lerning_rate") && error.contains("learning_rate"), "{error}");

    let (error, path) = file("[network]\ndropout = 1.5\n", &[]);
    assert_eq!(error.unwrap_err(), format!("{path}:2: `network.dropout`: 1.5 is not 0 to 0.99"));

    let (error, path) = file("[network]\n\nwidth = \"wide\"\n", &[]);
    let error = error.unwrap_err();
    assert!(error.starts_with(&format!("{path}:3: `network.width`")), "{error}");

    let (error, path) = file("[network\n", &[]);
    let error = error.unwrap_err();
    assert!(error.contains(&path) && error.contains("line 1"), "{error}");

    let error = read("seed", &["steps.batch=1"]).unwrap_err();
    assert_eq!(error, "--set steps.batch: `steps.batch`: 1 is not 2 to 4096");

    let error = read("sead", &[]).unwrap_err();
    assert!(error.contains("sead") && error.contains("`modern`"), "{error}");
    assert!(Setting::parse("epochs").is_err());
}

#[test]
fn the_recipe_names_the_standardisation_and_without_the_key_there_is_none() {
    assert_eq!(read("seed", &[]).unwrap().preprocessing().standardise, None);
    for (word, step) in [
        ("none", None),
        ("channels", Some(Standardise::Channels(Targets::levels(224)))),
        ("density", Some(Standardise::Density(Targets::DENSITY))),
        ("luminance", Some(Standardise::Luminance(Targets::levels(224)))),
    ] {
        let recipe = read("seed", &[&format!("input.standardise={word}")]).unwrap();
        assert_eq!(recipe.preprocessing().standardise, step);
        assert_eq!(recipe.settings()["input.standardise"], word);
    }
    let error = read("seed", &["input.standardise=reinhard"]).unwrap_err();
    assert!(error.contains("input.standardise") && error.contains("density"), "{error}");
}

#[test]
fn a_recipe_that_was_written_before_a_setting_existed_reads_as_without_it() {
    let now = read("seed", &[]).unwrap();
    let new = [
        "standardise",
        "scale",
        "appearance",
        "contrast",
        "gamma",
        "residual",
        "flat",
        "grey",
        "blur",
        "bands",
        "sharpness",
        "noise",
        "erase",
        "every",
    ];
    let old = now.to_toml();
    let kept = old.lines().filter(|line| !new.iter().any(|key| line.starts_with(key)));
    let then = kept.collect::<Vec<_>>().join("\n");
    assert_ne!(then, old);
    assert_eq!(then.lines().count() + new.len(), old.lines().count());
    assert_eq!(toml::from_str::<Recipe>(&then).unwrap(), now);
}

#[test]
fn a_residual_or_a_flat_cell_without_a_standardisation_is_refused() {
    for key in ["augmentation.residual", "augmentation.flat"] {
        let setting = format!("{key}=0.1");
        let error = read("seed", &[&setting]).unwrap_err();
        assert!(error.starts_with(&format!("--set {key}: `{key}`: ")), "{error}");
        assert!(error.contains("input.standardise"), "{error}");
        read("seed", &[&setting, "input.standardise=density"]).unwrap();
    }
    let error = read("modern", &["augmentation.blur=9"]).unwrap_err();
    assert_eq!(error, "--set augmentation.blur: `augmentation.blur`: 9 is not 0 to 8");
}
