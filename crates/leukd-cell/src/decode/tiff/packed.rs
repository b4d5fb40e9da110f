//! LZW and PackBits.

use std::io::{self, Read};

use weezl::decode::Decoder;
use weezl::{BitOrder, LzwStatus};

/// The first `needed` bytes of LZW data, or as many as there are: codes from the highest bit on,
/// with TIFF's early change of their length. All at once, as weezl stops early when it is asked for
/// a few bytes at a time.
pub(super) fn lzw(data: &[u8], needed: usize) -> Vec<u8> {
    let mut decoder = Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    let mut found = vec![0; needed];
    let (mut at, mut length) = (0, 0);
    while length < needed {
        let done = decoder.decode_bytes(&data[at..], &mut found[length..]);
        at += done.consumed_in;
        length += done.consumed_out;
        let has_moved = done.consumed_in + done.consumed_out > 0;
        if !matches!(done.status, Ok(LzwStatus::Ok)) || !has_moved {
            break;
        }
    }
    found.truncate(length);
    found
}

/// Runs of bytes (TIFF 6.0, section 9).
pub(super) struct PackBits<R> {
    data: R,
    /// Bytes that are left of a run: as they stand, or one again and again.
    left: usize,
    repeated: Option<u8>,
}

impl<R: Read> PackBits<R> {
    pub(super) const fn new(data: R) -> Self {
        Self { data, left: 0, repeated: None }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.data.read(&mut byte)? == 1).then_some(byte[0]))
    }
}

impl<R: Read> Read for PackBits<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let Some(code) = self.byte()? else { return Ok(0) };
            match code {
                0..=127 => (self.left, self.repeated) = (usize::from(code) + 1, None),
                128 => {}
                _ => {
                    let Some(byte) = self.byte()? else { return Ok(0) };
                    (self.left, self.repeated) = (257 - usize::from(code), Some(byte));
                }
            }
        }
        let count = self.left.min(to.len());
        let count = match self.repeated {
            Some(byte) => {
                to[..count].fill(byte);
                count
            }
            None => self.data.read(&mut to[..count])?,
        };
        self.left -= count;
        Ok(count)
    }
}
