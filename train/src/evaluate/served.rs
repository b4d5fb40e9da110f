//! What the daemon does with the cells of one side: by P(all), by the review band, and by its
//! doubts about captures that are unlike the cells that the model was trained on.

use std::collections::BTreeMap;

use leukd_cell::words::ReasonCode;
use leukd_journal::result::Decision;
use serde::{Deserialize, Serialize};

use super::counts::Decisions;
use super::engine::Answer;
use super::subjects::wilson;

/// Cells of each true class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByTruth {
    /// Of the true `all` cells.
    pub all: u64,
    /// Of the true `hem` cells.
    pub hem: u64,
}

/// The daemon's decisions on one side, each that of
/// [`Model::verdict`](leukd_model::serving::Model::verdict).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// All, review and hem, for each true class.
    pub decisions: Decisions,
    /// Of the cells that are decided as `all` or `hem`, the share that is wrong, 0 to 1; none where
    /// there are none.
    pub error_decided: Option<f64>,
    /// Left to a person by the review band and by no doubt.
    pub by_band: ByTruth,
    /// By a doubt, outside the band.
    pub by_doubt: ByTruth,
    /// By both.
    pub by_both: ByTruth,
    /// Cells by the code of a reason. A cell may have several.
    pub reasons: BTreeMap<String, ByTruth>,
    /// How many of these cells are doubted; none where the bundle holds no reference, and so doubts
    /// nothing.
    pub doubted: Option<Doubted>,
    /// The same of pictures that are no such cells; empty without a reference. It is no property of
    /// this side.
    pub others: Vec<Doubted>,
}

/// How many of some pictures are doubted: left to a person for being unlike the training cells,
/// wherever P(all) lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Doubted {
    /// What they are: `test cells`, `drawn: noise`, a folder's name.
    pub kind: String,
    /// What their split keeps apart, `subject` or `image`; empty for what is of no split.
    pub split: String,
    /// How many there are.
    pub pictures: u64,
    /// How many of them are doubted.
    pub doubted: u64,
    /// `doubted / pictures`, 0 to 1; none without any.
    pub share: Option<f64>,
    /// 95 % interval of `share` ([`wilson`]). It takes the pictures as independent; cells of one
    /// subject are not quite.
    pub interval: Option<(f64, f64)>,
    /// Pictures by the code of a doubt. A picture may have several.
    pub reasons: BTreeMap<String, u64>,
    /// How many left to a person for any reason, the review band among them.
    pub reviewed: u64,
    /// Files that are no readable pictures, which the daemon would reject: counted nowhere else.
    pub unreadable: u64,
}

impl Served {
    /// Counts `answers`. `doubted` is what to call them, where the bundle holds a reference.
    pub(super) fn of(answers: &[Answer], doubted: Option<Doubted>, others: &[Doubted]) -> Self {
        let mut served = Self {
            decisions: Decisions::default(),
            error_decided: None,
            by_band: ByTruth::default(),
            by_doubt: ByTruth::default(),
            by_both: ByTruth::default(),
            reasons: BTreeMap::new(),
            doubted,
            others: others.to_vec(),
        };
        let (mut decided, mut wrong) = (0_u64, 0_u64);
        for answer in answers {
            let label = answer.prediction.label;
            let of = if label == 0 { &mut served.decisions.all } else { &mut served.decisions.hem };
            *match answer.decision {
                Decision::All => &mut of.all,
                Decision::Hem => &mut of.hem,
                Decision::Review | Decision::Rejected => &mut of.review,
            } += 1;
            if answer.decision == Decision::Review {
                let is_doubt = |code: &String| code != ReasonCode::LowConfidence.as_str();
                let by_band = answer.reasons.iter().any(|code| !is_doubt(code));
                let by_doubt = answer.reasons.iter().any(is_doubt);
                let why = match (by_band, by_doubt) {
                    (true, true) => &mut served.by_both,
                    (false, true) => &mut served.by_doubt,
                    (_, false) => &mut served.by_band,
                };
                why.count(label);
            } else {
                decided += 1;
                wrong += u64::from((answer.decision == Decision::All) != (label == 0));
            }
            for code in &answer.reasons {
                served.reasons.entry(code.clone()).or_default().count(label);
            }
            if let Some(doubted) = &mut served.doubted {
                doubted.count(answer.reasons.iter().map(String::as_str));
            }
        }
        served.error_decided = (decided > 0).then(|| wrong as f64 / decided as f64);
        served
    }
}

impl ByTruth {
    const fn count(&mut self, label: usize) {
        if label == 0 {
            self.all += 1;
        } else {
            self.hem += 1;
        }
    }

    /// Of both classes.
    #[must_use]
    pub const fn both(&self) -> u64 {
        self.all + self.hem
    }
}

impl Doubted {
    /// Of all pictures of `parts` together, such as the test cells of several models; none where
    /// there are no parts.
    pub fn together<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut all = parts.next()?.clone();
        for part in parts {
            all.pictures += part.pictures;
            all.doubted += part.doubted;
            all.reviewed += part.reviewed;
            all.unreadable += part.unreadable;
            for (code, count) in &part.reasons {
                *all.reasons.entry(code.clone()).or_default() += count;
            }
        }
        all.rated();
        Some(all)
    }

    /// Of no picture yet.
    pub(super) fn none_of(kind: impl Into<String>, split: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            split: split.into(),
            pictures: 0,
            doubted: 0,
            share: None,
            interval: None,
            reasons: BTreeMap::new(),
            reviewed: 0,
            unreadable: 0,
        }
    }

    /// Counts a picture with the codes of its reasons.
    pub(super) fn count<'a>(&mut self, codes: impl Iterator<Item = &'a str>) {
        let (mut is_reviewed, mut is_doubted) = (false, false);
        for code in codes {
            is_reviewed = true;
            if code != ReasonCode::LowConfidence.as_str() {
                is_doubted = true;
                *self.reasons.entry(code.to_owned()).or_default() += 1;
            }
        }
        self.pictures += 1;
        self.doubted += u64::from(is_doubted);
        self.reviewed += u64::from(is_reviewed);
        self.rated();
    }

    /// Share and interval of the counts.
    fn rated(&mut self) {
        let any = self.pictures > 0;
        self.share = any.then(|| self.doubted as f64 / self.pictures as f64);
        self.interval = any.then(|| wilson(self.doubted, self.pictures));
    }
}
