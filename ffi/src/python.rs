//! The CPython in this process, if there is one when the library is loaded: what the recorder needs
//! to read its frames.

use core::ffi::{CStr, c_int, c_ulong, c_void};
use core::hint::black_box;
use core::mem::transmute;

use recorder::preload_support::{Interpreter, meet_interpreter};

/// Where a symbol of the program or its libraries is.
fn find(name: &CStr) -> Option<*mut c_void> {
    // What is found is looked at here, even where nobody asks for it: a call as the last act would
    // be a jump, and `dlsym` would take our caller, the loader, for its own.
    // SAFETY: a C string.
    let found = black_box(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) });
    (!found.is_null()).then_some(found)
}

/// Tells the recorder of it.
pub(crate) fn look() {
    let found = interpreter();
    // A symbol that was not found must not leave an error for the program's own `dlerror`: a search
    // that succeeds clears it.
    find(c"malloc");
    if let Some(found) = found {
        // SAFETY: these are the symbols that the fields are said to be; an interpreter that was
        // there when the program was loaded stays.
        unsafe { meet_interpreter(&found) };
    }
}

/// From 3.11 on they have a version to be read.
fn interpreter() -> Option<Interpreter> {
    let version = find(c"Py_Version")?.cast::<c_ulong>();
    let running =
        find(c"PyThreadState_GetUnchecked").or_else(|| find(c"_PyThreadState_UncheckedGet"))?;
    let own = find(c"PyGILState_GetThisThreadState")?;
    type State = unsafe extern "C" fn() -> *const c_void;
    type Ending = unsafe extern "C" fn() -> c_int;
    Some(Interpreter {
        // SAFETY: `const unsigned long Py_Version` (Include/pylifecycle.h).
        version: u32::try_from(unsafe { version.read() }).ok()?,
        // SAFETY: the function takes nothing and returns a pointer (Include/cpython/pystate.h).
        running: unsafe { transmute::<*mut c_void, State>(running) },
        // SAFETY: `PyGILState_GetThisThreadState` takes nothing and returns a pointer.
        own: unsafe { transmute::<*mut c_void, State>(own) },
        code_type: find(c"PyCode_Type")?.addr(),
        text_type: find(c"PyUnicode_Type")?.addr(),
        bytes_type: find(c"PyBytes_Type")?.addr(),
        ending: find(c"Py_IsFinalizing")
            .or_else(|| find(c"_Py_IsFinalizing"))
            // SAFETY: the function takes nothing and returns an `int` (Include/pylifecycle.h).
            .map(|ending| unsafe { transmute::<*mut c_void, Ending>(ending) }),
    })
}
