//! Captures by the thousand: a few drawn cells, each file with bytes of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use image::imageops::thumbnail;
use leukd::cell::synthetic::{self, Kind};

/// How many cells are drawn. More would show the network nothing new, and drawing is slow.
const DRAWN: u64 = 32;

/// Drawn cells as BMP files.
pub struct Captures {
    pictures: Vec<Vec<u8>>,
    next: AtomicU32,
}

impl Captures {
    /// Draws the cells, `side` pixels square.
    pub fn draw(side: u32) -> Self {
        let pictures = (0..DRAWN)
            .map(|seed| {
                let kind = if seed % 2 == 0 { Kind::Blast } else { Kind::Normal };
                let cell = synthetic::cell(seed, kind);
                let fits = side == synthetic::SIDE;
                synthetic::bmp(&if fits { cell } else { thumbnail(&cell, side, side) })
            })
            .collect();
        Self { pictures, next: AtomicU32::new(1) }
    }

    /// The next capture's bytes, which no other has: its number stands in the header's four
    /// reserved bytes, which no reader looks at.
    pub fn next(&self) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut bytes = self.pictures[number as usize % self.pictures.len()].clone();
        bytes[6..10].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// Writes `count` captures into a new folder beside the watched one. They are on the disk when
    /// this returns: what follows is not measured beside their writing.
    pub fn stage(&self, root: &Path, count: usize) -> PathBuf {
        let name = format!("staged-{}", self.next.load(Ordering::Relaxed));
        let folder = root.join(name);
        std::fs::create_dir(&folder).unwrap();
        for index in 0..count {
            let name = format!("UID_{}_{}_{}_drawn.bmp", 900 + index % 7, index / 100, index % 100);
            std::fs::write(folder.join(name), self.next()).unwrap();
        }
        let disk = std::fs::File::open(&folder).unwrap();
        rustix::fs::syncfs(&disk).unwrap();
        folder
    }
}
