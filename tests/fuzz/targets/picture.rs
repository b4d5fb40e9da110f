//! Bytes → picture, quality and tensor, as a capture's go.

use leukd::cell::complete::{Completeness, completeness};
use leukd::cell::preprocess::{Filter, Layout, Preprocessing, Range};
use leukd::cell::synthetic;
use leukd::cell::{Limits, Measures, decode, quality};

const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_side: 512, max_memory: 4 << 20 };

/// A small cell in each format that leukd reads, as leukd writes it.
pub fn seeds() -> Vec<Vec<u8>> {
    let cell = synthetic::cell(1, synthetic::Kind::Blast);
    let small = image::imageops::thumbnail(&cell, 16, 16);
    let writers =
        [synthetic::bmp, synthetic::bmp_v5, synthetic::png, synthetic::tiff, synthetic::jpeg];
    writers.map(|write| write(&small)).to_vec()
}

/// A picture keeps the limits, is whole, and becomes a tensor of finite numbers; all else is a
/// fault with a reason.
pub fn run(bytes: &[u8]) -> String {
    let whole = completeness(bytes);
    let picture = match decode(bytes, &LIMITS) {
        Ok(picture) => picture,
        Err(fault) => {
            assert!(!fault.message().is_empty());
            return super::kind(&fault.to_string());
        }
    };
    let Completeness::Complete(format) = whole else { panic!("decoded, and not whole: {whole:?}") };
    assert!(picture.width() >= 1 && picture.height() >= 1);
    assert!(picture.width() <= LIMITS.max_side && picture.height() <= LIMITS.max_side);
    assert_eq!(picture.as_raw().len(), 3 * (picture.width() * picture.height()) as usize);
    let measures = Measures::of(&picture);
    let flags = quality::flags(measures.as_ref(), picture.as_raw().len() as u64 / 3);
    assert!(measures.is_some() || flags == [quality::EMPTY]);
    let preprocessing = Preprocessing {
        window: None,
        cell_share: None,
        size: 16,
        filter: Filter::Bilinear,
        standardise: None,
        range: Range::Bytes,
        layout: Layout::Nchw,
    };
    let tensor = preprocessing.tensor(&picture).map(|tensor| {
        assert_eq!(tensor.data.len(), 3 * 16 * 16);
        assert!(tensor.data.iter().all(|value| (0.0..=255.0).contains(value)));
    });
    format!("{format} {}", tensor.is_ok())
}
