//! The running week and the last one, of the model in service.

use std::fmt;

use super::{Page, m, number};
use crate::drift::{self, Week};
use crate::fraction::wilson;
use crate::metrics::sample::Sample;
use crate::result::{Decision, Timestamp};

impl Sample {
    pub(super) fn drift(&self, page: &mut Page<'_>) -> fmt::Result {
        let weeks = self.service.drift.weeks();
        let Some((model, expected)) = self.service.expected_doubts() else { return Ok(()) };
        let running = drift::week_of(self.service.clock.wall());
        let last = drift::week_of(Timestamp(running.0 - 1));
        let place = |begins: Timestamp| {
            let whole = |week: &Week| week.begins == begins && !week.removed && !weeks.counting;
            weeks.weeks.iter().position(whole)
        };
        let (mut results, mut doubted, mut mean) = (Vec::new(), Vec::new(), Vec::new());
        let (mut stability, mut figures, mut shifts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut agreement, mut notes) = (Vec::new(), Vec::new());
        for (word, begins) in [("running", running), ("last", last)] {
            let Some(place) = place(begins) else { continue };
            let note = drift::rejections(&weeks, place);
            notes.extend(note.map(|note| (vec![word, note.what], 1.0)));
            let Some(tally) = weeks.weeks.get(place).and_then(|week| week.of(Some(&model))) else {
                continue;
            };
            let compared = drift::compare(&weeks, place, &model, expected);
            results.extend(
                Decision::EVERY
                    .into_iter()
                    .zip(tally.decisions)
                    .map(|(decision, count)| (vec![word, decision.as_str()], number(count))),
            );
            let share = wilson(tally.doubted, tally.classified());
            doubted.extend(share.map(|share| (vec![word], share.value)));
            mean.extend(tally.score.mean().map(|mean| (vec![word], mean)));
            stability.extend(compared.stability.map(|found| (vec![word], found.index)));
            for (figure, name) in drift::figure_names().into_iter().enumerate() {
                let mean = tally.figures[figure].mean();
                figures.extend(mean.map(|mean| (vec![word, name], mean)));
                shifts.extend(compared.shifts[figure].map(|shift| (vec![word, name], shift)));
            }
            let share = wilson(tally.confirmed, tally.reviewed);
            agreement.extend(share.map(|share| (vec![word], share.value)));
            notes.extend(compared.notes.iter().map(|note| (vec![word, note.what], 1.0)));
        }
        page.gauges(&m::DRIFT_RESULTS, &results)?;
        page.gauges(&m::DRIFT_DOUBTED, &doubted)?;
        page.gauges(&m::DRIFT_MEAN, &mean)?;
        page.gauges(&m::DRIFT_STABILITY, &stability)?;
        page.gauges(&m::DRIFT_FIGURE, &figures)?;
        page.gauges(&m::DRIFT_SHIFT, &shifts)?;
        page.gauges(&m::DRIFT_AGREEMENT, &agreement)?;
        page.gauges(&m::DRIFT_STANDS_OUT, &notes)
    }
}
