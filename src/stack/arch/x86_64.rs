//! x86_64.

use super::super::Registers;
use gimli::Register;

/// Whether this processor's frames are unwound by our own code.
pub(in super::super) const OWN_UNWINDER: bool = true;
/// Stack pointer.
pub(in super::super) const SP: Register = Register(7);
/// Frame pointer: the one register besides the stack pointer that a CFA is computed from.
pub(in super::super) const BP: Register = Register(6);
/// The column that stands for the return address.
pub(in super::super) const RA: Register = Register(16);

/// The registers at the place where this is inlined.
#[inline(always)]
pub(in super::super) fn registers() -> Registers {
    let (pc, sp, bp);
    // SAFETY: only copies registers. All three come from one block, so that the unwind tables'
    // row for `pc` describes exactly this stack pointer.
    unsafe {
        core::arch::asm!(
            "lea {pc}, [rip]",
            "mov {sp}, rsp",
            "mov {bp}, rbp",
            pc = out(reg) pc,
            sp = out(reg) sp,
            bp = out(reg) bp,
            options(nomem, nostack, preserves_flags),
        );
    }
    Registers { pc, sp, bp }
}
