//! The bits of entropy-coded data, up to the next marker.

use super::cut;
use crate::complete::jpeg::next_marker;
use crate::fault::Fault;

/// Bits of a scan. A byte 0xff is followed by a stuffed 0x00; anything else there is a marker.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The first byte that is not in `buffer`.
    at: usize,
    /// The next bit is the highest one.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, count: 0 }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            if byte == 0xff {
                // Any number of 0xff may stand before the byte that decides.
                let rest = &self.bytes[self.at + 1..];
                let Some(fill) = rest.iter().position(|byte| *byte != 0xff) else { return };
                if rest[fill] != 0 {
                    return;
                }
                self.at += fill + 1;
            }
            self.at += 1;
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next 16 bits, followed by zeros where the data ends.
    pub(super) fn peek(&mut self) -> u16 {
        if self.count < 16 {
            self.fill();
        }
        (self.buffer >> 48) as u16
    }

    pub(super) fn skip(&mut self, count: u32) -> Result<(), Fault> {
        if count > self.count {
            return Err(cut("its data ends before the last block of a scan"));
        }
        self.buffer <<= count;
        self.count -= count;
        Ok(())
    }

    /// `count` bits, at most 16.
    pub(super) fn take(&mut self, count: u32) -> Result<i32, Fault> {
        if count == 0 {
            return Ok(0);
        }
        let value = i32::from(self.peek() >> (16 - count));
        self.skip(count)?;
        Ok(value)
    }

    pub(super) fn bit(&mut self) -> Result<bool, Fault> {
        Ok(self.take(1)? != 0)
    }

    /// `count` bits as a signed difference (T.81, figure F.12).
    pub(super) fn difference(&mut self, count: u32) -> Result<i32, Fault> {
        let value = self.take(count)?;
        let is_negative = count > 0 && value < 1 << (count - 1);
        Ok(if is_negative { value - (1 << count) + 1 } else { value })
    }

    /// Drops what is left before the next marker and steps over that, which must be `RSTn`.
    pub(super) fn restart(&mut self, expected: u8) -> Result<(), Fault> {
        (self.buffer, self.count) = (0, 0);
        let Some((marker, after)) = next_marker(self.bytes, self.at) else {
            return Err(cut("its data ends before the last block of a scan"));
        };
        if marker == expected {
            self.at = after;
            return Ok(());
        }
        let is_restart = matches!(marker, 0xd0..=0xd7);
        if !is_restart {
            return Err(cut("its data ends before the last block of a scan"));
        }
        let (found, expected) = (marker & 7, expected & 7);
        Err(super::damaged(format!("restart marker {found} stands where {expected} should be")))
    }

    /// The first byte that was not decoded.
    pub(super) const fn position(&self) -> usize {
        self.at
    }
}
