//! Directories and their entries, classic and BigTIFF.

use super::{damaged, short};
use crate::fault::Fault;
use crate::structure::take;

/// The bytes, and how numbers stand in them.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_big_endian: bool,
    /// BigTIFF: offsets and counts have 64 bits.
    is_wide: bool,
}

/// One directory. Entries whose type is unknown have no values, as section 2 asks of readers.
#[derive(Debug)]
pub(super) struct Directory<'a> {
    pub(super) file: File<'a>,
    entries: Vec<(u16, Entry)>,
    /// Tags whose values lie outside the file.
    outside: Vec<u16>,
    /// Offset of the next one; 0 after the last.
    pub(super) next: u64,
}

/// Values that lie inside the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Bytes of one value.
    width: usize,
    pub(crate) count: usize,
    at: usize,
    pub(super) kind: u16,
}

const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const FLOAT: u16 = 11;
const RATIONAL: u16 = 5;
/// Types that libtiff takes for a whole number: bytes, shorts, longs and BigTIFF's, signed ones
/// too.
const WHOLE_NUMBERS: [u16; 8] = [1, 3, 4, 6, 8, 9, 16, 17];

impl<'a> File<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let is_big_endian = bytes.starts_with(b"MM");
        let mut file = Self { bytes, is_big_endian, is_wide: false };
        match file.u16(2).ok_or_else(|| short("the end of its header"))? {
            42 => {}
            43 if file.u16(4) == Some(8) => file.is_wide = true,
            _ => return Err(damaged("its header is no TIFF header")),
        }
        Ok(file)
    }

    pub(super) fn first_directory(&self) -> Result<u64, Fault> {
        let at = if self.is_wide { self.u64(8) } else { self.u32(4).map(u64::from) };
        match at.ok_or_else(|| short("the end of its header"))? {
            0 => Err(short("its directory: the header does not point at one yet")),
            at => Ok(at),
        }
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let raw = take(self.bytes, at)?;
        Some(if self.is_big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let raw = take(self.bytes, at)?;
        Some(if self.is_big_endian { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) })
    }

    fn u64(&self, at: usize) -> Option<u64> {
        let raw = take(self.bytes, at)?;
        Some(if self.is_big_endian { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) })
    }

    /// A count or an offset.
    fn word(&self, at: usize) -> Option<u64> {
        if self.is_wide { self.u64(at) } else { self.u32(at).map(u64::from) }
    }

    pub(super) fn directory(&self, at: u64) -> Result<Directory<'a>, Fault> {
        let (counter, entry, word) = if self.is_wide { (8, 20, 8) } else { (2, 12, 4) };
        let cut = || short("the end of its directory");
        let at = usize::try_from(at).map_err(|_| short("its directory"))?;
        let count = if self.is_wide { self.u64(at) } else { self.u16(at).map(u64::from) };
        let count = count.ok_or_else(|| short("its directory"))?;
        let count = usize::try_from(count).map_err(|_| cut())?;
        let length = count.checked_mul(entry).ok_or_else(cut)?;
        let next_at = at.checked_add(counter).and_then(|at| at.checked_add(length));
        let next_at = next_at.ok_or_else(cut)?;
        // libtiff takes a pointer that is not there for the end of the chain.
        let next = self.word(next_at).unwrap_or(0);
        if count == 0 {
            return Err(short("its directory is filled: it has no entry yet"));
        }
        if next_at > self.bytes.len() {
            return Err(cut());
        }
        let (mut entries, mut outside) = (Vec::with_capacity(count), Vec::new());
        for index in 0..count {
            match self.entry(at + counter + index * entry, word) {
                Some(Ok(entry)) => entries.push(entry),
                Some(Err(tag)) => outside.push(tag),
                None => return Err(cut()),
            }
        }
        Ok(Directory { file: *self, entries, outside, next })
    }

    /// The first directory, as far as it can be read: of Exif data one entry is wanted, and what is
    /// wrong with another one changes nothing in it.
    pub(super) fn readable_entries(&self) -> Option<Directory<'a>> {
        let at = usize::try_from(self.first_directory().ok()?).ok()?;
        let count = usize::from(self.u16(at)?);
        let places = (0..count).map(|index| at + 2 + index * 12);
        let places = places.take_while(|place| place + 12 <= self.bytes.len());
        let entries = places.filter_map(|place| self.entry(place, 4)?.ok()).collect();
        Some(Directory { file: *self, entries, outside: Vec::new(), next: 0 })
    }

    /// The entry at `at`, or its tag where its values lie outside the file.
    fn entry(&self, at: usize, word: usize) -> Option<Result<(u16, Entry), u16>> {
        let tag = self.u16(at)?;
        let kind = self.u16(at + 2)?;
        let width = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | FLOAT | 13 => 4,
            RATIONAL | 10 | 12 | 16..=18 => 8,
            _ => return Some(Ok((tag, Entry { width: 1, count: 0, at, kind }))),
        };
        let inside = || {
            let count = usize::try_from(self.word(at + 4)?).ok()?;
            let length = count.checked_mul(width)?;
            let mut place = at + 4 + word;
            if length > word {
                place = usize::try_from(self.word(place)?).ok()?;
            }
            let end = place.checked_add(length)?;
            (end <= self.bytes.len()).then_some((tag, Entry { width, count, at: place, kind }))
        };
        Some(inside().ok_or(tag))
    }

    /// One value of an entry of whole numbers.
    pub(super) fn number(&self, entry: Entry, index: usize) -> Option<u64> {
        if index >= entry.count {
            return None;
        }
        let at = entry.at + index * entry.width;
        match (entry.width, entry.kind) {
            (_, FLOAT | RATIONAL | 2 | 7 | 10 | 12) => None,
            (1, _) => self.bytes.get(at).map(|byte| u64::from(*byte)),
            (2, _) => self.u16(at).map(u64::from),
            (4, _) => self.u32(at).map(u64::from),
            _ => self.u64(at),
        }
    }
}

impl<'a> Directory<'a> {
    /// Refuses a directory that lacks the values of one of `tags`; those of others are not needed,
    /// as in libtiff.
    pub(super) fn check_values(&self, tags: &[u16]) -> Result<(), Fault> {
        if let Some(tag) = self.outside.iter().find(|tag| tags.contains(tag)) {
            return Err(short(format!("the values of tag {tag}")));
        }
        Ok(())
    }

    /// Refuses a directory in which one of `tags` is not of whole numbers.
    pub(super) fn check_types(&self, tags: &[u16]) -> Result<(), Fault> {
        let is_wrong = |(tag, entry): &&(u16, Entry)| {
            tags.contains(tag) && !WHOLE_NUMBERS.contains(&entry.kind)
        };
        match self.entries.iter().find(is_wrong) {
            Some((tag, entry)) => {
                Err(damaged(format!("tag {tag} has type {}, which is not for numbers", entry.kind)))
            }
            None => Ok(()),
        }
    }

    pub(super) fn entry(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|(found, _)| *found == tag).map(|(_, entry)| *entry)
    }

    /// The first value of `tag`.
    pub(super) fn value(&self, tag: u16) -> Option<u64> {
        self.entry(tag).and_then(|entry| self.file.number(entry, 0))
    }

    /// All values of `tag`, which are whole numbers.
    pub(super) fn values(&self, tag: u16) -> Vec<u64> {
        let Some(entry) = self.entry(tag) else { return Vec::new() };
        (0..entry.count).map_while(|index| self.file.number(entry, index)).collect()
    }

    /// The values of `tag` as fractions.
    pub(super) fn fractions(&self, tag: u16) -> Vec<f32> {
        let Some(entry) = self.entry(tag) else { return Vec::new() };
        let one = |index: usize| match entry.kind {
            RATIONAL => {
                let at = entry.at + index * 8;
                let (above, below) = (self.file.u32(at)?, self.file.u32(at + 4)?);
                Some(if below == 0 { 0.0 } else { above as f32 / below as f32 })
            }
            FLOAT => self.file.u32(entry.at + index * 4).map(f32::from_bits),
            _ => self.file.number(entry, index).map(|value| value as f32),
        };
        (0..entry.count).map_while(one).collect()
    }

    /// The bytes of `tag`.
    pub(super) fn bytes(&self, tag: u16) -> &'a [u8] {
        let Some(entry) = self.entry(tag) else { return &[] };
        self.file.bytes.get(entry.at..entry.at + entry.count * entry.width).unwrap_or_default()
    }

    pub(super) fn sides(&self) -> Option<(u64, u64)> {
        Some((self.value(IMAGE_WIDTH)?, self.value(IMAGE_LENGTH)?))
    }
}
