//! The part of an address after the question mark.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::http::Uri;

use super::problem::Problem;
use crate::journal::filter::{Criteria, Filter};
use crate::journal::gallery::{GalleryQuery, Order};
use crate::result::ReasonCode;
use crate::review::Verdict;

/// Cells of a gallery's page.
pub(super) const PAGE: usize = 60;

/// Names and values; the last of a name counts.
#[derive(Debug)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn new(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The value; none where it is absent or empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value as what it must be; none where it is absent.
    pub(super) fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parsed = self.text(name).map(str::parse).transpose();
        parsed.map_err(|_| Problem::field(format!("{name}: this is none of its values")))
    }

    /// A number that must be there.
    pub(super) fn number(&self, name: &str) -> Result<u64, Problem> {
        self.parsed(name)?.ok_or_else(|| Problem::field(format!("{name}: give a number")))
    }

    /// A gallery of one specimen.
    pub(super) fn gallery(&self) -> Result<GalleryQuery, Problem> {
        let specimen =
            self.text("specimen").ok_or_else(|| Problem::field("specimen: give its id"))?;
        let criteria = Criteria {
            specimen: specimen.to_owned(),
            slide: self.text("slide").unwrap_or_default().to_owned(),
            decisions: self.parsed("decision")?.into_iter().collect(),
            ..Criteria::default()
        };
        let filter = Filter::new(criteria).map_err(|error| Problem::field(error.to_string()))?;
        Ok(GalleryQuery {
            filter,
            reason: self.parsed::<ReasonCode>("reason")?,
            verdict: self.verdict()?,
            order: self.order()?,
            offset: self.parsed("offset")?.unwrap_or(0),
            limit: PAGE,
        })
    }

    fn verdict(&self) -> Result<Option<Verdict>, Problem> {
        Ok(match self.text("standing") {
            None => None,
            Some("suggested") => Some(Verdict::Suggested),
            Some("confirmed") => Some(Verdict::Confirmed),
            Some("corrected") => Some(Verdict::Corrected),
            Some(_) => return Err(Problem::field("standing: this is none of its values")),
        })
    }

    fn order(&self) -> Result<Order, Problem> {
        Ok(match self.text("order") {
            None | Some("likeliest") => Order::LikeliestFirst,
            Some("unlikeliest") => Order::LikeliestLast,
            Some("newest") => Order::Newest,
            Some("random") => Order::Random(self.parsed("seed")?.unwrap_or(0)),
            Some(_) => return Err(Problem::field("order: this is none of its values")),
        })
    }
}
