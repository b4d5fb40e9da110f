//! The short part of `leukd status` about the last weeks.

use super::error::CliError;
use super::output::{Colour, Output, clean};
use crate::grpc::proto::{Drift, DriftModel, DriftWeek};

/// Number of weeks shown; the JSON has all.
const SHOWN: usize = 2;

/// Prints the newest weeks, and what stands out in them.
///
/// # Errors
/// Standard output is gone.
pub(super) fn print(drift: &Drift, out: &Output) -> Result<(), CliError> {
    if drift.counting {
        return out.line("weeks: the journal is still being counted");
    }
    let weeks = drift.weeks.get(..SHOWN).unwrap_or(&drift.weeks);
    for week in weeks {
        out.line(&line(week))?;
    }
    let notes = weeks.iter().flat_map(|week| {
        let of_models = week.models.iter().flat_map(|model| &model.stands_out);
        week.stands_out.iter().chain(of_models).map(move |note| (week, note))
    });
    let mut any = false;
    for (week, note) in notes {
        any = true;
        let text = format!("stands out in {}: {}", clean(&week.week), clean(&note.message));
        out.line(&out.paint(Colour::Yellow, &text))?;
    }
    match weeks {
        [] => Ok(()),
        _ if any => Ok(()),
        _ if weeks.iter().any(is_compared) => out.line("nothing stands out in these weeks"),
        _ => out.line("there is too little yet to compare these weeks with others"),
    }
}

fn is_compared(week: &DriftWeek) -> bool {
    week.models.iter().any(|model| model.stability_index.is_some())
}

fn line(week: &DriftWeek) -> String {
    let mut parts: Vec<String> =
        week.models.iter().filter(|model| model.model.is_some()).map(of_model).collect();
    let unseen: u64 = week.models.iter().filter(|m| m.model.is_none()).map(|m| m.rejected).sum();
    if unseen > 0 {
        parts.push(format!("{unseen} rejected before a model saw them"));
    }
    if week.left_out > 0 {
        parts.push(format!("{} of further models", week.left_out));
    }
    let running = if week.running { " (running)" } else { "" };
    let removed = if week.removed { "; NOT ALL OF IT: retention has removed results" } else { "" };
    format!("week {}{running}: {}{removed}", clean(&week.week), parts.join("; "))
}

fn of_model(model: &DriftModel) -> String {
    let id = model.model.as_ref().map_or("", |model| &model.id);
    let mut text = format!(
        "{}: {} all, {} hem, {} review ({} for the picture), {} rejected",
        clean(id),
        model.all,
        model.hem,
        model.review,
        model.doubted,
        model.rejected
    );
    if let Some(mean) = model.mean_score {
        text += &format!(", mean P(all) {mean:.3}");
    }
    if model.reviewed > 0 {
        text += &format!(", {} of {} reviewed confirmed", model.confirmed, model.reviewed);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::proto::ModelRef;

    #[test]
    fn a_week_that_is_not_whole_says_so() {
        let model = DriftModel {
            model: Some(ModelRef { id: "b3".to_owned(), digest: "ab".to_owned() }),
            all: 3,
            review: 2,
            doubted: 1,
            mean_score: Some(0.75),
            reviewed: 2,
            confirmed: 1,
            ..DriftModel::default()
        };
        let unseen = DriftModel { rejected: 4, ..DriftModel::default() };
        let week = DriftWeek {
            week: "2026-W48".to_owned(),
            running: true,
            removed: true,
            models: vec![model, unseen],
            ..DriftWeek::default()
        };
        assert_eq!(
            line(&week),
            "week 2026-W48 (running): b3: 3 all, 0 hem, 2 review (1 for the picture), 0 rejected, mean P(all) 0.750, 1 of 2 \
             reviewed confirmed; 4 rejected before a model saw them; NOT ALL OF IT: retention has removed results"
        );
    }
}
