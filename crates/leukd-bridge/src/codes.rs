//! What each value is called: local codes, unless a site configures others.

use std::collections::BTreeMap;

/// The coding system of leukd's own codes in HL7 v2.
const LOCAL: &str = "99LEUKD";

/// The same in FHIR.
const LOCAL_URI: &str = "urn:leukd:code";

/// HL7's abbreviations of coding systems, and the same as FHIR's URIs.
const SYSTEMS: [(&str, &str); 4] = [
    (LOCAL, LOCAL_URI),
    ("LN", "http://loinc.org"),
    ("SCT", "http://snomed.info/sct"),
    ("UCUM", "http://unitsofmeasure.org"),
];

macro_rules! keys {
    ($($key:ident $word:literal $text:literal;)*) => {
        /// A value, or the panel of all of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Key { $($key),* }

        impl Key {
            const ALL: &[Self] = &[$(Self::$key),*];

            /// Its local code; in CSV, with underscores, its column.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$key => $word),* }
            }

            /// Its name for people.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$key => $text),* }
            }
        }
    };
}

keys! {
    Panel "cells" "Suggested classes of white cells (research use only)";
    All "cells-all" "Cells suggested as leukemic blasts";
    Hem "cells-hem" "Cells suggested as normal";
    Review "cells-review" "Cells that a person should look at";
    Rejected "cells-rejected" "Captures that could not be classified";
    Blasts "blast-fraction" "Suggested blasts of the decided cells";
    BlastsLower "blast-fraction-lower" "Suggested blasts of the decided cells, lower end of the 95 % interval";
    BlastsUpper "blast-fraction-upper" "Suggested blasts of the decided cells, upper end of the 95 % interval";
    Corrected "corrected-fraction" "The same, corrected for the model's measured errors";
    CorrectedLower "corrected-fraction-lower" "Corrected, lower end of the 95 % interval";
    CorrectedUpper "corrected-fraction-upper" "Corrected, upper end of the 95 % interval";
    CorrectedMissing "corrected-fraction-missing" "Why there is no corrected fraction";
    Model "model" "Model that classified the cells";
    ModelDigest "model-digest" "SHA-256 of the model's bundle";
    Notice "notice" "Notice";
}

/// A code of some coding system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: String,
    /// Its text.
    pub text: String,
    /// The coding system: an abbreviation of HL7's table 0396, such as `LN`, or a URI.
    pub system: String,
}

impl Code {
    /// The system as FHIR names it.
    pub(crate) fn uri(&self) -> &str {
        let known = SYSTEMS.iter().find(|(short, _)| *short == self.system);
        known.map_or(self.system.as_str(), |(_, uri)| uri)
    }
}

/// An entry that is no code.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CodeError {
    /// It has another form.
    #[error("{0:?} is no code: write NAME=CODE^TEXT^SYSTEM")]
    Form(String),
    /// There is no such value.
    #[error("{name:?} is no value of a specimen: one of {known}")]
    Unknown {
        /// As it was given.
        name: String,
        /// Every name.
        known: String,
    },
    /// The value has a code already.
    #[error("{0:?} is given twice")]
    Twice(String),
    /// FHIR has no address for this coding system.
    #[error("{0:?} is no coding system: LN, SCT, or a URI such as https://lab.example/codes")]
    System(String),
}

/// The code of each value.
#[derive(Debug, Clone, Default)]
pub struct Codes {
    own: BTreeMap<Key, Code>,
}

impl Codes {
    /// Local codes, and a site's own in place of some: `NAME=CODE^TEXT^SYSTEM`.
    ///
    /// # Errors
    /// An entry is no code, or of no value.
    pub fn parse(entries: &[String]) -> Result<Self, CodeError> {
        let mut own = BTreeMap::new();
        for entry in entries {
            let form = || CodeError::Form(entry.clone());
            let (name, code) = entry.split_once('=').ok_or_else(form)?;
            let [code, text, system] = code.split('^').collect::<Vec<_>>()[..] else {
                return Err(form());
            };
            if code.is_empty() || text.is_empty() || entry.chars().any(char::is_control) {
                return Err(form());
            }
            let key = Key::ALL.iter().copied().find(|key| key.word() == name).ok_or_else(|| {
                let known: Vec<_> = Key::ALL.iter().map(|key| key.word()).collect();
                CodeError::Unknown { name: name.to_owned(), known: known.join(", ") }
            })?;
            let known = SYSTEMS.iter().any(|(short, _)| *short == system);
            if !known && !system.contains(':') {
                return Err(CodeError::System(system.to_owned()));
            }
            let [code, text, system] = [code, text, system].map(str::to_owned);
            if own.insert(key, Code { code, text, system }).is_some() {
                return Err(CodeError::Twice(name.to_owned()));
            }
        }
        Ok(Self { own })
    }

    /// The codes of a value: the site's, where it has one, and leukd's own.
    pub(crate) fn of(&self, key: Key) -> Vec<Code> {
        let [code, text] = [key.word(), key.text()].map(str::to_owned);
        let local = Code { code, text, system: LOCAL.to_owned() };
        self.own.get(&key).cloned().into_iter().chain([local]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_local_unless_a_site_says_otherwise() {
        assert_eq!(Codes::default().of(Key::Blasts).len(), 1);
        let given = ["blast-fraction=26446-5^Blasts/Leukocytes^LN".to_owned()];
        let codes = Codes::parse(&given).unwrap().of(Key::Blasts);
        assert_eq!((codes[0].code.as_str(), codes[0].uri()), ("26446-5", "http://loinc.org"));
        assert_eq!((codes[1].code.as_str(), codes[1].uri()), ("blast-fraction", LOCAL_URI));
    }

    #[test]
    fn an_entry_that_is_no_code_is_named() {
        let parse = |entry: &str| Codes::parse(&[entry.to_owned()]).unwrap_err().to_string();
        assert!(parse("blast-fraction").contains("NAME=CODE^TEXT^SYSTEM"));
        assert!(parse("blast-fraction=1^a").contains("NAME=CODE^TEXT^SYSTEM"));
        assert!(parse("blasts=1^a^LN").contains("blast-fraction"));
        assert!(parse("model=1^a^XY").contains("XY"));
        let twice = ["model=1^a^LN", "model=2^a^LN"].map(str::to_owned);
        assert_eq!(Codes::parse(&twice).unwrap_err(), CodeError::Twice("model".to_owned()));
    }
}
