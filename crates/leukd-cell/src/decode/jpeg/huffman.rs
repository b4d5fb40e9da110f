//! Huffman tables (T.81, annex C).

use super::bits::Bits;
use super::damaged;
use crate::fault::Fault;

/// Codes up to this length are looked up in one step.
const FAST: u32 = 9;

/// One table, ready to decode.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Length and value of the code that a window of [`FAST`] bits begins with; length 0: a longer
    /// code.
    fast: Vec<(u8, u8)>,
    /// The first code beyond each length, shifted to 16 bits; index 0 is length 1.
    limits: [u32; 16],
    /// Number that is added to a code of each length to get its place in `values`.
    places: [i32; 16],
    values: Vec<u8>,
}

impl Table {
    /// A table of `counts[n]` codes with n + 1 bits for `values`, in order.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Result<Self, Fault> {
        let mut fast = vec![(0, 0); 1 << FAST];
        let (mut limits, mut places) = ([0; 16], [0; 16]);
        let (mut code, mut place) = (0_u32, 0_usize);
        for (index, count) in (0_u32..).zip(counts) {
            let (slot, length) = (index as usize, index + 1);
            places[slot] = i32::try_from(place).unwrap_or(0) - i32::try_from(code).unwrap_or(0);
            for _ in 0..*count {
                if code >= 1 << length {
                    return Err(damaged("a Huffman table has more codes than there can be"));
                }
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    let entry = (length as u8, values[place]);
                    fast[first..first + (1 << (FAST - length))].fill(entry);
                }
                code += 1;
                place += 1;
            }
            limits[slot] = code << (16 - length);
            code <<= 1;
        }
        Ok(Self { fast, limits, places, values: values.to_vec() })
    }

    /// The value of the next code.
    pub(super) fn decode(&self, bits: &mut Bits<'_>) -> Result<u8, Fault> {
        let window = bits.peek();
        let (length, value) = self.fast[usize::from(window >> (16 - FAST))];
        if length > 0 {
            bits.skip(length.into())?;
            return Ok(value);
        }
        for length in FAST + 1..=16 {
            let slot = length as usize - 1;
            if u32::from(window) < self.limits[slot] {
                let code = i32::from(window >> (16 - length));
                bits.skip(length)?;
                let place = usize::try_from(code + self.places[slot]).unwrap_or(usize::MAX);
                return self.values.get(place).copied().ok_or_else(bad_code);
            }
        }
        // Zeros behind the end of the data may look like no code.
        bits.skip(16)?;
        Err(bad_code())
    }
}

fn bad_code() -> Fault {
    damaged("its data holds a code that is in no Huffman table")
}
