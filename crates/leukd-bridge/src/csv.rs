//! A specimen's round as a CSV file (RFC 4180): a line of names and one of values.

use leukd_journal::result::RESEARCH_USE_ONLY;

use super::codes::Key;
use super::message::Message;
use super::round::{Round, Standing};

/// The columns with their values, in order. docs/clients/bridges.md lists them.
fn columns(round: &Round) -> Vec<(String, String)> {
    let standing = match round.standing() {
        Standing::Preliminary => "preliminary",
        Standing::Correction => "correction",
    };
    let first = [
        ("id", round.id()),
        ("specimen", round.specimen.clone()),
        ("round", round.round.to_string()),
        ("status", standing.to_owned()),
        ("first_classified_at", round.first.to_rfc3339()),
        ("last_classified_at", round.last.to_rfc3339()),
        ("stored_at", round.stored.to_rfc3339()),
    ];
    let mut columns: Vec<_> =
        first.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    for (key, value) in round.values() {
        columns.push((key.word().replace('-', "_"), value.to_text()));
    }
    columns.push((Key::Notice.word().to_owned(), RESEARCH_USE_ONLY.to_owned()));
    columns
}

/// The name of every column, in order.
#[must_use]
pub fn column_names(round: &Round) -> Vec<String> {
    columns(round).into_iter().map(|(name, _)| name).collect()
}

/// Encodes a round.
#[must_use]
pub fn encode(round: &Round) -> Message {
    let columns = columns(round);
    let line = |fields: Vec<String>| format!("{}\r\n", fields.join(","));
    let names = columns.iter().map(|(name, _)| name.clone()).collect();
    let values = columns.iter().map(|(_, value)| quoted(value)).collect();
    Message {
        epoch: round.epoch.clone(),
        sequence: round.sequence,
        file: round.file_name("csv"),
        id: round.id(),
        body: line(names) + &line(values),
    }
}

/// A field. A specimen's name stays as it is, also where a spreadsheet would take it for a formula:
/// by it the other side knows the specimen.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::round::tests::round;

    #[test]
    fn a_file_has_a_line_of_names_and_one_of_values() {
        let message = encode(&round("a,\"b\"\n"));
        let (names, values) = message.body.split_once("\r\n").unwrap();
        assert!(names.starts_with("id,specimen,round,status,first_classified_at,"), "{names}");
        assert!(values.contains(",\"a,\"\"b\"\"\n\",1,preliminary,2025-12-01T"), "{values}");
        assert!(values.contains(&format!(",{RESEARCH_USE_ONLY}\r\n")), "{values}");
        assert!(!names.contains('-'), "{names}");
    }
}
