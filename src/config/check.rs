//! Checks beyond the types: ranges, and settings that must fit each other. Reads no disk.

mod forward;
mod reach;

use std::path::{Component, Path};
use std::time::Duration;

use globset::GlobBuilder;
use minisign_verify::PublicKey;

use super::filter::filter;
use super::settings::{
    Decision, Image, Journal, Log, Metrics, Model, Rpc, Settings, Specimen, Watch, Workers,
};
use super::units::{Bytes, Span};
use crate::cell::name::NamePattern;
use crate::model::manifest::SCALES;

/// Mistakes, each with its setting's name.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// leukd will not run with these.
    pub(super) problems: Vec<(&'static str, String)>,
    /// leukd will run, but hardly as meant.
    pub(super) warnings: Vec<(&'static str, String)>,
}

impl Findings {
    fn problem(&mut self, key: &'static str, message: impl Into<String>) {
        self.problems.push((key, message.into()));
    }

    fn warning(&mut self, key: &'static str, message: impl Into<String>) {
        self.warnings.push((key, message.into()));
    }

    /// A length of time between two others, both included.
    fn span(&mut self, key: &'static str, span: Span, least: Span, most: Span) {
        if span < least || span > most {
            self.problem(key, format!("{span} is out of range: write {least} to {most}"));
        }
    }

    fn count(&mut self, key: &'static str, count: u64, least: u64, most: u64) {
        if count < least || count > most {
            self.problem(key, format!("{count} is out of range: write {least} to {most}"));
        }
    }

    fn bytes(&mut self, key: &'static str, bytes: Bytes, least: Bytes, most: Bytes) {
        if bytes < least || bytes > most {
            self.problem(key, format!("{bytes} is out of range: write {least} to {most}"));
        }
    }

    fn absolute(&mut self, key: &'static str, path: &Path) -> bool {
        let plain = path.is_absolute()
            && path
                .components()
                .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !plain {
            let shown = path.display();
            self.problem(
                key,
                format!("{shown:?} is not an absolute path without \"..\": write it from / on"),
            );
        }
        plain
    }
}

const SECOND: Span = Span::from_secs(1);
const HOUR: Span = Span::from_secs(3600);
const DAY: Span = Span::from_secs(86_400);

/// Checks settings whose types are right already.
pub(super) fn check(settings: &Settings) -> Findings {
    let mut findings = Findings::default();
    watch(&mut findings, &settings.watch);
    specimen(&mut findings, &settings.specimen, &settings.watch);
    image(&mut findings, &settings.image);
    model(&mut findings, &settings.model);
    decision(&mut findings, &settings.decision);
    workers(&mut findings, &settings.workers);
    journal(&mut findings, &settings.journal, &settings.watch);
    rpc(&mut findings, &settings.rpc, &settings.image);
    forward::check(&mut findings, settings);
    reach::check(&mut findings, settings);
    metrics(&mut findings, &settings.metrics, &settings.rpc);
    log(&mut findings, &settings.log);
    findings
}

fn watch(findings: &mut Findings, watch: &Watch) {
    let mut sound = true;
    for folder in &watch.folders {
        sound &= findings.absolute("watch.folders", folder);
    }
    for (index, a) in watch.folders.iter().enumerate().filter(|_| sound) {
        for b in &watch.folders[index + 1..] {
            let how = overlap(a, b);
            let (a, b) = (a.display(), b.display());
            match how {
                Overlap::Apart => {}
                Overlap::Same => {
                    findings.problem("watch.folders", format!("{a} stands in it twice"));
                }
                Overlap::Nested => findings.problem(
                    "watch.folders",
                    format!("{a} and {b}: one lies inside the other; name only the outer one"),
                ),
            }
        }
    }
    findings.count("watch.settle_looks", watch.settle_looks.into(), 2, 1000);
    findings.span("watch.settle_interval", watch.settle_interval, Span::from_millis(10), HOUR);
    findings.span("watch.rescan_interval", watch.rescan_interval, Span::from_millis(100), DAY);
    findings.span("watch.poll_interval", watch.poll_interval, Span::from_millis(100), DAY);
    findings.span("watch.broken_after", watch.broken_after, SECOND, Span(7 * DAY.0));
    let settling = watch.settle_interval.0.saturating_mul(watch.settle_looks);
    if watch.broken_after.0 < settling {
        findings.problem(
            "watch.broken_after",
            format!(
                "{} is shorter than settling takes ({} looks, one every {}): files would be rejected \
                 while they are still being written",
                watch.broken_after, watch.settle_looks, watch.settle_interval
            ),
        );
    }
    if watch.include.is_empty() {
        findings.problem("watch.include", "is empty: nothing would ever be a capture");
    }
    for (key, globs) in [("watch.include", &watch.include), ("watch.ignore", &watch.ignore)] {
        for glob in globs {
            if let Err(error) = GlobBuilder::new(glob).literal_separator(true).build() {
                findings.problem(key, format!("{glob:?} is no glob: {}", error.kind()));
            }
        }
    }
    let mut check_scale = |key: &'static str, scale: Option<f64>| {
        if let Some(scale) = scale.filter(|scale| !SCALES.contains(scale)) {
            let (low, high) = (SCALES.start(), SCALES.end());
            let message = format!("{scale} is no scale of a light microscope: {low} to {high}");
            findings.problem(key, message);
        }
    };
    check_scale("watch.micrometres_per_pixel", watch.micrometres_per_pixel);
    for rule in &watch.rules {
        check_scale("watch.rules", rule.micrometres_per_pixel);
    }
    for (place, rule) in watch.rules.iter().enumerate() {
        let earlier = watch.rules[..place].iter().find(|old| {
            let folder = old.glob.strip_suffix("/**");
            folder.is_some_and(|folder| Path::new(&rule.glob).starts_with(folder))
        });
        let is_below = |folder: &std::path::PathBuf| Path::new(&rule.glob).starts_with(folder);
        if let Err(error) = GlobBuilder::new(&rule.glob).literal_separator(true).build() {
            let message = format!("{:?} is no glob: {}", rule.glob, error.kind());
            findings.problem("watch.rules", message);
        } else if !rule.glob.starts_with("**/") && !watch.folders.iter().any(is_below) {
            let message = format!(
                "{:?} matches no file of a watched folder: write the folder's absolute path, as in \
                 \"/exports/scope-2/**\"",
                rule.glob
            );
            findings.problem("watch.rules", message);
        } else if Path::new(&rule.glob).is_dir()
            || watch.folders.iter().any(|own| Path::new(&rule.glob) == own)
        {
            let folder = rule.glob.trim_end_matches('/');
            let message = format!(
                "{:?} names a folder and matches no file in it: write \"{folder}/**\"",
                rule.glob
            );
            findings.problem("watch.rules", message);
        } else if let Some(earlier) = earlier {
            let message = format!(
                "the rule for {:?} never holds: that for {:?} comes before it and matches the same \
                 files",
                rule.glob, earlier.glob
            );
            findings.problem("watch.rules", message);
        } else if rule.kind.is_none() && rule.micrometres_per_pixel.is_none() {
            let message = format!("the rule for {:?} sets nothing", rule.glob);
            findings.problem("watch.rules", message);
        }
    }
    if let Err(message) = NamePattern::new(&watch.name_pattern) {
        findings.problem("watch.name_pattern", message);
    }
}

fn specimen(findings: &mut Findings, specimen: &Specimen, watch: &Watch) {
    const MOST: usize = 8;
    let flags = &specimen.flags;
    if flags.len() > MOST {
        findings.problem("specimen.flags", format!("{} flags; write at most {MOST}", flags.len()));
    }
    // No comparison holds for what is no number.
    if !flags.iter().all(|&flag| 0.0 < flag && flag < 1.0) || !flags.is_sorted_by(|a, b| a < b) {
        findings.problem(
            "specimen.flags",
            format!("{flags:?} are no fractions above 0 and below 1 that ascend: write for example [0.2, 0.25]"),
        );
    }
    if !specimen.quiet_after.0.is_zero() {
        findings.span("specimen.quiet_after", specimen.quiet_after, SECOND, Span(30 * DAY.0));
    }
    findings.count("specimen.sign_off_readers", specimen.sign_off_readers.into(), 1, 2);
    let Some(glob) = &specimen.done_marker else { return };
    if glob.is_empty() || glob.contains('/') {
        findings.problem(
            "specimen.done_marker",
            format!(
                "{glob:?} matches no file's name: write for example \"*.done\", without any folder"
            ),
        );
    } else if let Err(error) = GlobBuilder::new(glob).literal_separator(true).build() {
        findings.problem("specimen.done_marker", format!("{glob:?} is no glob: {}", error.kind()));
    } else if watch.folders.is_empty() {
        findings.warning("specimen.done_marker", "no folder is watched, so no marker can appear");
    }
}

/// Checks that the pattern compiles and has a known group.
fn image(findings: &mut Findings, image: &Image) {
    findings.bytes("image.max_file", image.max_file, Bytes(1024), Bytes::mib(4096));
    findings.count("image.max_side", image.max_side.into(), 16, 65_535);
    findings.bytes("image.max_memory", image.max_memory, Bytes::mib(1), Bytes::mib(16_384));
}

fn model(findings: &mut Findings, model: &Model) {
    if let Some(bundle) = &model.bundle {
        findings.absolute("model.bundle", bundle);
    }
    if let Some(folder) = &model.folder {
        findings.absolute("model.folder", folder);
    }
    for key in &model.trusted_keys {
        let path = Path::new(key);
        if path.is_absolute() {
            findings.absolute("model.trusted_keys", path);
        } else if PublicKey::from_base64(key.trim()).is_err() {
            findings.problem(
                "model.trusted_keys",
                format!(
                    "{key:?} is no minisign public key: write the second line of the .pub file (56 letters \
                     that begin with \"RW\"), or the absolute path of that file"
                ),
            );
        }
    }
    for entry in &model.allow_unsigned {
        let sound = match entry.strip_prefix("sha256:") {
            Some(digest) => {
                digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
            }
            None => !entry.is_empty() && !entry.contains(['/', '\0']),
        };
        if !sound {
            findings.problem(
                "model.allow_unsigned",
                format!(
                    "{entry:?} names no bundle: write its file name without any folder, or \"sha256:\" and \
                     the 64 hexadecimal digits that sha256sum prints"
                ),
            );
        }
    }
    findings.bytes("model.max_file", model.max_file, Bytes(1024), Bytes::mib(4096));
    findings.bytes("model.max_memory", model.max_memory, Bytes::mib(1), Bytes::mib(65_536));
}

fn decision(findings: &mut Findings, decision: &Decision) {
    let Some((lower, upper)) = decision.review else { return };
    // No comparison holds for what is no number.
    if !(0.0 <= lower && lower < upper && upper <= 1.0) {
        findings.problem(
            "decision.review",
            format!("[{lower}, {upper}] is no band of P(all): write [lower, upper] with 0 ≤ lower < upper ≤ 1"),
        );
    }
}

fn workers(findings: &mut Findings, workers: &Workers) {
    findings.count("workers.threads", workers.threads.into(), 0, 1024);
    findings.count("workers.interactive_queue", workers.interactive_queue.into(), 1, 65_536);
    findings.count("workers.backlog_queue", workers.backlog_queue.into(), 1, 65_536);
}

fn journal(findings: &mut Findings, journal: &Journal, watch: &Watch) {
    if findings.absolute("journal.directory", &journal.directory) {
        for folder in &watch.folders {
            if !matches!(overlap(folder, &journal.directory), Overlap::Apart) {
                findings.problem(
                    "journal.directory",
                    format!(
                        "{} and the watched folder {} must lie apart: leukd never writes into an export \
                         folder, and its own files are no captures",
                        journal.directory.display(),
                        folder.display()
                    ),
                );
            }
        }
    }
    if let Some(keep_for) = journal.keep_for {
        findings.span("journal.keep_for", keep_for, Span::from_secs(60), Span(36_500 * DAY.0));
    }
    if let Some(keep_count) = journal.keep_count {
        findings.count("journal.keep_count", keep_count, 1, u64::MAX);
    }
    if journal.disk_floor < Bytes::mib(16) {
        findings.warning(
            "journal.disk_floor",
            format!(
                "{} leaves hardly room to shut down cleanly on a full disk",
                journal.disk_floor
            ),
        );
    }
}

fn rpc(findings: &mut Findings, rpc: &Rpc, image: &Image) {
    findings.bytes("rpc.max_image_bytes", rpc.max_image_bytes, Bytes(1024), Bytes::mib(1024));
    if rpc.max_image_bytes > image.max_file {
        findings.warning(
            "rpc.max_image_bytes",
            format!(
                "{} is more than image.max_file ({}): larger requests are taken in and then rejected",
                rpc.max_image_bytes, image.max_file
            ),
        );
    }
    findings.span("rpc.heartbeat", rpc.heartbeat, SECOND, HOUR);
    findings.count("rpc.subscriber_buffer", rpc.subscriber_buffer.into(), 1, 65_536);
    findings.span("rpc.slow_after", rpc.slow_after, SECOND, HOUR);
    findings.count("rpc.max_subscribers", rpc.max_subscribers.into(), 1, 65_536);
    findings.span("rpc.drain", rpc.drain, Span(Duration::ZERO), HOUR);
    if rpc.drain > Span::from_secs(30) {
        findings.warning(
            "rpc.drain",
            format!(
                "{} is longer than the 45s that the shipped unit gives a stop (TimeoutStopSec): raise both",
                rpc.drain
            ),
        );
    }
}

fn metrics(findings: &mut Findings, metrics: &Metrics, rpc: &Rpc) {
    if !metrics.enabled {
        return;
    }
    if !metrics.listen.ip().is_loopback() && !metrics.allow_remote {
        findings.problem(
            "metrics.listen",
            format!(
                "{} can be reached from other machines, and the endpoint has neither TLS nor a password: listen on \
                 127.0.0.1 or [::1], or write allow_remote = true where a firewall lets only your Prometheus through",
                metrics.listen
            ),
        );
    }
    if metrics.listen == rpc.listen && metrics.listen.port() != 0 {
        findings.problem(
            "metrics.listen",
            format!("{} is rpc.listen too: write another port", metrics.listen),
        );
    }
}

fn log(findings: &mut Findings, log: &Log) {
    if let Err(message) = filter(&log.level) {
        findings.problem("log.level", message);
    }
    match &log.otlp {
        Some(_) if cfg!(not(feature = "otlp")) => findings.problem(
            "log.otlp",
            "this leukd was built without OpenTelemetry: build it with `cargo build --release --features otlp`, or \
             take the setting out",
        ),
        Some(endpoint) if !is_here(endpoint) => findings.problem(
            "log.otlp",
            format!(
                "{endpoint:?} is no collector on this machine: write http://127.0.0.1:PORT or http://[::1]:PORT. Spans name \
                 files, and the way there is not encrypted; let a collector here pass them on"
            ),
        ),
        _ => {}
    }
}

/// True for `http://` with a loopback address and a port, and nothing more.
fn is_here(endpoint: &str) -> bool {
    let address =
        endpoint.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    address
        .and_then(|address| address.parse::<std::net::SocketAddr>().ok())
        .is_some_and(|address| address.ip().is_loopback())
}

/// Relation of two folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlap {
    /// Neither inside the other.
    Apart,
    /// One and the same.
    Same,
    /// One inside the other.
    Nested,
}

/// Relation of two absolute paths without `..`, by their names alone.
pub(super) fn overlap(a: &Path, b: &Path) -> Overlap {
    match (a.starts_with(b), b.starts_with(a)) {
        (true, true) => Overlap::Same,
        (false, false) => Overlap::Apart,
        _ => Overlap::Nested,
    }
}
