//! The row of an unwind table that covers an address: what call frame instructions come to (DWARF 5,
//! section 6.4.2).

use super::{Base, Bytes};
use crate::stack::arch::{BP, RA, SP};
use gimli::{
    BaseAddresses, CallFrameInstruction, CommonInformationEntry, EhFrame, FrameDescriptionEntry,
    Reader, Register, UnwindExpression,
};

/// The CFA column.
#[derive(Clone, Copy)]
pub(super) enum Cfa {
    Register { register: Register, offset: i32 },
    Deref { base: Base, offset: i32, add: i32 },
    Other,
}

/// A register's column.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// Nothing was said, or "same value".
    Same,
    At(Base, i32),
    Undefined,
    Other,
}

/// One row of the table. Small, for several lie on the stack of whoever allocates.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) cfa: Cfa,
    pub(super) sp: Column,
    pub(super) bp: Column,
    pub(super) ra: Column,
}

const _: () = assert!(size_of::<Row>() <= 48);

impl Row {
    pub(super) const EMPTY: Row = Row {
        cfa: Cfa::Other,
        sp: Column::Same,
        bp: Column::Same,
        ra: Column::Same,
    };

    pub(super) fn column(&mut self, register: Register) -> Option<&mut Column> {
        match register {
            SP => Some(&mut self.sp),
            BP => Some(&mut self.bp),
            RA => Some(&mut self.ra),
            _ => None,
        }
    }

    pub(super) fn set(&mut self, register: Register, value: Column) {
        if let Some(column) = self.column(register) {
            *column = value;
        }
    }
}

/// Rows that `DW_CFA_remember_state` may keep at a time. Compilers nest no deeper than 1.
pub(super) const REMEMBERED: usize = 3;

fn scaled(factored: i64, factor: i64) -> Option<i32> {
    i32::try_from(factored.checked_mul(factor)?).ok()
}

/// Folds call frame instructions into the row that covers `address`.
pub(super) struct Folder<'a> {
    pub(super) section: &'a EhFrame<Bytes>,
    pub(super) cie: &'a CommonInformationEntry<Bytes>,
    pub(super) address: u64,
    pub(super) location: u64,
    pub(super) row: Row,
    /// What the CIE's own instructions set up: the target of `DW_CFA_restore`.
    pub(super) initial: Row,
    pub(super) remembered: [Row; REMEMBERED],
    pub(super) depth: usize,
}

impl Folder<'_> {
    /// Applies one instruction. `Some(true)`: the row is complete. `None`: not understood.
    pub(super) fn apply(&mut self, instruction: &CallFrameInstruction<usize>) -> Option<bool> {
        use CallFrameInstruction as I;
        match *instruction {
            I::SetLoc { address } => {
                if address > self.address {
                    return Some(true);
                }
                self.location = address;
            }
            I::AdvanceLoc { delta } => {
                let delta = u64::from(delta).wrapping_mul(self.cie.code_alignment_factor());
                let location = self.location.wrapping_add(delta);
                if location > self.address {
                    return Some(true);
                }
                self.location = location;
            }
            I::DefCfa { .. }
            | I::DefCfaSf { .. }
            | I::DefCfaRegister { .. }
            | I::DefCfaOffset { .. }
            | I::DefCfaOffsetSf { .. }
            | I::DefCfaExpression { .. } => self.row.cfa = self.cfa(instruction)?,
            I::Undefined { register }
            | I::SameValue { register }
            | I::Offset { register, .. }
            | I::OffsetExtendedSf { register, .. }
            | I::Expression { register, .. }
            | I::ValOffset { register, .. }
            | I::ValOffsetSf { register, .. }
            | I::Register {
                dest_register: register,
                ..
            }
            | I::ValExpression { register, .. } => {
                if self.row.column(register).is_some() {
                    let column = self.column(instruction)?;
                    self.row.set(register, column);
                }
            }
            I::Restore { register } => {
                let mut initial = self.initial;
                if let Some(&mut value) = initial.column(register) {
                    self.row.set(register, value);
                }
            }
            I::RememberState => {
                *self.remembered.get_mut(self.depth)? = self.row;
                self.depth += 1;
            }
            I::RestoreState => {
                self.depth = self.depth.checked_sub(1)?;
                self.row = *self.remembered.get(self.depth)?;
            }
            I::ArgsSize { .. } | I::Nop => {}
            _ => return None,
        }
        Some(false)
    }

    /// Where the CFA lies after an instruction that defines it.
    pub(super) fn cfa(&self, instruction: &CallFrameInstruction<usize>) -> Option<Cfa> {
        use CallFrameInstruction as I;
        let data_factor = self.cie.data_alignment_factor();
        let present = match self.row.cfa {
            Cfa::Register { register, offset } => Some((register, offset)),
            _ => None,
        };
        let (register, offset) = match *instruction {
            I::DefCfa { register, offset } => (register, i32::try_from(offset).ok()?),
            I::DefCfaSf {
                register,
                factored_offset,
            } => (register, scaled(factored_offset, data_factor)?),
            I::DefCfaRegister { register } => (register, present?.1),
            I::DefCfaOffset { offset } => (present?.0, i32::try_from(offset).ok()?),
            I::DefCfaOffsetSf { factored_offset } => {
                (present?.0, scaled(factored_offset, data_factor)?)
            }
            I::DefCfaExpression { expression } => match self.expression(expression) {
                Some((base, offset, Some(add))) => return Some(Cfa::Deref { base, offset, add }),
                Some((base, offset, None)) => (if base == Base::Sp { SP } else { BP }, offset),
                None => return Some(Cfa::Other),
            },
            _ => return None,
        };
        Some(Cfa::Register { register, offset })
    }

    /// Where a register is saved, by an instruction that tells it.
    pub(super) fn column(&self, instruction: &CallFrameInstruction<usize>) -> Option<Column> {
        use CallFrameInstruction as I;
        let data_factor = self.cie.data_alignment_factor();
        let offset = match *instruction {
            I::Undefined { .. } => return Some(Column::Undefined),
            I::SameValue { .. } => return Some(Column::Same),
            I::Offset {
                factored_offset, ..
            } => scaled(i64::try_from(factored_offset).ok()?, data_factor)?,
            I::OffsetExtendedSf {
                factored_offset, ..
            } => scaled(factored_offset, data_factor)?,
            I::Expression { expression, .. } => {
                return Some(match self.expression(expression) {
                    Some((base, offset, None)) => Column::At(base, offset),
                    _ => Column::Other,
                });
            }
            _ => return Some(Column::Other),
        };
        Some(Column::At(Base::Cfa, offset))
    }

    /// Reads `breg offset`, optionally followed by `deref` and then by `plus_uconst`. The last
    /// part is `None` when there is no `deref`.
    pub(super) fn expression(
        &self,
        expression: UnwindExpression<usize>,
    ) -> Option<(Base, i32, Option<i32>)> {
        const BREG0: u16 = gimli::DW_OP_breg0.0 as u16;
        let mut code = expression.get(self.section).ok()?.0;
        let base = match Register(u16::from(code.read_u8().ok()?).checked_sub(BREG0)?) {
            SP => Base::Sp,
            BP => Base::Bp,
            _ => return None,
        };
        let offset = i32::try_from(code.read_sleb128().ok()?).ok()?;
        if code.is_empty() {
            return Some((base, offset, None));
        }
        if code.read_u8().ok()? != gimli::DW_OP_deref.0 {
            return None;
        }
        if code.is_empty() {
            return Some((base, offset, Some(0)));
        }
        if code.read_u8().ok()? != gimli::DW_OP_plus_uconst.0 {
            return None;
        }
        let add = i32::try_from(code.read_uleb128().ok()?).ok()?;
        code.is_empty().then_some((base, offset, Some(add)))
    }

    /// Runs the CIE's instructions, then the FDE's, as far as `address`.
    pub(super) fn fold(
        &mut self,
        fde: &FrameDescriptionEntry<Bytes>,
        bases: &BaseAddresses,
    ) -> Option<()> {
        let mut instructions = self.cie.instructions(self.section, bases);
        while let Some(instruction) = instructions.next().ok()? {
            if self.apply(&instruction)? {
                return None;
            }
        }
        self.initial = self.row;
        let mut instructions = fde.instructions(self.section, bases);
        while let Some(instruction) = instructions.next().ok()? {
            if self.apply(&instruction)? {
                break;
            }
        }
        Some(())
    }
}
