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
    use super::{UNIT, line};
    use proptest::prelude::*;

    /// Tables of one function with several statements over several lines, as two versions wrote
    /// them, and what `co_positions` says of each unit (0: no line).
    const TABLES: [(&[u8], &[u32]); 2] = [
        // 3.11.2
        (
            &[
                128, 0, 224, 8, 9, 216, 8, 9, 136, 65, 137, 5, 240, 5, 3, 9, 6, 128, 65, 240, 8, 0,
                8, 9, 240, 0, 5, 5, 18, 240, 2, 4, 9, 18, 221, 19, 20, 144, 81, 216, 21, 22, 241,
                3, 1, 20, 24, 244, 0, 1, 20, 24, 240, 6, 0, 17, 18, 136, 65, 136, 65, 248, 144, 1,
                136, 65, 136, 69, 136, 69, 136, 69, 136, 69, 216, 13, 14, 240, 0, 1, 5, 13, 240, 0,
                1, 5, 13, 136, 1, 216, 8, 12, 240, 2, 1, 12, 24, 240, 0, 1, 12, 24, 216, 21, 22,
                240, 3, 1, 12, 24, 241, 0, 1, 12, 24, 244, 0, 1, 12, 24, 240, 0, 1, 5, 24,
            ],
            &[
                1, 3, 4, 4, 4, 4, 2, 2, 6, 6, 7, 8, 8, 8, 8, 8, 8, 8, 9, 8, 8, 8, 8, 8, 8, 8, 11,
                11, 11, 0, 11, 11, 11, 11, 11, 11, 12, 12, 12, 12, 13, 14, 14, 15, 14, 14, 14, 14,
                14, 14, 14, 14, 14,
            ],
        ),
        // 3.13.0
        (
            &[
                128, 0, 224, 8, 9, 216, 8, 9, 136, 65, 137, 5, 240, 5, 3, 9, 6, 128, 65, 246, 8, 0,
                8, 9, 240, 2, 4, 9, 18, 220, 19, 20, 144, 81, 216, 21, 22, 243, 3, 1, 20, 24, 240,
                6, 0, 17, 18, 137, 65, 219, 13, 14, 136, 1, 217, 8, 12, 241, 3, 0, 14, 15, 241, 6,
                0, 22, 23, 243, 3, 1, 12, 24, 217, 21, 22, 144, 1, 240, 3, 0, 13, 14, 138, 68, 217,
                21, 22, 241, 3, 1, 12, 24, 240, 0, 1, 5, 24, 248, 240, 7, 0, 17, 18, 137, 65, 252,
                242, 6, 1, 12, 24,
            ],
            &[
                1, 3, 4, 4, 4, 4, 2, 2, 6, 6, 6, 6, 6, 6, 6, 7, 8, 8, 8, 8, 8, 8, 9, 8, 8, 8, 8,
                11, 11, 11, 12, 12, 12, 12, 12, 13, 13, 12, 12, 15, 15, 14, 14, 14, 14, 15, 15, 15,
                14, 14, 14, 14, 15, 15, 14, 14, 14, 0, 11, 11, 11, 0, 0, 0, 0, 0, 14, 14, 14,
            ],
        ),
    ];

    #[test]
    fn lines_are_those_that_the_interpreter_tells() {
        for (table, lines) in TABLES {
            for (unit, &expected) in lines.iter().enumerate() {
                let line = line(table, 1, unit as i64 * UNIT);
                assert_eq!(line.unwrap_or(0), expected, "unit {unit}");
            }
            // Not begun, and beyond the end.
            assert_eq!(line(table, 1, -UNIT), Some(1));
            assert_eq!(line(table, 1, lines.len() as i64 * UNIT), None);
        }
        assert_eq!(line(&[], 1, 0), None);
        assert_eq!(line(&[1, 2, 3], 1, 0), None);
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
