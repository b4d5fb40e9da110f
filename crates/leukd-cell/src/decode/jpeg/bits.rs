//! The bits of entropy-coded data, up to the next marker.

use super::cut;
use crate::complete::jpeg::next_marker;
use crate::fault::Fault;

/// Zero bytes in a row that no encoder writes into a scan which does not end with its last block.
/// By chance 16 zeros begin at one place of random bytes in 1 of 2^128 cases.
const FILLED: usize = 16;

/// Zero bytes of that run that were read as blocks.
const READ: usize = 4;

/// Bits of a scan. A byte 0xff is followed by a stuffed 0x00; anything else there is a marker.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Beginning of this scan, or of its part since the last restart.
    start: usize,
    /// The first byte that is not in `buffer`.
    at: usize,
    /// The next bit is the highest one.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, start: at, at, buffer: 0, count: 0 }
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
        self.end()?;
        (self.buffer, self.count) = (0, 0);
        let Some((marker, after)) = next_marker(self.bytes, self.at) else {
            return Err(cut("its data ends before the last block of a scan"));
        };
        if marker == expected {
            (self.start, self.at) = (after, after);
            return Ok(());
        }
        let is_restart = matches!(marker, 0xd0..=0xd7);
        if !is_restart {
            return Err(cut("its data ends before the last block of a scan"));
        }
        let (found, expected) = (marker & 7, expected & 7);
        Err(super::damaged(format!("restart marker {found} stands where {expected} should be")))
    }

    /// Says after the last block that this is where the data may end.
    ///
    /// A copy that stopped, or a hole on the disk, leaves zeros where data were, and zeros are
    /// codes: they give blocks of nothing. There are more of them than those blocks need, so that
    /// bytes are left. libjpeg passes such bytes over, and so does this where no zeros were read as
    /// blocks.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.fill();
        let left = self.count as usize / 8;
        let unread = self.at.saturating_sub(left);
        if left == 0 {
            return Ok(());
        }
        let mut run = 0;
        let data = self.bytes.iter().enumerate().skip(self.start);
        for (at, byte) in data.take_while(|(at, byte)| *at < self.at || **byte == 0) {
            run = if *byte == 0 { run + 1 } else { 0 };
            // The run began among bytes that were read as blocks.
            if run >= FILLED && at + 1 - run + READ <= unread {
                return Err(cut(format!("{run} zero bytes stand where its picture goes on")));
            }
        }
        Ok(())
    }

    /// The first byte that was not decoded.
    pub(super) const fn position(&self) -> usize {
        self.at
    }
}
