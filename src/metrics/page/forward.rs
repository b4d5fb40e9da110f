//! The forwarding into the laboratory's store.

use std::fmt;

use leukd_fleet::State;
use prometheus_client::encoding::NoLabelSet;

use super::{Page, flag, m, number};
use crate::metrics::sample::Sample;

impl Sample {
    pub(super) fn forward(&self, page: &mut Page<'_>) -> fmt::Result {
        let Some(progress) = &self.service.forward else { return Ok(()) };
        let figures = progress.figures();
        let newest = self.service.journal.bounds().newest;
        let away = match figures.state {
            State::Failing { since_monotonic, .. } => {
                self.service.clock.monotonic().saturating_sub(since_monotonic)
            }
            State::Starting | State::Connected => std::time::Duration::ZERO,
        };
        page.gauge(&m::FORWARD_UP, Some(flag(figures.state == State::Connected)))?;
        let waiting = figures.held.map(|held| number(newest.saturating_sub(held)));
        page.gauge(&m::FORWARD_WAITING, waiting)?;
        page.gauge(&m::FORWARD_AWAY, Some(away.as_secs_f64()))?;
        page.counter(&m::FORWARD_EVENTS, figures.events)?;
        page.counter(&m::FORWARD_BATCHES, figures.batches)?;
        page.metric(
            &m::FORWARD_SECONDS,
            &[(Vec::new(), figures.spent.as_secs_f64())],
            |encoder, value| encoder.encode_counter::<NoLabelSet, _, f64>(value, None),
        )?;
        page.counter(&m::FORWARD_CONNECTIONS, figures.connections)?;
        page.counter(&m::FORWARD_FAILURES, figures.failures)?;
        page.counter(&m::FORWARD_MISSED, figures.missed)
    }
}
