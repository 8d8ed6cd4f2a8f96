//! The part of a stack that an interpreter runs.

use super::Return;
use super::python;
use super::walk::{Scratch, Stop};

/// What a thread runs in an interpreter, in per-thread memory. All-zero is nothing.
pub(super) struct ScriptWords {
    /// The thread's state in the interpreter, 0 when it runs nothing. A word of the walk, as the
    /// frame pointer.
    pub(super) thread_state: u64,
    /// What stacks have for the functions that it runs, innermost first.
    keys: [u64; python::MOST],
    count: usize,
}

/// What was read of the functions that an interpreter runs.
pub(super) struct Script {
    /// Address within the frame of machine code that runs the innermost of them; 0: there is none.
    run_by: u64,
    /// There are more.
    cut: bool,
    /// Slot of the frame before.
    inner: u64,
}

impl Script {
    const NONE: Script = Script {
        run_by: 0,
        cut: false,
        inner: 0,
    };

    /// Whether the frame before the one with this slot is the one that runs the script: each lies
    /// between its slot and that of the next one.
    pub(super) fn is_run_within(&mut self, slot: u64) -> bool {
        let inner = core::mem::replace(&mut self.inner, slot);
        inner != 0 && inner < self.run_by && self.run_by < slot
    }
}

impl Scratch {
    /// Reads what the thread runs in an interpreter: the first words of a walk.
    ///
    /// # Safety
    /// `script.thread_state` is what [`python::thread_state`] says.
    pub(super) unsafe fn read_script(&mut self) -> Script {
        self.script.count = 0;
        if !python::present() {
            return Script::NONE;
        }
        let state = &raw const self.script.thread_state;
        // SAFETY: a word of this structure.
        let Ok(state) = (unsafe { self.read(state.expose_provenance() as u64) }) else {
            return Script::NONE;
        };
        let this = core::cell::RefCell::new(&mut *self);
        let chain = python::frames(
            state,
            // SAFETY: words that the calling thread's state led to: see the module on why they may
            // be read.
            |address| unsafe { this.borrow_mut().read(address) },
            |frame| {
                let script = &mut this.borrow_mut().script;
                let place = script.keys.get_mut(script.count).ok_or(Stop::Limit)?;
                *place = frame.key();
                script.count += 1;
                Ok(())
            },
        );
        if self.script.count == 0 {
            return Script::NONE;
        }
        Script {
            run_by: chain.run_by,
            cut: chain.end.is_err(),
            inner: 0,
        }
    }

    /// Appends the functions that the interpreter runs, and the frame that the function of machine
    /// code which runs them will return to. The walk ends there, and this is why.
    pub(super) fn push_script(&mut self, script: &Script, outer: Return) -> Stop {
        // Frames are told apart by how many are outside of them. Their places in the stack are
        // those of no machine code, between the ones of the function that runs them.
        let lowest = self.returns().last().map_or(0, |inner| inner.slot) + 1;
        let highest = outer.slot.saturating_sub(1);
        let count = self.script.count as u64;
        for index in 0..self.script.count {
            let Some(&key) = self.script.keys.get(index) else {
                break;
            };
            let outside = count - 1 - index as u64;
            let frame = Return {
                slot: highest.saturating_sub(outside).max(lowest),
                pc: key,
            };
            if let Err(stop) = self.push(frame) {
                return stop;
            }
        }
        match self.push(outer) {
            Ok(()) if !script.cut => Stop::Outermost,
            Ok(()) => Stop::Limit,
            Err(stop) => stop,
        }
    }
}
