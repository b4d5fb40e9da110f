//! Text and times as HL7 v2 writes them.

use jiff::tz::TimeZone;
use leukd_journal::result::Timestamp;

/// The text with every delimiter and control character as an escape sequence.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' => escaped.push_str(r"\F\"),
            '^' => escaped.push_str(r"\S\"),
            '&' => escaped.push_str(r"\T\"),
            '~' => escaped.push_str(r"\R\"),
            '\\' => escaped.push_str(r"\E\"),
            // MLLP ends a message at a control character, a receiver a segment at CR.
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    escaped.push_str(&format!("\\X{byte:02X}\\"));
                }
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A time with milliseconds, in UTC. Empty for one outside of the years 1 to 9999.
pub(super) fn time(at: Timestamp) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(at.0) else { return String::new() };
    let at = at.to_zoned(TimeZone::UTC);
    if at.year() < 1 {
        return String::new();
    }
    at.strftime("%Y%m%d%H%M%S.%3f+0000").to_string()
}
