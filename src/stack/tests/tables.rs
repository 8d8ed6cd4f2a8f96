//! Rules against gimli's own evaluation, for every function of the objects at hand.

use super::super::loader::{Object, find_object};
use super::super::rules::{Base, Kind, SavedBp, read_rule};
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EndianSlice, NativeEndian, Register, RegisterRule,
    UnwindContext, UnwindContextStorage, UnwindSection, UnwindTableRow,
};

struct Storage;

impl UnwindContextStorage<usize> for Storage {
    type Rules = [(Register, RegisterRule<usize>); 64];
    type Stack = [UnwindTableRow<usize, Self>; 8];
}

const SP: Register = Register(7);
const BP: Register = Register(6);
const RA: Register = Register(16);

/// Compares all rows of all functions in the object that `inside` lies in. Returns how many
/// rows were compared, and how many rules were not supported.
fn compare_object(inside: u64) -> (usize, usize) {
    // SAFETY: the object is never unloaded, as in what follows.
    let object = unsafe { find_object(inside) }.expect("an object");
    // SAFETY: loaded, and never unloaded during the test.
    let bytes = |from: u64| unsafe {
        let end = object
            .segment_end(from)
            .expect("the tables lie in the object");
        let length = end - from;
        EndianSlice::new(
            std::slice::from_raw_parts(from as usize as *const u8, length as usize),
            NativeEndian,
        )
    };
    let bases = BaseAddresses::default().set_eh_frame_hdr(object.eh_frame_hdr);
    let hdr = gimli::EhFrameHdr::from(bytes(object.eh_frame_hdr))
        .parse(&bases, 8)
        .expect("hdr");
    let eh_frame = hdr.eh_frame_ptr().direct().expect("direct");
    let bases = bases.set_eh_frame(eh_frame);
    let section = EhFrame::from(bytes(eh_frame));
    let table = hdr.table().expect("a table");
    let mut context = UnwindContext::<usize, Storage>::new_in();
    let (mut rows, mut unsupported) = (0, 0);
    let mut starts = table.iter(&bases);
    while let Some((_, fde)) = starts.next().expect("a readable table") {
        let offset = table.pointer_to_offset(fde).expect("an offset");
        let fde = section
            .fde_from_offset(&bases, offset, EhFrame::cie_from_offset)
            .expect("a readable entry");
        let mut table = fde.rows(&section, &bases, &mut context).expect("rows");
        while let Some(row) = table.next_row().expect("a row") {
            if row.start_address() == row.end_address() {
                continue;
            }
            for address in [row.start_address(), row.end_address() - 1] {
                // SAFETY: the object is never unloaded.
                let rule = unsafe { read_rule(&object, address) };
                rows += 1;
                assert_eq!(
                    u64::from(rule.into_function),
                    address - fde.initial_address()
                );
                assert_eq!(rule.signal_frame, fde.is_signal_trampoline());
                let ra = row.register(RA).unwrap_or(RegisterRule::Undefined);
                match (rule.kind, row.cfa()) {
                    (Kind::NoInfo, _) => panic!("{address:#x} is covered"),
                    (Kind::Unsupported, CfaRule::Expression(_)) => unsupported += 1,
                    (Kind::Unsupported, CfaRule::RegisterAndOffset { register, .. }) => {
                        let usual = [SP, BP].contains(register)
                            && row.register(SP).is_none()
                            && matches!(ra, RegisterRule::Offset(_));
                        assert!(!usual, "{address:#x}: {row:?}");
                        unsupported += 1;
                    }
                    (Kind::Outermost, _) => assert_eq!(ra, RegisterRule::Undefined),
                    (Kind::Caller, CfaRule::RegisterAndOffset { register, offset }) => {
                        let base = if rule.cfa_base == Base::Sp { SP } else { BP };
                        assert!(!rule.cfa_deref);
                        assert_eq!((base, i64::from(rule.cfa_offset)), (*register, *offset));
                        assert_eq!(ra, RegisterRule::Offset(rule.ra_offset.into()));
                        match row.register(BP) {
                            None | Some(RegisterRule::SameValue) => {
                                assert_eq!(rule.bp, SavedBp::Same);
                            }
                            Some(RegisterRule::Offset(offset)) => {
                                assert_eq!((rule.bp, rule.bp_base), (SavedBp::At, Base::Cfa));
                                assert_eq!(i64::from(rule.bp_offset), offset);
                            }
                            _ => assert_ne!(rule.bp, SavedBp::Same),
                        }
                    }
                    (Kind::Caller, CfaRule::Expression(_)) => {}
                }
            }
        }
    }
    (rows, unsupported)
}

#[test]
fn rules_agree_with_gimli_on_every_row() {
    for inside in [
        compare_object as *const () as u64,
        libc::abort as *const () as u64,
    ] {
        let (rows, unsupported) = compare_object(inside);
        println!("{rows} rows compared, {unsupported} not supported");
        assert!(rows > 1000);
        assert!(unsupported * 100 < rows, "{unsupported} of {rows}");
    }
}

#[test]
fn a_program_whose_segments_leave_gaps_has_rules() {
    let inside = a_program_whose_segments_leave_gaps_has_rules as fn() as usize as u64;
    // SAFETY: this program is never unloaded.
    let whole = unsafe { find_object(inside) }.expect("an object");
    // As glibc gives it then: the mapping of the code alone, with the unwind tables before it.
    let code = Object {
        map_start: inside / 4096 * 4096,
        ..whole
    };
    assert!(!code.contains(code.eh_frame_hdr));
    // SAFETY: both are this program, which is never unloaded.
    let (rule, expected) = unsafe { (read_rule(&code, inside), read_rule(&whole, inside)) };
    assert_ne!(expected.kind, Kind::NoInfo);
    assert_eq!(rule.kind, expected.kind);
}
