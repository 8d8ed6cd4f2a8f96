//! Texts and bytes of CPython's.

use super::layout::Layout;
use super::{Interpreter, TYPE};
use crate::stack::walk::read;

/// Where an object of several parts has their number, and bytes their first one
/// (`PyVarObject`, `PyBytesObject`).
const LENGTH: u64 = 16;
const FIRST_BYTE: u64 = 32;
/// Where a text says how it is kept (`PyASCIIObject`): bytes of a character in bits 2 to 4, whether
/// the characters follow, and whether all are ASCII.
const STATE: u64 = 32;
/// Larger objects are none.
const LONGEST: u64 = 1 << 24;
/// Words at the end of a text that tell it from others.
const TELLING: u64 = 40;

/// How a text is kept.
#[derive(Clone, Copy)]
struct Kept {
    /// Address of the first character.
    first: u64,
    /// Characters.
    length: u64,
    /// Bytes of each.
    size: u64,
    ascii: bool,
}

/// How a text is kept; `None` when it is in no way that is known.
fn kept<E>(
    layout: &Layout,
    object: u64,
    read: &mut impl FnMut(u64) -> Result<u64, E>,
) -> Result<Option<Kept>, E> {
    let length = read(object.wrapping_add(LENGTH))?;
    let state = read(object.wrapping_add(STATE))?;
    let (size, compact, ascii) = (state >> 2 & 7, state >> 5 & 1 == 1, state >> 6 & 1 == 1);
    if length > LONGEST || !compact || !matches!(size, 1 | 2 | 4) {
        return Ok(None);
    }
    Ok(Some(Kept {
        first: object.wrapping_add(if ascii { layout.ascii } else { layout.other }),
        length,
        size,
        ascii,
    }))
}

/// What the end of a text reads as, and whether it begins as that of a module that imports others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) hash: u64,
    pub(super) imports: bool,
}

/// Reads a text word by word.
pub(super) fn digest<E>(
    layout: &Layout,
    object: u64,
    read: &mut impl FnMut(u64) -> Result<u64, E>,
) -> Result<Digest, E> {
    // The modules of Python's import that it carries itself.
    const IMPORTS: [[u64; 2]; 2] = [
        [word(b"<frozen "), word(b"importli")],
        [word(b"<frozen "), word(b"zipimpor")],
    ];
    let Some(kept) = kept(layout, object, read)? else {
        return Ok(Digest {
            hash: 1,
            imports: false,
        });
    };
    let bytes = kept.length * kept.size;
    let words = bytes.div_ceil(8);
    let from = words.saturating_sub(TELLING);
    let mut hash = bytes;
    let mut first = [0; 2];
    for index in from..words {
        let mut value = read(kept.first.wrapping_add(index * 8))?;
        // Behind the last character lies anything.
        let rest = bytes - index * 8;
        if rest < 8 {
            value &= (1 << (rest * 8)) - 1;
        }
        if let Some(place) = first.get_mut(index as usize) {
            *place = value;
        }
        hash = super::mix(hash, value);
    }
    Ok(Digest {
        hash,
        imports: kept.ascii && IMPORTS.contains(&first),
    })
}

const fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// Whether an object is of a type.
///
/// # Safety
/// `object` is 0 or an object.
unsafe fn is_a(object: u64, kind: usize) -> bool {
    // SAFETY: every object has its type there.
    object != 0 && unsafe { read(object.wrapping_add(TYPE)) } == kind as u64
}

/// What a bytes object holds; nothing when it is none.
///
/// # Safety
/// `object` is 0 or an object of CPython's, which lives as long as what is returned.
pub(super) unsafe fn bytes<'o>(interpreter: &Interpreter, object: u64) -> &'o [u8] {
    // SAFETY: `object` is 0 or a live object (this contract); a bytes object has its length, and as
    // many bytes.
    unsafe {
        if !is_a(object, interpreter.bytes_type) {
            return &[];
        }
        let length = read(object.wrapping_add(LENGTH));
        if length > LONGEST {
            return &[];
        }
        let first = core::ptr::with_exposed_provenance(object.wrapping_add(FIRST_BYTE) as usize);
        core::slice::from_raw_parts(first, length as usize)
    }
}

/// Gives the end of a text as UTF-8, at most `most` bytes; nothing when the object is none.
///
/// # Safety
/// `object` is 0 or an object of CPython's.
pub(super) unsafe fn text(
    interpreter: &Interpreter,
    layout: &Layout,
    object: u64,
    most: usize,
    mut take: impl FnMut(u8),
) {
    // SAFETY: `object` is 0 or an object (this contract); a text has its length and its state,
    // which says where its characters are and of how many bytes.
    unsafe {
        if !is_a(object, interpreter.text_type) {
            return;
        }
        let mut word = |address| Ok::<_, core::convert::Infallible>(read(address));
        let Ok(Some(kept)) = kept(layout, object, &mut word) else {
            return;
        };
        // A character of ASCII takes a byte, one of the first 256 two, and so on.
        let widest = if kept.ascii { 1 } else { kept.size.min(3) + 1 };
        let count = kept.length.min(most as u64 / widest);
        for index in kept.length - count..kept.length {
            let address = kept.first.wrapping_add(index * kept.size);
            let word = read(address & !7) >> (address % 8 * 8);
            let character = match kept.size {
                1 => word as u8 as u32,
                2 => word as u16 as u32,
                _ => word as u32,
            };
            let character = char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER);
            let mut bytes = [0; 4];
            character
                .encode_utf8(&mut bytes)
                .bytes()
                .for_each(&mut take);
        }
    }
}
