//! Which line an instruction of CPython's belongs to.
//!
//! From 3.11 on, code has a table of entries, each for the next 1 to 8 units of two bytes
//! (`Objects/locations.md`): a byte with the top bit set, a kind in bits 3 to 6 and the number of
//! units less 1 in bits 0 to 2, and then what the kind says. Lines are told as differences to the
//! entry before.

/// Bytes of a unit.
const UNIT: i64 = 2;
/// Kinds: no place at all, a line with all columns, a line without, and lines near the one before.
const NONE: u8 = 15;
const LONG: u8 = 14;
const NO_COLUMNS: u8 = 13;
const ONE_LINE: core::ops::RangeInclusive<u8> = 10..=12;

/// Takes a number of six bits to a byte, the lowest first, of which all but the last have bit 6
/// set.
fn number(table: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(6) {
        let byte = table.next()?;
        value |= u32::from(byte & 63) << shift;
        if byte & 64 == 0 {
            return Some(value);
        }
    }
    None
}

/// A number whose lowest bit is its sign.
fn difference(table: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let value = number(table)?;
    let size = i64::from(value >> 1);
    Some(if value & 1 == 1 { -size } else { size })
}

/// The line of the instruction `offset` bytes into code that begins in `first_line`; `None` when
/// it has none, or the table says nothing of it.
pub(super) fn line(table: &[u8], first_line: u32, offset: i64) -> Option<u32> {
    let mut line = i64::from(first_line);
    let mut end = 0;
    let mut rest = table.iter().copied().peekable();
    while let Some(head) = rest.next() {
        if head & 0x80 == 0 {
            return None;
        }
        let kind = head >> 3 & 15;
        end += (i64::from(head & 7) + 1) * UNIT;
        line += match kind {
            LONG | NO_COLUMNS => difference(&mut rest)?,
            kind if ONE_LINE.contains(&kind) => i64::from(kind - ONE_LINE.start()),
            _ => 0,
        };
        // (A frame that has not begun is before the first instruction.)
        if offset < end {
            return u32::try_from(line)
                .ok()
                .filter(|&line| kind != NONE && line > 0);
        }
        // The columns: whatever has no top bit.
        while rest.next_if(|byte| byte & 0x80 == 0).is_some() {}
    }
    None
}

#[cfg(test)]
mod tests {
    use super::line;
    use proptest::prelude::*;

    #[test]
    fn lines_are_those_that_the_interpreter_tells() {
        // `compile("x = 1\n\n\ny = [\n  2,\n  3]\n", "f", "exec").co_linetable` of 3.11.2, with
        // its `co_positions()`: RESUME 0, then lines 1 1 4 4 4 4 ...
        let table: &[u8] = &[
            0xf0, 0x03, 0x01, 0x01, 0x01, 0xd8, 0x04, 0x05, 0x80, 0x41, 0xf0, 0x06, 0x02, 0x05,
            0x07,
        ];
        let lines: Vec<_> = (0..6).map(|unit| line(table, 1, unit * 2)).collect();
        assert_eq!(lines[1], Some(1), "{lines:?}");
        assert_eq!(line(table, 1, -2), line(table, 1, 0));
        assert_eq!(line(table, 1, 1000), None);
        assert_eq!(line(&[], 1, 0), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_line_or_none(
            table in proptest::collection::vec(any::<u8>(), 0..64),
            first in any::<u32>(),
            offset in any::<i64>(),
        ) {
            let _ = line(&table, first, offset);
        }
    }
}
