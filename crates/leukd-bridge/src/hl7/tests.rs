use leukd_journal::result::{Tally, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::round::tests::round;

fn options(kind: Kind) -> Options {
    Options {
        kind,
        facility: "Lab & Co".to_owned(),
        receiver: String::new(),
        receiver_facility: String::new(),
        processing: 'P',
        specimen_type: smear(),
        short_id: false,
        codes: Codes::default(),
    }
}

fn segments(message: &Message) -> Vec<Vec<&str>> {
    message.body.trim_end_matches('\r').split('\r').map(|line| line.split('|').collect()).collect()
}

#[test]
fn a_round_is_a_message_with_a_segment_for_each_value() {
    let message = encode(&round("11"), &options(Kind::Oul));
    let lines = segments(&message);
    assert_eq!(message.id, "6b3b0775-4a71-4012-89e9-f8b72b474208:17");
    assert_eq!(lines[0][3], r"Lab \T\ Co");
    assert_eq!(lines[0][8..12], ["OUL^R22^OUL_R22", message.id.as_str(), "P", "2.5.1"]);
    assert_eq!(lines[0].last(), Some(&"UNICODE UTF-8"));
    assert_eq!(lines[1][..3], ["SPM", "1", "^11"]);
    assert_eq!((lines[2][0], lines[2][25]), ("OBR", "P"));
    assert_eq!(lines[3], ["NTE", "1", "L", RESEARCH_USE_ONLY]);
    assert_eq!(lines[4][1..7], ["1", "NM", lines[4][3], "", "30", "{cells}^^UCUM"]);
    let absent =
        lines.iter().find(|line| line.len() > 3 && line[3].starts_with("corrected-fraction^"));
    assert_eq!((absent.unwrap()[5], absent.unwrap()[11]), ("", "X"));
    assert_eq!(lines.last().unwrap()[5], RESEARCH_USE_ONLY);
}

#[test]
fn a_later_round_is_a_correction() {
    let message = encode(&Round { round: 2, ..round("11") }, &options(Kind::Oru));
    let lines = segments(&message);
    assert_eq!((lines[1][0], lines[1][25]), ("OBR", "C"));
    assert!(lines.iter().filter(|line| line[0] == "OBX").all(|line| "CX".contains(line[11])));
    assert_eq!(lines.last().unwrap()[0], "SPM");
}

#[test]
fn a_short_control_id_keeps_to_the_standards_length() {
    let short = Options { short_id: true, ..options(Kind::Oul) };
    assert_eq!(encode(&round("11"), &short).id, "6b3b0775:17");
    let late = Round { sequence: 99_999_999_999, ..round("11") };
    assert_eq!(encode(&late, &short).id.len(), 20);
}

#[test]
fn an_acknowledgement_is_read_with_its_own_delimiters() {
    let ack = |text: &str| Acknowledgement::parse(text.as_bytes());
    let read = ack("MSH#^~\\&#x\r\nMSA#AE#a:1#no such specimen\rERR####E####unknown id").unwrap();
    assert_eq!((read.code.as_str(), read.id.as_str()), ("AE", "a:1"));
    assert_eq!(read.text, "no such specimen; unknown id");
    assert_eq!(ack(""), Err(AckError::NoHeader));
    assert_eq!(ack("HTTP/1.1 400 Bad Request"), Err(AckError::NoHeader));
    assert_eq!(ack("MSH|^~\\&|x"), Err(AckError::NoMsa));
    assert_eq!(ack("MSH|^~\\&|x\rMSA||a:1"), Err(AckError::NoMsa));
}

#[test]
fn a_time_has_its_zone() {
    assert_eq!(time(Timestamp(1_764_555_480_175)), "20251201021800.175+0000");
    assert_eq!(time(Timestamp(i64::MAX)), "");
}

/// Undoes the escapes, as a receiver does.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = text.split('\\');
    bytes.extend(parts.next().unwrap().bytes());
    while let (Some(sequence), rest) = (parts.next(), parts.next()) {
        match sequence.split_at(1) {
            ("F", _) => bytes.push(b'|'),
            ("S", _) => bytes.push(b'^'),
            ("T", _) => bytes.push(b'&'),
            ("R", _) => bytes.push(b'~'),
            ("E", _) => bytes.push(b'\\'),
            ("X", digits) => bytes.push(u8::from_str_radix(digits, 16).unwrap()),
            other => panic!("{other:?} of {text}"),
        }
        bytes.extend(rest.unwrap().bytes());
    }
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #[test]
    fn any_specimen_comes_back_as_it_was(name in "\\PC{0,40}|[|^~\\\\&\r\n\u{b}\u{1c}a]{1,40}") {
        let cells = Tally::default();
        let message = encode(&Round { cells, ..round(&name) }, &options(Kind::Oul));
        let lines = segments(&message);
        prop_assert_eq!(lines.len(), 18);
        let breaks = message.body.contains(['\u{b}', '\u{1c}', '\n']);
        prop_assert!(!breaks);
        prop_assert_eq!(unescape(lines[1][2].strip_prefix('^').unwrap()), name);
    }
}
