//! A dense layer's weights, read the other way: what goes back through it.

use super::isa::{Isa, dispatched};
use super::lanes::Lanes;
use super::memory::Buffer;
use super::panels::{nearest, quantum};

/// So many vectors of columns are summed at once: enough for no sum to wait for the one before, and
/// few enough for AVX2's 16 registers.
const VECTORS: usize = 8;

/// So many rows ahead are asked for: far enough for memory to answer in time.
const AHEAD: usize = 32;

/// Bytes of a cache line.
const LINE: usize = 64;

/// A matrix `[rows][columns]` that gives weighted sums of its rows.
///
/// It lies in bands of `VECTORS` vectors of columns, each `[rows][VECTORS · L]`: a band's sums stay
/// in registers while its rows are read. Rows that are whole multiples of one number each, as
/// weight-only quantization leaves them, are kept as bytes: beside one picture's network it is
/// memory that the sums wait for.
#[derive(Debug, Clone)]
pub struct Transposed {
    isa: Isa,
    weights: Kept,
    /// What each row's weights are to be multiplied by.
    steps: Vec<f32>,
    columns: usize,
}

#[derive(Debug, Clone)]
enum Kept {
    Floats(Buffer),
    Bytes(Vec<i8>),
}

impl Transposed {
    /// Packs `weights`, row-major, of `columns` columns: at least one.
    pub fn new(isa: Isa, weights: &[f32], columns: usize) -> Self {
        let steps: Option<Vec<f32>> = weights.chunks_exact(columns).map(quantum).collect();
        let (weights, steps) = match steps {
            Some(steps) => {
                let byte = |row: usize, weight| nearest(weight, steps[row]);
                (Kept::Bytes(banded(isa, weights, columns, byte)), steps)
            }
            None => {
                let floats = banded(isa, weights, columns, |_, weight| weight);
                let mut buffer = Buffer::zeros(floats.len());
                buffer.as_mut_slice().copy_from_slice(&floats);
                (Kept::Floats(buffer), vec![1.0; weights.len() / columns])
            }
        };
        Self { isa, weights, steps, columns }
    }

    /// Numbers that a row of so many columns takes: whole bands.
    pub const fn padded(isa: Isa, columns: usize) -> usize {
        columns.next_multiple_of(VECTORS * isa.width())
    }

    /// Rows of the matrix.
    pub const fn rows(&self) -> usize {
        self.steps.len()
    }

    /// Whether its weights lie as bytes.
    #[cfg(test)]
    pub(super) const fn holds_bytes(&self) -> bool {
        matches!(self.weights, Kept::Bytes(_))
    }

    /// `Σ factor · row`: as many numbers as there are columns. Rows with the factor 0 are not read.
    ///
    /// # Panics
    ///
    /// Where there is not one factor for each row.
    pub fn sum(&self, factors: &[f32]) -> Vec<f32> {
        assert!(factors.len() == self.rows());
        let scaled = factors.iter().zip(&self.steps).enumerate();
        let rows: Vec<(usize, f32)> = scaled
            .filter(|(_, (factor, _))| **factor != 0.0)
            .map(|(row, (factor, step))| (row, factor * step))
            .collect();
        let mut sums = vec![0.0; Self::padded(self.isa, self.columns)];
        let bands = sums.len() / (VECTORS * self.isa.width());
        let (floats, bytes) = match &self.weights {
            Kept::Floats(floats) => (floats.as_slice().as_ptr(), std::ptr::null()),
            Kept::Bytes(bytes) => (std::ptr::null(), bytes.as_ptr()),
        };
        let (all, to) = (self.rows(), sums.as_mut_ptr());
        let work = Sums { floats, bytes, rows: &rows, all, bands, to };
        // SAFETY: an `Isa` was found on this processor; `banded` made so many bands of `all` rows,
        // in which each of `rows` is one, and `to` holds a band's numbers for each.
        unsafe { sums_on(self.isa, &work) }
        sums.truncate(self.columns);
        sums
    }
}

fn banded<T: Clone + Default>(
    isa: Isa,
    weights: &[f32],
    columns: usize,
    kept: impl Fn(usize, f32) -> T,
) -> Vec<T> {
    let (band, rows) = (VECTORS * isa.width(), weights.len() / columns);
    let mut banded = vec![T::default(); Transposed::padded(isa, columns) * rows];
    for (row, weights) in weights.chunks_exact(columns).enumerate() {
        for (at, weights) in weights.chunks(band).enumerate() {
            let to = &mut banded[(at * rows + row) * band..];
            to.iter_mut().zip(weights).for_each(|(to, weight)| *to = kept(row, *weight));
        }
    }
    banded
}

struct Sums<'a> {
    /// One of both is null.
    floats: *const f32,
    bytes: *const i8,
    /// Which are added, each times its factor.
    rows: &'a [(usize, f32)],
    all: usize,
    bands: usize,
    to: *mut f32,
}

dispatched!(sums_on(work: &Sums<'_>) = all_sums);

#[inline(always)]
unsafe fn all_sums<L: Lanes>(work: &Sums<'_>) {
    let wide = VECTORS * L::WIDTH;
    for band in 0..work.bands {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [L::splat(0.0); VECTORS];
            for (place, (row, factor)) in work.rows.iter().enumerate() {
                let at = (band * work.all + row) * wide;
                let factor = L::splat(*factor);
                // Behind a band's last row lies the next one's first.
                let (later, place) = match place + AHEAD {
                    place if place < work.rows.len() => (band, place),
                    place => (band + 1, place - work.rows.len()),
                };
                if let Some((row, _)) = work.rows.get(place) {
                    let at = (later * work.all + row) * wide;
                    let (first, bytes) = if work.bytes.is_null() {
                        (work.floats.wrapping_add(at).cast::<u8>(), wide * size_of::<f32>())
                    } else {
                        (work.bytes.wrapping_add(at).cast(), wide)
                    };
                    for line in (0..bytes).step_by(LINE) {
                        L::fetch(first.wrapping_add(line));
                    }
                }
                for (vector, sum) in sums.iter_mut().enumerate() {
                    let at = at + vector * L::WIDTH;
                    let weights = if work.bytes.is_null() {
                        L::load(work.floats.add(at))
                    } else {
                        L::widen(work.bytes.add(at))
                    };
                    *sum = L::fma(weights, factor, *sum);
                }
            }
            for (vector, sum) in sums.into_iter().enumerate() {
                L::store(work.to.add(band * wide + vector * L::WIDTH), sum);
            }
        }
    }
}
