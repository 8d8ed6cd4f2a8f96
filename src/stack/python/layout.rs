//! Where the versions of CPython keep what is read.

/// Where the list of frames begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Head {
    /// In a frame of machine code, for each part of the list. The thread's state has a pointer to the
    /// innermost one's at the first offset; the pointer to its innermost frame is at the second.
    OnStack(u64, u64),
    /// In the thread's state, at this offset; and in the frame that ends a part, as `previous`.
    InState(u64),
}

/// Where a version keeps what is read: offsets in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) head: Head,
    /// Of a frame: its code, where in the code it is, and the frame that called it.
    pub(super) code: u64,
    pub(super) instruction: u64,
    pub(super) previous: u64,
    /// Word and bit that say that a frame is the last one of its part, where no other frame is
    /// there to end it.
    pub(super) last: Option<(u64, u32)>,
    /// Of code: first line, file, qualified name, table of lines, and the instructions.
    pub(super) first_line: u64,
    pub(super) file: u64,
    pub(super) name: u64,
    pub(super) lines: u64,
    pub(super) instructions: u64,
    /// Of a text: its characters, if all of them are ASCII, and if not.
    pub(super) ascii: u64,
    pub(super) other: u64,
    /// The calling thread's state is known apart from that which runs.
    pub(super) own_known: bool,
}

impl Layout {
    pub(super) fn of(version: u32) -> Option<Layout> {
        const V3_11: Layout = Layout {
            head: Head::OnStack(56, 8),
            code: 32,
            instruction: 56,
            previous: 48,
            // `is_entry`, a byte behind an `int`.
            last: Some((64, 32)),
            first_line: 72,
            file: 112,
            name: 128,
            lines: 136,
            instructions: 184,
            ascii: 48,
            other: 72,
            own_known: true,
        };
        const V3_12: Layout = Layout {
            head: Head::OnStack(56, 0),
            code: 0,
            previous: 8,
            last: None,
            first_line: 68,
            instructions: 192,
            ascii: 40,
            other: 56,
            own_known: false,
            ..V3_11
        };
        const V3_13: Layout = Layout {
            head: Head::InState(72),
            instructions: 200,
            ..V3_12
        };
        const V3_14: Layout = Layout {
            instructions: 208,
            ..V3_13
        };
        match version >> 16 {
            0x030b => Some(V3_11),
            0x030c => Some(V3_12),
            0x030d => Some(V3_13),
            0x030e | 0x030f => Some(V3_14),
            _ => None,
        }
    }
}
