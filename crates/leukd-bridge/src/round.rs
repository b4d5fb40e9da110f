//! One round of a specimen, and its values in the order in which every encoder has them.

use leukd_journal::fraction::{Share, wilson};
use leukd_journal::result::{Tally, Timestamp};

use super::codes::Key;

/// The model that classified a specimen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    /// Its manifest's name for it.
    pub id: String,
    /// SHA-256 of its bundle, hexadecimal.
    pub digest: String,
}

/// A share, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Count {
    /// The share with its 95 % interval.
    Share(Share),
    /// A stable word of the contract, or one of this crate's: `no-cells`, `counted-later`.
    Missing(String),
}

/// The counts of one specimen as of one event of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// The journal.
    pub epoch: String,
    /// The event's place in it.
    pub sequence: u64,
    /// The specimen; never empty.
    pub specimen: String,
    /// 1 for the first; a later one replaces what came before.
    pub round: u64,
    /// Cells by decision.
    pub cells: Tally,
    /// The share of blasts corrected for the model's measured errors.
    pub corrected: Count,
    /// The model of the newest result that one classified.
    pub model: Option<ModelName>,
    /// The first result's time.
    pub first: Timestamp,
    /// The last result's time.
    pub last: Timestamp,
    /// When the event was stored.
    pub stored: Timestamp,
}

/// The standing of a round among those of its specimen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The first: leukd never has a last one.
    Preliminary,
    /// It replaces an earlier one.
    Correction,
}

/// A value of a round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// A number of cells.
    Cells(u64),
    /// A share of the cells, in percent; none where the round has none.
    Percent(Option<f64>),
    /// Words.
    Text(String),
}

impl Value {
    /// The value as text; empty where there is none.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Cells(cells) => cells.to_string(),
            Self::Percent(Some(percent)) => format!("{percent:.2}"),
            Self::Percent(None) => String::new(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Round {
    /// `epoch:sequence`: no other round has it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.epoch, self.sequence)
    }

    /// Its standing.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        if self.round > 1 { Standing::Correction } else { Standing::Preliminary }
    }

    /// The share of blasts among the decided cells.
    #[must_use]
    pub fn blasts(&self) -> Count {
        let share = wilson(self.cells.all, self.cells.all + self.cells.hem);
        share.map_or_else(|| Count::Missing("no-cells".to_owned()), Count::Share)
    }

    /// Every value, in the order of all encoders.
    pub(crate) fn values(&self) -> Vec<(Key, Value)> {
        let cells = [
            (Key::All, self.cells.all),
            (Key::Hem, self.cells.hem),
            (Key::Review, self.cells.review),
            (Key::Rejected, self.cells.rejected),
        ];
        let mut values: Vec<_> = cells.map(|(key, count)| (key, Value::Cells(count))).into();
        let fractions = [
            ([Key::Blasts, Key::BlastsLower, Key::BlastsUpper], self.blasts()),
            ([Key::Corrected, Key::CorrectedLower, Key::CorrectedUpper], self.corrected.clone()),
        ];
        for (keys, count) in fractions {
            let figures = match count {
                Count::Share(share) => [share.value, share.lower, share.upper].map(Some),
                Count::Missing(_) => [None; 3],
            };
            for (key, figure) in keys.into_iter().zip(figures) {
                values.push((key, Value::Percent(figure.map(|share| 100.0 * share))));
            }
        }
        let why = match &self.corrected {
            Count::Share(_) => String::new(),
            Count::Missing(word) => word.clone(),
        };
        values.push((Key::CorrectedMissing, Value::Text(why)));
        let (id, digest) = self
            .model
            .as_ref()
            .map_or_else(Default::default, |model| (model.id.clone(), model.digest.clone()));
        values.push((Key::Model, Value::Text(id)));
        values.push((Key::ModelDigest, Value::Text(digest)));
        values
    }

    /// The name of a file of it: the specimen, as far as a file name may hold it, and its identity.
    #[must_use]
    pub fn file_name(&self, extension: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        let specimen: String =
            self.specimen.chars().take(64).map(|c| if plain(c) { c } else { '_' }).collect();
        format!("leukd_{specimen}_{}_{:012}.{extension}", self.epoch, self.sequence)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A round of a specimen with this name.
    pub(crate) fn round(specimen: &str) -> Round {
        Round {
            epoch: "6b3b0775-4a71-4012-89e9-f8b72b474208".to_owned(),
            sequence: 17,
            specimen: specimen.to_owned(),
            round: 1,
            cells: Tally { all: 30, hem: 70, review: 4, rejected: 1 },
            corrected: Count::Missing("not-measured".to_owned()),
            model: Some(ModelName { id: "leukd-b3-64".to_owned(), digest: "ab".repeat(32) }),
            first: Timestamp(1_764_555_480_175),
            last: Timestamp(1_764_555_483_004),
            stored: Timestamp(1_764_556_083_178),
        }
    }

    #[test]
    fn values_are_percent_with_the_interval_and_absent_ones_are_empty() {
        let texts: Vec<_> =
            round("S").values().into_iter().map(|(_, value)| value.to_text()).collect();
        assert_eq!(texts[..7], ["30", "70", "4", "1", "30.00", "21.89", "39.58"]);
        assert_eq!(texts[7..11], ["", "", "", "not-measured"]);
        let none = Round { cells: Tally::default(), ..round("S") };
        assert_eq!(none.blasts(), Count::Missing("no-cells".to_owned()));
    }

    #[test]
    fn a_file_name_stays_one_whatever_the_specimen_is_called() {
        let named = |specimen: &str| round(specimen).file_name("csv");
        let end = "_6b3b0775-4a71-4012-89e9-f8b72b474208_000000000017.csv";
        assert_eq!(named("11"), format!("leukd_11{end}"));
        assert_eq!(named("../a b\n/é"), format!("leukd_.._a_b___{end}"));
        assert!(named(&"x".repeat(256)).len() < 255);
    }
}
