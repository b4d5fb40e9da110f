//! Which results a caller wants, in memory and in SQL.

use std::fmt;

use globset::{GlobBuilder, GlobSet};
use rusqlite::types::Value;

use crate::result::{Decision, Label};

/// The longest glob, in characters.
pub const MAX_GLOB: usize = 512;

pub use leukd_cell::name::MAX_ID;

/// A field that does not hold what it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The field as `leukd.v1.Filter` names it.
    pub field: &'static str,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// What a filter is made of; an empty part lets everything through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Criteria {
    /// Exactly this specimen. At most [`MAX_ID`] bytes.
    pub specimen: String,
    /// Exactly this slide. At most [`MAX_ID`] bytes.
    pub slide: String,
    /// `all` or `hem`.
    pub label: String,
    /// One of these.
    pub decisions: Vec<Decision>,
    /// Folder captures whose path below the folder matches. At most [`MAX_GLOB`] characters.
    pub path_glob: String,
    /// The result's own label has at least this probability, 0 to 1.
    pub minimum_probability: f64,
}

/// The parts of an event that a filter looks at. None: the kind has none of it, and a filter on it
/// lets nothing through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts<'a> {
    pub(super) specimen: &'a str,
    /// The rest; none for an event that is of a whole specimen, of which the name alone counts.
    pub(super) cell: Option<CellFacts<'a>>,
}

/// What a filter looks at in an event about one cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellFacts<'a> {
    pub(super) slide: &'a str,
    pub(super) label: Option<Label>,
    pub(super) probability: Option<f64>,
    pub(super) decision: Decision,
    /// Below the folder; none for a request.
    pub(super) path: Option<&'a str>,
}

/// Checked criteria. Cheap to clone and to apply.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    specimen: Option<String>,
    slide: Option<String>,
    label: Option<Label>,
    decisions: Vec<Decision>,
    path_glob: Option<Glob>,
    minimum_probability: Option<f64>,
}

/// A compiled glob that shows itself as it was written.
#[derive(Clone)]
struct Glob {
    text: String,
    set: GlobSet,
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl Filter {
    /// Checks `criteria`.
    ///
    /// # Errors
    /// The first field that does not hold what it must.
    pub fn new(criteria: Criteria) -> Result<Self, FieldError> {
        let Criteria { specimen, slide, label, mut decisions, path_glob, minimum_probability } =
            criteria;
        let label = some(label).map(|label| label.parse::<Label>()).transpose();
        let label = label.map_err(|message| FieldError { field: "label", message })?;
        if !(0.0..=1.0).contains(&minimum_probability) {
            return Err(FieldError {
                field: "minimum_probability",
                message: format!("{minimum_probability} is no number from 0 to 1"),
            });
        }
        decisions.sort_unstable_by_key(|decision| decision.as_str());
        decisions.dedup();
        Ok(Self {
            specimen: id("specimen", specimen)?,
            slide: id("slide", slide)?,
            label,
            decisions,
            path_glob: some(path_glob).map(|glob| compile(&glob)).transpose()?,
            minimum_probability: (minimum_probability > 0.0).then_some(minimum_probability),
        })
    }

    /// Whether these facts match; none for an event of no specimen.
    pub(super) fn admits(&self, facts: Option<Facts<'_>>) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        let Some(Facts { specimen, cell }) = facts else { return self.is_empty() };
        is(&self.specimen, specimen)
            && cell.is_none_or(|cell| {
                is(&self.slide, cell.slide)
                    && (self.label.is_none() || self.label == cell.label)
                    && (self.decisions.is_empty() || self.decisions.contains(&cell.decision))
                    && self.minimum_probability.is_none_or(|least| {
                        cell.probability.is_some_and(|probability| probability >= least)
                    })
                    && self.admits_path(cell.path)
            })
    }

    const fn is_empty(&self) -> bool {
        self.specimen.is_none()
            && self.slide.is_none()
            && self.label.is_none()
            && self.decisions.is_empty()
            && self.path_glob.is_none()
            && self.minimum_probability.is_none()
    }

    /// The part that SQL cannot say: the path below the folder, none for a request.
    pub(super) fn admits_path(&self, path: Option<&str>) -> bool {
        match (&self.path_glob, path) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(glob), Some(path)) => glob.set.is_match(path),
        }
    }

    /// True when [`Filter::to_sql`] says less than the filter.
    pub(super) const fn has_glob(&self) -> bool {
        self.path_glob.is_some()
    }

    /// The filter without its glob, as conditions with `?` in the order of their values.
    pub(super) fn to_sql(&self) -> (Vec<String>, Vec<Value>) {
        let mut conditions = Vec::new();
        let mut values = Vec::new();
        for (column, wanted) in [("specimen", &self.specimen), ("slide", &self.slide)] {
            if let Some(wanted) = wanted {
                conditions.push(format!("{column} = ?"));
                values.push(Value::Text(wanted.clone()));
            }
        }
        if let Some(label) = self.label {
            let side = if label == Label::All { ">=" } else { "<" };
            conditions.push(format!("p_all {side} 0.5"));
        }
        if !self.decisions.is_empty() {
            let places = vec!["?"; self.decisions.len()].join(", ");
            conditions.push(format!("decision IN ({places})"));
            values.extend(self.decisions.iter().map(|one| Value::Text(one.as_str().to_owned())));
        }
        if let Some(least) = self.minimum_probability {
            conditions.push("max(p_all, 1.0 - p_all) >= ?".to_owned());
            values.push(Value::Real(least));
        }
        if self.has_glob() {
            conditions.push("path IS NOT NULL".to_owned());
        }
        (conditions, values)
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn id(field: &'static str, text: String) -> Result<Option<String>, FieldError> {
    if text.len() > MAX_ID {
        return Err(FieldError {
            field,
            message: format!("{} bytes are too long: at most {MAX_ID}", text.len()),
        });
    }
    Ok(some(text))
}

fn compile(glob: &str) -> Result<Glob, FieldError> {
    let refuse = |message| FieldError { field: "path_glob", message };
    let length = glob.chars().count();
    if length > MAX_GLOB {
        return Err(refuse(format!("{length} characters are too long: at most {MAX_GLOB}")));
    }
    // A set of one: unlike `compile_matcher` it answers a glob too deep for the regex engine with
    // an error.
    GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .and_then(|glob| GlobSet::new([glob]))
        .map(|set| Glob { text: glob.to_owned(), set })
        .map_err(|error| refuse(error.kind().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(criteria: Criteria) -> FieldError {
        Filter::new(criteria).unwrap_err()
    }

    #[test]
    fn a_bad_field_is_named_as_the_contract_names_it() {
        let label = refused(Criteria { label: "blast".to_owned(), ..Criteria::default() });
        assert_eq!(label.field, "label");
        for odd in [f64::NAN, f64::INFINITY, -0.1, 1.01] {
            let bad = refused(Criteria { minimum_probability: odd, ..Criteria::default() });
            assert_eq!(bad.field, "minimum_probability", "{odd}");
        }
        for glob in ["a{b", "[z-a]", &"x".repeat(513), &("{".repeat(255) + "a" + &"}".repeat(255))]
        {
            let bad = refused(Criteria { path_glob: glob.to_owned(), ..Criteria::default() });
            assert_eq!(bad.field, "path_glob", "{glob}");
        }
        let long = refused(Criteria { specimen: "s".repeat(257), ..Criteria::default() });
        assert_eq!(long.field, "specimen");
        let long = refused(Criteria { slide: "s".repeat(257), ..Criteria::default() });
        assert_eq!(long.field, "slide");
    }

    #[test]
    fn the_longest_glob_is_taken() {
        for glob in ["?".repeat(512), "ü".repeat(512), "*".repeat(512), "[!a-z]".repeat(85)] {
            Filter::new(Criteria { path_glob: glob, ..Criteria::default() }).unwrap();
        }
    }

    #[test]
    fn one_star_stays_within_a_part_of_the_path() {
        let glob = |text: &str| {
            Filter::new(Criteria { path_glob: text.to_owned(), ..Criteria::default() }).unwrap()
        };
        assert!(glob("*.bmp").admits_path(Some("a.bmp")));
        assert!(!glob("*.bmp").admits_path(Some("run/a.bmp")));
        assert!(glob("**/*.bmp").admits_path(Some("run/7/a.bmp")));
        assert!(glob("**/*.bmp").admits_path(Some("a.bmp")));
        assert!(glob("run/{1,2}/[a-c]?.png").admits_path(Some("run/2/b9.png")));
        assert!(!glob("**").admits_path(None), "a request has no path");
    }
}
