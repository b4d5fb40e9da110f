//! What a person says of a result. A review is an event of its own and changes no result.
//!
//! For Research Use Only: a review is one reader's opinion, neither a diagnosis nor the truth.

use leukd_cell::words;
use serde::{Deserialize, Serialize};

use crate::result::{CapturePath, CellIds, Decision, Label, Record, Timestamp};

/// The longest name of a reviewer, in bytes.
pub const MAX_REVIEWER: usize = 128;

/// The longest note, in bytes.
pub const MAX_NOTE: usize = 4096;

words! {
    /// A person's opinion of the picture.
    pub enum ReviewLabel: "label" {
        /// A leukemic blast.
        All = "all",
        /// A normal B-lymphoid precursor.
        Hem = "hem",
        /// Neither: another kind of cell, debris, several cells.
        Other = "other",
    }
}

impl From<Label> for ReviewLabel {
    fn from(label: Label) -> Self {
        match label {
            Label::All => Self::All,
            Label::Hem => Self::Hem,
        }
    }
}

/// What a review copies of the result that it is about: a review outlives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reviewed {
    /// The result's sequence. None where the result is not in this journal: a recovery did not save
    /// it.
    pub sequence: Option<u64>,
    /// The result's UUID.
    pub result_id: String,
    /// The file that it was made from; none for a request.
    pub path: Option<CapturePath>,
    /// What the capture belongs to.
    pub ids: CellIds,
    /// The result's P(all), 0 to 1; none when it was rejected.
    pub p_all: Option<f64>,
    /// What leukd suggested.
    pub decision: Decision,
}

impl Reviewed {
    /// The copy of one result.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let finding = &record.finding;
        Self {
            sequence: Some(record.sequence),
            result_id: finding.result_id.clone(),
            path: record.capture.path().cloned(),
            ids: finding.ids.clone(),
            p_all: finding.p_all,
            decision: finding.decision,
        }
    }

    /// The result's likelier class; none when it was rejected.
    #[must_use]
    pub fn label(&self) -> Option<Label> {
        self.p_all.map(Label::likelier)
    }

    /// The probability of that class.
    #[must_use]
    pub fn label_probability(&self) -> Option<f64> {
        self.p_all.map(|p_all| Label::likelier(p_all).probability(p_all))
    }

    /// Whether `label` is what leukd suggested: the decision where it is a class, the likelier
    /// class where leukd was not sure, and for a rejection `other`, since both say that there is no
    /// such cell.
    #[must_use]
    pub fn is_confirmed_by(&self, label: ReviewLabel) -> bool {
        let suggested = match self.decision {
            Decision::All => Some(ReviewLabel::All),
            Decision::Hem => Some(ReviewLabel::Hem),
            Decision::Review => self.label().map(ReviewLabel::from),
            Decision::Rejected => Some(ReviewLabel::Other),
        };
        suggested == Some(label)
    }
}

/// One review with its place in the journal. It never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Its place among all events: 1, 2, 3, … without holes.
    #[serde(skip)]
    pub sequence: u64,
    /// A UUID, the client's or else made here.
    pub review_id: String,
    /// What it is about.
    pub of: Reviewed,
    /// What the reviewer says.
    pub label: ReviewLabel,
    /// Whether that is what leukd suggested.
    pub confirms: bool,
    /// Who says it, by the client's word; 1 to [`MAX_REVIEWER`].
    pub reviewer: String,
    /// What else the reviewer says; up to [`MAX_NOTE`], may be empty.
    pub note: String,
    /// The reader had not seen what leukd suggests before answering, by the client's word.
    #[serde(default)]
    pub blind: bool,
    /// Who sent it: `token:NAME`, `cert:NAME`, `uid:NUMBER`; empty where nobody knows.
    pub client: String,
    /// When it was stored.
    pub reviewed_at: Timestamp,
}

/// What the reviews of one result say together: the latest one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody has reviewed it.
    Suggested,
    /// The latest review says what leukd suggested.
    Confirmed,
    /// The latest review says something else.
    Corrected,
}

/// How one result stands, as of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What the reviews say.
    pub verdict: Verdict,
    /// The latest review; none where there is none.
    pub latest: Option<Latest>,
    /// How many reviews there are.
    pub reviews: u64,
}

/// The latest review of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// What it says.
    pub label: ReviewLabel,
    /// Who says it.
    pub reviewer: String,
    /// When it was stored.
    pub at: Timestamp,
}

impl Standing {
    /// That of a result which nobody has reviewed.
    pub const SUGGESTED: Self = Self { verdict: Verdict::Suggested, latest: None, reviews: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(decision: Decision, label: Option<&str>) -> Reviewed {
        Reviewed {
            sequence: Some(1),
            result_id: String::new(),
            path: None,
            ids: CellIds::default(),
            p_all: label.map(|label| if label == "all" { 0.6 } else { 0.4 }),
            decision,
        }
    }

    #[test]
    fn a_review_confirms_what_was_suggested_and_nothing_else() {
        for (decision, label, confirms) in [
            (Decision::All, Some("all"), ReviewLabel::All),
            (Decision::Hem, Some("hem"), ReviewLabel::Hem),
            // A threshold other than 0.5: the decision is the suggestion, not the likelier class.
            (Decision::Hem, Some("all"), ReviewLabel::Hem),
            (Decision::Review, Some("all"), ReviewLabel::All),
            (Decision::Review, Some("hem"), ReviewLabel::Hem),
            (Decision::Rejected, None, ReviewLabel::Other),
        ] {
            let reviewed = of(decision, label);
            let agreeing: Vec<_> =
                ReviewLabel::EVERY.into_iter().filter(|l| reviewed.is_confirmed_by(*l)).collect();
            assert_eq!(agreeing, [confirms], "{decision} {label:?}");
        }
    }

    #[test]
    fn labels_read_back_as_they_are_shown() {
        for label in ReviewLabel::EVERY {
            assert_eq!(label.as_str().parse(), Ok(label));
        }
        assert!("blast".parse::<ReviewLabel>().is_err());
    }
}
