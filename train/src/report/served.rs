//! The daemon's decisions in words, for the page.

use serde::Serialize;

use super::words::{self, NO_REFERENCE};
use crate::dataset::LABELS;
use crate::evaluate::{Doubted, Evaluation};

/// What the page tells of the daemon's decisions.
#[derive(Serialize)]
pub(super) struct ServedWords {
    /// Truth; all, review, hem.
    decisions: Vec<[String; 4]>,
    /// Why cells go to a person.
    why: String,
    /// Code; cells of each class.
    reasons: Vec<[String; 3]>,
    /// What; how many pictures, how many doubted, their share, by which reasons.
    doubted: Vec<[String; 5]>,
    /// Said where the bundle holds none.
    no_reference: Option<&'static str>,
}

/// Of the headline's side; how many cells are doubted, of every side.
pub(super) fn served(of: &Evaluation, every: &[Evaluation]) -> Option<ServedWords> {
    let served = of.served.as_ref()?;
    let decisions = [(LABELS[0], &served.decisions.all), (LABELS[1], &served.decisions.hem)];
    let own = every.iter().filter_map(|one| one.served.as_ref()?.doubted.as_ref());
    Some(ServedWords {
        decisions: decisions
            .map(|(truth, decided)| {
                let counts = [decided.all, decided.review, decided.hem].map(|n| n.to_string());
                let [all, review, hem] = counts;
                [truth.to_owned(), all, review, hem]
            })
            .to_vec(),
        why: format!(
            "Left to a person: {} by the review band, {} by a doubt about the capture, {} by both. Of the cells that are \
             decided as all or hem, the share that is wrong is {}.",
            served.by_band.both(),
            served.by_doubt.both(),
            served.by_both.both(),
            words::number(served.error_decided)
        ),
        reasons: served
            .reasons
            .iter()
            .map(|(code, count)| [code.clone(), count.all.to_string(), count.hem.to_string()])
            .collect(),
        doubted: own.chain(&served.others).map(row).collect(),
        no_reference: served.doubted.is_none().then_some(NO_REFERENCE),
    })
}

fn row(of: &Doubted) -> [String; 5] {
    let mut kind = of.kind.clone();
    if !of.split.is_empty() {
        kind += &format!(", split by {}", of.split);
    }
    if of.unreadable > 0 {
        kind += &format!(" ({} left out)", words::counted(of.unreadable, "unreadable file"));
    }
    let share = words::number(of.share);
    let share = match words::interval(of.interval) {
        Some(interval) => format!("{share} ({interval})"),
        None => share,
    };
    let reasons: Vec<String> =
        of.reasons.iter().map(|(code, count)| format!("{code} {count}")).collect();
    [kind, of.pictures.to_string(), of.doubted.to_string(), share, reasons.join(", ")]
}
