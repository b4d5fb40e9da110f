//! A sample as text, in the format that the scraper asked for.

mod drift;
mod forward;

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::names::{self as m, Definition, Kind};
use super::sample::Sample;
use crate::condition::Component;
use crate::measure::{BOUNDS_US, Distribution};
use crate::result::Decision;

/// The content type of the OpenMetrics text format.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The content type of Prometheus' own text format.
pub const PROMETHEUS: &str = prometheus_text::CONTENT_TYPE;

/// Writes the sample.
pub(super) fn write(sample: Sample, open_metrics: bool) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(sample));
    let mut page = String::with_capacity(32 * 1024);
    if open_metrics {
        text::encode(&mut page, &registry)?;
    } else {
        prometheus_text::encode(&mut page, &registry)?;
    }
    Ok(page)
}

/// One sample's labels, in the order of the definition's names.
type Labels<'a> = &'a [&'a str];

/// Writes one metric after the other.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    /// The metric with all its samples; nothing where it has none.
    fn metric<V>(
        &mut self,
        definition: &Definition,
        samples: &[(Vec<&str>, V)],
        mut write: impl FnMut(&mut MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let kind = match definition.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        };
        let mut encoder = self.0.encode_descriptor(definition.name, definition.help, None, kind)?;
        for (values, value) in samples {
            debug_assert_eq!(values.len(), definition.labels.len(), "{}", definition.name);
            if values.is_empty() {
                write(&mut encoder, value)?;
            } else {
                let labels: Vec<(&str, &str)> =
                    definition.labels.iter().copied().zip(values.iter().copied()).collect();
                write(&mut encoder.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }

    fn gauges(&mut self, definition: &Definition, samples: &[(Vec<&str>, f64)]) -> fmt::Result {
        self.metric(definition, samples, |encoder, value| encoder.encode_gauge(value))
    }

    /// A gauge without labels; nothing where there is no value.
    fn gauge(&mut self, definition: &Definition, value: Option<f64>) -> fmt::Result {
        let samples: Vec<_> = value.map(|value| (Vec::new(), value)).into_iter().collect();
        self.gauges(definition, &samples)
    }

    fn counters(&mut self, definition: &Definition, samples: &[(Vec<&str>, u64)]) -> fmt::Result {
        self.metric(definition, samples, |encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, f64>(value, None)
        })
    }

    fn counter(&mut self, definition: &Definition, value: u64) -> fmt::Result {
        self.counters(definition, &[(Vec::new(), value)])
    }

    fn histograms(
        &mut self,
        definition: &Definition,
        samples: &[(Vec<&str>, Distribution)],
    ) -> fmt::Result {
        self.metric(definition, samples, |encoder, now| {
            let bounds = BOUNDS_US.iter().map(|us| seconds(*us)).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(now.buckets).collect();
            encoder.encode_histogram::<NoLabelSet>(seconds(now.sum_us), now.count(), &buckets, None)
        })
    }

    fn info(&mut self, definition: &Definition, values: Labels<'_>) -> fmt::Result {
        let labels: Vec<(&str, &str)> =
            definition.labels.iter().copied().zip(values.iter().copied()).collect();
        self.0
            .encode_descriptor(definition.name, definition.help, None, MetricType::Info)?
            .encode_info(&labels)
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
const fn number(value: u64) -> f64 {
    value as f64
}

fn count(value: usize) -> f64 {
    number(value as u64)
}

fn seconds(us: u64) -> f64 {
    number(us) / 1e6
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Collector for Sample {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.model(&mut page)?;
        self.folders(&mut page)?;
        self.work(&mut page)?;
        self.drift(&mut page)?;
        self.journal(&mut page)?;
        self.forward(&mut page)?;
        self.clients(&mut page)?;
        self.process(&mut page)
    }
}

impl Sample {
    fn model(&self, page: &mut Page<'_>) -> fmt::Result {
        page.info(&m::BUILD, &[env!("CARGO_PKG_VERSION")])?;
        let registry = self.service.pipeline.registry();
        if let Some(model) = registry.current() {
            let (digest, engine) = (model.digest().to_string(), registry.kind().to_string());
            page.info(&m::MODEL, &[&model.manifest().id, &digest, &engine])?;
        }
        let loads = &registry.loads;
        page.counters(
            &m::MODEL_LOADS,
            &[
                (vec!["served"], loads.served.load(Ordering::Relaxed)),
                (vec!["refused"], loads.refused.load(Ordering::Relaxed)),
                (vec!["busy"], loads.busy.load(Ordering::Relaxed)),
            ],
        )?;
        let degraded = self.service.conditions.list();
        let parts = Component::WORDS.map(|word| {
            let is = degraded.iter().any(|one| one.component.as_str() == word);
            (vec![word], flag(is))
        });
        page.gauges(&m::DEGRADED, &parts)
    }

    fn folders(&self, page: &mut Page<'_>) -> fmt::Result {
        let now = self.service.clock.wall().0;
        let age = |since: crate::result::Timestamp| {
            number(u64::try_from(now.saturating_sub(since.0)).unwrap_or(0)) / 1e3
        };
        let mut captures = Vec::new();
        for (index, folder) in self.folders.iter().enumerate() {
            let name = folder.folder.as_str();
            let mut states = vec![
                ("settling", folder.settling),
                ("queued", folder.queued),
                ("on_disk", folder.waiting_on_disk),
            ];
            let counts = self.disk.as_ref().and_then(|disk| *disk.counts.get(index)?);
            if let Some(counts) = counts {
                states.extend([
                    ("done", counts.done),
                    ("duplicate", counts.duplicates),
                    ("rejected", counts.rejected),
                ]);
            }
            captures.extend(
                states.into_iter().map(|(state, count)| (vec![name, state], number(count))),
            );
        }
        page.gauges(&m::CAPTURES, &captures)?;
        let each = |value: &dyn Fn(&crate::ingest::FolderState) -> Option<f64>| {
            let samples = self.folders.iter();
            let samples =
                samples.filter_map(|folder| Some((vec![folder.folder.as_str()], value(folder)?)));
            samples.collect::<Vec<_>>()
        };
        let oldest = each(&|folder| Some(folder.oldest_waiting.map_or(0.0, age)));
        page.gauges(&m::OLDEST_WAITING, &oldest)?;
        let mut ignored = Vec::new();
        for folder in &self.folders {
            ignored.push((vec![folder.folder.as_str(), "pattern"], number(folder.ignored)));
            ignored.push((vec![folder.folder.as_str(), "special"], number(folder.refused)));
        }
        page.gauges(&m::FILES_IGNORED, &ignored)?;
        page.gauges(&m::FOLDER_REACHABLE, &each(&|folder| Some(flag(folder.reachable))))?;
        page.gauges(&m::LAST_SCAN_AGE, &each(&|folder| folder.last_scan_at.map(age)))?;
        let took = each(&|folder| folder.last_scan_took.map(|took| took.as_secs_f64()));
        page.gauges(&m::SCAN_DURATION, &took)
    }

    fn work(&self, page: &mut Page<'_>) -> fmt::Result {
        let measured = self.service.journal.measured();
        let mut results = Vec::new();
        for decision in Decision::EVERY {
            for (of_requests, source) in [(false, "folder"), (true, "rpc")] {
                let count = measured.results(decision, of_requests);
                results.push((vec![decision.as_str(), source], count));
            }
        }
        page.counters(&m::RESULTS, &results)?;
        let rejects = measured.rejects.now();
        let rejects: Vec<_> =
            rejects.iter().map(|(code, count)| (vec![code.as_str()], *count)).collect();
        page.counters(&m::REJECTS, &rejects)?;
        page.counters(
            &m::REVIEWS,
            &[
                (vec!["confirmed"], measured.confirmed.get()),
                (vec!["corrected"], measured.corrected.get()),
            ],
        )?;
        page.counters(
            &m::SPECIMENS_TOLD,
            &[
                (vec!["quiet"], measured.summaries_quiet.get()),
                (vec!["marker"], measured.summaries_marked.get()),
            ],
        )?;
        let stages = [
            ("queue", &measured.queue),
            ("read", &measured.read),
            ("decode", &measured.decode),
            ("preprocess", &measured.preprocess),
            ("infer", &measured.infer),
            ("commit", &measured.commit),
        ];
        page.histograms(&m::STAGE, &stages.map(|(stage, times)| (vec![stage], times.now())))?;
        let pool = self.service.pipeline.pool().status();
        page.gauge(&m::WORKERS, Some(count(pool.workers)))?;
        page.gauge(&m::WORKERS_BUSY, Some(count(pool.busy)))?;
        let lanes = |interactive: usize, backlog: usize| {
            [(vec!["interactive"], count(interactive)), (vec!["backlog"], count(backlog))]
        };
        page.gauges(&m::QUEUE_LENGTH, &lanes(pool.interactive, pool.backlog))?;
        page.gauges(&m::QUEUE_CAPACITY, &lanes(pool.interactive_capacity, pool.backlog_capacity))
    }

    fn journal(&self, page: &mut Page<'_>) -> fmt::Result {
        let bounds = self.service.journal.bounds();
        page.gauge(&m::JOURNAL_OLDEST, Some(number(bounds.oldest)))?;
        page.gauge(&m::JOURNAL_NEWEST, Some(number(bounds.newest)))?;
        let journal = self.disk.as_ref().and_then(|disk| disk.journal.as_ref());
        let of = |value: fn(&crate::journal::Status) -> u64| journal.map(|j| number(value(j)));
        page.gauge(&m::JOURNAL_SIZE, of(|journal| journal.sizes.total()))?;
        page.gauge(&m::JOURNAL_WAL, of(|journal| journal.sizes.write_ahead_log))?;
        page.gauge(&m::JOURNAL_FREE, of(|journal| journal.free_bytes))?;
        page.gauge(&m::JOURNAL_FLOOR, of(|journal| journal.floor_bytes))?;
        let measured = self.service.journal.measured();
        page.histograms(&m::JOURNAL_COMMIT, &[(Vec::new(), measured.transaction.now())])?;
        page.counter(&m::JOURNAL_FAILURES, measured.failures.get())?;
        let images = self.service.pipeline.images();
        page.gauge(&m::IMAGES_KEPT, Some(images.held_bytes() as f64))?;
        page.counter(&m::IMAGES_NOT_KEPT, images.not_kept())
    }

    fn clients(&self, page: &mut Page<'_>) -> fmt::Result {
        let service = &self.service;
        page.gauge(&m::SUBSCRIBERS, Some(f64::from(service.subscribers())))?;
        let most = service.limits.max_subscribers;
        page.gauge(&m::SUBSCRIBERS_CAPACITY, Some(f64::from(most)))?;
        let lag = service.journal.lag();
        page.gauge(&m::SUBSCRIBER_LAG, Some(number(lag.most)))?;
        page.gauge(&m::SUBSCRIBERS_BEHIND, Some(number(lag.behind)))?;
        page.counter(&m::SUBSCRIBERS_DROPPED, service.slow_dropped.get())?;
        let (mut calls, mut took, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for (name, method) in service.calls.methods() {
            let ended = method.codes().filter(|(code, count)| *code == "OK" || *count > 0);
            calls.extend(ended.map(|(code, count)| (vec![name, code], count)));
            took.push((vec![name], method.took.now()));
            open.push((vec![name], number(method.open())));
        }
        page.counters(&m::RPC_CALLS, &calls)?;
        page.histograms(&m::RPC_SECONDS, &took)?;
        page.gauges(&m::RPC_OPEN, &open)
    }

    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let pulse = self.service.pulse.now();
        page.gauges(
            &m::PROGRESS_AGE,
            &[
                (vec!["workers"], pulse.workers.as_secs_f64()),
                (vec!["folders"], pulse.folders.as_secs_f64()),
            ],
        )?;
        page.counter(&m::WATCHDOG_FEEDS, pulse.feeds)?;
        page.gauge(&m::WATCHDOG_AGE, pulse.fed.map(|age| age.as_secs_f64()))?;
        page.gauge(&m::SCRAPE_COMPLETE, Some(flag(self.is_complete())))?;
        let process = &self.process;
        if let Some(cpu) = process.cpu_seconds {
            page.metric(&m::PROCESS_CPU, &[(Vec::new(), cpu)], |encoder, value| {
                encoder.encode_counter::<NoLabelSet, _, f64>(value, None)
            })?;
        }
        page.gauge(&m::PROCESS_RSS, process.resident_bytes.map(number))?;
        page.gauge(&m::PROCESS_VIRTUAL, process.virtual_bytes.map(number))?;
        page.gauge(&m::PROCESS_THREADS, process.threads.map(number))?;
        page.gauge(&m::PROCESS_FDS, process.open_fds.map(number))?;
        page.gauge(&m::PROCESS_MAX_FDS, process.max_fds.map(number))?;
        let started = self.service.started_at.0;
        let started = u64::try_from(started).ok().map(|ms| number(ms) / 1e3);
        page.gauge(&m::PROCESS_START, started)
    }
}
