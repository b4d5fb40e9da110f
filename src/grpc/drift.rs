//! The weeks as clients see them.

use super::{convert, proto};
use crate::drift::{self, Comparison, Note, Tally, Weeks};
use crate::fraction::{Share, wilson};
use crate::result::ModelRef;
use crate::service::Service;

/// Counts of the last weeks, compared.
pub(super) fn drift(service: &Service) -> proto::Drift {
    let weeks = service.drift.weeks();
    let served = service.expected_doubts();
    let running = drift::week_of(service.clock.wall());
    proto::Drift {
        weeks: weeks
            .weeks
            .iter()
            .enumerate()
            .map(|(place, week)| proto::DriftWeek {
                week: drift::week_name(week.begins),
                begins: Some(convert::time(week.begins)),
                ends: Some(convert::time(week.ends())),
                running: week.begins == running,
                removed: week.removed,
                models: week
                    .models
                    .iter()
                    .map(|(model, tally)| {
                        let expected =
                            served.as_ref().filter(|(own, _)| Some(own) == model.as_ref());
                        let expected = expected.and_then(|(_, expected)| *expected);
                        of_model(&weeks, place, (model.as_ref(), tally), expected)
                    })
                    .collect(),
                left_out: week.left_out,
                stands_out: drift::rejections(&weeks, place).into_iter().map(note).collect(),
            })
            .collect(),
        as_of_sequence: weeks.as_of,
        counting: weeks.counting,
    }
}

fn of_model(
    weeks: &Weeks,
    place: usize,
    (model, tally): (Option<&ModelRef>, &Tally),
    expected: Option<f64>,
) -> proto::DriftModel {
    let compared = model
        .map_or_else(Comparison::default, |model| drift::compare(weeks, place, model, expected));
    let [all, hem, review, rejected] = tally.decisions;
    let figures = drift::figure_names().into_iter().zip(&tally.figures).zip(compared.shifts);
    proto::DriftModel {
        model: model
            .map(|model| proto::ModelRef { id: model.id.clone(), digest: model.digest.clone() }),
        all,
        hem,
        review,
        rejected,
        reasons: tally
            .codes
            .iter()
            .map(|(code, results)| proto::ReasonCount { code: code.clone(), results: *results })
            .collect(),
        doubted: tally.doubted,
        doubted_share: wilson(tally.doubted, tally.classified()).map(told),
        expected_doubted_share: expected,
        scores: tally.scores.to_vec(),
        mean_score: tally.score.mean(),
        stability_index: compared.stability.map(|found| found.index),
        stability_index_by_chance: compared.stability.map(|found| found.chance),
        figures: figures
            .filter(|((_, spread), _)| spread.count() > 0)
            .map(|((name, spread), shift)| proto::DriftFigure {
                name: name.to_owned(),
                pictures: spread.count(),
                mean: spread.mean().unwrap_or_default(),
                deviation: spread.deviation(),
                shift,
            })
            .collect(),
        reviewed: tally.reviewed,
        confirmed: tally.confirmed,
        agreement: wilson(tally.confirmed, tally.reviewed).map(told),
        stands_out: compared.notes.into_iter().map(note).collect(),
    }
}

fn note(note: Note) -> proto::DriftNote {
    proto::DriftNote { what: note.what.to_owned(), message: note.message }
}

const fn told(share: Share) -> proto::DriftShare {
    proto::DriftShare { value: share.value, lower: share.lower, upper: share.upper }
}
