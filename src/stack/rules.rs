//! Unwind rules: how to get from a frame to its caller, read out of an object's `.eh_frame`.
//!
//! gimli finds and decodes the tables. The rows are folded here, for the four columns that
//! matter to a stack walk (CFA, stack pointer, frame pointer, return address): that needs a few
//! hundred bytes of stack where gimli's general context needs thousands, and an allocator may be
//! called on a signal stack of 8 KiB.

mod rows;

use super::arch::{BP, RA, SP};
use super::loader::Object;
use gimli::{BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, NativeEndian, UnwindSection};
use rows::{Cfa, Column, Folder, REMEMBERED, Row};

/// What a rule's offset counts from. All-zero is `Sp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Base {
    /// The frame's stack pointer.
    Sp = 0,
    /// The frame's frame pointer register, whatever it is used for.
    Bp = 1,
    /// The frame's CFA.
    Cfa = 2,
}

/// Where the caller's frame pointer register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SavedBp {
    /// Still in the register.
    Same = 0,
    /// In memory, at the rule's `bp_base` and `bp_offset`.
    At = 1,
    /// Not known any more. Harmless unless an outer frame's CFA needs it.
    Lost = 2,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// There is a caller, and the rule leads to it.
    Caller = 0,
    /// This is the outermost frame.
    Outermost = 1,
    /// No table covers the address.
    NoInfo = 2,
    /// A table covers it, but says something that is not handled here.
    Unsupported = 3,
}

/// How to get from a frame to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Lookup address minus the start of the function it lies in.
    pub(super) into_function: u32,
    /// Added to the CFA's base.
    pub(super) cfa_offset: i32,
    /// Added to the base of the saved frame pointer's address.
    pub(super) bp_offset: i32,
    /// Added to what `cfa_deref` read.
    pub(super) cfa_add: i16,
    /// Added to the base of the return address's address.
    pub(super) ra_offset: i16,
    pub(super) kind: Kind,
    pub(super) cfa_base: Base,
    /// The CFA is not base + offset but the word stored there, plus `cfa_add`.
    pub(super) cfa_deref: bool,
    pub(super) bp: SavedBp,
    pub(super) bp_base: Base,
    pub(super) ra_base: Base,
    /// The caller was interrupted, it did not call: its pc is exact, not a return address.
    pub(super) signal_frame: bool,
}

const _: () = assert!(size_of::<Rule>() <= 24);

impl Rule {
    /// A rule that leads nowhere.
    pub(super) const fn stop(kind: Kind) -> Rule {
        Rule {
            into_function: 0,
            cfa_offset: 0,
            bp_offset: 0,
            cfa_add: 0,
            ra_offset: 0,
            kind,
            cfa_base: Base::Sp,
            cfa_deref: false,
            bp: SavedBp::Same,
            bp_base: Base::Cfa,
            ra_base: Base::Cfa,
            signal_frame: false,
        }
    }
}

type Bytes = EndianSlice<'static, NativeEndian>;

/// The rule for the frame whose pc (or the call before it) is `address`, which lies in `object`.
///
/// # Safety
/// The object must be loaded, with the unwind tables that its linker made.
#[cold]
#[inline(never)]
pub(super) unsafe fn read_rule(object: &Object, address: u64) -> Rule {
    // SAFETY: the object is loaded until this returns (this contract).
    unsafe { find_rule(object, address) }.unwrap_or(const { Rule::stop(Kind::NoInfo) })
}

/// Bytes from `address` to the end of its segment.
///
/// # Safety
/// As for [`read_rule`].
unsafe fn segment_bytes(object: &Object, address: u64) -> Option<Bytes> {
    // SAFETY: the object is loaded until this returns (this contract).
    let end = unsafe { object.segment_end(address) }?;
    let length = usize::try_from(end.checked_sub(address)?).ok()?;
    // SAFETY: a loaded segment is readable from any address in it to its end, as long as the object is
    // loaded. Nobody writes to the tables; but a few objects (LLVM's libunwind 14) have theirs in a
    // segment of variables, of which others do change what lies behind: nothing of that is read.
    let bytes = unsafe { core::slice::from_raw_parts(address as usize as *const u8, length) };
    Some(EndianSlice::new(bytes, NativeEndian))
}

/// # Safety
/// As for [`read_rule`].
unsafe fn find_rule(object: &Object, address: u64) -> Option<Rule> {
    // SAFETY: the object is loaded until this returns (this contract).
    let hdr_bytes = unsafe { segment_bytes(object, object.eh_frame_hdr) }?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(object.eh_frame_hdr);
    let hdr = EhFrameHdr::from(hdr_bytes).parse(&bases, 8).ok()?;
    let eh_frame = hdr.eh_frame_ptr().direct().ok()?;
    let bases = bases.set_eh_frame(eh_frame);
    // SAFETY: the object is loaded until this returns (this contract).
    let section = EhFrame::from(unsafe { segment_bytes(object, eh_frame) }?);
    let fde = hdr
        .table()?
        .fde_for_address(&section, &bases, address, EhFrame::cie_from_offset)
        .ok()?;
    let into_function = u32::try_from(address.checked_sub(fde.initial_address())?).ok()?;

    let mut folder = Folder {
        section: &section,
        cie: fde.cie(),
        address,
        location: fde.initial_address(),
        row: Row::EMPTY,
        initial: Row::EMPTY,
        remembered: [Row::EMPTY; REMEMBERED],
        depth: 0,
    };
    let folded = folder.fold(&fde, &bases);
    let mut rule = match folded {
        Some(()) if fde.cie().return_address_register() == RA => reduce(&folder.row),
        _ => None,
    }
    .unwrap_or(const { Rule::stop(Kind::Unsupported) });
    rule.into_function = into_function;
    rule.signal_frame = fde.is_signal_trampoline();
    Some(rule)
}

/// The rule that a row stands for, if it is one that can be followed.
fn reduce(row: &Row) -> Option<Rule> {
    let mut rule = Rule::stop(Kind::Caller);
    match row.ra {
        Column::At(base, offset) => {
            rule.ra_base = base;
            rule.ra_offset = i16::try_from(offset).ok()?;
        }
        Column::Undefined => return Some(Rule::stop(Kind::Outermost)),
        Column::Same | Column::Other => return None,
    }
    match row.cfa {
        Cfa::Register { register, offset } => {
            rule.cfa_base = match register {
                SP => Base::Sp,
                BP => Base::Bp,
                _ => return None,
            };
            rule.cfa_offset = offset;
        }
        Cfa::Deref { base, offset, add } => {
            rule.cfa_base = base;
            rule.cfa_deref = true;
            rule.cfa_offset = offset;
            rule.cfa_add = i16::try_from(add).ok()?;
        }
        Cfa::Other => return None,
    }
    // The caller's stack pointer is the CFA, unless the table says otherwise; the kernel's
    // signal frame says the same in other words, by naming the word that the CFA is read from.
    match (row.sp, row.cfa) {
        (Column::Same, _) => {}
        (
            Column::At(base, offset),
            Cfa::Deref {
                base: from,
                offset: at,
                add: 0,
            },
        ) if base == from && offset == at => {}
        _ => return None,
    }
    match row.bp {
        Column::Same => {}
        Column::At(base, offset) => {
            rule.bp = SavedBp::At;
            rule.bp_base = base;
            rule.bp_offset = offset;
        }
        Column::Undefined | Column::Other => rule.bp = SavedBp::Lost,
    }
    Some(rule)
}
