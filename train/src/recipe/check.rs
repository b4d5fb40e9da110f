//! Why a recipe is refused.

use std::path::PathBuf;

use super::layers::Origin;
use super::{Recipe, Schedule, StainStandard};

/// What is wrong with a recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error(
        "the recipe {path} cannot be read: {source} (the shipped recipes are `seed` and `modern`; \
         anything else is a file's path)"
    )]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is no TOML: {problem}")]
    NoToml {
        /// Which one.
        path: PathBuf,
        /// Where it goes wrong.
        problem: String,
    },
    /// `base` names no shipped recipe.
    #[error("`base` is {0}; the shipped recipes are \"seed\" and \"modern\"")]
    UnknownBase(String),
    /// A setting without a value.
    #[error("--set {0:?} is no setting: write SECTION.KEY=VALUE")]
    NoSetting(String),
    /// A key that does not exist.
    #[error("{origin}: there is no setting `{key}`; there are {known}")]
    UnknownKey {
        /// Who set it.
        origin: Origin,
        /// The key.
        key: String,
        /// Those of its section.
        known: String,
    },
    /// A value that is impossible.
    #[error("{origin}: `{key}`: {problem}")]
    Impossible {
        /// Who set it.
        origin: Origin,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

type Problem = (&'static str, String);

impl Recipe {
    /// The first setting that is impossible, with what is wrong.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.name.is_empty() || self.name.chars().count() > 64 {
            return Err(("name", format!("{:?} has not 1 to 64 characters", self.name)));
        }
        self.check_network()?;
        within("input.size", f64::from(self.input.size), 32.0, 1024.0)?;
        within("input.window", f64::from(self.input.window), 0.0, 16_384.0)?;
        within("input.cell_share", f64::from(self.input.cell_share), 0.0, 1.0)?;
        self.preprocessing().check().map_err(|(field, problem)| match field {
            "size" => ("input.size", problem),
            "window" => ("input.window", problem),
            _ => ("input.cell_share", problem),
        })?;
        within("steps.epochs", f64::from(self.steps.epochs), 1.0, 100_000.0)?;
        // A batch of one has no variance to normalise by.
        within("steps.batch", self.steps.batch as f64, 2.0, 4096.0)?;
        if let Some(minutes) = self.steps.minutes {
            within("steps.minutes", minutes, 0.001, 1e6)?;
        }
        above("optimizer.learning_rate", self.optimizer.learning_rate, 10.0)?;
        within("optimizer.weight_decay", f64::from(self.optimizer.weight_decay), 0.0, 1.0)?;
        match self.schedule {
            Schedule::Plateau { threshold, factor, patience, stop_after } => {
                share("schedule.threshold", threshold)?;
                above("schedule.factor", factor, 0.999)?;
                within("schedule.patience", f64::from(patience), 1.0, 1e6)?;
                within("schedule.stop_after", f64::from(stop_after), 1.0, 1e6)?;
            }
            Schedule::Cosine { warm_up } => within("schedule.warm_up", warm_up, 0.0, 0.9)?,
        }
        let penalties = &self.regularisation;
        within("regularisation.kernel_l2", penalties.kernel_l2, 0.0, 1e3)?;
        within("regularisation.activity_l1", penalties.activity_l1, 0.0, 1e3)?;
        within("regularisation.bias_l1", penalties.bias_l1, 0.0, 1e3)?;
        within("regularisation.label_smoothing", penalties.label_smoothing, 0.0, 0.9)?;
        within("regularisation.mixup", penalties.mixup, 0.0, 1.0)?;
        share("distil.weight", self.distil.weight)?;
        self.check_augmentation()?;
        within("average.decay", self.average.decay, 0.0, 0.999_999)?;
        within("average.every", f64::from(self.average.every), 1.0, 1e6)?;
        within("average.refresh_norms", f64::from(self.average.refresh_norms), 0.0, 1e6)
    }

    fn check_augmentation(&self) -> Result<(), Problem> {
        let varied = &self.augmentation;
        within("augmentation.rotation", varied.rotation, 0.0, 180.0)?;
        // Beyond a factor of 2 the interpolation would alias.
        within("augmentation.scale", varied.scale, 0.0, 1.0)?;
        share("augmentation.appearance", varied.appearance)?;
        within("augmentation.brightness", varied.brightness, 0.0, 0.9)?;
        within("augmentation.colour", varied.colour, 0.0, 0.9)?;
        within("augmentation.contrast", varied.contrast, 0.0, 0.9)?;
        within("augmentation.gamma", varied.gamma, 0.0, 1.0)?;
        within("augmentation.stain", varied.stain, 0.0, 0.9)?;
        within("augmentation.residual", varied.residual, 0.0, 0.9)?;
        share("augmentation.flat", varied.flat)?;
        share("augmentation.grey", varied.grey)?;
        within("augmentation.blur", varied.blur, 0.0, 8.0)?;
        within("augmentation.bands", varied.bands, 0.0, 4.0)?;
        within("augmentation.sharpness", varied.sharpness, 0.0, 4.0)?;
        within("augmentation.noise", varied.noise, 0.0, 64.0)?;
        share("augmentation.erase", varied.erase)?;
        for (field, value) in
            [("augmentation.residual", varied.residual), ("augmentation.flat", varied.flat)]
        {
            if value > 0.0 && self.input.standardise == StainStandard::None {
                let problem =
                    "it is what a standardisation leaves, and `input.standardise` is \"none\"";
                return Err((field, problem.to_owned()));
            }
        }
        Ok(())
    }

    fn check_network(&self) -> Result<(), Problem> {
        let network = &self.network;
        within("network.width", network.width, 0.05, 8.0)?;
        within("network.depth", network.depth, 0.05, 8.0)?;
        within("network.hidden", network.hidden as f64, 1.0, 65_536.0)?;
        within("network.dropout", network.dropout, 0.0, 0.99)?;
        within("network.drop_connect", network.drop_connect, 0.0, 0.99)?;
        above("network.norm_momentum", network.norm_momentum, 1.0)?;
        above("network.class_gain", network.class_gain, 100.0)
    }
}

fn share(key: &'static str, value: f64) -> Result<(), Problem> {
    within(key, value, 0.0, 1.0)
}

fn within(key: &'static str, value: f64, least: f64, most: f64) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err((key, format!("{value} is not {least} to {most}")))
}

fn above(key: &'static str, value: f64, most: f64) -> Result<(), Problem> {
    if value > 0.0 && value <= most {
        return Ok(());
    }
    Err((key, format!("{value} is not above 0 and at most {most}")))
}
