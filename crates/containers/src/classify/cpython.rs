//! The sizes of CPython's dict tables, for interpreters without symbols.
//!
//! A table (`PyDictKeysObject`, `Objects/dictobject.c`) for `n` slots, a power of two, is one
//! block: a header, `n` indices that are as wide as they need to be, and room for `2n/3`
//! entries. The header has 32 bytes from Python 3.11 on and 40 before; an entry has 24, or 16
//! where all keys are strings (3.11 on).

/// Smallest and largest logarithm of the number of slots.
const SLOTS_LOG2: std::ops::Range<u32> = 3..40;

/// Whether a table of some dict has exactly this size.
#[must_use]
pub fn is_dict_table(bytes: u64) -> bool {
    const HEADERS: [u64; 2] = [32, 40];
    const ENTRIES: [u64; 2] = [16, 24];
    SLOTS_LOG2.into_iter().any(|log2| {
        let slots = 1u64 << log2;
        let indices = match log2 {
            ..8 => slots,
            8..16 => slots * 2,
            16..32 => slots * 4,
            _ => slots * 8,
        };
        HEADERS.iter().any(|header| {
            ENTRIES
                .iter()
                .any(|entry| bytes == header + indices + slots * 2 / 3 * entry)
        })
    })
}

/// Whether a function is the interpreter's, under a name that it exports.
#[must_use]
pub fn is_interpreters(function: &str) -> bool {
    ["Py", "_Py"].iter().any(|prefix| {
        function
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `sys.getsizeof` says of dicts that grow, without the 64 bytes of the object itself.
    #[test]
    fn tables_of_real_dicts_are_known() {
        let of_ints = [160, 288, 568, 1104, 2200, 4624, 9240, 18448];
        let large = [1310744, 2621464, 5242896, 10485784];
        let of_strings = [120, 208, 400, 768, 1520, 3264];
        for bytes in of_ints.into_iter().chain(large).chain(of_strings) {
            assert!(is_dict_table(bytes), "{bytes}");
        }
        for bytes in [4096, 1 << 20, 1000, 568 + 1, 3 << 20, 0, u64::MAX] {
            assert!(!is_dict_table(bytes), "{bytes}");
        }
    }

    #[test]
    fn exported_functions_are_the_interpreters() {
        assert!(is_interpreters("_PyEval_EvalFrameDefault") && is_interpreters("PyDict_SetItem"));
        assert!(!is_interpreters("Python") && !is_interpreters("fill"));
    }
}
