//! TIFF: every directory of the chain, and every value, strip and tile that they point at, lies inside
//! the file (Adobe TIFF 6.0, section 2). Writers put the directory last, or rewrite the header's
//! offset at the very end: until then the chain leads nowhere.

use super::{Format, Walked, corrupt, take, truncated};

const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const STRIP_OFFSETS: u16 = 273;
const STRIP_BYTE_COUNTS: u16 = 279;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;

/// A chain longer than this is a loop, or nothing that a microscope exports.
const MOST_DIRECTORIES: usize = 4096;
const ENTRY: usize = 12;

pub(super) fn walk(bytes: &[u8], dimensions: &mut Option<(u32, u32)>) -> Walked {
    let file = File { bytes, big_endian: bytes.starts_with(b"MM") };
    let mut at = file.u32(4).ok_or_else(|| short("its header"))?;
    if at == 0 {
        return Err(truncated(Format::Tiff, "its header does not point at a directory yet"));
    }
    for index in 0..MOST_DIRECTORIES {
        at = file.directory(at, (index == 0).then_some(&mut *dimensions))?;
        if at == 0 {
            return Ok(());
        }
    }
    Err(corrupt(Format::Tiff, "its directories form a loop"))
}

fn short(what: &str) -> super::Fault {
    truncated(Format::Tiff, format!("it ends before {what}"))
}

struct File<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

/// One directory entry whose values lie inside the file.
#[derive(Clone, Copy)]
struct Entry {
    /// Bytes of one value.
    width: usize,
    count: usize,
    values_at: usize,
}

impl File<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let raw = take(self.bytes, at)?;
        Some(if self.big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let raw = take(self.bytes, at)?;
        Some(if self.big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }

    /// Checks the directory at `at` and gives the place of the next one, 0 after the last.
    fn directory(
        &self,
        at: u32,
        dimensions: Option<&mut Option<(u32, u32)>>,
    ) -> Result<u32, super::Fault> {
        let at = usize::try_from(at).map_err(|_| short("its directory"))?;
        let count = usize::from(self.u16(at).ok_or_else(|| short("its directory"))?);
        let next_at = at + 2 + count * ENTRY;
        let next = self.u32(next_at).ok_or_else(|| short("the end of its directory"))?;
        if count == 0 {
            return Err(truncated(Format::Tiff, "its directory is empty"));
        }
        let (mut width, mut height) = (None, None);
        let mut parts: [Option<Entry>; 4] = [None; 4];
        for index in 0..count {
            let entry_at = at + 2 + index * ENTRY;
            let Some((tag, entry)) = self.entry(entry_at)? else { continue };
            match tag {
                IMAGE_WIDTH => width = self.value(entry, 0),
                IMAGE_LENGTH => height = self.value(entry, 0),
                STRIP_OFFSETS => parts[0] = Some(entry),
                STRIP_BYTE_COUNTS => parts[1] = Some(entry),
                TILE_OFFSETS => parts[2] = Some(entry),
                TILE_BYTE_COUNTS => parts[3] = Some(entry),
                _ => {}
            }
        }
        if let (Some(into), Some(width), Some(height)) = (dimensions, width, height) {
            *into = Some((width, height));
        }
        match parts {
            [Some(offsets), Some(sizes), _, _] => self.data("strip", offsets, sizes)?,
            [_, _, Some(offsets), Some(sizes)] => self.data("tile", offsets, sizes)?,
            _ => {
                let what = "a directory does not say where its strips or tiles are and how long";
                return Err(corrupt(Format::Tiff, what));
            }
        }
        Ok(next)
    }

    /// The entry at `at`; none when its type is unknown, as section 2 asks of readers.
    fn entry(&self, at: usize) -> Result<Option<(u16, Entry)>, super::Fault> {
        let cut = || short("the end of its directory");
        let tag = self.u16(at).ok_or_else(cut)?;
        let width = match self.u16(at + 2).ok_or_else(cut)? {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => return Ok(None),
        };
        let missing =
            || truncated(Format::Tiff, format!("the values of tag {tag} lie beyond its end"));
        let count = usize::try_from(self.u32(at + 4).ok_or_else(cut)?).map_err(|_| missing())?;
        let length = count.checked_mul(width).ok_or_else(missing)?;
        let values_at = if length <= 4 {
            at + 8
        } else {
            usize::try_from(self.u32(at + 8).ok_or_else(cut)?).map_err(|_| missing())?
        };
        if values_at.checked_add(length).is_none_or(|end| end > self.bytes.len()) {
            return Err(missing());
        }
        Ok(Some((tag, Entry { width, count, values_at })))
    }

    /// The value of a SHORT or LONG entry; none for other types.
    fn value(&self, entry: Entry, index: usize) -> Option<u32> {
        if index >= entry.count {
            return None;
        }
        let at = entry.values_at + index * entry.width;
        match entry.width {
            2 => self.u16(at).map(u32::from),
            4 => self.u32(at),
            _ => None,
        }
    }

    fn data(&self, part: &str, offsets: Entry, sizes: Entry) -> Walked {
        if offsets.count == 0 || offsets.count != sizes.count {
            let what =
                format!("it has {} {part} offsets and {} {part} sizes", offsets.count, sizes.count);
            return Err(corrupt(Format::Tiff, what));
        }
        for index in 0..offsets.count {
            let (Some(offset), Some(size)) = (self.value(offsets, index), self.value(sizes, index))
            else {
                let what = format!("the {part} offsets or sizes have a wrong type");
                return Err(corrupt(Format::Tiff, what));
            };
            if offset == 0 || size == 0 {
                let what = format!("{part} {index} is not written yet");
                return Err(truncated(Format::Tiff, what));
            }
            if u64::from(offset) + u64::from(size) > self.bytes.len() as u64 {
                return Err(truncated(Format::Tiff, format!("{part} {index} lies beyond its end")));
            }
        }
        Ok(())
    }
}
