//! The recipe and the flags over it.

use clap::Args;
use leukd_train::recipe::{Recipe, RecipeError, Setting};

/// Which recipe, and what is changed in it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recipe")]
pub(super) struct RecipeArgs {
    /// `seed`, `modern`, or a TOML file.
    #[arg(long, value_name = "NAME|FILE", default_value = "seed")]
    recipe: String,
    /// Change one setting: `--set augmentation.rotation=20`. May be given again.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    settings: Vec<String>,
    /// Width and height of the network's input, pixels (input.size).
    #[arg(long)]
    size: Option<u32>,
    /// The square that is cut from the picture's middle first, pixels; 0 for the whole picture
    /// (input.window).
    #[arg(long)]
    window: Option<u32>,
    /// How often as many cells are shown as there are (steps.epochs).
    #[arg(long)]
    epochs: Option<u32>,
    /// Cells a step (steps.batch).
    #[arg(long)]
    batch: Option<u32>,
    /// Seeds the weights, the order and the augmentation (steps.seed).
    #[arg(long)]
    seed: Option<u32>,
    /// The first, or highest, learning rate (optimizer.learning_rate).
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Epochs in which only the head learns (optimizer.frozen_epochs).
    #[arg(long)]
    frozen_epochs: Option<u32>,
    /// The run's length by the clock; the learning rate comes down in time (steps.minutes).
    #[arg(long)]
    minutes: Option<f64>,
}

impl RecipeArgs {
    /// The recipe with everything that was changed in it.
    pub(super) fn read(&self) -> Result<Recipe, RecipeError> {
        let mut settings =
            self.settings.iter().map(|text| Setting::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let whole = [
            ("--size", "input.size", self.size),
            ("--window", "input.window", self.window),
            ("--epochs", "steps.epochs", self.epochs),
            ("--batch", "steps.batch", self.batch),
            ("--seed", "steps.seed", self.seed),
            ("--frozen-epochs", "optimizer.frozen_epochs", self.frozen_epochs),
        ];
        for (flag, key, value) in whole {
            settings.extend(value.map(|value| Setting::flag(flag, key, i64::from(value))));
        }
        let real = [
            ("--learning-rate", "optimizer.learning_rate", self.learning_rate),
            ("--minutes", "steps.minutes", self.minutes),
        ];
        for (flag, key, value) in real {
            settings.extend(value.map(|value| Setting::flag(flag, key, value)));
        }
        Recipe::read(&self.recipe, &settings)
    }
}
