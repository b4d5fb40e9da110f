//! A bridge's figures, and what is wrong with the other side.

use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use leukd_bridge::{State, Verdict};

use crate::clock::Clock;
use crate::metrics::Kind;
use crate::result::Timestamp;
use crate::systemd::Notifier;

/// A metric: its name without the ending of its kind, its kind and what it says.
pub(super) struct Metric {
    pub(super) name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&Now, Timestamp) -> Option<f64>,
}

/// Every metric of a bridge. docs/clients/bridges.md lists them.
pub(super) const METRICS: [Metric; 9] = [
    Metric {
        name: "leukd_bridge_connected",
        kind: Kind::Gauge,
        help: "1 while the daemon's stream is open; 0 otherwise",
        value: |now, _| Some(f64::from(u8::from(now.connected))),
    },
    Metric {
        name: "leukd_bridge_away",
        kind: Kind::Gauge,
        help: "1 while the other side cannot be reached or cannot answer; 0 otherwise",
        value: |now, _| Some(f64::from(u8::from(now.away.is_some()))),
    },
    Metric {
        name: "leukd_bridge_lag_seconds",
        kind: Kind::Gauge,
        help: "Time since the message under way was to be sent first; 0 when none is",
        value: |now, at| Some(now.since.map_or(0.0, |since| seconds(at.0.saturating_sub(since.0)))),
    },
    Metric {
        name: "leukd_bridge_lag_events",
        kind: Kind::Gauge,
        help: "Events of the journal after the cursor, as far as the daemon told",
        value: |now, _| Some(real(now.newest.saturating_sub(now.cursor))),
    },
    Metric {
        name: "leukd_bridge_acknowledged",
        kind: Kind::Counter,
        help: "Messages that the other side has taken",
        value: |now, _| Some(real(now.acknowledged)),
    },
    Metric {
        name: "leukd_bridge_refused",
        kind: Kind::Counter,
        help: "Attempts that the other side refused",
        value: |now, _| Some(real(now.refused)),
    },
    Metric {
        name: "leukd_bridge_failed",
        kind: Kind::Counter,
        help: "Attempts that did not reach the other side, or got no answer",
        value: |now, _| Some(real(now.failed)),
    },
    Metric {
        name: "leukd_bridge_dead_letters",
        kind: Kind::Gauge,
        help: "Messages that were set aside and are still there",
        value: |now, _| Some(real(now.dead)),
    },
    Metric {
        name: "leukd_bridge_last_acknowledged_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When the last message was taken, in seconds since 1970; absent before the first",
        value: |now, _| now.last.map(|at| seconds(at.0)),
    },
];

fn seconds(millis: i64) -> f64 {
    std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0)).as_secs_f64()
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^53
const fn real(count: u64) -> f64 {
    count as f64
}

/// What is known now.
#[derive(Debug, Default)]
struct Now {
    connected: bool,
    /// Why the other side is away.
    away: Option<String>,
    since: Option<Timestamp>,
    newest: u64,
    cursor: u64,
    acknowledged: u64,
    refused: u64,
    failed: u64,
    dead: u64,
    last: Option<Timestamp>,
}

/// The figures of one bridge.
pub(super) struct Figures {
    bridge: &'static str,
    clock: Clock,
    now: Mutex<Now>,
}

impl Figures {
    pub(super) fn new(bridge: &'static str, state: &State) -> Self {
        let cursor = state.cursor().map_or(0, |cursor| cursor.sequence);
        let now = Now { cursor, newest: cursor, dead: state.dead_letters(), ..Now::default() };
        Self { bridge, clock: Clock::system(), now: Mutex::new(now) }
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn connected(&self, connected: bool) {
        self.change(|now| now.connected = connected);
    }

    pub(super) fn newest(&self, sequence: u64) {
        self.change(|now| now.newest = now.newest.max(sequence));
    }

    /// The cursor moved without a message.
    pub(super) fn passed(&self, sequence: u64) {
        self.change(|now| {
            now.cursor = sequence;
            now.newest = now.newest.max(sequence);
        });
    }

    /// A message is under way.
    pub(super) fn began(&self) {
        let at = self.clock.wall();
        self.change(|now| now.since = Some(at));
    }

    pub(super) fn acknowledged(&self, sequence: u64) {
        let at = self.clock.wall();
        self.passed(sequence);
        self.change(|now| {
            now.acknowledged += 1;
            now.since = None;
            now.last = Some(at);
        });
    }

    pub(super) fn set_aside(&self, sequence: u64, dead: u64) {
        self.passed(sequence);
        self.change(|now| {
            now.since = None;
            now.dead = dead;
        });
    }

    /// A dead letter was taken after all.
    pub(super) fn revived(&self, dead: u64) {
        self.change(|now| {
            now.acknowledged += 1;
            now.dead = dead;
        });
    }

    /// Counts an attempt, and reports when the other side goes away or comes back.
    pub(super) fn answered(&self, verdict: &Verdict) {
        let notifier = Notifier::new();
        self.change(|now| match verdict {
            Verdict::Away(reason) => {
                now.failed += 1;
                if now.away.replace(reason.clone()).is_none() {
                    tracing::warn!(reason, "the other side is away: messages wait");
                    notifier.status(&format!("the other side is away: {reason}"));
                }
            }
            Verdict::Refused(reason) => {
                now.refused += 1;
                tracing::warn!(reason, "message refused");
                back(now, notifier);
            }
            Verdict::Accepted => back(now, notifier),
        });
    }

    /// The page for Prometheus.
    pub(super) fn page(&self, open_metrics: bool) -> Result<String, fmt::Error> {
        let at = self.clock.wall();
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = String::new();
        for metric in &METRICS {
            let Some(value) = (metric.value)(&now, at) else { continue };
            let (kind, counter) = (metric.kind.as_str(), metric.kind == Kind::Counter);
            let sample = format!("{}{}", metric.name, if counter { "_total" } else { "" });
            let family = if open_metrics { metric.name } else { sample.as_str() };
            writeln!(page, "# HELP {family} {}", metric.help)?;
            writeln!(page, "# TYPE {family} {kind}")?;
            writeln!(page, "{sample}{{bridge=\"{}\"}} {value}", self.bridge)?;
        }
        if open_metrics {
            page.push_str("# EOF\n");
        }
        Ok(page)
    }
}

/// The other side answers again.
fn back(now: &mut Now, notifier: Notifier) {
    if let Some(reason) = now.away.take() {
        tracing::info!("recovered from: {reason}");
        notifier.status("the other side answers");
    }
}
