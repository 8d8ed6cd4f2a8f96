//! Texts and bytes of CPython's.

use super::{Interpreter, Layout, TYPE};
use crate::stack::walk::read;
use mapgrow_format::layout::script;
use mapgrow_system::sys::Text;

/// Where an object of several parts has their number, and bytes their first one
/// (`PyVarObject`, `PyBytesObject`).
const LENGTH: u64 = 16;
const FIRST_BYTE: u64 = 32;
/// Where a text says how it is kept (`PyASCIIObject`): bytes of a character in bits 2 to 4, whether
/// the characters follow, and whether all are ASCII.
const STATE: u64 = 32;
/// Larger objects are none.
const LONGEST: u64 = 1 << 24;

/// Bytes kept of a text, the NUL that ends it included.
const KEPT: usize = if script::FILE_WORDS > script::FUNCTION_WORDS {
    script::FILE_WORDS * 8
} else {
    script::FUNCTION_WORDS * 8
};

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
    // SAFETY: the caller's contract; a bytes object has its length, and as many bytes.
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

/// The end of a text, as much as is kept; nothing when the object is none.
///
/// # Safety
/// `object` is 0 or an object of CPython's.
pub(super) unsafe fn text(
    interpreter: &Interpreter,
    layout: &Layout,
    object: u64,
    most: usize,
) -> Text<KEPT> {
    let mut text = Text::new();
    // SAFETY: the caller's contract; a text has its length and its state, which says where its
    // characters are and of how many bytes.
    unsafe {
        if !is_a(object, interpreter.text_type) {
            return text;
        }
        let length = read(object.wrapping_add(LENGTH));
        let state = read(object.wrapping_add(STATE));
        let (size, compact, ascii) = (state >> 2 & 7, state >> 5 & 1 == 1, state >> 6 & 1 == 1);
        if length > LONGEST || !compact || !matches!(size, 1 | 2 | 4) {
            return text;
        }
        let first = object.wrapping_add(if ascii { layout.ascii } else { layout.other });
        // A character of ASCII takes a byte, one of the first 256 two, and so on.
        let widest = if ascii { 1 } else { size.min(3) + 1 };
        let kept = length.min((most as u64 - 1) / widest);
        for index in length - kept..length {
            let address = first.wrapping_add(index * size);
            let word = read(address & !7) >> (address % 8 * 8);
            let character = match size {
                1 => word as u8 as u32,
                2 => word as u16 as u32,
                _ => word as u32,
            };
            let character = char::from_u32(character).unwrap_or(char::REPLACEMENT_CHARACTER);
            text.push(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    text
}
