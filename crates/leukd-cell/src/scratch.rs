//! Memory that the way from bytes to tensor uses again from picture to picture, so that a worker in
//! full swing asks the system for none that grows with the picture.
//! (`tests/pictures/allocations.rs`)

use std::cell::Cell;

use fast_image_resize::Resizer;
use image::RgbImage;

/// A buffer beyond this many bytes is given back to the system: one huge picture shall not cost its
/// size for good. A picture of 1,182 × 1,182 pixels fits.
const MOST_KEPT: usize = 4 << 20;

/// The buffers. Nothing of a picture can be read from them afterwards.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) pixels: Vec<u8>,
    pub(super) numbers: Vec<f32>,
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
    /// `work` with this thread's buffers. Inside itself it finds empty ones, and a panic loses
    /// them: neither does harm.
    pub fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        let mut scratch = OF_THIS_THREAD.take();
        let done = work(&mut scratch);
        scratch.shrink();
        OF_THIS_THREAD.set(scratch);
        done
    }

    /// Takes back the memory of a decoded picture and of its tensor's numbers, for the next
    /// picture.
    pub fn take_back(&mut self, picture: RgbImage, numbers: Vec<f32>) {
        self.pixels = picture.into_raw();
        self.numbers = numbers;
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
    use crate::preprocess::Preprocessing;
    use crate::{Limits, decode, synthetic};

    #[test]
    fn a_huge_picture_leaves_nothing_behind_and_an_ordinary_one_its_room() {
        let sizes = |side: u32| {
            let how = Preprocessing { window: Some(side + 1), ..Preprocessing::b3() };
            let bytes = synthetic::bmp(&RgbImage::new(side, side));
            Scratch::with(|scratch| {
                let picture = decode::decode_with(scratch, &bytes, &Limits::default()).unwrap();
                let tensor = how.tensor_with(scratch, &picture).unwrap();
                scratch.take_back(picture, tensor.data);
            });
            Scratch::with(|scratch| [scratch.pixels.capacity(), scratch.room.whole.capacity()])
        };
        assert!(sizes(450).iter().all(|kept| *kept >= 450 * 450 * 3));
        assert_eq!(sizes(1500), [0, 0]);
    }
}
