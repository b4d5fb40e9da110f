//! The brightest sample by a page's own word: a camera's 12 bits may stand in 16.

use super::DESCRIPTION;
use super::directory::Directory;

const MAX_SAMPLE_VALUE: u16 = 281;

/// The brightest 16-bit level of `sample`: by `MaxSampleValue`, which may have one value for all
/// samples, else by OME-XML's `SignificantBits`, else by ImageJ's `max`.
///
/// 65,535 says nothing that the depth does not say. libtiff, Bio-Formats and ImageJ write it
/// unasked.
pub(super) fn brightest(directory: &Directory<'_>, sample: usize) -> Option<u16> {
    let values = directory.values(MAX_SAMPLE_VALUE);
    let stated = values.get(sample).or_else(|| values.first());
    let stated = stated.and_then(|value| u16::try_from(*value).ok());
    stated.filter(|value| *value < u16::MAX).or_else(|| {
        let description = directory.bytes(DESCRIPTION);
        significant(description).or_else(|| displayed(description))
    })
}

/// The brightest level of a type with `SignificantBits`, as in `<Pixels SignificantBits="12">`.
fn significant(description: &[u8]) -> Option<u16> {
    let after = |text: &[u8]| {
        let at = description.windows(text.len()).position(|window| window == text)?;
        description.get(at + text.len()..)
    };
    after(b"<OME").or_else(|| after(b":OME"))?;
    let digits = after(b"SignificantBits=\"")?.split(|byte| *byte == b'"').next()?;
    let bits: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (8..16).contains(&bits).then(|| (1 << bits) - 1)
}

/// The brightest level that ImageJ shows, where it shows all from 0 on. Most ranges are a person's
/// choice and say nothing of the samples: one that is all of some bits does.
fn displayed(description: &[u8]) -> Option<u16> {
    let mut lines = description.split(|byte| matches!(byte, b'\n' | 0));
    lines.next()?.strip_prefix(b"ImageJ=")?;
    let value = |name: &str| {
        let mut lines = description.split(|byte| matches!(byte, b'\n' | 0));
        let text = lines.find_map(|line| line.strip_prefix(name.as_bytes()))?;
        std::str::from_utf8(text).ok()?.trim().parse::<f64>().ok()
    };
    let most = value("max=").filter(|_| value("min=").unwrap_or(0.0) == 0.0)?;
    (8..16).map(|bits| (1_u16 << bits) - 1).find(|level| f64::from(*level) == most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_name_a_depth_below_sixteen() {
        let ome = |bits| format!("<?xml?><OME><Image><Pixels SignificantBits=\"{bits}\"/></OME>");
        assert_eq!(significant(ome("12").as_bytes()), Some(4095));
        assert_eq!(significant(ome("16").as_bytes()), None);
        assert_eq!(significant(b"SignificantBits=\"12\""), None);
        assert_eq!(displayed(b"ImageJ=1.54f\nmin=0.0\nmax=4095.0\n\0"), Some(4095));
        assert_eq!(displayed(b"ImageJ=1.54f\nmax=1023"), Some(1023));
        for other in ["min=12.0\nmax=4095.0", "max=3877.0", "max=65535.0", "min=0"] {
            assert_eq!(displayed(format!("ImageJ=1.54f\n{other}\n").as_bytes()), None, "{other}");
        }
        assert_eq!(displayed(b"max=4095.0"), None);
    }
}
