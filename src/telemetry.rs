//! The log: `tracing` events as lines on standard error, one line an event.

use std::fmt;
use std::io::{self, IsTerminal};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::settings::LogFormat;
use crate::systemd;

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is no filter. A checked configuration never has one.
    #[error("log.level: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// This process has a log already.
    #[error("the log is set up already: {0}")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends this process's events to standard error, from now on.
///
/// `level` is `tracing`'s filter syntax. With [`LogFormat::Auto`], and standard error connected to systemd's
/// journal, lines have no time and no colour and begin with a priority (`<3>`, sd-daemon(3)), because the
/// journal keeps time and priority itself. Colour is for terminals only, and not where `NO_COLOR` is set.
///
/// # Errors
/// The level is no filter, or the log is set up already.
pub fn init(level: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(level)?;
    let journal = format == LogFormat::Auto && systemd::stderr_is_journal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let ansi = !journal && !no_color && io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        _ if journal => {
            builder.event_format(Prioritised(format::format().without_time())).try_init()
        }
        _ => builder
            .event_format(OneLine { inner: format::format().with_ansi(ansi), ansi })
            .try_init(),
    }
    .map_err(TelemetryError::Twice)
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
        // The inner writer knows nothing of the terminal, so colour is the outer formatter's to allow.
        self.inner.format_event(context, Writer::new(&mut text), event)?;
        escape_controls(&mut writer, text.trim_end_matches('\n'), self.ansi)?;
        writer.write_char('\n')
    }
}

/// [`OneLine`] with the event's priority in front.
struct Prioritised<F>(F);

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
        self.0.format_event(context, Writer::new(&mut text), event)?;
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        escape_controls(&mut writer, text.trim_end_matches('\n'), false)?;
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

/// Writes the text with control characters as Rust escapes: a file name must neither begin a line of its own
/// nor steer the terminal of whoever reads the log.
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

/// Whether the text begins with "select graphic rendition" (ECMA-48, 8.3.117), which sets colour and weight.
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
        F: FormatEvent<tracing_subscriber::Registry, format::DefaultFields> + Send + Sync + 'static,
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
            .event_format(event_format)
            .finish();
        tracing::subscriber::with_default(subscriber, emit);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn under_systemd_each_line_begins_with_its_priority_and_has_no_time() {
        let text = written(Prioritised(format::format().without_time()), || {
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
        let journal = Prioritised(format::format().without_time());
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
    fn a_level_that_is_no_filter_is_an_error() {
        assert!(matches!(init("leukd=loud", LogFormat::Text), Err(TelemetryError::Level(_))));
    }
}
