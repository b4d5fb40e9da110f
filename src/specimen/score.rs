//! A specimen's score beside those of persons whose cells were known.

use super::{Missing, Served, one_model};
use crate::journal::SpecimenCounts;
use crate::model::manifest::Person;
use crate::result::Label;
use crate::score::{LEAST_CELLS, Score};

/// What a specimen's cells say together, or why nothing is said.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecimenScore {
    /// The score.
    pub score: Option<Score>,
    /// Where it lies among persons that the model's siblings had never seen; none where the model's
    /// bundle names none.
    pub among: Option<Among>,
    /// Why there is no score, or nobody to compare it with.
    pub missing: Option<Missing>,
}

/// How many persons there are, and how many of them have a lower score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Among {
    /// Persons with blasts.
    pub all: u64,
    /// Those of them with a lower score.
    pub all_below: u64,
    /// Healthy persons.
    pub hem: u64,
    /// Those of them with a lower score.
    pub hem_below: u64,
}

impl Among {
    fn of(score: f64, persons: &[Person]) -> Option<Self> {
        let mut found = Self::default();
        for person in persons {
            let below = u64::from(person.score < score);
            match person.label {
                Label::All => {
                    found.all += 1;
                    found.all_below += below;
                }
                Label::Hem => {
                    found.hem += 1;
                    found.hem_below += below;
                }
            }
        }
        (found != Self::default()).then_some(found)
    }
}

impl SpecimenScore {
    /// Of the cells that `counts` holds, all classified by `served`.
    #[must_use]
    pub fn of(counts: &SpecimenCounts, served: Option<&Served<'_>>) -> Self {
        let served = match one_model(counts, served) {
            Ok(served) => served,
            Err(missing) => return Self { score: None, among: None, missing: Some(missing) },
        };
        let Some(score) = counts.score else {
            let message = format!(
                "fewer than {LEAST_CELLS} of these cells are like those that the model was trained on"
            );
            let missing = Some(Missing { code: "few-cells", message });
            return Self { score: None, among: None, missing };
        };
        let among = Among::of(score.value, served.persons);
        let missing = among.is_none().then(|| Missing {
            code: "not-measured",
            message: "the model's bundle names no persons whose scores are known".to_owned(),
        });
        Self { score: Some(score), among, missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Tally;

    fn counts() -> SpecimenCounts {
        SpecimenCounts {
            tally: Tally { all: 30, hem: 60, review: 10, rejected: 5 },
            score: Some(Score { value: 0.5, lower: 0.1, upper: 0.9, cells: 100 }),
            models: vec!["m".to_owned()],
            ..SpecimenCounts::default()
        }
    }

    fn persons() -> Vec<Person> {
        let person = |label, score| Person { label, score, cells: 50 };
        vec![
            person(Label::All, 3.0),
            person(Label::All, 0.2),
            person(Label::Hem, -2.0),
            person(Label::Hem, 0.4),
            person(Label::Hem, 0.5),
        ]
    }

    fn code(counts: &SpecimenCounts, persons: &[Person]) -> Option<&'static str> {
        let served = Served { digest: "m", metrics: &[], persons };
        SpecimenScore::of(counts, Some(&served)).missing.map(|missing| missing.code)
    }

    #[test]
    fn a_score_stands_among_persons_of_both_kinds() {
        let persons = persons();
        let served = Served { digest: "m", metrics: &[], persons: &persons };
        let told = SpecimenScore::of(&counts(), Some(&served));
        assert_eq!(told.score, counts().score);
        assert_eq!(told.among, Some(Among { all: 2, all_below: 1, hem: 3, hem_below: 2 }));
        assert_eq!(told.missing, None);
    }

    #[test]
    fn why_there_is_no_score_is_said_with_a_stable_word() {
        let of = |change: fn(&mut SpecimenCounts)| {
            let mut counts = counts();
            change(&mut counts);
            code(&counts, &persons())
        };
        assert_eq!(of(|counts| counts.score = None), Some("few-cells"));
        assert_eq!(of(|counts| counts.tally = Tally::default()), Some("no-cells"));
        assert_eq!(of(|counts| counts.from_fields = 1), Some("from-fields"));
        assert_eq!(of(|counts| counts.models.push("n".to_owned())), Some("several-models"));
        assert_eq!(of(|counts| counts.models = vec!["n".to_owned()]), Some("other-model"));
        assert_eq!(code(&counts(), &[]), Some("not-measured"));
        let none = SpecimenScore::of(&counts(), None);
        assert_eq!((none.score, none.missing.unwrap().code), (None, "no-model"));
    }
}
