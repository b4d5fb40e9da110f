//! The log: `tracing` events as lines on standard error, one line an event.

mod level;
#[cfg(feature = "otlp")]
mod otlp;
mod seldom;

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{self, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use level::{LONGEST, Level as LogLevel, LevelError, level, set_level};
pub use seldom::Seldom;

use crate::config::filter;
use crate::config::settings::LogFormat;
use crate::systemd;

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is no filter. A checked configuration never has one.
    #[error("log.level: {0}")]
    Level(String),
    /// This process has a log already.
    #[error("the log is set up already: {0}")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Spans cannot be sent.
    #[error("log.otlp: {0}")]
    Otlp(String),
}

/// Sends this process's events to standard error, from now on. [`set_level`] changes which.
///
/// `level` is `tracing`'s filter syntax. With [`LogFormat::Auto`], and standard error connected to
/// systemd's journal, lines have no time and no colour, because the journal keeps the time itself.
/// Whatever the format, lines to the journal begin with a priority (`<3>`, sd-daemon(3)), which it
/// takes off: `journalctl -p warning` works. Colour is for terminals only, and not where `NO_COLOR`
/// is set.
///
/// `otlp` is a collector that spans are sent to as well; then call it inside a tokio runtime.
///
/// # Errors
/// The level is no filter, the log is set up already, or there is a collector and this build knows
/// of none.
pub fn init(level: &str, format: LogFormat, otlp: Option<&str>) -> Result<(), TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter(level).map_err(TelemetryError::Level)?);
    let journal = systemd::stderr_is_journal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let ansi = !journal && !no_color && io::stderr().is_terminal();
    let mut outputs = vec![lines(format, journal, ansi)];
    outputs.extend(otlp.map(spans).transpose().map_err(TelemetryError::Otlp)?);
    tracing_subscriber::registry()
        .with(filter)
        .with(outputs)
        .try_init()
        .map_err(|error| TelemetryError::Twice(Box::new(error)))?;
    level::remember(handle, level);
    Ok(())
}

/// What comes before the lines: which events there are at all.
type Filtered = tracing_subscriber::layer::Layered<
    reload::Layer<tracing_subscriber::EnvFilter, Registry>,
    Registry,
>;

type Output = Box<dyn Layer<Filtered> + Send + Sync>;

/// Spans to a collector.
#[cfg(feature = "otlp")]
fn spans(endpoint: &str) -> Result<Output, String> {
    otlp::layer(endpoint)
}

#[cfg(not(feature = "otlp"))]
fn spans(_: &str) -> Result<Output, String> {
    Err("this leukd was built without the feature otlp".to_owned())
}

/// Sends what waits for a collector, if there is one: at the end of the process. Blocks for a
/// moment.
pub fn flush() {
    #[cfg(feature = "otlp")]
    otlp::flush();
}

/// Makes the span part of the trace that a W3C `traceparent` names, where spans are sent to a
/// collector.
#[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "spans go nowhere"))]
pub fn join(span: &tracing::Span, traceparent: &str) {
    #[cfg(feature = "otlp")]
    otlp::join(span, traceparent);
}

/// Events as lines on standard error.
fn lines(format: LogFormat, journal: bool, ansi: bool) -> Output {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(ansi);
    match format {
        LogFormat::Json => {
            let json = format::format().json().flatten_event(true).with_current_span(false);
            let layer = layer.fmt_fields(JsonFields::new());
            if journal {
                layer.event_format(Prioritised { inner: json, plain: false }).boxed()
            } else {
                layer.event_format(json).boxed()
            }
        }
        LogFormat::Auto if journal => {
            let inner = format::format().without_time();
            layer.event_format(Prioritised { inner, plain: true }).boxed()
        }
        LogFormat::Text if journal => {
            layer.event_format(Prioritised { inner: format::format(), plain: true }).boxed()
        }
        LogFormat::Auto | LogFormat::Text => {
            layer.event_format(OneLine { inner: format::format().with_ansi(ansi), ansi }).boxed()
        }
    }
}

/// One line an event, whatever a file name in it holds.
struct OneLine<F> {
    inner: F,
    /// Colour codes pass, and no other codes: an event's fields may hold some.
    ansi: bool,
}

impl<S, N, F> FormatEvent<S, N> for OneLine<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        // The inner writer knows nothing of the terminal, so colour is the outer formatter's to
        // allow.
        self.inner.format_event(context, Writer::new(&mut text), event)?;
        escape_controls(&mut writer, text.trim_end_matches('\n'), self.ansi)?;
        writer.write_char('\n')
    }
}

/// [`OneLine`] with the event's priority in front.
struct Prioritised<F> {
    inner: F,
    /// Control characters in it are not escaped yet, as they are in JSON.
    plain: bool,
}

impl<S, N, F> FormatEvent<S, N> for Prioritised<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.inner.format_event(context, Writer::new(&mut text), event)?;
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        let line = text.trim_end_matches('\n');
        if self.plain {
            escape_controls(&mut writer, line, false)?;
        } else {
            writer.write_str(line)?;
        }
        writer.write_char('\n')
    }
}

/// syslog(3)'s number for a level.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// Writes the text with control characters as Rust escapes: a file name must neither begin a line
/// of its own nor steer the terminal of whoever reads the log.
fn escape_controls(writer: &mut Writer<'_>, text: &str, colour: bool) -> fmt::Result {
    for (at, c) in text.char_indices() {
        if c.is_control() && !(colour && is_colour(&text[at..])) {
            write!(writer, "{}", c.escape_default())?;
        } else {
            writer.write_char(c)?;
        }
    }
    Ok(())
}

/// Whether the text begins with "select graphic rendition" (ECMA-48, 8.3.117), which sets colour
/// and weight.
fn is_colour(text: &str) -> bool {
    text.strip_prefix("\x1b[").is_some_and(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What a subscriber with this event format writes while `emit` runs.
    fn written<F>(event_format: F, emit: impl FnOnce()) -> String
    where
        F: FormatEvent<Registry, format::DefaultFields> + Send + Sync + 'static,
    {
        written_with(format::DefaultFields::new(), event_format, emit)
    }

    fn json_written<F>(event_format: F, emit: impl FnOnce()) -> String
    where
        F: FormatEvent<Registry, JsonFields> + Send + Sync + 'static,
    {
        written_with(JsonFields::new(), event_format, emit)
    }

    fn written_with<N, F>(fields: N, event_format: F, emit: impl FnOnce()) -> String
    where
        N: for<'a> FormatFields<'a> + Send + Sync + 'static,
        F: FormatEvent<Registry, N> + Send + Sync + 'static,
    {
        #[derive(Clone, Default)]
        struct Sink(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Sink {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .fmt_fields(fields)
            .event_format(event_format)
            .finish();
        tracing::subscriber::with_default(subscriber, emit);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn under_systemd_each_line_begins_with_its_priority_and_has_no_time() {
        let text =
            written(Prioritised { inner: format::format().without_time(), plain: true }, || {
                tracing::error!("it broke");
                tracing::warn!("it may");
                tracing::info!("it did not");
                tracing::debug!("it is 4");
            });
        let starts: Vec<&str> = text.lines().map(|line| &line[..3]).collect();
        assert_eq!(starts, ["<3>", "<4>", "<6>", "<7>"]);
        assert!(text.starts_with("<3>ERROR leukd::telemetry::tests: it broke\n"), "{text}");
    }

    #[test]
    fn a_file_name_cannot_forge_a_line_or_steer_a_terminal() {
        let name = "a\n<0>forged\x1b[2J.bmp";
        let journal = Prioritised { inner: format::format().without_time(), plain: true };
        let terminal = OneLine { inner: format::format(), ansi: false };
        let texts = [
            written(journal, || tracing::info!(file = name, "{name}")),
            written(terminal, || tracing::info!(file = name, "{name}")),
        ];
        for text in texts {
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains('\x1b'), "{text}");
        }
    }

    #[test]
    fn a_terminal_gets_colour_but_no_file_names_codes() {
        let format = OneLine { inner: format::format().with_ansi(true), ansi: true };
        let name = "a\n\x1b[2J.bmp";
        let text = written(format, || tracing::info!(file = name, path = %name, "{name}"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("\x1b[32m INFO"), "{text:?}");
        assert!(!text.contains("\x1b[2J"), "{text:?}");
    }

    #[test]
    fn json_in_the_journal_has_a_priority_and_stays_json() {
        let json = format::format().json().flatten_event(true);
        let text = json_written(Prioritised { inner: json, plain: false }, || {
            let _in = tracing::info_span!("capture", result_id = "0198").entered();
            tracing::warn!(file = "a\n\u{7f}\u{9b}2J", "it may");
        });
        let json = text.strip_prefix("<4>").unwrap();
        let line: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(line["file"], "a\n\u{7f}\u{9b}2J");
        assert_eq!(line["spans"][0]["result_id"], "0198");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_level_that_is_no_filter_is_an_error() {
        assert!(matches!(init("leukd=loud", LogFormat::Text, None), Err(TelemetryError::Level(_))));
    }
}
