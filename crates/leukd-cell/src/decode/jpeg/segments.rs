//! Segments: tables, frame header, scans and what the application segments say (T.81, annex B).

use super::super::limits::Limits;
use super::band::Tables;
use super::block::NATURAL;
use super::frame::{Frame, too_many_scans};
use super::huffman::Table;
use super::scan::Scan;
use super::{cut, damaged};
use crate::complete::jpeg::{is_frame, next_marker};
use crate::complete::tiff::orientation;
use crate::fault::Fault;
use crate::xmp::orientation as of_xmp;

/// Programs write a dozen. Each costs a walk over all blocks, however short it is.
const MAX_SCANS: usize = 300;

/// Adobe's APP14.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adobe {
    pub(super) transform: u8,
}

/// Facts from the segments so far.
#[derive(Debug, Default)]
pub(super) struct Segments {
    tables: Tables,
    pub(super) is_jfif: bool,
    pub(super) adobe: Option<Adobe>,
    /// The orientation in the first Exif data, if they name one, and in the last XMP. As in Pillow,
    /// those behind the first scan do not count.
    pub(super) exif: Option<Option<u8>>,
    pub(super) xmp: Option<u8>,
    has_scan: bool,
}

impl Segments {
    /// Reads a stream that holds tables alone.
    pub(super) fn read_tables(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut at = 2;
        while let Some((marker, after)) = next_marker(bytes, at) {
            if marker == 0xd9 {
                break;
            }
            let content = content(bytes, after)?;
            self.apply(marker, content)?;
            at = after + 2 + content.len();
        }
        Ok(())
    }

    /// Reads a stream up to its EOI, all scans included; without `needs_end` up to its last
    /// complete scan.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        needs_end: bool,
        limits: &Limits,
    ) -> Result<Frame, Fault> {
        let mut frame: Option<Frame> = None;
        let mut scans = 0;
        let mut at = 2;
        loop {
            let Some((marker, after)) = next_marker(bytes, at) else {
                let is_complete = |frame: &Frame| frame.check_complete().is_ok();
                if !needs_end && frame.as_ref().is_some_and(is_complete) {
                    break;
                }
                return Err(cut("it ends before its EOI marker"));
            };
            match marker {
                0xd9 => break,
                // TEM and restart markers have no content, and mean nothing here.
                0x01 | 0xd0..=0xd7 => at = after,
                0xd8 => return Err(damaged("a second JPEG begins inside it")),
                _ => {
                    let content = content(bytes, after)?;
                    at = after + 2 + content.len();
                    match marker {
                        _ if is_frame(marker) => {
                            if frame.is_some() {
                                return Err(damaged("it has two frame headers"));
                            }
                            frame = Some(Frame::new(marker, content, limits)?);
                        }
                        0xda => {
                            let frame = frame.as_mut();
                            let frame =
                                frame.ok_or_else(|| damaged("a scan stands before its frame"))?;
                            scans += 1;
                            self.has_scan = true;
                            if scans > MAX_SCANS {
                                return Err(too_many_scans());
                            }
                            let scan = Scan::new(&self.tables, frame, content)?;
                            at = scan.read(&self.tables, frame, bytes, at)?;
                        }
                        _ => self.apply(marker, content)?,
                    }
                }
            }
        }
        frame.ok_or_else(|| cut("it has no picture before its EOI marker"))
    }

    fn apply(&mut self, marker: u8, content: &[u8]) -> Result<(), Fault> {
        match marker {
            0xc4 => self.huffman(content),
            0xdb => self.quantisation(content),
            0xdd => {
                let &[high, low] = content else {
                    return Err(damaged("its restart interval has not two bytes"));
                };
                self.tables.restart_interval = u16::from_be_bytes([high, low]).into();
                Ok(())
            }
            0xe0 if content.len() >= 14 && content.starts_with(b"JFIF\0") => {
                self.is_jfif = true;
                Ok(())
            }
            0xe1 if self.has_scan => Ok(()),
            0xe1 if let Some(tiff) = content.strip_prefix(b"Exif\0\0") => {
                self.exif.get_or_insert_with(|| orientation(tiff));
                Ok(())
            }
            0xe1 if let Some(xmp) = content.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") => {
                self.xmp = of_xmp(xmp);
                Ok(())
            }
            0xee if content.len() >= 12 && content.starts_with(b"Adobe") => {
                self.adobe = Some(Adobe { transform: content[11] });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn huffman(&mut self, mut content: &[u8]) -> Result<(), Fault> {
        let short = || damaged("a Huffman table is too short");
        while let Some((&place, rest)) = content.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let count = counts.iter().map(|count| usize::from(*count)).sum();
            let (values, rest) = rest.split_at_checked(count).ok_or_else(short)?;
            let tables = if place >> 4 == 0 { &mut self.tables.dc } else { &mut self.tables.ac };
            let slot = tables.get_mut(usize::from(place & 15)).filter(|_| place < 0x20);
            let slot = slot.ok_or_else(|| damaged("a Huffman table has a number above 3"))?;
            if place < 0x10 && values.iter().any(|value| *value > 15) {
                return Err(damaged("a Huffman table has a value above 15"));
            }
            *slot = Some(Table::new(counts, values)?);
            content = rest;
        }
        Ok(())
    }

    fn quantisation(&mut self, mut content: &[u8]) -> Result<(), Fault> {
        let short = || damaged("a quantisation table is too short");
        while let Some((&place, rest)) = content.split_first() {
            let width = if place >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * width).ok_or_else(short)?;
            let slot = self.tables.steps.get_mut(usize::from(place & 15)).filter(|_| place < 0x20);
            let slot = slot.ok_or_else(|| damaged("a quantisation table has a number above 3"))?;
            let mut steps = Box::new([0; 64]);
            for (natural, value) in NATURAL.iter().zip(values.chunks_exact(width)) {
                steps[*natural] = value.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte));
            }
            *slot = Some(steps);
            content = rest;
        }
        Ok(())
    }
}

/// The content of the segment whose length stands at `at`.
fn content(bytes: &[u8], at: usize) -> Result<&[u8], Fault> {
    let short = || cut("it ends inside a segment");
    let length = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(short)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length < 2 {
        return Err(damaged(format!("the segment at byte {at} has no length")));
    }
    bytes.get(at + 2..at + length).ok_or_else(short)
}
