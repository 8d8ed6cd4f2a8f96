//! The C API: see `include/mapgrow.h`, whose constants are these.

use core::ffi::{CStr, c_char, c_int};

use recorder::preload_support::{DumpError, dump, is_recording, mark, set_recording};

use crate::next::next;

const OK: c_int = 0;
const NOTHING: c_int = 1;
const BUSY: c_int = 2;
const CANNOT_CREATE: c_int = 3;
const CANNOT_WRITE: c_int = 4;
const NO_NAME: c_int = 5;
const PATH_CUT: c_int = 6;

/// Version of the library.
#[unsafe(no_mangle)]
pub extern "C" fn mapgrow_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Writes a dump.
///
/// # Safety
/// `path` is null or may be written to for `path_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mapgrow_dump(path: *mut c_char, path_size: usize) -> c_int {
    let mut result = OK;
    let written = dump(|written| {
        let Some(room) = path_size.checked_sub(1).filter(|_| !path.is_null()) else {
            return;
        };
        let bytes = written.len().min(room);
        if bytes < written.len() {
            result = PATH_CUT;
        }
        // SAFETY: `bytes < path_size`, and `path` may be written to for that many (this contract).
        unsafe {
            path.cast::<u8>().copy_from(written.as_ptr(), bytes);
            path.add(bytes).write(0);
        }
    });
    match written {
        Ok(()) => result,
        Err(DumpError::Nothing) => NOTHING,
        Err(DumpError::Busy) => BUSY,
        Err(DumpError::Create) => CANNOT_CREATE,
        Err(DumpError::Name) => NO_NAME,
        // What is wrong with the file, or will be some day.
        Err(_) => CANNOT_WRITE,
    }
}

/// [`mapgrow_dump`] by the name that it had first.
///
/// # Safety
/// As for that function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mapgrow_snapshot(path: *mut c_char, path_size: usize) -> c_int {
    // SAFETY: `path` is null or may be written to for `path_size` bytes.
    unsafe { mapgrow_dump(path, path_size) }
}

/// Sets a mark on the timeline.
///
/// # Safety
/// `label` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mapgrow_mark(label: *const c_char) {
    if label.is_null() {
        return;
    }
    // SAFETY: not null, hence a C string (this contract).
    let label = unsafe { CStr::from_ptr(label) }.to_bytes();
    let valid = match core::str::from_utf8(label) {
        Ok(label) => label,
        Err(error) => {
            let good = label.get(..error.valid_up_to()).unwrap_or(&[]);
            core::str::from_utf8(good).unwrap_or("")
        }
    };
    // A mark may come before any block.
    if next().is_some() {
        mark(valid);
    }
}

/// Whether blocks are being recorded.
#[unsafe(no_mangle)]
pub extern "C" fn mapgrow_is_recording() -> c_int {
    c_int::from(is_recording())
}

/// Pauses recording or resumes it.
#[unsafe(no_mangle)]
pub extern "C" fn mapgrow_set_recording(on: c_int) {
    set_recording(on != 0);
}
