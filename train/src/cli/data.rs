//! Which images, and who stands on which side: the arguments of every command that reads cells.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use leukd_cell::preprocess::Preprocessing;
use leukd_train::dataset::{
    Broken, Dataset, DatasetError, SPLIT_SEED, Split, SplitPlan, TestSubjects, fold_table,
};

/// Files that were left out and are named one by one; the rest are counted.
const NAMED: usize = 10;

/// Which images, and who stands on which side.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// The cells: a folder with all/ and hem/ at any depth (C-NMC's, or one with a folder for each
    /// subject), or a CSV with the columns path, label and subject; with --from-journal, leukd's
    /// state folder (/var/lib/leukd): the cells that people reviewed, with their labels.
    #[arg(long, visible_alias = "from-journal", value_name = "DIR|CSV")]
    pub(super) data: PathBuf,
    #[command(flatten)]
    pub(super) sides: SplitArgs,
}

impl DataArgs {
    /// Reads the cells and parts them.
    pub(super) fn split(&self, preprocessing: &Preprocessing) -> Result<Split, DatasetError> {
        self.read(preprocessing).map(|(split, _)| split)
    }

    /// As [`Self::split`], with what was left out.
    pub(super) fn read(
        &self,
        preprocessing: &Preprocessing,
    ) -> Result<(Split, Vec<Broken>), DatasetError> {
        let dataset = read(&self.data, preprocessing)?;
        for file in dataset.broken.iter().take(NAMED) {
            tracing::warn!(path = %file.path.display(), reason = file.reason, "left out");
        }
        if let Some(more @ 1..) = dataset.broken.len().checked_sub(NAMED) {
            tracing::warn!("{more} more were left out: `leukd train inspect` lists them");
        }
        let broken = dataset.broken.clone();
        Ok((self.sides.split(dataset)?, broken))
    }
}

/// Reads the cells with a bar on standard error, where that is a terminal.
pub(super) fn read(source: &Path, preprocessing: &Preprocessing) -> Result<Dataset, DatasetError> {
    // Hidden by itself where standard error is no terminal.
    let bar = ProgressBar::no_length();
    if let Ok(style) =
        ProgressStyle::with_template("reading {wide_bar} {human_pos}/{human_len} files, {eta} left")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let dataset = Dataset::read_with(source, preprocessing, &|progress| {
        bar.set_length(progress.of as u64);
        bar.inc(1);
    });
    bar.finish_and_clear();
    dataset
}

/// Who decides the sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SplitArgs {
    /// Nobody was asked: the data, or else the usual folds.
    Usual {
        /// Whom to validate on; empty: nobody in particular.
        validation: Vec<String>,
        /// Decides the rest.
        seed: u64,
    },
    /// The flags.
    Plan(SplitPlan),
    /// A split that was made before.
    File(PathBuf),
    /// A table that assigns every subject a fold.
    Table {
        /// The CSV.
        table: PathBuf,
        /// Its column, 1 for `repeat_1`.
        repeat: usize,
        /// The fold to test on.
        fold: usize,
        /// Whom to validate on; empty: cells of every training subject.
        validation: Vec<String>,
        /// Decides the rest.
        seed: u64,
    },
}

impl SplitArgs {
    /// Parts the cells.
    pub(super) fn split(&self, dataset: Dataset) -> Result<Split, DatasetError> {
        match self {
            Self::File(path) => Split::from_csv(dataset, path),
            Self::Plan(plan) => dataset.split(plan),
            Self::Table { table, repeat, fold, validation, seed } => {
                let folds = fold_table(table, *repeat)?;
                let name = table.file_name().unwrap_or(table.as_os_str()).to_string_lossy();
                let origin = format!("repeat {repeat} of {name}");
                let test = TestSubjects::Assigned { folds, fold: *fold, origin };
                let validation = validation.clone();
                dataset.split(&SplitPlan::Subject { test, validation, seed: *seed })
            }
            Self::Usual { validation, seed } => {
                let plan = dataset.usual_plan(validation.clone(), *seed);
                dataset.split(&plan)
            }
        }
    }
}

/// What is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProtocolArg {
    /// Images: 70/15/15 of each class, as the seed did; says nothing about new subjects.
    Image,
    /// Subjects: nobody's cells stand on the test side and on another.
    Subject,
    /// The sides that the data name, in a CSV's column side or by folders such as test.
    Given,
    /// Nothing: no test side, everything is trained on but 5 % of each subject's cells, which draw
    /// the learning curve. For the model that is shipped; its figures come from `pool`.
    Everything,
}

/// What means nothing where cells are parted by chance, whoever's they are.
const SUBJECTS: [&str; 6] =
    ["--folds", "--fold", "--fold-table", "--hold-out", "--test-fold", "--validate-on"];

#[derive(Debug, Args)]
#[command(next_help_heading = "Split")]
struct Flags {
    /// What the split keeps apart. Default: given where the data name sides, else subject.
    #[arg(long, value_enum)]
    protocol: Option<ProtocolArg>,
    /// How many folds over subjects. Default: 3, or as many subjects as the class with the fewest
    /// has.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..),
          conflicts_with_all = ["hold_out", "test_fold"])]
    folds: Option<u32>,
    /// Which of them is the test side: 1 to K. Default: 1.
    #[arg(long, value_name = "I", value_parser = clap::value_parser!(u32).range(1..),
          conflicts_with_all = ["hold_out", "test_fold"])]
    fold: Option<u32>,
    /// A CSV that assigns each subject a fold: columns subject, repeat_1, repeat_2 and so on, as
    /// train/protocol/folds.csv. Every subject of the other folds is trained on.
    #[arg(long, value_name = "FILE", requires = "fold",
          conflicts_with_all = ["folds", "hold_out", "test_fold"])]
    fold_table: Option<PathBuf>,
    /// Which repeat of it. Default: 1.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..),
          requires = "fold_table")]
    repeat: Option<u32>,
    /// Subjects to test on instead, divided by commas.
    #[arg(long, value_name = "SUBJECTS", value_delimiter = ',', conflicts_with = "test_fold")]
    hold_out: Vec<String>,
    /// Subjects to validate on, divided by commas. Default: about 15 % of each class by subject
    /// where enough subjects are left to train on, else 15 % of each training subject's cells.
    #[arg(long, value_name = "SUBJECTS", value_delimiter = ',')]
    validate_on: Vec<String>,
    /// Test on a fold that the data name: a folder such as `fold_2`, or in a CSV's column fold.
    #[arg(long, value_name = "NAME")]
    test_fold: Option<String>,
    /// The sides of a split.csv that an earlier run wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "protocol", "folds", "fold", "fold_table", "hold_out", "validate_on", "test_fold", "split_seed"])]
    split: Option<PathBuf>,
    /// Decides what the other flags leave open.
    #[arg(long, value_name = "SEED", default_value_t = SPLIT_SEED)]
    split_seed: u64,
}

impl Flags {
    /// # Errors
    ///
    /// Where flags contradict each other in a way that clap's own rules cannot say.
    fn checked(self) -> Result<SplitArgs, clap::Error> {
        let conflict = |message: String| clap::Error::raw(ErrorKind::ArgumentConflict, message);
        let given = [
            ("--folds", self.folds.is_some()),
            ("--fold", self.fold.is_some()),
            ("--fold-table", self.fold_table.is_some()),
            ("--hold-out", !self.hold_out.is_empty()),
            ("--test-fold", self.test_fold.is_some()),
            ("--validate-on", !self.validate_on.is_empty()),
        ];
        let (protocol, foreign): (_, &[&str]) = match self.protocol {
            None => ("", &[]),
            Some(ProtocolArg::Subject) => ("subject", &["--test-fold"]),
            Some(ProtocolArg::Given) => {
                ("given", &["--folds", "--fold", "--fold-table", "--hold-out"])
            }
            Some(ProtocolArg::Image) => ("image", &SUBJECTS),
            Some(ProtocolArg::Everything) => ("everything", &SUBJECTS),
        };
        if let Some((flag, _)) = given.iter().find(|(flag, is)| *is && foreign.contains(flag)) {
            return Err(conflict(format!("{flag} means nothing with --protocol {protocol}")));
        }
        if let Some(subject) = self.hold_out.iter().find(|name| self.validate_on.contains(*name)) {
            let both = format!("--hold-out and --validate-on both name the subject {subject:?}");
            return Err(conflict(both));
        }
        if let (Some(fold), Some(folds)) = (self.fold, self.folds)
            && fold > folds
        {
            return Err(conflict(format!("there is no --fold {fold} of --folds {folds}")));
        }
        if let Some(file) = self.split {
            return Ok(SplitArgs::File(file));
        }
        let (seed, validation) = (self.split_seed, self.validate_on);
        let subject = self.folds.or(self.fold).is_some() || !self.hold_out.is_empty();
        let plan = match self.protocol {
            Some(ProtocolArg::Image) => SplitPlan::Image { seed },
            Some(ProtocolArg::Everything) => SplitPlan::Everything { seed },
            Some(ProtocolArg::Given) => {
                SplitPlan::Given { test_fold: self.test_fold, validation, seed }
            }
            None if self.test_fold.is_some() => {
                SplitPlan::Given { test_fold: self.test_fold, validation, seed }
            }
            None if !subject => return Ok(SplitArgs::Usual { validation, seed }),
            Some(ProtocolArg::Subject) | None => {
                let fold = self.fold.unwrap_or(1) as usize;
                let test = if let Some(table) = self.fold_table {
                    let repeat = self.repeat.unwrap_or(1) as usize;
                    return Ok(SplitArgs::Table { table, repeat, fold, validation, seed });
                } else if self.hold_out.is_empty() {
                    TestSubjects::Fold { fold, folds: self.folds.map(|folds| folds as usize) }
                } else {
                    TestSubjects::Named(self.hold_out)
                };
                SplitPlan::Subject { test, validation, seed }
            }
        };
        Ok(SplitArgs::Plan(plan))
    }
}

/// So that contradictions end like every other wrong command line, with the usage beside them.
impl FromArgMatches for SplitArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Flags::from_arg_matches(matches)?.checked()
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SplitArgs {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}
