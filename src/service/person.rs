//! Names of people: one way to store each, so that nobody is two.

use unicode_normalization::UnicodeNormalization as _;

use super::ServiceError;
use crate::review::MAX_REVIEWER;

/// The one way to write a name: Unicode's form NFC, single blanks inside and none at its ends.
/// Systems differ in how they write `ü`: as one character, or as two.
pub(super) fn one_way(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect()
}

/// A person's name as it is stored.
///
/// # Errors
/// It is empty, too long, or holds characters that nobody sees.
pub(super) fn name(field: &'static str, name: &str) -> Result<String, ServiceError> {
    let name = one_way(name);
    if name.chars().any(is_unseen) {
        let message = "the person's name holds characters that nobody sees; write it anew";
        return Err(ServiceError::field(field, message));
    }
    if name.is_empty() || name.len() > MAX_REVIEWER {
        let message = format!("give the person's name, in 1 to {MAX_REVIEWER} bytes");
        return Err(ServiceError::field(field, message));
    }
    Ok(name)
}

/// A control character, or one that only joins, parts or turns others (Unicode's categories Cf, Zl
/// and Zp): with it one text could look like another.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    const FORMAT: [std::ops::RangeInclusive<char>; 12] = [
        '\u{ad}'..='\u{ad}',
        '\u{600}'..='\u{605}',
        '\u{61c}'..='\u{61c}',
        '\u{6dd}'..='\u{6dd}',
        '\u{70f}'..='\u{70f}',
        '\u{180e}'..='\u{180e}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0001}'..='\u{e007f}',
    ];
    c.is_control() || FORMAT.iter().any(|range| range.contains(&c))
}
