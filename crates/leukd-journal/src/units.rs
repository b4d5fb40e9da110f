//! Lengths of time and amounts of memory as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SpanRelativeTo;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest [`Span`]: a hundred years, far from what any clock sum could overflow at.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A length of time, written as `250ms`, `10s`, `5m`, `12h`, `30d` or a sum such as `1h 30m`.
/// A day is 24 hours. Never negative; at most a hundred years; whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// A time in milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// A time in seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

/// A text that is no length of time or amount of memory; its message says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused = || {
            UnitError(format!(
                "{text:?} is no length of time: write a number with its unit (us, ms, s, m, h, d), \
                 for example \"250ms\", \"10s\", \"5m\", \"12h\", \"30d\" or \"1h 30m\"; \
                 at most 36500d, never negative"
            ))
        };
        let span: jiff::Span = text.trim().parse().map_err(|_| refused())?;
        // Months and years have no fixed length, so jiff refuses them here.
        let length =
            span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refused())?;
        let length = Duration::try_from(length).map_err(|_| refused())?;
        if length > LONGEST || !length.subsec_nanos().is_multiple_of(1_000) {
            return Err(refused());
        }
        Ok(Self(length))
    }
}

impl fmt::Display for Span {
    /// The largest units that say it exactly, for example `1h 30m`: [`FromStr`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u128); 6] = [
            ("d", 86_400_000_000),
            ("h", 3_600_000_000),
            ("m", 60_000_000),
            ("s", 1_000_000),
            ("ms", 1_000),
            ("us", 1),
        ];
        let mut rest = self.0.as_micros();
        if rest == 0 {
            return f.pad("0s");
        }
        let mut parts = Vec::new();
        for (unit, length) in UNITS {
            if rest >= length {
                parts.push(format!("{}{unit}", rest / length));
                rest %= length;
            }
        }
        f.pad(&parts.join(" "))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time in quotes with its unit, for example \"10s\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// An amount of bytes, written as `16MiB`, `512 KiB`, `64MB` or a plain number of bytes.
/// `KiB`, `MiB`, `GiB`, `TiB` are powers of 1024; `kB`, `MB`, `GB`, `TB` are powers of 1000.
/// Letter case does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Every unit with its size in bytes; the binary ones first, largest first, as they are printed.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Bytes {
    /// A size in MiB (1,048,576 bytes).
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count * 1024 * 1024)
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused = || {
            UnitError(format!(
                "{text:?} is no amount of bytes: write a whole number with or without a unit (kB, MB, \
                 GB, TB or KiB, MiB, GiB, TiB), for example \"16MiB\", \"64MB\" or 67108864; \
                 at most 8 EiB"
            ))
        };
        let trimmed = text.trim();
        let end = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, unit) = trimmed.split_at(end);
        let unit = unit.trim_start();
        let size = if unit.is_empty() {
            1
        } else {
            SIZES
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .map(|(_, size)| *size)
                .ok_or_else(refused)?
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(size))
            // TOML, and so every layer of the configuration, has signed integers.
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .map(Self)
            .ok_or_else(refused)
    }
}

impl fmt::Display for Bytes {
    /// The largest unit that divides it: [`FromStr`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZES.iter().find(|(_, size)| self.0 != 0 && self.0.is_multiple_of(*size));
        match exact {
            Some((unit, size)) => f.pad(&format!("{}{unit}", self.0 / size)),
            None => f.pad("0B"),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;
        impl Visitor<'_> for Amount {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of bytes, for example \"16MiB\" or 16777216")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<Bytes, E> {
                u64::try_from(bytes).map(Bytes).map_err(|_| {
                    E::custom(format!("{bytes} is negative: bytes are counted from 0"))
                })
            }
        }
        deserializer.deserialize_any(Amount)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_span_is_read_with_each_unit() {
        for (text, micros) in [
            ("500us", 500),
            ("250ms", 250_000),
            ("10s", 10_000_000),
            ("5m", 300_000_000),
            ("12h", 43_200_000_000),
            ("30d", 2_592_000_000_000),
            ("1h 30m", 5_400_000_000),
            (" 10 s ", 10_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_micros(micros))), "{text}");
        }
    }

    #[test]
    fn a_span_that_is_none_says_what_is_allowed() {
        for text in
            ["", "10", "ten seconds", "-5s", "1 month", "2y", "1ns", "999999999d", "5 parsecs"]
        {
            let error = text.parse::<Span>().expect_err(text).to_string();
            assert!(error.contains("\"30d\""), "{error}");
        }
    }

    #[test]
    fn bytes_are_read_with_each_unit() {
        for (text, bytes) in [
            ("16MiB", 16 << 20),
            ("512 KiB", 512 << 10),
            ("64MB", 64_000_000),
            ("1gib", 1 << 30),
            ("2kB", 2_000),
            ("7B", 7),
            ("12345", 12_345),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_none_say_what_is_allowed() {
        for text in ["", "MiB", "-1", "1.5MiB", "16 miles", "99999999999TiB", "0x10"] {
            let error = text.parse::<Bytes>().expect_err(text).to_string();
            assert!(error.contains("\"16MiB\""), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_span_reads_back_as_it_was_written(micros in 0u64..=3_153_600_000_000_000) {
            let span = Span(Duration::from_micros(micros));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn bytes_read_back_as_they_were_written(count in 0u64..8_000, shift in 0u32..50) {
            let bytes = Bytes(count << shift);
            prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,24}") {
            let _ = text.parse::<Span>();
            let _ = text.parse::<Bytes>();
        }
    }
}
