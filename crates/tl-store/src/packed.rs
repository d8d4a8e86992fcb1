//! Bodies of turns at rest. A body says most things twice: as a field of the record and as an argument of an effect.
//!
//! The first byte is the codec that the kernel writes: 0, plain. The store packs what follows where that saves room,
//! and then writes 1, the length of what it packed, and a block of the published LZ4 format. What leaves the store is
//! what came in, byte for byte, so digests and heads do not depend on how it is kept.

use std::borrow::Cow;

use crate::value::{Cell, FromCell};

/// The kernel's codec byte of a body that is not packed.
const PLAIN: u8 = 0;
/// Ours of a packed one.
const LZ4: u8 = 1;
/// Codec byte and length.
const FRONT: usize = 5;
/// What is shorter gains nothing, bytes.
const SHORT: usize = 128;
/// A length beyond what any value may have is damage, bytes.
const LONGEST: usize = 64 << 20;

/// The body as it is stored.
pub(crate) fn pack(body: &[u8]) -> Cow<'_, [u8]> {
    let Some((&PLAIN, rest)) = body.split_first() else {
        return Cow::Borrowed(body);
    };
    let length = match u32::try_from(rest.len()) {
        Ok(length) if (SHORT..=LONGEST).contains(&rest.len()) => length,
        _ => return Cow::Borrowed(body),
    };
    let mut out = vec![0; FRONT + lz4_flex::block::get_maximum_output_size(rest.len())];
    out[0] = LZ4;
    out[1..FRONT].copy_from_slice(&length.to_le_bytes());
    match lz4_flex::block::compress_into(rest, &mut out[FRONT..]) {
        Ok(packed) if FRONT + packed < body.len() => {
            out.truncate(FRONT + packed);
            Cow::Owned(out)
        }
        _ => Cow::Borrowed(body),
    }
}

/// The body as it was given; `None` when the stored bytes are damaged.
fn unpack(stored: &[u8]) -> Option<Vec<u8>> {
    if stored.first() != Some(&LZ4) {
        return Some(stored.to_vec());
    }
    let (front, block) = stored.split_first_chunk::<FRONT>()?;
    let [_, length @ ..] = *front;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    if length > LONGEST {
        return None;
    }
    let mut body = vec![PLAIN; 1 + length];
    let unpacked = lz4_flex::block::decompress_into(block, &mut body[1..]).ok()?;
    (unpacked == length).then_some(body)
}

/// A body that is read from its column.
pub(crate) struct Unpacked(pub(crate) Vec<u8>);

impl FromCell for Unpacked {
    fn from_cell(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Bytes(stored) => unpack(stored).map(Unpacked),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever comes in comes out, and only what gains is packed.
    #[test]
    fn bodies_come_out_as_they_went_in() {
        let text = b"\0names and values of a lead, and again: ".repeat(20);
        let noise: Vec<u8> = (0_u32..400)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for (body, packed) in [
            (Vec::new(), false),
            (vec![0], false),
            (vec![0, 0x81, 0x80], false),
            (text.clone(), true),
            ([&[0], &noise[..]].concat(), false),
            // A codec of a later kernel is none of ours.
            ([&[7], &text[..]].concat(), false),
            (vec![0; 100_000], true),
        ] {
            let stored = pack(&body);
            assert_eq!(stored.first() == Some(&LZ4), packed, "{} bytes", body.len());
            assert!(stored.len() <= body.len());
            assert_eq!(unpack(&stored), Some(body));
        }
    }

    #[test]
    fn damage_is_seen() {
        let good = pack(&vec![0; 1_000]).into_owned();
        for (what, bytes) in [
            ("no length", vec![LZ4, 1]),
            ("no block", good[..FRONT].to_vec()),
            ("cut off", good[..good.len() - 1].to_vec()),
            ("another length", [&[LZ4, 9], &good[2..]].concat()),
            (
                "a length beyond all",
                [&[LZ4, 255, 255, 255, 255], &good[FRONT..]].concat(),
            ),
        ] {
            assert_eq!(unpack(&bytes), None, "{what}");
        }
    }
}
