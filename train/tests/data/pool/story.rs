//! A run that tested, and the files that it leaves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use leukd_cell::Format;
use leukd_journal::result::{Digest, ModelRef};
use leukd_model::manifest::Calibration;
use leukd_train::dataset::{Cell, LABELS, Side, Split};
use leukd_train::evaluate::{About, AreaCut, CELLS, Evaluation, Prediction, SIDES, Seen};

/// Cells of each subject.
pub(crate) const EACH: u64 = 12;

/// `all` subjects 1 to 3 and `hem` subjects H1 to H3, without pixels.
pub(crate) fn cells() -> Vec<Cell> {
    let subjects =
        (0..6_u64).map(|at| if at < 3 { format!("{}", at + 1) } else { format!("H{}", at - 2) });
    let of = |(at, subject): (usize, String)| {
        (0..EACH).map(move |image| {
            let label = usize::from(at >= 3);
            let name = format!("UID_{subject}_{image}_1_{}.bmp", LABELS[label]);
            Cell {
                path: name.clone().into(),
                label,
                subject: subject.clone(),
                fold: None,
                side: None,
                digest: Digest::of(name.as_bytes()),
                place: None,
                format: Format::Bmp,
                width: 450,
                height: 450,
                // Blasts are larger on the whole, and the sizes overlap.
                area: 30_000 - 4_000 * label as u64 + 700 * (image * 5 % EACH),
                measures: None,
                morphometry: None,
                teacher: None,
                pixels: Vec::new(),
                name,
            }
        })
    };
    subjects.enumerate().flat_map(of).collect()
}

/// What a run's files are made of; tests change one thing of it.
pub(crate) struct Story {
    pub(crate) split: Split,
    pub(crate) recipe: BTreeMap<String, String>,
    pub(crate) temperature: f64,
    /// Logits are as many times as large as those of another run.
    pub(crate) scale: f64,
    pub(crate) seen: Seen,
}

impl Story {
    pub(crate) fn of(training: Vec<Cell>, test: Vec<Cell>) -> Self {
        // One cell in six of the training subjects draws the curve.
        let (validation, training): (Vec<_>, Vec<_>) =
            training.into_iter().enumerate().partition(|(at, _)| at % 6 == 0);
        let plain = |cells: Vec<(usize, Cell)>| cells.into_iter().map(|(_, cell)| cell).collect();
        let split = Split::of(plain(training), plain(validation), test);
        let recipe = recipe(&split, "1");
        Self { split, recipe, temperature: 1.5, scale: 1.0, seen: Seen::No }
    }

    /// The third of the subjects that fold `fold`, from 1, tests.
    pub(crate) fn fold(fold: u64) -> Self {
        let tested = [format!("{fold}"), format!("H{fold}")];
        let (test, training) = cells().into_iter().partition(|cell| tested.contains(&cell.subject));
        let mut story = Self::of(training, test);
        story.scale = fold as f64;
        story.temperature = 1.5 * fold as f64;
        story
    }

    /// Each subject's every fourth cell tested, beginning with `first`.
    pub(crate) fn by_image(first: usize) -> Self {
        let (test, training): (Vec<_>, Vec<_>) =
            cells().into_iter().enumerate().partition(|(at, _)| at % 4 == first);
        let plain = |cells: Vec<(usize, Cell)>| cells.into_iter().map(|(_, cell)| cell).collect();
        Self::of(plain(training), plain(test))
    }

    pub(crate) fn predictions(&self) -> Vec<Prediction> {
        let logits = |cell: &Cell| {
            // From −1 to 1, by the cell's name alone.
            let noise = f64::from(
                cell.digest.to_string().as_bytes()[..8].iter().map(|b| u32::from(*b)).sum::<u32>()
                    % 97,
            ) / 48.0
                - 1.0;
            let margin = self.scale * (if cell.label == 0 { 0.8 } else { -0.8 } + 2.0 * noise);
            [margin / 2.0, -margin / 2.0]
        };
        let of = |cell: &Cell| Prediction {
            name: cell.name.clone(),
            logits: logits(cell),
            label: cell.label,
            subject: cell.subject.clone(),
            area: cell.area,
        };
        self.split.test.iter().map(of).collect()
    }

    pub(crate) fn calibration(&self) -> Calibration {
        Calibration { temperature: self.temperature, threshold: 0.5, review: (0.4, 0.6) }
    }

    pub(crate) fn cut(&self) -> Option<AreaCut> {
        AreaCut::fit(self.split.training.iter().map(|cell| (cell.area, cell.label)))
    }

    /// Writes the run's folder as `evaluate --out` does.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> PathBuf {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let about = About {
            side: Side::Test,
            protocol: self.split.protocol,
            split: self.split.in_words(),
            training_digest: self.split.training_digest().to_string(),
            recipe: self.recipe.clone(),
            model: ModelRef {
                id: name.to_owned(),
                digest: Digest::of(name.as_bytes()).to_string(),
            },
            calibration: self.calibration(),
            seen: self.seen,
            baseline: self.cut(),
            folds: Vec::new(),
            seed: 0,
        };
        let predictions = self.predictions();
        let evaluations = [Evaluation::of(&predictions, &about)];
        std::fs::write(folder.join("evaluation.json"), serde_json::to_vec(&evaluations).unwrap())
            .unwrap();
        self.split.write_csv(&folder.join("split.csv")).unwrap();
        let mut table =
            "side,name,subject,label,p_all,logit_all,logit_hem,decision,area\n".to_owned();
        for one in &predictions {
            let (p, [all, hem]) = (one.probability(self.temperature), one.logits);
            let (label, Prediction { name, subject, area, .. }) = (LABELS[one.label], one);
            writeln!(table, "test,{name},{subject},{label},{p},{all},{hem},all,{area}").unwrap();
        }
        std::fs::write(folder.join("predictions.csv"), table).unwrap();
        folder
    }
}

pub(crate) fn recipe(split: &Split, seed: &str) -> BTreeMap<String, String> {
    let (sides, all) = (split.sides_digest().to_string(), split.cells_digest().to_string());
    [
        ("name", "modern"),
        ("input.size", "80"),
        ("optimizer.learning_rate", "0.001"),
        ("steps.seed", seed),
        ("run.device", "cpu"),
        (SIDES, &sides),
        (CELLS, &all),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}
