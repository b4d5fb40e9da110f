//! File names → specimen, slide and cell ids.

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};

/// C-NMC's `UID_<subject>_<image>_<cell>_<label>.bmp`; the subject may be `11`, `H14` or `h3`.
/// The `H` and the last part tell the label: neither ever reaches the model.
pub const CNMC_PATTERN: &str =
    r"^UID_(?<specimen>[A-Za-z]?\d+)_(?<slide>\d+)_(?<cell>\d+)_[a-z]+\.[A-Za-z]+$";

/// What the capture belongs to; each part may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CellIds {
    /// The patient's specimen.
    pub specimen: String,
    /// The slide, or the image that the cell was cut from.
    pub slide: String,
    /// The cell within the slide.
    pub cell: String,
}

/// The longest id (specimen, slide, cell, request), in bytes: a file's name has at most 255. A
/// longer one out of a name is cut off; a longer one from a client is refused.
pub const MAX_ID: usize = 256;

const GROUPS: [&str; 3] = ["specimen", "slide", "cell"];

/// Reads ids from file names.
#[derive(Debug, Clone)]
pub struct NamePattern(Regex);

impl NamePattern {
    /// A pattern with at least one of the named groups `specimen`, `slide` and `cell`, in the
    /// syntax of the `regex` crate (which takes time linear in the name's length, whatever the
    /// pattern).
    ///
    /// # Errors
    ///
    /// One sentence: the pattern is no regular expression, names none of the groups, or names
    /// another one.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let regex =
            Regex::new(pattern).map_err(|error| format!("not a regular expression: {error}"))?;
        let names: Vec<_> = regex.capture_names().flatten().collect();
        if let Some(other) = names.iter().find(|name| !GROUPS.contains(name)) {
            return Err(format!(
                "the group {other:?} means nothing: name groups specimen, slide or cell"
            ));
        }
        if names.is_empty() {
            return Err(
                "no group is named: name at least one (?<specimen>…), (?<slide>…) or (?<cell>…)"
                    .to_owned(),
            );
        }
        Ok(Self(regex))
    }

    /// The ids in `file_name` (without its folder). Empty ones where the pattern does not match or
    /// has no such group: a strange name is no reason to leave a cell out.
    #[must_use]
    pub fn ids(&self, file_name: &str) -> CellIds {
        let Some(captures) = self.0.captures(file_name) else { return CellIds::default() };
        let [specimen, slide, cell] = GROUPS.map(|group| bounded(&captures, group));
        CellIds { specimen, slide, cell }
    }
}

fn bounded(captures: &Captures<'_>, group: &str) -> String {
    let text = captures.name(group).map_or("", |found| found.as_str());
    text[..text.floor_char_boundary(MAX_ID)].to_owned()
}
