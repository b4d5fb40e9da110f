//! A pattern, a line feed, and a file name.

use leukd::cell::name::{CNMC_PATTERN, MAX_ID, NamePattern};

/// Patterns and names that mean something.
pub fn seeds() -> Vec<Vec<u8>> {
    let pair = |pattern: &str, name: &str| format!("{pattern}\n{name}").into_bytes();
    vec![
        pair(CNMC_PATTERN, "UID_H14_3_12_hem.bmp"),
        pair(CNMC_PATTERN, "UID_11_1_1_all.bmp"),
        pair(r"(?<specimen>\w+)-(?<slide>[0-9]{1,3})(?:-(?<cell>.+))?", "P1-22-täglich.png"),
        pair(r"(?i)^(?<cell>\p{L}{2,}){1,20}$", "ÄÖÜß"),
        pair(r"(?<other>x)", "x"),
        pair(r"((((((((((?<cell>a*)*)*)*)*)*)*)*)*)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaab"),
    ]
}

/// Any pattern compiles or is refused with a sentence; any name has ids out of itself, none longer
/// than allowed.
pub fn run(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (pattern, name) = text.split_once('\n').unwrap_or((&text, ""));
    let pattern = match NamePattern::new(pattern) {
        Ok(pattern) => pattern,
        Err(error) => {
            // A regular expression's error draws the place; its last line says what it is.
            return super::kind(error.lines().last().unwrap());
        }
    };
    let ids = pattern.ids(name);
    for id in [&ids.specimen, &ids.slide, &ids.cell] {
        assert!(id.len() <= MAX_ID && name.contains(id.as_str()));
    }
    let given = [&ids.specimen, &ids.slide, &ids.cell].map(|id| !id.is_empty());
    format!("{given:?}")
}
