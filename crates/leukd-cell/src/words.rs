//! Words of a result: labels, decisions and reasons. Each list of words stands once.

use serde::{Deserialize, Serialize};

/// Defines an enum whose variants are written as words: in the journal, in JSON, on the command
/// line and in the contract.
///
/// The enum has `EVERY` (all variants in their order) and `as_str`; `Display`, `FromStr` and serde
/// go by its words. The text after the colon names the enum in the message of a wrong word.
#[macro_export]
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident: $what:literal {
            $($(#[$note:meta])* $variant:ident = $word:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[$note])* $variant),+
        }

        impl $name {
            /// All values, in their order.
            pub const EVERY: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl ::std::cmp::PartialEq<&str> for $name {
            fn eq(&self, word: &&str) -> bool {
                self.as_str() == *word
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::words::unknown(text, $what, &[$($word),+])),
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::words::serde::Serialize for $name {
            fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
            where
                S: $crate::words::serde::Serializer,
            {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::words::serde::Deserialize<'de> for $name {
            fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
            where
                D: $crate::words::serde::Deserializer<'de>,
            {
                use $crate::words::serde::{Deserialize, de::Error};
                let word = <::std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
                word.parse().map_err(D::Error::custom)
            }
        }
    };
}

#[doc(hidden)]
pub use serde;

/// The message for a text that is none of `words`.
#[doc(hidden)]
#[must_use]
pub fn unknown(text: &str, what: &str, words: &[&str]) -> String {
    format!("{text:?} is no {what}: write {}", either(words))
}

/// The words in a sentence: `all, hem or review`.
#[must_use]
pub fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}

words! {
    /// A class of cells, as the model tells them apart.
    pub enum Label: "label" {
        /// A leukemic blast.
        All = "all",
        /// A normal B-lymphoid precursor.
        Hem = "hem",
    }
}

impl Label {
    /// The likelier class at this P(all): `all` where both are equally likely.
    #[must_use]
    pub const fn likelier(p_all: f64) -> Self {
        if p_all >= 0.5 { Self::All } else { Self::Hem }
    }

    /// The class's probability at this P(all).
    #[must_use]
    pub const fn probability(self, p_all: f64) -> f64 {
        match self {
            Self::All => p_all,
            Self::Hem => 1.0 - p_all,
        }
    }
}

words! {
    /// The suggestion for one cell.
    pub enum Decision: "decision" {
        /// Looks like a leukemic blast.
        All = "all",
        /// Looks like a normal B-lymphoid precursor.
        Hem = "hem",
        /// The model is not sure enough: a person should look.
        Review = "review",
        /// Could not be classified.
        Rejected = "rejected",
    }
}

words! {
    /// What captures show.
    #[derive(Default)]
    pub enum KindRule: "kind of capture" {
        /// Decided by the picture.
        #[default]
        Auto = "auto",
        /// One segmented cell on black each.
        Cell = "cell",
        /// Fields of view.
        Field = "field",
    }
}

words! {
    /// A reason of a result, as a stable word to match on.
    pub enum ReasonCode: "reason" {
        /// No bytes, or no pixels.
        Empty = "empty",
        /// The picture ends before its header says it should.
        Truncated = "truncated",
        /// The bytes begin like no format that leukd reads.
        NotAnImage = "not-an-image",
        /// More bytes, pixels or memory than the limits allow.
        TooLarge = "too-large",
        /// A format, or a variant of one, that leukd does not read.
        Unsupported = "unsupported",
        /// It is all there and still cannot be decoded.
        Corrupt = "corrupt",
        /// The file cannot be read.
        Unreadable = "unreadable",
        /// The process died, or leukd failed, with this file in hand.
        Crashed = "crashed",
        /// The network failed on it.
        ModelError = "model-error",
        /// A defect of leukd.
        Internal = "internal",
        /// To the network it is unlike the training cells.
        UnlikeTraining = "unlike-training",
        /// Smaller or larger than nearly all training cells.
        UnusualSize = "unusual-size",
        /// The cell reaches the picture's edge.
        CutOff = "cut-off",
        /// The outline is not that of one cell.
        SeveralCells = "several-cells",
        /// Less sharp than nearly all training cells.
        Blurred = "blurred",
        /// Grainier than nearly all training cells.
        UnusualTexture = "unusual-texture",
        /// Lit otherwise than nearly all training cells.
        UnusualLight = "unusual-light",
        /// Another contrast than nearly all training cells.
        UnusualContrast = "unusual-contrast",
        /// Stained otherwise than nearly all training cells.
        UnusualStain = "unusual-stain",
        /// Another hue than nearly all training cells.
        UnusualHue = "unusual-hue",
        /// Nothing in the picture is not black.
        NoCell = "no-cell",
        /// The scale of the field of view, or of the model, is not known.
        UnknownScale = "unknown-scale",
        /// A cell or a field of view: the picture leaves it open.
        UnknownKind = "unknown-kind",
        /// A field of view where one cell was asked for.
        FieldOfView = "field-of-view",
        /// P(all) lies inside the review band.
        LowConfidence = "low-confidence",
    }
}

/// A reason of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The stable word.
    pub code: ReasonCode,
    /// One sentence for a person.
    pub message: String,
}

impl Reason {
    /// A reason from its code and sentence.
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Which model said it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelRef {
    /// The manifest's name for it.
    pub id: String,
    /// SHA-256 of the bundle, in hexadecimal.
    pub digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written() {
        for decision in Decision::EVERY {
            assert_eq!(decision.as_str().parse(), Ok(decision));
            assert_eq!(format!("{decision:>9}|"), format!("{:>9}|", decision.as_str()));
        }
        let error = "ALL".parse::<Decision>().unwrap_err();
        assert_eq!(error, "\"ALL\" is no decision: write all, hem, review or rejected");
    }
}
