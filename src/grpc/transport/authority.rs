//! The `:authority` that clients send over a Unix socket.
//!
//! A socket has no host name. gRPC's C library (Python, C++, Ruby, PHP) sends the socket's path with
//! `%2F` for each slash, which is no authority (RFC 3986, 3.2), and our HTTP/2 server resets such a
//! stream. Nobody asks for the authority here, so [`NAME`] takes its place.
//!
//! Header fields are compressed against a table that both ends keep (RFC 7541). What is put in is
//! never longer than what was sent: our end of the table then holds at least what the client's does,
//! at the same places, so every later reference is understood.

/// What stands for every authority.
const NAME: &[u8] = b"unix";

/// The first bytes of a connection (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
/// Length, type, flags and stream of a frame (RFC 9113, 4.1).
const HEAD_BYTES: usize = 9;
/// The longest frame that our server takes (its default, and the least that it may say).
const LONGEST: usize = 16_384;

const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
/// Place of `:authority` in the static table (RFC 7541, appendix A).
const AUTHORITY: usize = 1;

/// A client's bytes, frame by frame.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes that pass unread.
    passing: usize,
    /// The head, and of a HEADERS frame the payload, as far as they have come.
    begun: Vec<u8>,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { passing: PREFACE_BYTES, begun: Vec::new() }
    }

    /// What the server is to read for these bytes of the client.
    pub(super) fn take(&mut self, mut bytes: &[u8], into: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.passing > 0 {
                let (own, rest) = bytes.split_at(self.passing.min(bytes.len()));
                into.extend_from_slice(own);
                (self.passing, bytes) = (self.passing - own.len(), rest);
                continue;
            }
            let missing = self.wanted() - self.begun.len();
            let (own, rest) = bytes.split_at(missing.min(bytes.len()));
            self.begun.extend_from_slice(own);
            bytes = rest;
            if self.begun.len() < self.wanted() {
                continue;
            }
            match self.is_headers() {
                true => into.extend(renamed(&self.begun).unwrap_or_else(|| self.begun.clone())),
                false => {
                    into.extend_from_slice(&self.begun);
                    self.passing = length(&self.begun);
                }
            }
            self.begun.clear();
        }
    }

    /// Bytes of this frame that are looked at together.
    fn wanted(&self) -> usize {
        HEAD_BYTES + if self.is_headers() { length(&self.begun) } else { 0 }
    }

    fn is_headers(&self) -> bool {
        self.begun.get(3) == Some(&HEADERS)
            && self.begun.len() >= HEAD_BYTES
            && length(&self.begun) <= LONGEST
    }
}

/// The payload's length, by a frame's head.
fn length(head: &[u8]) -> usize {
    head[..3].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// The HEADERS frame with [`NAME`] for its authority; none where it names none, or cannot be read.
fn renamed(frame: &[u8]) -> Option<Vec<u8>> {
    let (flags, payload) = (frame[4], &frame[HEAD_BYTES..]);
    let padding = if flags & PADDED == 0 { 0 } else { usize::from(*payload.first()?) };
    let before = usize::from(flags & PADDED != 0) + if flags & PRIORITY == 0 { 0 } else { 5 };
    let end = payload.len().checked_sub(padding)?;
    let mut fields = Fields { bytes: payload.get(..end)?, at: before };
    let value = fields.authority()?;
    if value.text.len() < NAME.len() {
        return None;
    }
    let mut renamed = frame[..HEAD_BYTES + value.start].to_vec();
    // Without Huffman's code, and shorter than 127 bytes: one byte says the length.
    renamed.push(NAME.len() as u8);
    renamed.extend_from_slice(NAME);
    renamed.extend_from_slice(&payload[value.text.end..]);
    let length = ((renamed.len() - HEAD_BYTES) as u32).to_be_bytes();
    renamed[..3].copy_from_slice(&length[1..]);
    Some(renamed)
}

/// A string: where it begins with its length, and its bytes behind it.
struct Text {
    start: usize,
    text: std::ops::Range<usize>,
}

/// Compressed header fields, one after the other (RFC 7541, 6).
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    /// The value of the first field that spells out its authority.
    fn authority(&mut self) -> Option<Text> {
        loop {
            let first = *self.bytes.get(self.at)?;
            let prefix = match first {
                // A field that stands in the table, and a new size of the table.
                0x80.. => 7,
                0x20..=0x3f => 5,
                0x40..=0x7f => 6,
                0..=0x1f => 4,
            };
            let index = self.number(prefix)?;
            if matches!(prefix, 7 | 5) {
                continue;
            }
            // gRPC's C library spells the name out.
            let named = match index {
                0 => self.string().is_some_and(|name| &self.bytes[name.text] == b":authority"),
                _ => index == AUTHORITY,
            };
            let value = self.string()?;
            if named {
                return Some(value);
            }
        }
    }

    fn string(&mut self) -> Option<Text> {
        let start = self.at;
        let length = self.number(7)?;
        let text = self.at..self.at.checked_add(length)?;
        self.at = text.end;
        (text.end <= self.bytes.len()).then_some(Text { start, text })
    }

    /// A whole number whose first bits are the last `prefix` of a byte (RFC 7541, 5.1).
    fn number(&mut self, prefix: u32) -> Option<usize> {
        let most = (1_usize << prefix) - 1;
        let mut number = usize::from(*self.bytes.get(self.at)?) & most;
        self.at += 1;
        if number < most {
            return Some(number);
        }
        // Four more bytes are 28 bits: no frame is as long.
        for shift in [0, 7, 14, 21] {
            let byte = usize::from(*self.bytes.get(self.at)?);
            self.at += 1;
            number += (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// `:method POST` and `:scheme http` from the table, `:path /x`, this authority, `te`, and a
    /// new name with a long value.
    fn fields(name: &[u8], authority: &[u8]) -> Vec<u8> {
        let long = [&[0x40, 1, b'a', 0x7f, 73], [b'b'; 200].as_slice()].concat();
        let own = [name, &[authority.len() as u8], authority].concat();
        [
            &[0x3f, 0xe1, 0x1f, 0x83, 0x86, 0x44, 2, b'/', b'x'],
            &long[..],
            &own[..],
            b"\x00\x02te\x01x",
        ]
        .concat()
    }

    /// What comes out of `bytes`, in parts of each length.
    fn through(bytes: &[u8]) -> Vec<u8> {
        let all: Vec<Vec<u8>> = [1, 2, 7, 10_000]
            .map(|part| {
                let (mut frames, mut out) = (Frames::new(), Vec::new());
                bytes.chunks(part).for_each(|part| frames.take(part, &mut out));
                out
            })
            .to_vec();
        assert!(all.iter().all(|one| *one == all[0]));
        all[0].clone()
    }

    /// The field's name, by its place in the static table and spelt out.
    const KNOWN: &[u8] = &[0x41];
    const SPELT: &[u8] = b"\x40\x0a:authority";

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    #[test]
    fn a_sockets_path_becomes_a_name_and_nothing_else_changes() {
        let (settings, data) = (frame(4, 0, &[0; 6]), frame(0, 1, &[1; 40_000]));
        let sent = |name: &[u8], authority: &[u8], flags, before: &[u8], behind: &[u8]| {
            let payload = [before, &fields(name, authority), behind].concat();
            [PREFACE, &settings, &frame(1, flags, &payload), &data].concat()
        };
        let path = b"%2Frun%2Fleukd%2Fleukd.sock";
        for (flags, before, behind) in [
            (4, [].as_slice(), [].as_slice()),
            (4 | PRIORITY, &[0, 0, 0, 0, 16], &[]),
            (4 | PADDED, &[3], &[0; 3]),
            (4 | PADDED | PRIORITY, &[2, 0, 0, 0, 0, 16], &[0; 2]),
        ] {
            for name in [KNOWN, SPELT] {
                let told = through(&sent(name, path, flags, before, behind));
                assert_eq!(told, sent(name, NAME, flags, before, behind));
            }
        }
    }

    #[test]
    fn what_cannot_be_read_passes_as_it_came() {
        let (whole, cut) = (fields(KNOWN, b"%2Fa%2Fb"), frame(1, 4, &[0x41, 30, b'a']));
        let none = frame(1, 4, &[0x83, 0x86, 0xc1]);
        let short = frame(1, 4, &fields(KNOWN, b"ab"));
        let endless = frame(1, 4, &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        let padded = frame(1, PADDED, &[255, 1]);
        let long = frame(1, 4, &[whole, vec![0; LONGEST]].concat());
        for frame in [cut, none, short, endless, padded, long, Vec::new()] {
            let sent = [PREFACE, &frame, &super::tests::frame(6, 0, &[0; 8])].concat();
            assert_eq!(through(&sent), sent);
        }
    }
}
