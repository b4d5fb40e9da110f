//! Memory that the way from bytes to tensor uses again from picture to picture, so that a worker in full swing asks the
//! system for none that grows with the picture. (`tests/model/allocations.rs`)

use std::cell::Cell;

use fast_image_resize::Resizer;
use image::RgbImage;

use super::decode::{Limits, decode_into};
use super::fault::Fault;
use super::preprocess::{InputTensor, Preprocessing};

/// A buffer beyond this many bytes is given back to the system: one huge picture shall not cost its size for good. A
/// picture of 1,182 × 1,182 pixels fits.
const MOST_KEPT: usize = 4 << 20;

/// The buffers. Nothing of a picture can be read from them afterwards.
#[derive(Debug, Default)]
pub struct Scratch {
    pixels: Vec<u8>,
    numbers: Vec<f32>,
    pub(super) square: Vec<u8>,
    pub(super) room: Room,
}

/// What resizing needs room for.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The window, or the picture made square.
    pub(super) whole: Vec<u8>,
    pub(super) resizer: Resizer,
}

thread_local! {
    static OF_THIS_THREAD: Cell<Scratch> = Cell::default();
}

impl Scratch {
    /// `work` with this thread's buffers. Inside itself it finds empty ones, and a panic loses them: neither does harm.
    pub fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        let mut scratch = OF_THIS_THREAD.take();
        let done = work(&mut scratch);
        scratch.shrink();
        OF_THIS_THREAD.set(scratch);
        done
    }

    /// As [`decode`](super::decode()).
    ///
    /// # Errors
    ///
    /// As [`decode`](super::decode()).
    pub fn decode(&mut self, bytes: &[u8], limits: &Limits) -> Result<RgbImage, Fault> {
        decode_into(bytes, limits, &mut self.pixels)
    }

    /// As [`Preprocessing::tensor`].
    ///
    /// # Errors
    ///
    /// As [`Preprocessing::square`].
    pub fn tensor(
        &mut self,
        how: &Preprocessing,
        picture: &RgbImage,
    ) -> Result<InputTensor, Fault> {
        let square = how.squared(picture, std::mem::take(&mut self.square), &mut self.room)?;
        let tensor = how.numbered(&square, std::mem::take(&mut self.numbers));
        self.square = square.into_raw();
        Ok(tensor)
    }

    /// Takes back what [`Scratch::decode`] and [`Scratch::tensor`] gave, for the next picture.
    pub fn take_back(&mut self, picture: RgbImage, tensor: InputTensor) {
        self.pixels = picture.into_raw();
        self.numbers = tensor.data;
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.pixels, &mut self.square, &mut self.room.whole] {
            if buffer.capacity() > MOST_KEPT {
                *buffer = Vec::new();
            }
        }
        if self.numbers.capacity() * size_of::<f32>() > MOST_KEPT {
            self.numbers = Vec::new();
        }
        if self.room.resizer.size_of_internal_buffers() > MOST_KEPT {
            self.room.resizer.reset_internal_buffers();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_picture_leaves_nothing_behind_and_an_ordinary_one_its_room() {
        let sizes = |side: u32| {
            let how = Preprocessing { window: Some(side + 1), ..Preprocessing::b3() };
            let bytes = crate::synthetic::bmp(&RgbImage::new(side, side));
            Scratch::with(|scratch| {
                let picture = scratch.decode(&bytes, &Limits::default()).unwrap();
                let tensor = scratch.tensor(&how, &picture).unwrap();
                scratch.take_back(picture, tensor);
            });
            Scratch::with(|scratch| [scratch.pixels.capacity(), scratch.room.whole.capacity()])
        };
        assert!(sizes(450).iter().all(|kept| *kept >= 450 * 450 * 3));
        assert_eq!(sizes(1500), [0, 0]);
    }
}
